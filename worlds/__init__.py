"""Worlds: bodies and places simulated in MuJoCo. Only this package may import mujoco."""

import os

GRAPHICS = os.environ.pop("MUJOCO_GL", "").lower().strip()
"""The GL back end the user asked for. MuJoCo would refuse to be imported, and worlds that draw
nothing to run, where it is missing or misspelt; so `worlds.film` looks at it, late."""
