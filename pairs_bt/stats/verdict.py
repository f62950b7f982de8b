"""The comparison in one sentence, by rules, from numbers that were computed elsewhere.

Only a Holm-adjusted p-value below 5% names a winner. The sentence is the same for the same numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

SIGNIFICANCE = 0.05


@dataclass(frozen=True)
class Outcome:
    """One row of `paired_differences`: annualised Sharpe of `first` minus `second`, Holm-adjusted p (or NaN)."""

    first: str
    second: str
    difference: float
    pvalue_holm: float
    detectable: float = math.nan

    @property
    def winner(self) -> str:
        """The variant with the higher Sharpe ratio."""
        return self.first if self.difference >= 0.0 else self.second

    @property
    def loser(self) -> str:
        """The variant with the lower Sharpe ratio."""
        return self.second if self.difference >= 0.0 else self.first

    @property
    def significant(self) -> bool:
        """Whether the adjusted p-value is below 5%; NaN is not."""
        return self.pvalue_holm < SIGNIFICANCE


@dataclass(frozen=True)
class VerdictInputs:
    """All that the verdict looks at.

    Attributes
    ----------
    sharpes : mapping
        Annualised net Sharpe ratio per variant; NaN if undefined. Its keys are the variants.
    annual_returns : mapping
        Net annual return per variant.
    traded : mapping
        Whether the variant traded at all.
    outcomes : tuple of Outcome
        Every two variants, with the block length of the study.
    block : int
        That block length, days.
    other_blocks : mapping of int to tuple of Outcome
        The same comparison with other block lengths.
    reason : str
        Why no p-value could be computed, where none could.
    days : int
        Days in the sample; 0 leaves out what the sample could have seen.
    unit : str
        What a text calls them: days, or bars of another length.
    """

    sharpes: Mapping[str, float]
    annual_returns: Mapping[str, float]
    traded: Mapping[str, bool]
    outcomes: tuple[Outcome, ...]
    block: int
    other_blocks: Mapping[int, tuple[Outcome, ...]] = field(default_factory=dict)
    reason: str = ""
    days: int = 0
    unit: str = "days"


def verdict(inputs: VerdictInputs) -> str:
    """Who did better and by how much, or that the data cannot tell; then what the sample could have seen.

    Rules, the first that applies:

    1. no variant, or none that traded: nothing to compare;
    2. one variant only (or one only that traded): its Sharpe ratio, nothing to compare it with;
    3. no p-value at all: "these data cannot tell them apart", and why;
    4. no Holm-adjusted p below 5%: "these data cannot tell them apart", with the largest difference;
       if another block length has one, it says so;
    5. otherwise the winner of the clearest pair (smallest adjusted p, then largest difference), the
       difference and the p; whose Sharpe ratio is highest if not the winner's, how many pairs stay open, and
       the block lengths that take the result back.

    If every variant that traded lost money, the sentence starts with that. Where something was tested, a second
    sentence gives the number of blocks and the difference that would be found in four samples of five.
    """
    traded = [name for name in inputs.sharpes if inputs.traded.get(name, False)]
    if not inputs.sharpes:
        return "There is no variant to compare."
    if not traded:
        return "No variant traded, so there is nothing to compare."
    lost = all(inputs.annual_returns[name] <= 0.0 for name in traded)
    if len(traded) == 1:
        return _alone(inputs, traded[0], lost)
    opening = "None made money after costs" if lost else ""
    judged = [row for row in inputs.outcomes if not math.isnan(row.pvalue_holm)]
    if not judged:
        why = f": {inputs.reason}" if inputs.reason else ": no difference could be tested"
        return _join(opening, f"these data cannot tell them apart{why}") + "."
    clear = [row for row in judged if row.significant]
    if not clear:
        return _join(opening, _open_question(inputs, judged)) + "." + _power(inputs, _widest(judged))
    return _named_winner(inputs, judged, clear, lost) + "." + _power(inputs, _clearest(clear))


def _join(opening: str, rest: str) -> str:
    return f"{opening}, and {rest}" if opening else f"After costs, {rest}"


def _alone(inputs: VerdictInputs, name: str, lost: bool) -> str:
    sharpe = inputs.sharpes[name]
    number = f" (net Sharpe ratio {sharpe:.2f})" if not math.isnan(sharpe) else ""
    outcome = "lost money after costs" if lost else "made money after costs"
    only = "was compared" if len(inputs.sharpes) == 1 else "traded"
    return f"Only {name} {only}: it {outcome}{number}, and there is nothing to compare it with."


def _open_question(inputs: VerdictInputs, judged: list[Outcome]) -> str:
    widest = _widest(judged)
    text = (
        "these data cannot tell them apart: the largest difference in net Sharpe ratio is "
        f"{abs(widest.difference):.2f}, {widest.winner} ahead of {widest.loser} "
        f"(Holm-adjusted p {_p(widest.pvalue_holm)})"
    )
    elsewhere = [block for block, rows in sorted(inputs.other_blocks.items()) if any(r.significant for r in rows)]
    if elsewhere:
        text += f"; with blocks of {_listed(elsewhere)} {inputs.unit} instead of {inputs.block} a pair would differ"
    return text


def _named_winner(inputs: VerdictInputs, judged: list[Outcome], clear: list[Outcome], lost: bool) -> str:
    chosen = _clearest(clear)
    better = "lost less per unit of risk than" if lost else "did better than"
    text = "None made money after costs, but " if lost else "After costs, "
    text += (
        f"{chosen.winner} {better} {chosen.loser}: its net Sharpe ratio is higher by "
        f"{abs(chosen.difference):.2f} (Holm-adjusted p {_p(chosen.pvalue_holm)})"
    )
    defined = {name: value for name, value in inputs.sharpes.items() if not math.isnan(value)}
    best = max(defined, key=lambda name: defined[name]) if defined else chosen.winner
    if best != chosen.winner:
        text += f"; the highest Sharpe ratio is {best}'s"
    if len(clear) < len(judged):
        text += f"; {len(judged) - len(clear)} of {len(judged)} pairs cannot be told apart"
    against = [
        block for block, rows in sorted(inputs.other_blocks.items()) if any(_denies(row, chosen) for row in rows)
    ]
    if against:
        other = f"{_listed(against)} {inputs.unit} instead of {inputs.block}"
        text += f"; blocks of {other} take this back, so it is not settled"
    return text


def _widest(judged: list[Outcome]) -> Outcome:
    return max(judged, key=lambda row: abs(row.difference))


def _clearest(clear: list[Outcome]) -> Outcome:
    return min(clear, key=lambda row: (row.pvalue_holm, -abs(row.difference)))


def _power(inputs: VerdictInputs, named: Outcome) -> str:
    """What the sample could have seen; empty where the number of days is not known."""
    if not inputs.days:
        return ""
    length = f"The {inputs.days:,} {inputs.unit} are {inputs.days // inputs.block} blocks of {inputs.block}"
    if not math.isfinite(named.detectable):
        return f" {length}, too few to find any difference between these two."
    return (
        f" {length}; between these two, four of five such samples would find a true difference of "
        f"{named.detectable:.2f}, and fewer of them a smaller one."
    )


def _denies(row: Outcome, chosen: Outcome) -> bool:
    if {row.first, row.second} != {chosen.first, chosen.second} or math.isnan(row.pvalue_holm):
        return False
    return not row.significant or row.winner != chosen.winner


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"


def _listed(blocks: list[int]) -> str:
    return " and ".join(str(block) for block in blocks)
