"""Housecat: a runtime for autonomous agents that plan through a learned world model."""

__version__ = "0.1.0"
