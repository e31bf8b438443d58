"""Perception: from sensors to a latent state."""
