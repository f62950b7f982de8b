"""The sweep in one sentence, by rules that a test pins."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pairs_bt.common.formatting import number
from pairs_bt.sweep.evidence.plateau import ALIKE
from pairs_bt.sweep.evidence.trial_cost import TrialCost

# The best setting is told from luck above this deflated Sharpe ratio ...
DEFLATED = 0.95
# ... carries over from one half of history to the other below this probability of overfitting ...
OVERFITTING = 0.2
# ... and earns more than the base below this p-value.
SUPERIOR = 0.05


@dataclass(frozen=True)
class VerdictInputs:
    """What the sentence depends on.

    Attributes
    ----------
    settings, variants : int
        Settings and variants tried.
    variant, setting : str
        The best of all, in hindsight.
    is_base : bool
        Whether that is the base.
    cost : TrialCost
        Over every setting and variant.
    shape : str
        ``"plateau"``, ``"spike"`` or ``""``.
    walk_forward, base : float
        Annual net Sharpe ratios of that variant since the first free choice; NaN where nothing was chosen.
    """

    settings: int
    variants: int
    variant: str
    setting: str
    is_base: bool
    cost: TrialCost
    shape: str
    walk_forward: float
    base: float


def sweep_verdict(inputs: VerdictInputs) -> str:
    """One sentence: is the best setting real, and what would choosing have earned?"""
    cost = inputs.cost
    if math.isnan(cost.sharpe):
        return "No setting traded, so there is nothing to choose from."
    tried = f"{inputs.settings} settings" + (f" of {inputs.variants} variants" if inputs.variants > 1 else "")
    if cost.trials < 2 and cost.equal:
        return f"All of {tried} came out the same (net Sharpe {number(cost.sharpe)}), so nothing was chosen."
    if cost.trials < 2:
        return f"One setting of one variant was tried (net Sharpe {number(cost.sharpe)}), so nothing was chosen."
    if cost.equal:
        tried += f" ({cost.trials} different trials, {cost.equal} equal to one of them)"
    best = f"{inputs.variant} with {inputs.setting}" if inputs.setting != "base" else f"{inputs.variant} at the base"
    return f"The best of {tried}, {best} (net Sharpe {number(cost.sharpe)}), {_judge(inputs)}; {_walk(inputs)}."


def _judge(inputs: VerdictInputs) -> str:
    cost = inputs.cost
    odds = f"deflated Sharpe {number(cost.deflated)}, probability of overfitting {number(cost.pbo)}"
    if not cost.deflated >= DEFLATED:
        return (
            f"cannot be told from luck: the best of {_independent(cost.effective)} without skill would show about "
            f"{number(cost.expected_maximum)} ({odds})"
        )
    if not cost.pbo <= OVERFITTING:
        return f"is more than luck would show, but the rank of settings does not carry over ({odds})"
    if inputs.shape == "spike":
        return f"is more than luck would show, but it is a spike: its neighbours do not keep its advantage ({odds})"
    if inputs.is_base:
        return f"is the base itself, and more than luck would show ({odds})"
    if not cost.superior <= SUPERIOR:
        return f"is more than luck would show, but is not shown to earn more than the base ({odds})"
    return f"stands: luck, overfitting and the base are ruled out ({odds})"


def _independent(effective: float) -> str:
    if effective < 1.5:
        return "what amounts to one trial"
    return f"{number(effective, 0)} independent trials"


def _walk(inputs: VerdictInputs) -> str:
    if math.isnan(inputs.walk_forward):
        return "too few cohorts had ended to choose as time went by"
    gain = inputs.walk_forward - inputs.base
    better = "more than" if gain > ALIKE else "less than" if gain < -ALIKE else "about as much as"
    return (
        f"chosen walk-forward, {inputs.variant} earned a net Sharpe of {number(inputs.walk_forward)}, {better} the "
        f"base's {number(inputs.base)}"
    )
