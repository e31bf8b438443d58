"""Readouts: from latent to physical quantities."""
