"""The `rooms` world, seen by a camera."""
