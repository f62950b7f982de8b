"""A run's data and its folder."""
