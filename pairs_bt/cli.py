"""The command line: `pairs-bt run | scan | report | validate | ...`. Heavy imports wait until a command runs."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pairs_bt import __version__
from pairs_bt.errors import PairsError

if TYPE_CHECKING:
    from pairs_bt.results import Run

INTERRUPTED = 130

_config = click.argument("config", required=False, type=click.Path(path_type=Path))
_set = click.option(
    "--set", "overrides", multiple=True, metavar="TABLE.KEY=VALUE", help="Change one config value; repeatable."
)
_jobs = click.option(
    "--jobs", type=click.IntRange(min=1), help="Threads (default: one per CPU). Results do not depend on it."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="pairs-bt")
def cli() -> None:
    """Pairs-trading research: compare hedge ratios, pay for every share, doubt every result.

    `pairs-bt run` without a config runs the built-in demo.
    """


@cli.command()
@_config
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the run (default: runs/NAME-OF-CONFIG).")
@_set
@_jobs
@click.option("--fresh", is_flag=True, help="Replace what another config has left in the folder.")
def run(config: Path | None, out: Path | None, overrides: tuple[str, ...], jobs: int | None, fresh: bool) -> None:
    """Run a config and compare its hedge ratios (no CONFIG: the demo)."""
    from pairs_bt.config import Config

    settings = Config.load(config, overrides)
    target = out or Path("runs") / (config.stem if config else "demo")
    with _quiet_start("starting (the first run after an installation compiles its kernels: half a minute)"):
        from pairs_bt import runner
    from pairs_bt.console import progress_bar, show_notes, show_run

    with progress_bar("windows") as advance:
        done = runner.run(settings, out=target, jobs=jobs, fresh=fresh, progress=advance)
    show_notes(done.notes)
    show_run(done)


@cli.command()
@_config
@_set
@_jobs
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="Write all tested pairs to this CSV or Parquet file."
)
def scan(config: Path | None, overrides: tuple[str, ...], jobs: int | None, out: Path | None) -> None:
    """Test the pairs of every window and list the candidates, without trading."""
    from pairs_bt.config import Config

    settings = Config.load(config, overrides)
    from pairs_bt.console import progress_bar, show_notes, show_scan
    from pairs_bt.runner import open_study, scan_all

    study = open_study(settings)
    with progress_bar("windows") as advance:
        tests = scan_all(study, jobs=jobs, progress=advance)
    show_notes([note.text for note in study.notes])
    show_scan(study, tests, out)


@cli.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--pair", "pairs", multiple=True, metavar="Y,X", help="Add a page for this pair; repeatable.")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="Where to write it (default: DIR/report.html)."
)
def report(folder: Path, pairs: tuple[str, ...], out: Path | None) -> None:
    """Write the report of a finished run again."""
    from pairs_bt.report import write_report
    from pairs_bt.runner import load_run

    loaded = load_run(folder)
    target = out or folder / "report.html"
    write_report(loaded, target, pairs=[_pair(text) for text in pairs])
    click.echo(target)


def _pair(text: str) -> tuple[str, str]:
    y, comma, x = text.partition(",")
    if not comma or not y.strip() or not x.strip():
        raise click.BadParameter(f"{text!r} is not of the form Y,X", param_hint="--pair")
    return y.strip(), x.strip()


@cli.command()
@_config
@_set
def validate(config: Path | None, overrides: tuple[str, ...]) -> None:
    """Check a config and its prices, and say what a run would do."""
    from pairs_bt.config import Config

    settings = Config.load(config, overrides)
    from pairs_bt.console import show_validation
    from pairs_bt.runner import open_study

    show_validation(open_study(settings))


class _quiet_start:
    """Say what the wait is for, when a person is watching."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __enter__(self) -> None:
        if sys.stderr.isatty():
            click.echo(self.text, err=True)

    def __exit__(self, *_: Any) -> None:
        return None


def main() -> None:
    """Entry point: errors a user can mend are one paragraph on stderr and an exit code, never a traceback."""
    try:
        code = cli.main(standalone_mode=False)
    except PairsError as error:
        _fail(str(error), error.exit_code)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except click.Abort:
        _fail("Interrupted.", INTERRUPTED)
    except click.ClickException as error:
        _fail(error.format_message(), 2)
    except KeyboardInterrupt:
        _fail("Interrupted.", INTERRUPTED)
    except BrokenPipeError:
        # The reader of a pipe has gone: nothing is left to say, and Python would complain at its own exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    sys.exit(code if isinstance(code, int) else 0)


def _fail(text: str, code: int) -> None:
    click.echo(f"pairs-bt: {text}", err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
