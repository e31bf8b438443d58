"""The kernel: names, time, wiring and safety. No torch.nn, no mujoco, no input or output."""
