"""Checked array functions over the kernels, one paper each."""
