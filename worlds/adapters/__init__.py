"""Worlds that others made, as worlds of ours."""
