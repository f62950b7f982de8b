"""Bertram (2010), optimal levels of an Ornstein-Uhlenbeck spread: the paper's printed example beside ours.

    python -m benchmarks.published.bertram

The process reverts by 180.967 a year with a volatility of 0.1538 a root year, and a trade costs 0.001, in and out.
"""

from __future__ import annotations

from pairs_bt import optimal_thresholds

PRINTED = {"entry": -0.004715, "trade_length": 0.0171224, "rate": 0.492358}


def main() -> None:
    found = optimal_thresholds(reversion=180.967, sigma=0.1538, cost=0.001)
    print("| | paper | ours |\n|---|---|---|")
    for name, value in PRINTED.items():
        print(f"| {name} | {value} | {float(getattr(found, name)):.7g} |")


if __name__ == "__main__":
    main()
