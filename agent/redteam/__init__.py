"""Attacks on an agent's guardrails, one file per family, and what truly came of each.

What the guardrails believed and what the simulator says happened are counted apart.
"""
