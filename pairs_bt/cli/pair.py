"""``pairs-bt pair``: one pair of any two series."""

from __future__ import annotations

from pathlib import Path

import click

from pairs_bt.cli.force_option import force_option


@click.command(short_help="Test, hedge and trade one pair, selected or not.")
@click.argument("prices", type=click.Path(path_type=Path))
@click.argument("y")
@click.argument("x")
@click.option(
    "--set", "overrides", multiple=True, metavar="TABLE.KEY=VALUE", help="Change one config value; repeatable."
)
@click.option("--out", type=click.Path(path_type=Path), help="Also write the pair's page, a name in .html.")
@force_option
def pair(prices: Path, y: str, x: str, overrides: tuple[str, ...], out: Path | None, force: bool) -> None:
    """Test, hedge and trade Y on X, two series of PRICES, under every hedge ratio.

    PRICES is a file or folder of prices, or a config that names them. Y stays on the left of every regression:
    pairs-bt pair prices.csv PEP KO --out pep_ko.html
    """
    from pairs_bt.cli.terminal.output_file import PAGE, check_out, inputs
    from pairs_bt.config.schema import Config

    settings = Config.load(prices, overrides)
    check_out(out, PAGE, reads=inputs(settings, prices), force=force)
    from pairs_bt.cli.terminal.console import show_notes
    from pairs_bt.pair_study import study_pair
    from pairs_bt.report.pair_study import as_lines

    found = study_pair(None, y, x, config=settings)
    show_notes(found.run.notes)
    click.echo(as_lines(found))
    if out is not None:
        found.write(out)
        click.echo(f"\nPage: {out}")
