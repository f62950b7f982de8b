"""What an audit says: its sentences, and the page of text that the terminal shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pairs_bt.audit.null_evidence import HITS, lookup
from pairs_bt.common.formatting import number, percent, text_table

if TYPE_CHECKING:
    from pairs_bt.audit.null_evidence import NullVerdict
    from pairs_bt.audit.result import Audit

KINDS = {
    "circular_shift": "shifted returns",
    "block_bootstrap": "resampled blocks",
    "gaussian": "Gaussian walks",
    "factor": "common factors kept",
}
# A market of each kind, in words.
WORDS = {
    "circular_shift": "each ticker's returns are shifted on their own",
    "block_bootstrap": "each ticker's returns are resampled on their own",
    "gaussian": "every ticker is a Gaussian walk",
    "factor": "names move together as they did",
}
P_VALUES = (
    "Null universes: their median, and p = (r + 1) / (n + 1) with r of n at least as extreme, or r / n where drawing "
    f"went on until r was {HITS}."
)
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
    """Whether candidates and variants stand out of chance, or how many draws it takes to say so."""
    out = []
    if audit.config.execution.pnl == "spread":
        out.append('P&L here is the differenced spread (execution.pnl = "spread"): a claim, not money.')
    return [*out, _candidates_sentence(audit), *_variant_sentences(audit)]


def _candidates_sentence(audit: Audit) -> str:
    call = audit.calls[0]
    worst = max(audit.discoveries, key=lambda item: item.p_value)
    if not call.known:
        return (
            f"Noise: whether the {worst.found:,} candidates are more than chance gives cannot be said: "
            f"{_too_few(audit, call)}."
        )
    verb = "are more than" if call.stands_out else "are no more than"
    tail = "" if call.stands_out else " gives"
    return (
        f"Noise: the {worst.found:,} candidates {verb} chance{tail} ({number(worst.expected, 0)} expected where "
        f"{WORDS[worst.kind]}, p = {number(call.p_value, 3)}); {discovery_phrase(audit)}."
    )


def _variant_sentences(audit: Audit) -> list[str]:
    judged = audit.calls[1:]
    known = [call for call in judged if call.known]
    real = [call for call in known if call.stands_out]
    out = []
    if not known:
        return [
            "Whether a variant's net Sharpe ratio stands out of noise cannot be said: "
            f"{_too_few(audit, judged[0])}{_of_variants(judged)}."
        ]
    if not real:
        least = min(known, key=lambda call: call.p_value)
        subject = "No variant's net Sharpe ratio" if len(known) == len(judged) else "Of those that can be judged none"
        out.append(
            f"{subject} stands out of noise (the best placed, {audit.labels[least.what]}, "
            f"Holm-adjusted p = {number(least.adjusted, 3)})."
        )
    for call in real:
        money = "" if call.real > 0 else ", though it loses money after costs"
        out.append(
            f"The net Sharpe ratio of {audit.labels[call.what]}, {number(call.real)}, stands out of noise "
            f"(Holm-adjusted p = {number(call.adjusted, 3)}){money}."
        )
    if len(known) < len(judged):
        names = ", ".join(audit.labels[call.what] for call in judged if not call.known)
        out.append(f"Nothing can be said of {names}: {_too_few(audit, judged[0])}{_of_variants(judged)}.")
    return out


def _too_few(audit: Audit, call: NullVerdict) -> str:
    least = min(audit.draws.values())
    return (
        f"{least:,} null {'universe' if least == 1 else 'universes'} of a kind give no p-value below "
        f"{number(1 / (least + 1), 3)}, and it takes at least {call.needed}"
    )


def _of_variants(judged: list[NullVerdict]) -> str:
    return f" (Holm's correction for {len(judged)} variants)" if len(judged) > 1 else ""


def discovery_phrase(audit: Audit) -> str:
    """The estimated false discovery rate over the kinds of null, with the widest interval."""
    if not audit.discoveries[0].found:
        return "nothing was found"
    rates = [item.rate for item in audit.discoveries]
    low = min(item.rate_low for item in audit.discoveries)
    high = max(item.rate_high for item in audit.discoveries)
    least, most = percent(min(rates), 0), percent(max(rates), 0)
    span = most if least == most else f"{least} to {most}"
    return f"about {span} of them are false (95% interval {percent(low, 0)} to {percent(high, 0)})"


def factors_sentence(audit: Audit) -> str:
    """How many common factors the null universes keep."""
    counts = sorted(fit.count for fit in audit.factors)
    if not counts:
        return "Common factors kept: none."
    least, most, middle = counts[0], counts[-1], counts[len(counts) // 2]
    share = sum(fit.share for fit in audit.factors) / len(counts)
    many = f"{most}" if least == most else f"{least} to {most} by window, median {middle}"
    return (
        f"Common factors kept, by the criterion of Bai and Ng: {many}; they explain {percent(share, 0)} of the "
        "variance of returns."
    )


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
        f"HOW MUCH IS NOISE: {audit.draws_text} null universes of each kind",
        _candidates_text(audit),
        factors_sentence(audit),
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
    return text_table(rows, left=(True, True)) + "\n" + P_VALUES
