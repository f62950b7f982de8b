"""Filters that move one bar at a time, and their files."""
