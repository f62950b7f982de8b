"""Figures of a run. Every function takes a Run and returns a matplotlib Figure; the report draws with the same ones."""
