"""``pairs-bt sweep``: a grid of settings, and what trying them all costs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pairs_bt.cli.engine_options import cluster_options, open_engine
from pairs_bt.cli.first_run.command import first_run

if TYPE_CHECKING:
    from pairs_bt.sweep.analysis import SweepResult


_LEGEND = """\
Net Sharpe ratios a year. best Sharpe: of the best setting, in hindsight. base: of the config itself.
walk-forward, base since: of settings chosen as time went by, and of the base, since the first choice.
deflated: probability that the best has a true Sharpe above 0, after all trials of its row.
PBO: probability that the best setting of half of the history is at or below the median in the other half.
p over base: chance of so large a gain over the base if no setting were better.
shape: plateau if the neighbours of the best setting keep half of its advantage or lose less than 0.1, else spike.
The verdict is about the last row."""


@click.command(short_help="Run a grid of settings, and say what trying them all costs.")
@click.argument("config", required=False, type=click.Path(path_type=Path))
@click.option(
    "--grid",
    "grid",
    multiple=True,
    metavar="TABLE.KEY=V1,V2",
    help="Values of one key; repeatable, all combinations run.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the sweep (default: sweeps/NAME-OF-CONFIG).")
@click.option("--set", "overrides", multiple=True, metavar="TABLE.KEY=VALUE", help="Change one value of the base.")
@click.option("--jobs", type=click.IntRange(min=1), help="Threads (default: one per CPU). Results do not depend on it.")
@cluster_options
@click.option("--yes", is_flag=True, help="Run a grid of more settings than sweep.limit.")
@click.option("--fresh", is_flag=True, help="Replace what the sweep of another config has left in the folder.")
def sweep(
    config: Path | None,
    grid: tuple[str, ...],
    out: Path | None,
    overrides: tuple[str, ...],
    jobs: int | None,
    yes: bool,
    fresh: bool,
    **cluster: Any,
) -> None:
    """Trade every combination of a grid over CONFIG (default: the demo) and judge the best of them.

    pairs-bt sweep CONFIG --grid signal.entry=1.5,2,2.5 --grid filter.hedge.delta=1e-4,1e-3,1e-2 --out sweeps/a

    Without --grid the config's [sweep] table is taken. Values are TOML; what is not TOML is text, and `none` leaves out
    a key that may be absent. A list is one value: hedge.variants=["dynamic"],["averaged","fixed_last"]. The command
    goes on where it was stopped.
    """
    from pairs_bt.config.schema import Config
    from pairs_bt.sweep.grid import make_grid, parse_options

    settings = Config.load(config, overrides)
    values = parse_options(grid) if grid else None
    # Before the slow imports: a grid that cannot run is told at once.
    make_grid(settings, values, yes=yes)
    target = out or Path("sweeps") / (config.stem if config else "demo")
    from pairs_bt.cli.terminal.console import progress_bar, show_notes
    from pairs_bt.cli.terminal.interrupt import on_interrupt, resume_command
    from pairs_bt.sweep.folder import PAGE
    from pairs_bt.sweep.runner import sweep as run_sweep

    on_interrupt(lambda: f"Interrupted. Finished settings are kept in {target}. To go on: {resume_command()}")
    here = cluster["engine"] == "local"
    with first_run(settings, jobs, here=here) as kernels, open_engine(jobs=jobs, **cluster) as engine:
        kernels.finish()
        with progress_bar("cohorts") as advance:
            result = run_sweep(
                settings, values, out=target, jobs=jobs, engine=engine, yes=yes, fresh=fresh, progress=advance,
                say=lambda text: click.echo(text, err=True),
            )  # fmt: skip
    on_interrupt(lambda: f"Interrupted; the sweep in {target} is finished.")
    show_notes(result.notes)
    show_sweep(result)
    click.echo(f"Page: {target / PAGE}")


def show_sweep(result: SweepResult) -> None:
    """The end of a sweep: one line a variant, and the verdict."""
    from pairs_bt.common.formatting import in_ascii, text_table
    from pairs_bt.sweep.page import headline, why_dashes

    table = headline(result)
    # The best settings are long; they follow the table, one a line.
    lines = [list(table.head[:-1])]
    best = []
    for row in table.rows:
        cells = [in_ascii(cell if isinstance(cell, str) else cell.text) for cell in row.cells]
        lines.append([row.head, *cells[:-1]])
        best.append((row.head, cells[-1]))
    click.echo(text_table(lines))
    click.echo()
    click.echo(
        f"{len(result.grid.settings):,} settings, {result.outcomes.standings[0].ends.size} cohorts. Best in hindsight:"
    )
    width = max(len(line[0]) for line in lines)
    for label, name in best:
        click.echo(f"  {label.ljust(width)}  {name}")
    click.echo(f"\n{_LEGEND}")
    for line in why_dashes(result):
        click.echo(in_ascii(line))
    click.echo()
    click.echo(in_ascii(result.verdict))
