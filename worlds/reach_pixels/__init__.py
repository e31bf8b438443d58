"""The `reach` world, seen by a camera."""
