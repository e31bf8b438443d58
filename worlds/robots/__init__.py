"""Bodies that others made, from MJCF files: what `mjcf` and `menagerie` share."""
