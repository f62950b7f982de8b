"""The Ornstein-Uhlenbeck spread: its exact fit, and the levels at which it pays to trade it."""
