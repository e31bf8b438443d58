"""Guardrails: one constraint class per file."""
