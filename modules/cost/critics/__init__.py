"""Critics: anticipation of future intrinsic energy."""
