"""The command line."""

from pairs_bt.cli.commands import cli, main

__all__ = ["cli", "main"]
