"""A planar body of two links on a foot: it can fall, and is pushed."""
