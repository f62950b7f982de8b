"""`--force` of the commands that write one file.

What it allows is checked in :mod:`pairs_bt.cli.terminal.output_file`.
"""

from __future__ import annotations

import click

force_option = click.option(
    "--force", is_flag=True, help="Let --out replace any file. Without it, only one of the kind that pairs-bt makes."
)
