"""Executive control."""
