"""``pairs-bt compare``: finished runs side by side."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(short_help="Compare finished runs on the dates they share.")
@click.argument("folders", metavar="DIR...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--variant", "variants", multiple=True, metavar="NAME", help="Compare only this variant of each run; repeatable."
)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Also write the comparison as a page.")
def compare(folders: tuple[Path, ...], variants: tuple[str, ...], out: Path | None) -> None:
    """Compare two or more finished runs.

    Shows what differs between their configs, and the same statistics for every run and variant on the dates that all
    of them share: pairs-bt compare runs/a runs/b --out compare.html
    """
    from pairs_bt.compare_runs import compare_runs, named_folders
    from pairs_bt.runner import load_run

    runs = {name: load_run(folder) for name, folder in named_folders(folders).items()}
    found = compare_runs(runs, variants=variants)
    from pairs_bt.compare_page import as_text, render_comparison, tables

    laid = tables(found)
    for name in ("days", "configs", "metrics", "across"):
        table = laid[name]
        if table.rows:
            click.echo(f"{table.caption}\n\n{as_text(table)}\n")
        elif name == "configs":
            click.echo("The configs, prices and versions are the same.\n")
    click.echo(found.comparison.verdict)
    if out is not None:
        from pairs_bt.atomic import write_text

        write_text(out, render_comparison(found))
        click.echo(f"Page: {out}")
