"""`pairs-bt verify`: a folder against its checksums, or the kernels against statsmodels and pykalman."""

from __future__ import annotations

from pathlib import Path

import click

from pairs_bt.errors import DataError, PartialError

_MAX_NAMED = 20


@click.command()
@click.argument("what", required=False, metavar="[CONFIG|DIR]", type=click.Path(path_type=Path))
@click.option("--set", "overrides", multiple=True, metavar="TABLE.KEY=VALUE", help="Change one config value.")
@click.option("--pairs", type=click.IntRange(min=1), default=12, show_default=True, help="Pairs to compare.")
def verify(what: Path | None, overrides: tuple[str, ...], pairs: int) -> None:
    """Check a run's files, or the kernels on your own pairs.

    With the folder of a run: every file against the checksum in its manifest (exit code 3 when one differs). With a
    config: tests, filters, half-lives and z-scores of a seeded sample of its pairs against statsmodels and pykalman
    (exit code 4 when one deviates by more than rounding explains). With nothing: the demo's config.
    """
    if what is not None and what.is_dir():
        _verify_folder(what)
    else:
        _verify_kernels(what, overrides, pairs)


def _verify_folder(folder: Path) -> None:
    from pairs_bt.runs import run_folder

    if run_folder.state_of(folder) == "unfinished":
        done, begun = run_folder.parts_done(folder)
        raise PartialError(
            f"The run in {folder} is not finished: {done} windows are kept and verify, {begun - done} must be made "
            "again. The command that began it goes on with it."
        )
    manifest = run_folder.read_manifest(folder)
    broken = run_folder.damaged(folder, manifest)
    if broken:
        more = f" and {len(broken) - _MAX_NAMED} more" if len(broken) > _MAX_NAMED else ""
        raise DataError(
            f"{len(broken)} of {len(manifest['files'])} files of {folder} are missing or not what the run wrote: "
            f"{', '.join(broken[:_MAX_NAMED])}{more}. The command that made the run repairs them."
        )
    count = len(manifest["files"])
    click.echo(
        f"{folder}: {count} files were read and compared with their checksums (sha256) in manifest.json. None is "
        "missing, and none has changed since the run wrote it."
    )


def _verify_kernels(path: Path | None, overrides: tuple[str, ...], pairs: int) -> None:
    from pairs_bt.config.schema import Config

    settings = Config.load(path, overrides)
    from pairs_bt.engine.identity import versions
    from pairs_bt.runner import open_study
    from pairs_bt.runs.oracle_check import compare_kernels

    study = open_study(settings)
    found = compare_kernels(study, pairs=pairs)
    width = max(len(item.quantity) for item in found)
    click.echo(f"{'':{width}}  compared  largest deviation  allowed")
    for item in found:
        largest = f"{item.largest:17.1e}" if item.compared else f"{'-':>17}"
        mark = "" if item.holds else "  <- too much"
        click.echo(f"{item.quantity:{width}}  {item.compared:8d}  {largest}  {item.allowed:7.0e}{mark}")
    known = versions()
    against = f"statsmodels {known['statsmodels']} and pykalman {known['pykalman']}"
    wrong = [item.quantity for item in found if not item.holds]
    if wrong:
        raise PartialError(
            f"{', '.join(wrong)}: the kernels deviate from {against} by more than rounding explains. Please report it "
            "with this table, your processor and your versions."
        )
    click.echo(f"The kernels agree with {against}.")
