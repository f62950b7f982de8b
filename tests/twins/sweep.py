"""Running Sharpe ratios of a sweep, day by day and cohort by cohort, from their definition."""

from __future__ import annotations

import math
import statistics


def running_sharpe(daily, windows, bars_per_year):
    """For each variant and window: the returns of the cohorts that had ended by its split, each day their mean."""
    out = []
    for variant in range(len(daily[0])):
        row = []
        for window in windows:
            ended = [k for k, other in enumerate(windows) if other.stop <= window.split]
            days = {}
            for k in ended:
                for t, value in enumerate(daily[k][variant]):
                    days.setdefault(windows[k].split + t, []).append(float(value))
            values = [math.fsum(days[t]) / len(days[t]) for t in sorted(days)]
            if len(set(values)) < 2:
                row.append(0.0)
                continue
            row.append(statistics.mean(values) / statistics.stdev(values) * math.sqrt(bars_per_year))
        out.append(row)
    return out
