"""``pairs-bt compare``: finished runs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import click

from pairs_bt.cli.force_option import force_option


@click.command(short_help="Compare finished runs on the dates they share.")
@click.argument("folders", metavar="DIR...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--variant", "variants", multiple=True, metavar="NAME", help="Compare only this variant of each run; repeatable."
)
@click.option("--out", type=click.Path(path_type=Path), help="Also write the comparison as a page, a name in .html.")
@force_option
def compare(folders: tuple[Path, ...], variants: tuple[str, ...], out: Path | None, force: bool) -> None:
    """Compare two or more finished runs.

    Shows what differs between their configs, and the same statistics for every run and variant on the dates that all
    of them share: pairs-bt compare runs/a runs/b --out compare.html
    """
    from pairs_bt.cli.terminal.output_file import PAGE, check_out
    from pairs_bt.runner import load_run
    from pairs_bt.runs.cost_estimate import short_blocks
    from pairs_bt.runs.run_comparison import compare_runs, named_folders
    from pairs_bt.stats.bar_frequency import unit_of

    check_out(out, PAGE, force=force)
    runs = {name: load_run(folder) for name, folder in named_folders(folders).items()}
    found = compare_runs(runs, variants=variants)
    from pairs_bt.common.formatting import in_ascii
    from pairs_bt.report.run_comparison import as_text, render_comparison, tables

    block = cast(int, found.comparison.settings["block"])
    for name, run in runs.items():
        note = short_blocks(run.config, block, bars_per_year=run.bars_per_year, unit=unit_of(run.net.index))
        if note is not None:
            click.echo(f"note: {name}: {note.text}", err=True)

    laid = tables(found)
    for name in ("days", "configs", "metrics", "across"):
        table = laid[name]
        if table.rows:
            click.echo(f"{table.caption}\n\n{as_text(table)}\n")
        elif name == "configs":
            click.echo("The configs, prices and versions are the same.\n")
    click.echo(in_ascii(found.verdict))
    if out is not None:
        from pairs_bt.common.files import write_text

        write_text(out, render_comparison(found))
        click.echo(f"Page: {out}")
