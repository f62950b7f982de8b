"""Prices and the small tables beside them: read, checked and flagged once."""
