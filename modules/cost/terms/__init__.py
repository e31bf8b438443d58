"""Cost terms: one immutable class per file."""
