"""Configuration: strict YAML, the schema, the resolver of names, and the composition root."""
