"""A grid of settings: each one traded, what trying them all costs, and the choice that could have been made."""
