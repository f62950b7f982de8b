"""The whole audit of a study: ladder, null, certificate, and the folder that keeps them."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pairs_bt.audit import bias_ladder, causality, null_draws, null_evidence
from pairs_bt.audit.result import PAGE, Audit
from pairs_bt.audit.universe_statistics import UniverseStatistics, universe_statistics
from pairs_bt.backtest.hedge_rules import variants
from pairs_bt.backtest.study import Study
from pairs_bt.common.checkpoints import is_blank
from pairs_bt.common.files import json_text, reason, replacing, write_text
from pairs_bt.common.lock import taken
from pairs_bt.config.schema import Config
from pairs_bt.config.writer import fingerprint
from pairs_bt.data.prices import fingerprint_frame
from pairs_bt.engine.pipeline import Progress
from pairs_bt.errors import ConfigError, PartialError
from pairs_bt.runner import config_and_prices, open_study

MANIFEST = "audit.json"
# Time for null universes where nobody says how many.
MINUTES = 10.0
FILES = (PAGE, "ladder.csv", "null.csv", "null_windows.csv", "causality.json", null_draws.DRAWS, MANIFEST)

# Opens a progress display for one part of the audit: its unit in, a function of (done, total) out.
Display = Callable[[str], AbstractContextManager[Callable[[int, int], None]]]


def run_audit(
    config: Config | str | Path | Any | None = None,
    *,
    prices: Any = None,
    draws_each: int | None = None,
    minutes: float = MINUTES,
    dates: int = 10,
    out: str | Path | None = None,
    jobs: int | None = None,
    fresh: bool = False,
    display: Display | None = None,
) -> Audit:
    """Audit a study: how much of its result is bias, how much is noise, and that none of it is look-ahead.

    Parameters
    ----------
    config, prices
        As for :func:`pairs_bt.run`.
    draws_each : int, optional
        Null universes of each of the four kinds. By default as many as it takes until the p-values of the candidates
        and of every variant's Sharpe ratio are known (Besag and Clifford 1991), at most 999, within `minutes`.
    minutes : float
        Time for null universes, where `draws_each` does not say how many.
    dates : int
        Dates of the causality certificate.
    out : path, optional
        Folder to write: audit.html, ladder.csv, ladder/*.toml, null.csv, null_windows.csv, causality.json, audit.json
        and the finished draws, from which an interrupted audit goes on.
    jobs : int, optional
        Threads. Results do not depend on it.
    fresh : bool
        Replace what the audit of another config has left in `out`.
    display : callable, optional
        Shows progress; see `Display`.

    Returns
    -------
    Audit

    Raises
    ------
    ConfigError, DataError
        Before anything is written; also when another audit is at work in `out`.
    PartialError
        When `out` cannot be written any more; finished draws are kept.

    See Also
    --------
    run : the study that is audited.

    Examples
    --------
    >>> import pairs_bt
    >>> pairs_bt.audit(prices="prices.csv", minutes=5)  # doctest: +SKIP
    """
    config, prices = config_and_prices(config, prices)
    out = None if out is None else Path(out)
    study = open_study(config, prices)
    with ExitStack() as stack:
        if out is not None:
            _take(stack, out, config, fresh=fresh)
        try:
            effort = _Effort(draws_each, minutes, dates, jobs)
            return _audit(study, effort, out, _silence if display is None else display)
        except OSError as error:
            if out is None:
                raise
            raise PartialError(
                f"The audit in {out} could not be written: {reason(error)}. Finished draws are kept: mend that, give "
                "the same command again, and it goes on from them."
            ) from None


def _take(stack: ExitStack, out: Path, config: Config, *, fresh: bool) -> None:
    """Make the folder this audit's, alone: checked before it is touched, and again once nobody else can."""
    check_folder(out, config, fresh=fresh)
    stack.enter_context(taken(out))
    check_folder(out, config, fresh=fresh)


@dataclass(frozen=True)
class _Effort:
    """How much is drawn, and on how many threads."""

    draws_each: int | None
    minutes: float
    dates: int
    jobs: int | None

    @property
    def hits(self) -> int | None:
        """Where the p-values decide how many universes are drawn: how many of them must be as extreme."""
        return null_evidence.HITS if self.draws_each is None else None

    def draw(self, study: Study, real: UniverseStatistics, folder: Path | None, progress: Progress) -> null_draws.Found:
        """Make the null universes."""
        if self.draws_each is not None:
            return null_draws.null_draws(study, self.draws_each, jobs=self.jobs, folder=folder, progress=progress)
        return null_draws.draw_until(
            study, lambda _, found: null_evidence.settled(real, found),
            minutes=self.minutes, jobs=self.jobs, folder=folder, progress=progress,
        )  # fmt: skip


def _audit(study: Study, effort: _Effort, out: Path | None, show: Display) -> Audit:
    config, jobs, hits = study.config, effort.jobs, effort.hits
    if out is not None:
        write_text(out / MANIFEST, json_text(_manifest(config, study.prices, effort)))
    real = universe_statistics(study)
    steps = bias_ladder.ladder_configs(config)
    if out is not None:
        bias_ladder.write_rungs(steps, out / "ladder")
    with show("rungs") as advance:
        climbed = bias_ladder.run_ladder(steps, study.prices, jobs=jobs, progress=advance)
    with show("null universes") as advance:
        found = effort.draw(study, real, None if out is None else out / null_draws.DRAWS, advance)
    with show("futures") as advance:
        certificate = causality.certify(config, study.prices, dates=effort.dates, jobs=jobs, progress=advance)
    table = null_evidence.null_frame(real, found, hits)
    factors = null_draws.factor_parts(study)[1]
    windows = null_evidence.windows_frame(real, found, [window.label for window in study.windows])
    made = Audit(
        config=config,
        source=study.source,
        labels={variant.name: variant.label for variant in variants(config.hedge)},
        ladder=climbed,
        real=real,
        draws={kind: len(universes) for kind, universes in found.items()},
        factors=factors,
        null=table,
        windows=windows.assign(factors=[fit.count for fit in factors]),
        discoveries=null_evidence.discoveries(real, found, hits),
        calls=null_evidence.judge_against_null(table, hits=hits),
        certificate=certificate,
        folder=out,
    )
    if out is not None:
        write(made, out)
    return made


class _silence:
    """Progress that nobody watches."""

    def __init__(self, unit: str) -> None:
        self.unit = unit

    def __enter__(self) -> Callable[[int, int], None]:
        return lambda done, total: None

    def __exit__(self, *_: object) -> None:
        return None


def write(audit: Audit, folder: Path) -> None:
    """Write the tables, the certificate and the page of a finished audit."""
    from pairs_bt.audit.page import render

    for name, table in (("ladder", audit.ladder), ("null", audit.null), ("null_windows", audit.windows)):
        with replacing(folder / f"{name}.csv") as stream:
            stream.write(table.to_csv(index=False, lineterminator="\n").encode())
    write_text(folder / "causality.json", json_text(audit.certificate.to_dict()))
    write_text(folder / PAGE, render(audit))
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8")) if (folder / MANIFEST).exists() else {}
    summary = {
        "draws": audit.draws,
        "factors": [fit.count for fit in audit.factors],
        "discoveries": [asdict(d) for d in audit.discoveries],
        "calls": [asdict(c) for c in audit.calls],
    }
    # Last: an audit is complete when this says so.
    write_text(folder / MANIFEST, json_text(manifest | {"status": "complete"} | summary))


def _manifest(config: Config, prices: pd.DataFrame, effort: _Effort) -> dict[str, Any]:
    return {
        "format": 1,
        "status": "begun",
        "config_sha256": fingerprint(config),
        "prices_sha256": fingerprint_frame(prices),
        "draws": effort.draws_each,
        "dates": effort.dates,
        "seed": config.run.seed,
    }


def check_folder(folder: Path, config: Config, *, fresh: bool) -> None:
    """Refuse a folder that is not this config's audit, before anything is written.

    Raises
    ------
    ConfigError
        When the folder is a file, holds what no audit has made, or belongs to another config.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ConfigError(f"--out {folder} is a file: give the path of a folder.")
    if is_blank(folder):
        return
    path = folder / MANIFEST
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise ConfigError(
            f"{folder} is not empty and holds no audit ({MANIFEST} is missing or damaged). "
            "Give another folder with --out."
        ) from None
    if stored.get("config_sha256") != fingerprint(config) and not fresh:
        raise ConfigError(
            f"{folder} holds the audit of another config. Give another folder with --out, or --fresh to replace it."
        )
