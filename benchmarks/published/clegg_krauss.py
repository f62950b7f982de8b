"""Clegg and Krauss (2018), partial cointegration: published critical values and a printed fit, beside ours.

    python -m benchmarks.published.clegg_krauss [PRICES] [--draws 4000]

The critical values are those of a random walk in the table PCI.RWNULL.JP.LRQT of the authors' R package partialCI (file
R/lrdata.R, as on CRAN in 2016, github.com/cran/partialCI at d318f6d): log-likelihood of the null less that of the
model, negative, so that -2 times it is our statistic. On walks drawn here they are larger than those of the exact
likelihood, and than those of the package's own filter (function loglik.par.ss of R/lr_pci.R: the steady state from the
first bar on), searched on a grid. What made them so is not known; later versions of the package have no table.

With PRICES, a file of daily closes with columns RDS-A and RDS-B (Royal Dutch Shell, two classes of one share; Yahoo
Finance had them until 2022), the fit that the package's guide prints for 2006 to 2017 is made again.
"""

from __future__ import annotations

import argparse

import numpy as np
from numba import njit

from benchmarks.partial_tail import walks
from pairs_bt.data.prices import read_prices
from pairs_bt.models.scan.partial_cointegration import partial_cointegration, walk_pvalues

# By bars: the 1, 5 and 10% points of the log-likelihood ratio.
TABLE = {
    100: (-5.38451168923662, -3.25103915779936, -2.42978084934045),
    250: (-5.14711745730975, -3.0277535844718, -2.21863479862217),
    500: (-4.6559333234873, -3.06266356680745, -2.31760432079387),
}
LEVELS = (0.01, 0.05, 0.10)
# The guide's example: beta, rho, sigma_M, sigma_R, R^2[MR], and both log-likelihood ratios.
GUIDE = {"beta": 0.9232, "rho": 0.3549, "sigma_m": 0.0937, "sigma_r": 0.1085, "share": 0.524}
GUIDE_RATIOS = {"walk_stat": 61.55, "ar_stat": 59.69}


@njit(nogil=True)
def steady_gain(rho, share):
    """Kalman gain of M in the steady state, with the variance of dW as the unit."""
    own, miss = 0.5 * share * (1.0 + rho), 1.0 - rho
    c, gain = 0.5 * share / miss, 0.0
    for _ in range(5000):
        f = c * miss * miss + own + 1.0 - share
        gain = (own - rho * miss * c) / f
        after = rho * rho * c + own - gain * gain * f
        if abs(after - c) <= 1e-12 * c:
            break
        c = after
    return gain


@njit(nogil=True)
def steady_value(dy, dx, rho, gain):
    """Log-likelihood of the package's filter but for a constant; beta by least squares of what it does not expect.

    The gain is that of the steady state from the first bar on, and the state begins with the whole residual in R.
    """
    miss = 1.0 - rho
    my = mx = yy = yx = xx = 0.0
    for t in range(dy.size):
        ey = dy[t] + miss * my
        ex = dx[t] + miss * mx
        my = rho * my + gain * ey
        mx = rho * mx + gain * ex
        yy += ey * ey
        yx += ex * ey
        xx += ex * ex
    return -0.5 * (dy.size + 1) * np.log(yy - yx * yx / xx)


@njit(nogil=True)
def steady_ratios(dy, dx, out):
    """Log-likelihood ratios of pairs of rows against a random walk; rho in 0.35 to 0.999, as the package bounds it."""
    for p in range(dy.shape[0]):
        out[p] = 0.0
    for i in range(14):
        rho = 1.0 - 0.65 * (0.001 / 0.65) ** (i / 13.0)
        for j in range(1, 21):
            gain = steady_gain(rho, 0.05 * j)
            for p in range(dy.shape[0]):
                base = steady_value(dy[p], dx[p], rho, 0.0)
                out[p] = min(out[p], base - steady_value(dy[p], dx[p], rho, gain))


def published_and_ours(draws: int) -> None:
    """Critical values of the paper's statistic, printed and simulated, of ours, and what is taken at theirs."""
    print(f"Log-likelihood ratios against a random walk at 1, 5 and 10%, {draws:,} walks a length:\n")
    print("| bars | published | their filter, simulated | exact, simulated | p held at 5% of theirs |")
    print("|---|---|---|---|---|")
    for bars, printed in TABLE.items():
        rng = np.random.default_rng([2018, bars])
        rows, theirs = rng.standard_normal((2, draws, bars - 1)), np.empty(draws)
        steady_ratios(rows[0], rows[1], theirs)
        exact = np.concatenate([walks(chunk, bars - 1, 3) for chunk in range(max(draws // 1000, 1))])
        cells = [printed, np.quantile(theirs, LEVELS), -0.5 * np.quantile(exact, [1.0 - level for level in LEVELS])]
        text = " | ".join(", ".join(f"{value:.2f}" for value in cell) for cell in cells)
        print(f"| {bars} | {text} | {100 * float(walk_pvalues(-2.0 * printed[1], bars - 1)):.1f}% |")


def printed_fit(path: str) -> None:
    """The guide's example beside ours."""
    prices = read_prices(path).prices.loc["2006":"2017", ["RDS-A", "RDS-B"]].dropna()
    fit = partial_cointegration(prices["RDS-A"], prices["RDS-B"])
    print(f"\nRDS-A on RDS-B, {len(prices):,} closes of {prices.index[0]:%Y-%m-%d} to {prices.index[-1]:%Y-%m-%d}:\n")
    print("| | published | ours |\n|---|---|---|")
    for name, value in GUIDE.items():
        print(f"| {name} | {value} | {getattr(fit, name):.4f} |")
    for name, value in GUIDE_RATIOS.items():
        print(f"| log-likelihood above the null, {name} | {value} | {0.5 * getattr(fit, name):.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("prices", nargs="?", help="closes of RDS-A and RDS-B")
    parser.add_argument("--draws", type=int, default=4000)
    asked = parser.parse_args()
    published_and_ours(asked.draws)
    if asked.prices:
        printed_fit(asked.prices)


if __name__ == "__main__":
    main()
