"""Loops over all pairs of a universe, beside the tests of cointegration."""
