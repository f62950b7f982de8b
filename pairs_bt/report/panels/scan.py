"""Panels on what was looked at: the funnel of the scan, the data, the settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pairs_bt.backtest.selection import taken_by
from pairs_bt.common.formatting import against_chance, number, percent, refusal
from pairs_bt.config.reader import PATH_KEYS
from pairs_bt.config.schema import Config
from pairs_bt.config.writer import fingerprint, to_toml
from pairs_bt.report.blocks import Beside, Block, Bullets, Cell, Code, Drawer, Panel, Row, Table, Text, styles
from pairs_bt.report.panels.bar_lengths import lengths
from pairs_bt.report.plots import all_pairs as pairs_plots
from pairs_bt.runs.run_data import RunData

MAX_LEFT_OUT = 40
REASONS = {
    "engle_granger": "Engle-Granger: no cointegration",
    "johansen": "Johansen: not rank one",
    "partial": "partial cointegration: a random walk",
    "no test passed": "no test passed",
    "multiplicity": "passed alone, but not among so many tests",
    "max_pairs": "passed, but beyond selection.max_pairs",
}


def scan_panel(run: RunData, draw: Drawer) -> Panel:
    """Funnel of the scan, and candidates against chance."""
    tests = run.tests_of("selected", "reason")
    windows = run.windows
    tested, passed, selected = (int(windows[name].sum()) for name in ("tested", "passed", "selected"))
    # With selection.keep = "selected" the table has the candidates alone.
    pairs = sum(count["pairs"] for count in run.counts.values()) or len(tests)
    total = max(pairs, 1)

    def row(head: str, count: float, kind: str = "") -> Row:
        return Row(head, [number(count, 0), Cell(percent(count / total, 1), share=min(count / total, 1.0))], kind=kind)

    rows = [row("Pairs looked at, over all windows", pairs, "total"), row("tested", tested)]
    counts: dict[str, int] = {}
    for reason, count in tests.loc[~tests["selected"], "reason"].value_counts().items():
        head = str(reason).partition(": ")[0]
        counts[head] = counts.get(head, 0) + int(count)
    for reason, count in sorted(counts.items(), key=lambda item: -item[1]):
        rows.append(row(f"  rejected: {REASONS.get(str(reason), str(reason))}", int(count)))
    rows += [row("passed the tests", passed), row("selected", selected, "total")]
    method = taken_by(run.config.selection)
    if method == "cointegration":
        rows.append(row("expected by chance", run.expected_by_chance))
        text = (
            f"{passed:,} pairs passed. {against_chance(passed, run.chance)} In it every return has its size and day, "
            "and a random sign; what such walks have in common is when they are calm and when wild. The audit also "
            "shows what this config earns on null universes."
        )
    else:
        text = (
            f"Pairs are taken by {method}, so no test decides: every pair that could be tested passes, and chance "
            "alone would fill every place."
        )
    blocks: list[Block] = [
        Text(text),
        Beside([Table(["", "pairs", "share"], rows, "Funnel"), draw(pairs_plots.plot_candidates)]),
        _refused(run),
        *lengths(run),
    ]
    return Panel("scan", "What was looked at", "Pairs are tested on train prices only, anew in every window.", blocks)


def _refused(run: RunData) -> Block:
    table = run.half_lives
    if table.empty:
        return Text("No candidate came as far as a half-life.")
    counts = table.assign(reason=table["reason"].astype(str).replace("", "can be traded")).pivot_table(
        index="reason", columns="variant", values="y", aggfunc="size", fill_value=0, observed=True
    )
    counts = counts.reindex(columns=list(run.labels), fill_value=0)
    order = ["can be traded", *sorted(set(counts.index) - {"can be traded"})]
    traded = run.trades.drop_duplicates(["test_end", "y", "x", "variant"])["variant"].value_counts()
    entry = run.config.signal.entry
    rows = [
        Row(refusal(name, entry), [number(v, 0) for v in counts.loc[name]]) for name in order if name in counts.index
    ]
    rows.append(
        Row("opened at least one trade", [number(float(traded.get(n, 0)), 0) for n in run.labels], kind="total")
    )
    return Table(["Candidates", *run.labels.values()], rows, "From candidate to trade", marks=styles(run))


def data_panel(run: RunData, draw: Drawer) -> Panel:
    """Notes, fingerprint, versions, config."""
    source = run.source
    rows = [
        Row(key.replace("_", " "), [Cell(str(value), "text code" if key == "sha256" else "text")])
        for key, value in sorted(source.items())
    ]
    rows.append(Row("config sha256", [Cell(fingerprint(run.config), "text code")]))
    versions = [Row(name, [Cell(text, "text")]) for name, text in sorted(run.versions.items())]
    notes: Block = Bullets(run.notes) if run.notes else Text("Nothing was repaired, flagged or left out.")
    return Panel(
        "data",
        "Data and settings",
        "",
        [
            Text("What the data door repaired, flagged or left out", "heading"),
            notes,
            *_left_out(run),
            Beside(
                [
                    Table(["Data", ""], rows, "Fingerprint", narrow=True),
                    Table(["Package", "version"], versions, "Versions", narrow=True),
                ]
            ),
            Code(to_toml(_without_folders(run.config)), "The whole config, defaults included; of files, the name"),
        ],
    )


def _left_out(run: RunData) -> list[Block]:
    """Tickers that took no part in some window, with the reason, most windows first."""
    tests = run.tests_of("test_end", "reason")
    named = tests[tests["reason"].str.contains(": ", regex=False)].drop_duplicates(["test_end", "reason"])
    if named.empty:
        return []
    counts = named["reason"].astype(str).value_counts().sort_index().sort_values(ascending=False, kind="stable")
    rows = []
    for reason, count in counts.head(MAX_LEFT_OUT).items():
        why, _, ticker = str(reason).partition(": ")
        rows.append(Row(ticker, [Cell(why, "text"), number(count, 0)]))
    more = f"And {len(counts) - MAX_LEFT_OUT} more; run.tests has them all." if len(counts) > MAX_LEFT_OUT else ""
    return [Table(["Ticker", "why", "windows"], rows, "Left out of windows", more, narrow=True)]


def _without_folders(config: Config) -> Config:
    """The config with file names in place of paths: where a run was made is nobody's business."""

    def name(value: object) -> object:
        return Path(value).name if isinstance(value, str) else value

    changes: dict[str, Any] = {}
    for table, key in sorted(PATH_KEYS):
        section = changes.get(table, getattr(config, table))
        changes[table] = section.model_copy(update={key: name(getattr(section, key))})
    return config.model_copy(update=changes)
