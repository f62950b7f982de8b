"""The page of an audit: one self-contained HTML file in the look of a run's report."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from pairs_bt.audit import sentences
from pairs_bt.audit.null_evidence import lookup
from pairs_bt.audit.plots import ladder_figure, place_figure, windows_figure
from pairs_bt.common.formatting import number, percent, pvalue, span
from pairs_bt.report.blocks import Beside, Panel, Picture, Row, Table, Text
from pairs_bt.report.page import environment
from pairs_bt.report.palette import css_variables, variant_dash
from pairs_bt.report.plots.svg import to_svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pairs_bt.audit.result import Audit


ARROW = "\N{RIGHTWARDS ARROW}"


def render(audit: Audit) -> str:
    """Make the page's HTML."""
    draw = _Drawer(audit)
    return environment().get_template("audit.html.jinja").render(
        title=f"pairs_bt audit: {audit.source.get('name') or 'prices'}",
        verdict=[
            sentences.bias_sentence(audit),
            *sentences.noise_sentences(audit),
            sentences.causality_sentence(audit),
        ],
        holds=audit.certificate.holds,
        facts=_facts(audit),
        sections=[_ladder(audit, draw), _scan(audit, draw), _place(audit, draw), _causality(audit)],
        swatches={
            label: (place, " ".join(f"{1.6 * part:g}" for part in variant_dash(place)))
            for label, place in _marks(audit).items()
        },
        light=css_variables(0),
        dark=css_variables(1),
    )  # fmt: skip


class _Drawer:
    """Turns figures into pictures with ids of their own."""

    def __init__(self, audit: Audit) -> None:
        self.audit = audit
        self.count = 0

    def __call__(self, function: Callable[..., Figure], *args: Any, caption: str = "") -> Picture:
        self.count += 1
        description = (function.__doc__ or "").strip().splitlines()[0]
        svg = to_svg(function(self.audit, *args), f"a{self.count}", description)
        return Picture(Markup(svg), caption)


def _marks(audit: Audit) -> dict[str, int]:
    return {label: place for place, label in enumerate(audit.labels.values())}


def _facts(audit: Audit) -> list[tuple[str, str]]:
    source, real, data = audit.source, audit.real, audit.config.data
    return [
        ("prices", f"{source.get('tickers')} tickers, {span(source, data.start, data.end)}"),
        ("windows", f"{len(real.tested)}"),
        ("tests", f"{sum(real.tested):,}"),
        ("null universes", f"{audit.draws_text} of each of {len(audit.discoveries)} kinds"),
        ("seed", str(audit.config.run.seed)),
    ]


def _ladder(audit: Audit, draw: _Drawer) -> Panel:
    steps = [part.set_index("variant").to_dict("index") for _, part in audit.ladder.groupby("rung", sort=True)]
    head = ["", "candidates", *audit.labels.values()]

    def rows(cell: Callable[[Any], str], text: str = "name") -> list[Row]:
        out = []
        for step in steps:
            first = next(iter(step.values()))
            note = "a claim, not money" if first["pnl"] == "spread" else ""
            cells = [f"{first['candidates']:,}", *(cell(step[name]) for name in audit.labels)]
            out.append(Row(f"{first['rung']} {first[text].replace('->', ARROW)}", cells, note=note))
        return out

    return Panel(
        "bias",
        "How much is bias",
        "The first rung has the choices of the notebook in Jansen, Machine Learning for Algorithmic Trading, 2nd "
        "edition, chapter 9, on these prices, dates and variants. Each rung mends one of them and keeps what the rungs "
        "before have mended. Every rung is a config in ladder/ that pairs-bt run takes.",
        [
            draw(ladder_figure),
            Table(head, rows(lambda r: number(r["sharpe"]), "what"), "Net Sharpe ratio", marks=_marks(audit)),
            Table(head, rows(lambda r: percent(r["annual_return"])), "Net return a year", marks=_marks(audit)),
            Table(head, rows(lambda r: f"{number(r['mean_trade_bp'], 0)} ({number(r['mean_trade_t'], 1)})"),
                  "Mean net trade in bp of its capital (t)", marks=_marks(audit),
                  note="t is clustered by month of entry and by ticker, as trades that overlap are not independent."),
            Table(head, rows(lambda r: number(r["trades"], 0)), "Trades", marks=_marks(audit)),
        ],
    )  # fmt: skip


def _scan(audit: Audit, draw: _Drawer) -> Panel:
    rows = []
    for item in audit.discoveries:
        rate = f"{percent(item.rate, 0)} ({percent(item.rate_low, 0)} to {percent(item.rate_high, 0)})"
        rows.append(
            Row(sentences.KINDS[item.kind], [
                f"{item.found:,}", f"{number(item.expected, 1)} \N{PLUS-MINUS SIGN} {number(item.std_error, 1)}",
                f"{number(item.low, 0)} to {number(item.high, 0)}", pvalue(item.p_value),
                rate if item.found else number(item.rate),
            ])
        )  # fmt: skip
    real = audit.real
    procedures = Table(
        ["Rejected at the config's alpha", "within windows", "over all windows"],
        [
            Row("Benjamini-Hochberg", [str(sum(real.bh)), str(real.pooled_bh)]),
            Row("Benjamini-Yekutieli", [str(sum(real.by)), str(real.pooled_by)]),
        ],
        "Procedures on the p-values of the scan",
        "On Engle-Granger p-values, corrected for both ways. The first holds for independent or positively dependent "
        "tests, the second for any. The null universes carry the dependence of pairs that share a ticker.",
    )
    chance = Table(
        ["", "found", "expected by chance", "95% of universes", "p", "false discovery rate"],
        rows,
        "Candidates over all windows",
        "Expected: mean over the null universes with its Monte-Carlo error. The rate is expected over found, its "
        "interval that of a single universe; every pair is taken for unrelated, so it errs on the high side.",
    )
    intro = (
        "The whole pipeline on universes with the same dates and gaps in which no pair is cointegrated: every ticker's "
        "returns shifted along the calendar, resampled in blocks, or drawn anew, so that no two have anything to do "
        "with each other; and, the strictest, with what the tickers have in common left as it was and a random sign "
        f"on what is each one's own, so that names move together as they did. {sentences.factors_sentence(audit)}"
    )
    return Panel("noise", "How many candidates are noise", intro, [draw(windows_figure), chance, procedures])


def _place(audit: Audit, draw: _Drawer) -> Panel:
    table = lookup(audit.null)
    kinds = [item.kind for item in audit.discoveries]
    rows = []
    for variant, label in audit.labels.items():
        rows.append(Row(label, kind="group"))
        for statistic in ("half_life", "trades", "mean_trade_bp", "annual_return", "sharpe"):
            cells = [sentences.shown(statistic, table[variant, statistic, kinds[0]]["real"])]
            for kind in kinds:
                row = table[variant, statistic, kind]
                low, high = (sentences.shown(statistic, row[c]) for c in ("null_q025", "null_q975"))
                cells += [f"{sentences.shown(statistic, row['null_median'])} ({low} to {high})", pvalue(row["p_value"])]
            rows.append(Row(sentences.STATISTICS[statistic], cells))
    head = ["", "real", *(text for kind in kinds for text in (sentences.KINDS[kind], "p"))]
    return Panel(
        "place",
        "How much of the trading is noise",
        f"The real value's place among the null universes; extreme is low for half-lives, high for the rest. "
        f"{sentences.P_VALUES}",
        [
            Beside([
                draw(place_figure, "sharpe", "Net Sharpe ratio: null universes and the real one"),
                draw(place_figure, "mean_trade_bp", "Mean net trade (bp): null universes and the real one"),
            ]),
            _chance(audit),
            Table(head, rows, "Median of the null universes (95% of them)", marks=_marks(audit)),
        ],
    )  # fmt: skip


def _chance(audit: Audit) -> Table:
    """What each variant earns on the strictest null universes, beside what it earned."""
    table = lookup(audit.null)
    kind = audit.discoveries[-1].kind
    rows = []
    for variant, label in audit.labels.items():
        cells = []
        for statistic in ("annual_return", "sharpe"):
            row = table[variant, statistic, kind]
            own, middle, low, high = (
                sentences.shown(statistic, row[c]) for c in ("real", "null_median", "null_q025", "null_q975")
            )
            cells += [own, f"{middle} ({low} to {high})"]
        rows.append(Row(label, cells))
    return Table(
        ["", "net return a year", "by chance", "net Sharpe ratio", "by chance"],
        rows,
        f"What each variant earns by chance: {sentences.KINDS[kind]}",
        "Median of the null universes, and 95% of them. Variants that refuse other candidates, or hold for other "
        "times, differ by chance alone; compare each with its own column.",
        marks=_marks(audit),
    )


def _causality(audit: Audit) -> Panel:
    found = audit.certificate.to_dict()
    rows = [
        Row(probe["date"], [
            {"remove": "removed", "perturb": "replaced"}[probe["change"]], f"{probe['tables']:,}", f"{probe['rows']:,}",
            "same" if probe["first_break"] is None else probe["first_break"]["stage"],
        ])
        for probe in found["probes"]
    ]  # fmt: skip
    fills = audit.certificate.fills_break
    outcome = "all as the config says."
    if fills is not None:
        outcome = f"not so. {fills.where}: {fills.before} expected, {fills.after} found."
    text = f"Fills: {found['trades_checked']:,} trades held against closes, z-scores and their cash: {outcome}"
    return Panel(
        "causality",
        "Is any of it look-ahead",
        "Everything after a random date is removed, or replaced by other prices and gaps; the run is made again; every "
        "table up to the date must be the same in every bit. The first stage that differs is named.",
        [
            Text(sentences.causality_sentence(audit), tone="" if audit.certificate.holds else "warning"),
            Text(text),
            Table(["cut after", "future", "tables", "rows", "first difference"], rows),
        ],
    )
