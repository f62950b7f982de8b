"""What an audit says: its sentences, and the page of text that the terminal shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pairs_bt.audit.null_evidence import lookup
from pairs_bt.common.formatting import number, percent, text_table

if TYPE_CHECKING:
    from pairs_bt.audit.result import Audit

KINDS = {
    "circular_shift": "shifted returns",
    "block_bootstrap": "resampled blocks",
    "gaussian": "Gaussian walks",
}
STATISTICS = {
    "candidates": "candidates",
    "half_life": "median half-life (bars)",
    "trades": "trades",
    "mean_trade_bp": "mean trade, net (bp)",
    "annual_return": "net return a year",
    "sharpe": "net Sharpe ratio",
}


def shown(statistic: str, value: float) -> str:
    """One statistic as text."""
    if statistic == "annual_return":
        return percent(value)
    digits = {"candidates": 0, "trades": 0, "half_life": 1, "mean_trade_bp": 1}.get(statistic, 2)
    return number(value, digits)


def bias_sentence(audit: Audit) -> str:
    """How the first rung and the last compare, for the variant that falls farthest."""
    table = audit.ladder.pivot(index="rung", columns="variant", values="sharpe")
    if len(table) < 2:
        return "Bias: the config makes the choices of Jansen's notebook; nothing is mended."
    fall = (table.iloc[0] - table.iloc[-1]).dropna()
    if fall.empty:
        return "Bias: the ladder has no Sharpe ratio to compare."
    name = str(fall.idxmax())
    return (
        f"Bias: with the choices of Jansen's notebook {audit.labels[name]} shows a Sharpe ratio of "
        f"{number(table[name].iloc[0])} on these prices; with this config's {number(table[name].iloc[-1])}."
    )


def noise_sentences(audit: Audit) -> list[str]:
    """Whether candidates and variants stand out of chance."""
    candidates, *judged = audit.calls
    worst = max(audit.discoveries, key=lambda item: item.p_value)
    verb = "are more than" if candidates.stands_out else "are no more than"
    tail = "" if candidates.stands_out else " gives"
    out = []
    if audit.config.execution.pnl == "spread":
        out.append('P&L here is the differenced spread (execution.pnl = "spread"): a claim, not money.')
    out.append(
        f"Noise: the {worst.found:,} candidates {verb} chance{tail} ({number(worst.expected, 0)} expected, p = "
        f"{number(candidates.p_value, 3)}); {discovery_phrase(audit)}."
    )
    real = [call for call in judged if call.stands_out]
    if not real:
        least = min(judged, key=lambda call: call.p_value)
        out.append(
            f"No variant's net Sharpe ratio stands out of noise (the best placed, {audit.labels[least.what]}, p = "
            f"{number(least.p_value, 3)})."
        )
    for call in real:
        money = "" if call.real > 0 else ", though it loses money after costs"
        out.append(
            f"The net Sharpe ratio of {audit.labels[call.what]}, {number(call.real)}, stands out of noise "
            f"(Holm-adjusted p = {number(call.adjusted, 3)}){money}."
        )
    return out


def discovery_phrase(audit: Audit) -> str:
    """The estimated false discovery rate over the kinds of null, with the widest interval."""
    if not audit.discoveries[0].found:
        return "nothing was found"
    rates = [item.rate for item in audit.discoveries]
    low = min(item.rate_low for item in audit.discoveries)
    high = max(item.rate_high for item in audit.discoveries)
    span = percent(max(rates), 0)
    if min(rates) < max(rates):
        span = f"{percent(min(rates), 0)} to {percent(max(rates), 0)}"
    return f"about {span} of them are false (95% interval {percent(low, 0)} to {percent(high, 0)})"


def causality_sentence(audit: Audit) -> str:
    """Whether anything looked ahead, and where first."""
    found = audit.certificate.to_dict()
    dates = "date" if len(found["dates"]) == 1 else "dates"
    if audit.certificate.holds:
        return (
            f"Look-ahead: none. {len(found['dates'])} {dates}, {found['runs_compared']} other futures, "
            f"{found['tables_compared']:,} tables and {found['rows_compared']:,} rows compared, every bit the same."
        )
    first = audit.certificate.first_break
    assert first is not None
    if first.stage in ("fills", "ledger"):
        return f"Fills: not what the config says. {first.where}: {first.before} expected, {first.after} found."
    return (
        f"Look-ahead: the stage '{first.stage}' knows the future. {first.where}: {first.before} with the whole future, "
        f"{first.after} with another."
    )


def terminal(audit: Audit) -> str:
    """The audit as text."""
    parts = [
        "HOW MUCH IS BIAS: net Sharpe ratio, one thing mended a rung",
        _ladder_text(audit),
        "",
        f"HOW MUCH IS NOISE: {audit.draws} null universes of each kind",
        _candidates_text(audit),
        "",
        _null_text(audit),
        "",
        bias_sentence(audit),
        *noise_sentences(audit),
        causality_sentence(audit),
    ]
    return "\n".join(parts)


def _ladder_text(audit: Audit) -> str:
    rows = [["", "candidates", *audit.labels.values()]]
    for rung, part in audit.ladder.groupby("rung", sort=True):
        first = part.iloc[0]
        sharpe = dict(zip(part["variant"], part["sharpe"], strict=True))
        claim = " (a claim, not money)" if first["pnl"] == "spread" else ""
        head = f"{rung:>2} {first['name']}{claim}"
        rows.append([head, f"{first['candidates']:,}", *(number(sharpe[name]) for name in audit.labels)])
    return f"{text_table(rows)}\n\n{_rung_legend(audit)}"


def _rung_legend(audit: Audit) -> str:
    """What each rung mends: what the book does, an arrow, what is done from this rung on."""
    rungs = audit.ladder.drop_duplicates("rung").sort_values("rung")
    width = max(len(name) for name in rungs["name"])
    return "\n".join(
        f"{rung:>2} {name:{width}}  {what}"
        for rung, name, what in rungs[["rung", "name", "what"]].itertuples(index=False, name=None)
    )


def _candidates_text(audit: Audit) -> str:
    rows = [["", "found", "by chance", "95% of universes", "p", "false discovery rate"]]
    for item in audit.discoveries:
        rate = f"{percent(item.rate, 0)} ({percent(item.rate_low, 0)} to {percent(item.rate_high, 0)})"
        span = f"{number(item.low, 0)} to {number(item.high, 0)}"
        found = [KINDS[item.kind], f"{item.found:,}", number(item.expected, 0), span, number(item.p_value, 3)]
        rows.append([*found, rate if item.found else number(item.rate)])
    real = audit.real
    text = (
        f"By p-values: Benjamini-Hochberg rejects {sum(real.bh)} within windows and {real.pooled_bh} over all, "
        f"Benjamini-Yekutieli {sum(real.by)} and {real.pooled_by}."
    )
    return text_table(rows) + "\n" + text


def _null_text(audit: Audit) -> str:
    """The real value, and per kind of null its median and the p-value."""
    kinds = [item.kind for item in audit.discoveries]
    rows = [["", "", "real", *(text for kind in kinds for text in (KINDS[kind], "p"))]]
    table = lookup(audit.null)
    for variant, label in audit.labels.items():
        head = label
        for statistic in ("half_life", "trades", "mean_trade_bp", "sharpe"):
            found = [table[variant, statistic, kind] for kind in kinds]
            cells = [
                text for row in found for text in (shown(statistic, row["null_median"]), number(row["p_value"], 3))
            ]
            rows.append([head, STATISTICS[statistic], shown(statistic, found[0]["real"]), *cells])
            head = ""
    return text_table(rows, left=(True, True)) + "\nNull universes: their median, and p = (r + 1) / (n + 1)."
