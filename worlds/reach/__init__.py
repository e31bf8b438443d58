"""A planar two-joint arm that shares its workspace with a solid post."""
