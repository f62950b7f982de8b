"""A finished audit: the study's own numbers, the null universes beside them, and the certificate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pairs_bt.audit.causality import Certificate
from pairs_bt.audit.null_evidence import Discovery, NullVerdict
from pairs_bt.audit.universe_statistics import UniverseStatistics
from pairs_bt.config.schema import Config
from pairs_bt.models.factors import FactorFit

#: The page of an audit, in its folder.
PAGE = "audit.html"


@dataclass(frozen=True, repr=False)
class Audit:
    """A finished audit.

    Attributes
    ----------
    config : Config
    source : dict
        Fingerprint of the prices.
    labels : dict of str to str
        What a person reads for each variant.
    ladder : DataFrame
        One row a rung and variant (ladder.csv).
    real : UniverseStatistics
        The study's own numbers.
    draws : dict of str to int
        Null universes of each kind.
    factors : list of FactorFit
        What the returns of each train window have in common: kept by the null universes of the kind ``factor``.
    null, windows : DataFrame
        null.csv and null_windows.csv.
    discoveries : list of Discovery
        Candidates against chance, one a kind of null.
    calls : list of NullVerdict
        What stands out of all kinds of null.
    certificate : Certificate
    folder : Path or None
    """

    config: Config
    source: dict[str, Any]
    labels: dict[str, str]
    ladder: pd.DataFrame
    real: UniverseStatistics
    draws: dict[str, int]
    factors: list[FactorFit]
    null: pd.DataFrame
    windows: pd.DataFrame
    discoveries: list[Discovery]
    calls: list[NullVerdict]
    certificate: Certificate
    folder: Path | None = None

    @property
    def draws_text(self) -> str:
        """How many null universes of each kind, in words."""
        least, most = min(self.draws.values()), max(self.draws.values())
        return f"{least:,}" if least == most else f"{least:,} to {most:,}"

    def __repr__(self) -> str:
        found = ", ".join(f"{d.found:,} (by chance {d.expected:.1f}, {d.kind})" for d in self.discoveries[:1])
        ahead = "no look-ahead found" if self.certificate.holds else "LOOK-AHEAD FOUND"
        where = f"; {self.folder / PAGE}" if self.folder is not None else ""
        return (
            f"<Audit: {self.ladder['rung'].nunique()} rungs, {self.draws_text} null universes of each of "
            f"{len(self.discoveries)} kinds; candidates: {found}; {ahead}{where}>"
        )
