"""Evaluation: episodes in lock-step, baselines, and honest statistics."""
