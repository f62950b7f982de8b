"""Leaf helpers that know nothing of pairs."""
