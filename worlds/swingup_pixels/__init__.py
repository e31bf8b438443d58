"""`swingup`, and a camera beside it."""
