"""Training objectives of the world model: one class per file, combined in the config."""
