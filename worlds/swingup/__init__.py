"""A cart on a rail, and a pole on it that nothing drives: swing it up and hold it."""
