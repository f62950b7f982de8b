"""The command line: `pairs-bt run | scan | report | validate | ...`. Heavy imports wait until a command runs."""

from __future__ import annotations

import gc
import os
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from pairs_bt import __version__
from pairs_bt.cli.audit import audit
from pairs_bt.cli.compare import compare
from pairs_bt.cli.engine_options import engine_options, open_engine
from pairs_bt.cli.explore import explore
from pairs_bt.cli.first_run.command import first_run
from pairs_bt.cli.force_option import force_option
from pairs_bt.cli.hedge import hedge
from pairs_bt.cli.pair import pair
from pairs_bt.cli.sweep import sweep
from pairs_bt.cli.terminal.interrupt import EXIT_CODE as INTERRUPTED
from pairs_bt.cli.terminal.interrupt import ends_at_once, on_interrupt, resume_command
from pairs_bt.cli.verify import verify
from pairs_bt.errors import PairsError, PartialError

if TYPE_CHECKING:
    from pairs_bt.results import Run

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
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder of the run (default: runs/NAME of the config or the prices)."
)
@_set
@_jobs
@click.option("--fresh", is_flag=True, help="Begin anew, whatever an earlier run has left in the folder.")
@click.option("--no-report", is_flag=True, help="Leave report.html out; `pairs-bt report DIR` writes it later.")
@click.option("--chunk", type=click.IntRange(min=1), help="Pairs per task. Results do not depend on it.")
@engine_options
def run(
    config: Path | None,
    out: Path | None,
    overrides: tuple[str, ...],
    jobs: int | None,
    fresh: bool,
    no_report: bool,
    chunk: int | None,
    **cluster: Any,
) -> None:
    """Run a config and compare its hedge ratios (no CONFIG: the demo).

    CONFIG may also be a file or folder of prices: the demo's method is run on them.

    A run that was interrupted goes on where it stopped when the same command is given again.
    """
    from pairs_bt.config.reader import run_name
    from pairs_bt.config.schema import Config

    settings = Config.load(config, overrides)
    target = out or Path("runs") / run_name(config, settings.data.path)
    on_interrupt(partial(_how_to_go_on, target))
    with first_run(settings, jobs, here=cluster["engine"] == "local") as kernels:
        from pairs_bt import runner
        from pairs_bt.cli.terminal.console import next_step, progress_bar, show_notes, show_run

        with open_engine(jobs=jobs, chunk=chunk, **cluster) as engine, progress_bar("windows") as advance:
            done = runner.run(
                settings, out=target, engine=engine, fresh=fresh, progress=kernels.before(advance), say=_say,
                report=not no_report,
            )  # fmt: skip
    show_notes(done.notes)
    show_run(done)
    if config is None and run_name(None, settings.data.path) == "demo":
        click.echo(next_step(sys.argv[0]))


def _say(text: str) -> None:
    from tqdm import tqdm

    tqdm.write(text, file=sys.stderr)


def _how_to_go_on(folder: Path) -> str:
    from pairs_bt.runs.run_folder import parts_kept, state_of

    if state_of(folder) == "complete":
        return f"Interrupted; the run in {folder} is finished."
    parts = len(parts_kept(folder))
    kept = f"{parts} finished windows are kept in {folder}" if parts else "Nothing was finished yet"
    return f"Interrupted. {kept}. To go on: {resume_command()}"


@cli.command()
@_config
@_set
@_jobs
@click.option(
    "--out", type=click.Path(path_type=Path), help="Write all tested pairs to this file: NAME.csv or NAME.parquet."
)
@click.option(
    "--top", type=click.IntRange(min=1), default=8, show_default=True, help="Candidates named for every window."
)
@force_option
def scan(
    config: Path | None, overrides: tuple[str, ...], jobs: int | None, out: Path | None, top: int, force: bool
) -> None:
    """Test the pairs of every window and list the candidates, best evidence first, without trading."""
    from pairs_bt.config.schema import Config

    settings = Config.load(config, overrides)
    from pairs_bt.cli.terminal.output_file import TABLE, check_out, inputs

    check_out(out, TABLE, reads=inputs(settings, config), force=force)
    from pairs_bt.backtest.selection import taken_by
    from pairs_bt.cli.terminal.console import progress_bar, show_notes, show_scan
    from pairs_bt.engine.scan_file import write_scan
    from pairs_bt.runner import expected_chance, open_study, scan_windows

    study = open_study(settings)
    with progress_bar("windows") as advance:
        found = write_scan(scan_windows(study, jobs=jobs, progress=advance), out, top=top)
    show_notes([note.text for note in study.notes])
    show_scan(found, taken_by(settings.selection), expected_chance(study), out)


@cli.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--pair", "pairs", multiple=True, metavar="Y,X", help="Add a page for this pair; repeatable.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Where to write it, a name in .html (default: DIR/report.html)."
)
@force_option
def report(folder: Path, pairs: tuple[str, ...], out: Path | None, force: bool) -> None:
    """Write the report of a finished run again."""
    asked = [_pair(text) for text in pairs]
    from pairs_bt.cli.terminal.output_file import PAGE, check_out
    from pairs_bt.report.page import write_report
    from pairs_bt.runner import load_run
    from pairs_bt.runs.run_folder import REPORT, record_file

    loaded = load_run(folder)
    check_out(out, PAGE, force=force)
    target = out or folder / REPORT
    _check_tickers(loaded, asked)
    write_report(loaded, target, pairs=asked)
    if out is None:
        record_file(folder, target.name)
    click.echo(target)


def _pair(text: str) -> tuple[str, str]:
    y, comma, x = text.partition(",")
    if not comma or not y.strip() or not x.strip():
        raise click.BadParameter(f"{text!r} is not of the form Y,X", param_hint="--pair")
    return y.strip(), x.strip()


def _check_tickers(run: Run, pairs: list[tuple[str, str]]) -> None:
    if not pairs:
        return
    import difflib

    table = run.tests_of("s1", "s2")
    known = sorted({*table["s1"].unique(), *table["s2"].unique()})
    for name in dict.fromkeys(name for legs in pairs for name in legs):
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3, cutoff=0.4) or known[:5]
            raise click.BadParameter(
                f"{name!r} is not among the {len(known):,} tickers of this run. Near it: {', '.join(near)}.",
                param_hint="--pair",
            )


@cli.command()
@_config
@_set
def validate(config: Path | None, overrides: tuple[str, ...]) -> None:
    """Check a config (or a file or folder of prices), and say what they hold and what a run would do."""
    from pairs_bt.config.schema import Config

    settings = Config.load(config, overrides)
    from pairs_bt.backtest.study import load_prices
    from pairs_bt.runner import open_study
    from pairs_bt.runs.cost_estimate import price_lines, study_lines

    data = load_prices(settings)
    # Before the rest is checked: what the prices hold helps to mend what does not fit them.
    click.echo("\n".join(price_lines(data)))
    click.echo("\n".join(study_lines(open_study(settings, data))))


cli.add_command(hedge)
cli.add_command(verify)
cli.add_command(pair)
cli.add_command(compare)
cli.add_command(audit)
cli.add_command(sweep)
cli.add_command(explore)


def collect_rarely() -> None:
    """Look for cycles less often: a command lives for seconds and makes few, and looking costs a tenth of them."""
    gc.set_threshold(200_000, 50, 50)


def main() -> None:
    """Entry point: errors a user can mend are one paragraph on stderr and an exit code, never a traceback."""
    collect_rarely()
    with ends_at_once():
        code = _exit_code()
        if code == PartialError.exit_code:
            _leave_at_once(code)
        sys.exit(code)


def _leave_at_once(code: int) -> NoReturn:
    """End without Python's own exit: threads of work that failed may still be in a library, which would abort then."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    os._exit(code)


def _exit_code() -> int:
    try:
        code = cli.main(standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except PairsError as error:
        return _fail(str(error), error.exit_code)
    except click.exceptions.Exit as error:
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return _fail("Interrupted.", INTERRUPTED)
    except click.exceptions.NoArgsIsHelpError as error:
        # no command: the help as it is read, and the exit code of a usage that lacks something
        click.echo(error.format_message())
        return 2
    except click.ClickException as error:
        return _fail(error.format_message(), 2)
    except BrokenPipeError:
        # The reader of a pipe has gone: nothing is left to say, and Python would complain at its own exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except MemoryError:
        return _fail("The memory is full: use fewer pairs, windows or --jobs, or a smaller --chunk.", 4)
    except OSError as error:
        return _fail(f"{error.filename or 'A file'} cannot be read or written: {error.strerror or error}.", 2)
    except Exception as error:
        if os.environ.get("PAIRS_BT_TRACEBACK"):
            raise
        return _fail(
            f"This is a bug in pairs-bt, not in what you asked for: {type(error).__name__}: {error}. Please report it "
            "with the output of the same command under PAIRS_BT_TRACEBACK=1.",
            1,
        )


def _fail(text: str, code: int) -> int:
    # What is quoted from a file may hold line ends and the terminal's own commands.
    plain = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    click.echo(f"pairs-bt: {plain}", err=True)
    return code


if __name__ == "__main__":
    main()
