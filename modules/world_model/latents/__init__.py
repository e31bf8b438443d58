"""Latent variables: what the future depends on and no sensor shows; one kind per file."""
