"""Worlds: bodies and places simulated in MuJoCo. Only this package may import mujoco."""
