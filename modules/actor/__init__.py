"""Actors: reactive policies and planners."""
