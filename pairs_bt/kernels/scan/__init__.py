"""Loops of the scan: cointegration by scalar code and in lanes of four pairs, partial cointegration, distances."""
