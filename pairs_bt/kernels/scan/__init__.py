"""Kernels of the scan: one pair at a time, and four pairs in step."""
