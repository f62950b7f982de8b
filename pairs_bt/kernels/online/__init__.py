"""Kernels of filters that move one bar at a time."""
