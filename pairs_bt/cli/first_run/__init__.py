"""What is done once on a machine: the kernels of a run compiled by several processes."""
