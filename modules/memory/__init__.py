"""Short-term memory."""
