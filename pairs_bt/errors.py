"""Errors that a user can act on: what value, where, which rule, and how to mend it."""

from __future__ import annotations


class PairsError(Exception):
    """Base of all errors a user can mend; carries the process's exit code."""

    exit_code = 1


class ConfigError(PairsError):
    """A config that breaks a rule. Exit code 2."""

    exit_code = 2


class DataError(PairsError):
    """Prices, or another input file, that cannot be used. Exit code 3."""

    exit_code = 3


class PartialError(PairsError):
    """A run of which some tasks failed; what was finished is kept. Exit code 4."""

    exit_code = 4
