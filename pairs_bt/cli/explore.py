"""`pairs-bt explore`: a page on which a finished run trades again as its thresholds move."""

from __future__ import annotations

from pathlib import Path

import click

from pairs_bt.cli.force_option import force_option


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), help="Where to write it, a name in .html (default: DIR/explore.html)."
)
@force_option
def explore(folder: Path, out: Path | None, force: bool) -> None:
    """Write a page that trades a finished run again as its thresholds move.

    One file, opened from the disk: no server, no network.
    """
    from pairs_bt import runner
    from pairs_bt.cli.terminal.output_file import PAGE, check_out

    loaded = runner.load_run(folder)
    check_out(out, PAGE, force=force)
    click.echo(runner.explore(loaded, out=out))
