"""What trying many settings costs, and what is left of the best one."""
