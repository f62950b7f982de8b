"""Bare Numba loops: no checks, no pandas. The checked faces are one floor up."""
