"""The six modules; each folder is one slot, and no slot imports another."""
