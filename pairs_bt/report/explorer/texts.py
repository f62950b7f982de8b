"""Sentences and labels of the explorer's page, kept out of its program: they travel in the head of its data."""

from __future__ import annotations

__all__ = ["TEXTS"]

TEXTS: dict[str, str | list[str] | dict[str, str]] = {
    "heading": "What if the thresholds were others?",
    # what is wrong with a setting
    "entry": "The entry level must be above 0.",
    "exit": "The exit level must be below the entry level, or a trade would close as it opens.",
    "stop": "The stop must be beyond the entry level, or every entry is a stop.",
    "time": "The time stop must be above 0.",
    "cost": "Costs are not negative.",
    "lag": "The lag is a whole number from 0 to 20.",
    "none_shown": "No variant is shown: choose one.",
    "unchanged": "The settings are the run's own.",
    "copied": "Copied text",
    "settings": "Settings",
    # sections and buttons
    "titles": {
        "cost": "What trying costs", "equity": "Equity", "windows": "Windows", "trades": "Trades", "pairs": "Pairs",
    },
    "back": "Back to the run",
    "all": "All windows",
    "all_in": "All listed in",
    "all_out": "All listed out",
    "daily": "CSV of daily returns",
    "close": "Close the pair",
    "added": " not in the run",
    # the summary
    "table": "Summary by variant",
    "summary": [
        "Variant", "Return a year", "Sharpe ratio", "Deflated", "Sharpe in the run", "Deflated then",
        "Maximum drawdown", "Trades", "Mean trade, net (bp)", "Winning", "Closed at the exit level",
    ],
    "trades": [
        "Trades", "Window", "Pair", "Variant", "Side", "Signal", "Entry", "Exit", "Ended by", "Ratio", "Net $",
        "Net bp",
    ],
    "pairs_table": ["Pairs", "In", "Pair", "Windows", "Trades", "Net $"],
    "looked": (
        "You have looked at {0}: {1} trials with the variants, worth {2} independent ones. The best of so many "
        "without any skill would show a Sharpe ratio of about {3}. Deflated: the probability that a true Sharpe "
        "ratio is above zero, given that search."
    ),
    # charts
    "keys": "Wheel zooms, drag moves; arrows, + and \u2212 do so by keyboard; 0 shows all.",
    "equity": "Growth of 1, net, on committed capital",
    "equity_label": "Growth of 1 after costs, and drawdown, one line a variant",
    "chance": (
        "Shaded, in each variant's colour: where a strategy without an edge that moves as this variant does would lie "
        "on a given day, 95 times in 100. Above its band at the end: {0}. Below it: {1}."
    ),
    "no_chance": "The days are fewer than two blocks of comparison.block, so no band of chance is drawn.",
    "bars_label": "Net dollars of each window, all variants shown. Drag over windows to keep only those.",
    "windows": "Net dollars by test end. A window left out takes its capital with it.",
    "pairs": "A pair left out leaves its capital idle. A click on a name opens the pair.",
    # one pair
    "refused": "Not traded under this variant: {0}. ",
    "pair_label": "Prices, hedge ratio, spread and z-score of the pair",
    "legend": (
        "Half-life {0} bars, z {1}. The train window is shaded. Ring: signal; triangle up: buys the spread; down: "
        "sells it; cross: closes."
    ),
    "rolling": "over {0} bars",
    "model": "of the model, over its deviation in the train window",
    "stationary": "from the mean of the train window's fit, over its stationary deviation",
    "innovation": "of what the filter did not expect",
    "formation": "of the gap between the indexed prices, over its deviation in the train window",
    "prices": "{0} (solid) and {1} (dotted), 100 at the train start",
    "ratio": "Hedge ratio, shares of x for a share of y",
    "log_ratio": "Hedge ratio, in logs",
    "spread": "Spread, and the mean that z is measured from (dotted)",
    "z": "z-score, entry levels (dashed), exit level (dotted)",
}  # fmt: skip
