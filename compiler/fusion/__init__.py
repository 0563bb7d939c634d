"""From a program to fused stages, forward and backward: derivatives, planning, tiles, and their meaning in NumPy."""
