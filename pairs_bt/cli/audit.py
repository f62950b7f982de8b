"""`pairs-bt audit`: how much of a study is bias, how much noise, and whether any of it is look-ahead."""

from __future__ import annotations

from pathlib import Path

import click

from pairs_bt.cli.first_run.command import first_run


@click.command(short_help="Tell bias, noise and look-ahead from a result.")
@click.argument("config", required=False, type=click.Path(path_type=Path))
@click.option(
    "--draws",
    type=click.IntRange(min=1),
    help="Null universes of each of four kinds (default: until the p-values are known, at most 999).",
)
@click.option(
    "--minutes",
    type=click.FloatRange(min=0, min_open=True),
    help="Time for null universes without --draws (default: 10). The same command again goes on from them.",
)
@click.option(
    "--dates", type=click.IntRange(min=1), default=10, show_default=True, help="Dates at which the future is replaced."
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder of the audit (default: runs/NAME-OF-CONFIG-audit)."
)
@click.option(
    "--set", "overrides", multiple=True, metavar="TABLE.KEY=VALUE", help="Change one config value; repeatable."
)
@click.option("--jobs", type=click.IntRange(min=1), help="Threads (default: one per CPU). Results do not depend on it.")
@click.option("--fresh", is_flag=True, help="Replace what the audit of another config has left in the folder.")
def audit(
    config: Path | None,
    draws: int | None,
    minutes: float | None,
    dates: int,
    out: Path | None,
    overrides: tuple[str, ...],
    jobs: int | None,
    fresh: bool,
) -> None:
    """Show how much of a result is bias, how much is noise, and that none of it is look-ahead.

    An audit that was interrupted goes on where it stopped.
    """
    if draws is not None and minutes is not None:
        raise click.UsageError("--draws says how many null universes are made, --minutes for how long: give one.")
    from pairs_bt.config.schema import Config

    settings = Config.load(config, overrides)
    from pairs_bt.audit.result import PAGE
    from pairs_bt.audit.runner import MINUTES, run_audit
    from pairs_bt.audit.sentences import terminal
    from pairs_bt.cli.terminal.console import progress_bar
    from pairs_bt.cli.terminal.interrupt import on_interrupt, resume_command
    from pairs_bt.common.formatting import in_ascii

    target = out or Path("runs") / f"{config.stem if config else 'demo'}-audit"
    on_interrupt(lambda: f"Interrupted. Finished draws of the audit are kept in {target}. To go on: {resume_command()}")
    with first_run(settings, jobs) as kernels:
        kernels.finish()
        made = run_audit(
            settings, draws_each=draws, minutes=minutes or MINUTES, dates=dates, out=target, jobs=jobs, fresh=fresh,
            display=progress_bar,
        )  # fmt: skip
    on_interrupt(lambda: f"Interrupted; the audit in {target} is finished.")
    click.echo(in_ascii(terminal(made)))
    click.echo(f"Page: {target / PAGE}")
