"""The `push` world, seen by a camera."""
