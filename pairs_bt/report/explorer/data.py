"""What the explorer's page needs to trade a run again: signals, ratios, prices and rules in one compressed block.

Signals are made anew from the run's config and prices (they are the same bytes), so that it does not matter what
the run kept. A pair that was refused because its z-score could not reach the entry level may trade at a lower one:
signals are made as if the entry level were next to nothing, and the page refuses by the bars of the z-score.
"""

from __future__ import annotations

import base64
import json
import math
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from pairs_bt.backtest.hedge_rules import Variant, variants
from pairs_bt.backtest.portfolio.limits import limited
from pairs_bt.backtest.signals import REFUSALS, SignalSet, whole_spreads
from pairs_bt.backtest.special_signals import z_form
from pairs_bt.backtest.study import Study, prepare
from pairs_bt.backtest.window_tasks import Candidates, change_moments, pair_paths, rule_signals
from pairs_bt.config.hedge_rule_names import INTERCEPT_RULES, MOVING_RULES, REBUILT_RULES
from pairs_bt.config.schema import Band, Config, has_optimal_entry, slot_parts
from pairs_bt.data.prices import check_prices
from pairs_bt.data.reference_tables import read_borrow
from pairs_bt.errors import ConfigError
from pairs_bt.kernels.ledger import REASONS
from pairs_bt.report.explorer.texts import TEXTS
from pairs_bt.report.palette import variant_color, variant_dash

if TYPE_CHECKING:
    from pairs_bt.runs.run_data import RunData

# The settings that a page moves: name in its address, config key, label, unit, the slider's lowest and highest
# value and step, and whether there may be none.
_CONTROLS = (
    ("entry", "signal.entry", "Entry", "standard deviations", 0.25, 4.0, 0.05, False),
    ("exit", "signal.exit", "Exit", "standard deviations", -1.0, 2.0, 0.05, False),
    ("stop", "signal.stop", "Stop", "standard deviations; empty: none", 1.5, 8.0, 0.1, True),
    ("time_stop", "signal.time_stop", "Time stop", "half-lives; empty: none", 0.5, 8.0, 0.25, True),
    ("cost", "execution.cost_bps", "Cost", "bp of a leg, each way", 0.0, 50.0, 0.5, False),
    ("borrow", "execution.borrow_bps", "Borrow", "bp a year of the short leg", 0.0, 1000.0, 10.0, False),
    ("lag", "execution.lag", "Fill lag", "bars after the signal", 0, 5, 1, False),
)  # fmt: skip

# No page moves the entry level below this.
_LOWEST_ENTRY = 1e-9


@dataclass(frozen=True)
class Block:
    """The data of a page.

    Attributes
    ----------
    text : str
        Deflated and in base64: a JSON head, then the arrays that it lists.
    pairs, candidates : int
        Pairs on the page, and pairs that the run selected, counted by window.
    """

    text: str
    pairs: int
    candidates: int


@dataclass(frozen=True)
class _Rule:
    """One hedge rule's arrays, all windows joined."""

    name: str
    columns: dict[str, np.ndarray]


def explore_block(run: RunData, *, most: int | None = None) -> Block:
    """Make the data of a run's page.

    Parameters
    ----------
    run : RunData
        A finished run; its prices are read.
    most : int, optional
        Pairs to keep, counted by window: those that traded first, then those with the best evidence. None keeps all.

    Raises
    ------
    ConfigError
        When every pair has levels of its own.
    DataError
        When the prices are gone or are not those of the run.
    """
    config = run.config
    if has_optimal_entry(config.signal):
        raise ConfigError(
            "signal.entry = 'optimal': the explorer moves one entry and one exit level for all pairs, and in this run "
            "every pair has its own (columns entry_z and exit_z of half_lives.parquet). Run it with a number, such as "
            "--set signal.entry=2, to explore it."
        )
    if config.signal.exit_short not in (None, config.signal.exit):
        raise ConfigError(
            f"signal.exit_short = {config.signal.exit_short}: the explorer moves one exit level for long and "
            "short trades alike. Run it without signal.exit_short to explore it."
        )
    lowest = config.model_copy(update={"signal": config.signal.model_copy(update={"entry": _LOWEST_ENTRY})})
    study = prepare(lowest, check_prices(run.prices))
    found = _candidates(run, study)
    kept = _kept(run, study, found, most)
    arrays, rules = _signals(study, found, kept)
    used = np.unique(np.concatenate([arrays["pair_y"], arrays["pair_x"]]))
    place = np.full(len(study.tickers), -1, dtype=np.int32)
    place[used] = np.arange(used.size, dtype=np.int32)
    arrays["pair_y"], arrays["pair_x"] = place[arrays["pair_y"]], place[arrays["pair_x"]]
    arrays["day"] = _days(study.dates)
    arrays["price"] = study.filled[used]
    arrays["missing"] = np.flatnonzero(np.isfinite(study.filled[used]) & ~study.quotes[used]).astype(np.int32)
    head = _head(run, study, found, [study.tickers[k] for k in used], sum(c.y.size for c in found))
    head["rules"] = [_rule_head(rule.name, run.config) | {"columns": list(rule.columns)} for rule in rules]
    for number, rule in enumerate(rules):
        arrays |= {f"{name}{number}": values for name, values in rule.columns.items()}
    return Block(pack(head, arrays), int(arrays["pair_y"].size), sum(c.y.size for c in found))


def _days(dates: pd.DatetimeIndex) -> np.ndarray:
    """Days since 1970: whole numbers, or with the fraction where bars have a time."""
    stamps = dates.to_numpy().astype("datetime64[us]")
    days = stamps.astype("datetime64[D]")
    if (days == stamps).all():
        return np.asarray(days.astype(np.int32))
    return np.asarray(stamps.astype(np.int64) / 86_400e6)


def _candidates(run: RunData, study: Study) -> list[Candidates]:
    """The pairs of each window in the order in which the run traded them: best evidence first."""
    row = {name: k for k, name in enumerate(study.tickers)}
    first = run.half_lives["variant"] == run.variants[0].name
    table = run.half_lives.loc[first, ["test_end", "y", "x"]]
    groups = {str(end): part for end, part in table.groupby(table["test_end"].dt.strftime("%Y-%m-%d"), sort=False)}
    out = []
    for window in study.windows:
        part = groups.get(window.label)
        legs = [[] if part is None else [row[str(name)] for name in part[leg]] for leg in ("y", "x")]
        out.append(Candidates(*(np.array(leg, dtype=np.int64) for leg in legs)))
    return out


def _kept(run: RunData, study: Study, found: list[Candidates], most: int | None) -> list[np.ndarray]:
    """Places of the pairs that a page has, in each window: all, or those that traded and the best of the others."""
    if most is None or most >= sum(c.y.size for c in found):
        return [np.arange(c.y.size) for c in found]
    keys = run.trades[["test_end", "y", "x"]].drop_duplicates()
    traded = {(str(np.datetime64(t, "D")), str(y), str(x)) for t, y, x in keys.itertuples(index=False)}
    ranked = []
    for k, part in enumerate(found):
        label = study.windows[k].label
        for n, (y, x) in enumerate(zip(part.y, part.x, strict=True)):
            ranked.append(((label, study.tickers[y], study.tickers[x]) not in traded, n, k))
    ranked.sort()
    chosen = ranked[:most]
    return [np.array(sorted(n for _, n, w in chosen if w == k), dtype=np.int64) for k in range(len(found))]


def _signals(
    study: Study, found: list[Candidates], kept: list[np.ndarray]
) -> tuple[dict[str, np.ndarray], list[_Rule]]:
    names = list(dict.fromkeys(variant.rule for variant in variants(study.config.hedge)))
    pairs: dict[str, list[np.ndarray]] = {"pair_window": [], "pair_y": [], "pair_x": [], "moments": []}
    columns: dict[str, list[dict[str, np.ndarray]]] = {name: [] for name in names}
    for k, (whole, rows) in enumerate(zip(found, kept, strict=True)):
        part = Candidates(whole.y[rows], whole.x[rows])
        pairs["pair_window"].append(np.full(rows.size, k, dtype=np.int32))
        pairs["pair_y"].append(part.y)
        pairs["pair_x"].append(part.x)
        if study.config.portfolio.sizing == "volatility":
            pairs["moments"].append(change_moments(study.context(k), part.y, part.x).ravel())
        if rows.size:
            path = pair_paths(study, k, part, 0, rows.size)
            # a centred s-score reads all candidates, those that the page leaves out too
            every = Candidates(*(np.concatenate([leg[rows], np.delete(leg, rows)]) for leg in (whole.y, whole.x)))
            for name in names:
                signals = rule_signals(study, k, path, name, every, 0, rows.size)
                context = study.context(k)
                spread = whole_spreads(path, name, context.levels, part.y, part.x, context.window.n_train, study.config)
                columns[name].append(_rule_columns(study, k, name, part, signals, spread))
    arrays = {name: np.concatenate(parts) for name, parts in pairs.items() if parts}
    rules = []
    for name in names:
        made = columns[name]
        empty = _rule_columns(
            study, 0, name, Candidates(*(np.empty(0, np.int64),) * 2), _no_signals(), np.empty((0, 0))
        )
        joined = {key: np.concatenate([part[key] for part in [empty, *made]]) for key in empty}
        rules.append(_Rule(name, joined))
    return arrays, rules


def _no_signals() -> SignalSet:
    flat = np.empty((0, 0))
    return SignalSet(flat, flat, flat, flat, np.empty(0), np.empty(0, np.int64), np.empty(0, np.int8), flat)


def _rule_columns(
    study: Study, k: int, rule: str, part: Candidates, signals: SignalSet, spread: np.ndarray
) -> dict[str, np.ndarray]:
    """One window's signals under one rule; bars only of pairs that some entry level would trade."""
    use = np.flatnonzero(signals.refusal == 0)
    moving = rule in MOVING_RULES
    kept = rule in REBUILT_RULES or (study.config.filter.intercept == "subtract" and rule in INTERCEPT_RULES)
    out: dict[str, np.ndarray] = {
        "life": signals.half_life.astype(np.float64),
        "bars": signals.window.astype(np.int32),
        "refusal": signals.refusal.astype(np.int8),
        "z": signals.z[use].ravel(),
        "hedge": signals.hedge_ratio[use].ravel() if moving else _first(signals.hedge_ratio[use]),
    }
    if z_form(rule, study.config) != "rolling":
        out["deviation"] = _deviations(signals, use)
    if not moving:
        # a held ratio's spread is one of prices, less what the rule holds for the intercept
        out["shift"] = _shifts(study, k, part, signals, use)
        return out
    if kept:
        out["spread"] = signals.spread[use].ravel()
    train = study.windows[k].n_train
    lead = [spread[p, max(train - int(signals.window[p]) + 1, 0) : train] for p in use if signals.window[p] > 1]
    out["lead"] = np.concatenate(lead).astype(np.float32) if lead else np.empty(0, np.float32)
    return out


def _first(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values[:, 0]) if values.size else np.empty(0)


def _shifts(study: Study, k: int, part: Candidates, signals: SignalSet, use: np.ndarray) -> np.ndarray:
    if not use.size:
        return np.empty(0)
    context = study.context(k)
    prices = context.market.prices[:, 0]
    y, x = prices[part.y[use]], prices[part.x[use]]
    if context.log_space:
        y, x = np.log(y), np.log(x)
    return np.asarray(signals.spread[use, 0] - (y - signals.hedge_ratio[use, 0] * x))


def _deviations(signals: SignalSet, use: np.ndarray) -> np.ndarray:
    """What a z-score of 1 is worth in the spread's units where it does not roll: mean = spread - z times this."""
    if not use.size:
        return np.empty(0)
    z = signals.z[use]
    # the bar on which the quotient loses the least to rounding
    bar = np.argmax(np.where(np.isfinite(z), np.abs(z), -1.0), axis=1)
    row = np.arange(use.size)
    return np.asarray((signals.spread[use] - signals.mean[use])[row, bar] / z[row, bar])


def _rule_head(name: str, config: Config) -> dict[str, Any]:
    form = z_form(name, config)
    # without a rolling window no entry level is out of a z-score's reach
    reach = form == "rolling" and config.signal.half_life != "book"
    return {"name": name, "moving": name in MOVING_RULES, "form": form, "reach": reach}


def _head(run: RunData, study: Study, found: list[Candidates], tickers: list[str], candidates: int) -> dict[str, Any]:
    config = run.config
    return {
        "title": str(run.source.get("name") or "prices"),
        "own": _settings(config),
        "controls": [_control(*control) for control in _CONTROLS],
        "fixed": _fixed(config, study),
        "reasons": list(REASONS),
        "refusals": list(REFUSALS),
        "year": run.bars_per_year,
        "tickers": tickers,
        "borrow": _own_borrow(config, study, tickers),
        "variants": _variants(run),
        "summary": _summary(run),
        "candidates": candidates,
        "notices": _notices(run),
        "chance": _chance(run),
        "texts": TEXTS,
        "windows": [
            {"end": w.label, "first": w.first, "split": w.split, "stop": w.stop, "entry": w.entry_stop,
             "closed": w.closed, "parts": slot_parts(int(part.y.size), config.portfolio)}
            for w, part in zip(study.windows, found, strict=True)
        ],
    }  # fmt: skip


def _settings(config: Config) -> dict[str, float | None]:
    """The run's own value of every setting that the page moves."""
    out = {}
    for name, path, *_ in _CONTROLS:
        section, key = path.split(".")
        out[name] = getattr(getattr(config, section), key)
    return out


def _control(
    name: str, path: str, label: str, unit: str, low: float, high: float, step: float, optional: bool
) -> dict[str, Any]:
    return {
        "name": name, "path": path, "label": label, "unit": unit, "low": low, "high": high, "step": step,
        "optional": optional, "whole": isinstance(step, int),
    }  # fmt: skip


def _fixed(config: Config, study: Study) -> dict[str, Any]:
    """The settings that the page keeps."""
    portfolio, execution = config.portfolio, config.execution
    return {
        "stop_loss": config.signal.stop_loss,
        "side": -1 if config.signal.side == "book" else 1,
        "drop": execution.unconverged == "drop",
        "half_spread": execution.spread / 2.0,
        "delisting_loss": execution.delisting_loss,
        "reject_negative": config.hedge.reject_negative,
        "max_leg_share": config.hedge.max_leg_share,
        "sizing": portfolio.sizing,
        "volatility": portfolio.volatility,
        "year": study.bars_per_year,
        "log": config.filter.price_space == "log",
        "claim": execution.pnl == "spread",
        "capital": float(portfolio.capital),
        "slots": study.slots,
        "cash_rate": portfolio.cash_rate,
        "short_rebate": portfolio.short_rebate,
        "compounding": portfolio.compounding,
        "netting": portfolio.netting,
    }


def _own_borrow(config: Config, study: Study, tickers: list[str]) -> list[float | None]:
    """Annual basis points of the tickers that a borrow table names; None where the page's slider decides."""
    if not config.execution.borrow_table:
        return [None] * len(tickers)
    rates, _ = read_borrow(config.execution.borrow_table, study.tickers)
    return [rates.get(name) for name in tickers]


def _variants(run: RunData) -> list[dict[str, Any]]:
    """The run's variants, then what re-hedging never or daily would add to them."""
    own = run.variants
    ways = dict.fromkeys(["never", "daily", *run.config.hedge.rehedge])
    every = variants(run.config.hedge.model_copy(update={"rehedge": tuple(ways)}))
    listed = [*own, *(v for v in every if v.name not in {o.name for o in own})]
    return [_variant(v, number, number < len(own)) for number, v in enumerate(listed)]


def _variant(variant: Variant, number: int, in_run: bool) -> dict[str, Any]:
    way = variant.rehedge
    return {
        "name": variant.name,
        "label": variant.label,
        "rule": variant.rule,
        "moving": variant.rule in MOVING_RULES,
        "rehedge": "band" if isinstance(way, Band) else way,
        "band": way.band if isinstance(way, Band) else None,
        "color": variant_color(number),
        "number": number % 8,
        "dash": list(variant_dash(number)),
        "in_run": in_run,
    }


def _summary(run: RunData) -> dict[str, dict[str, float | None]]:
    """The run's own Sharpe ratios and trades, as they stand in its folder."""
    table = run.summary.set_index("variant")
    return {
        str(name): {key: _plain(row[key]) for key in ("net_sharpe", "net_annual_return", "trades") if key in row}
        for name, row in table.to_dict("index").items()
    }


def _chance(run: RunData) -> dict[str, float] | None:
    """What the band of chance needs, as the run's Sharpe intervals do: cosines, and deviations to either side."""
    block = run.config.comparison.block
    terms = len(run.net) // block
    return {"terms": terms, "times": float(stdtrit(terms, 0.975))} if terms >= 2 else None


def _plain(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None


def _notices(run: RunData) -> list[str]:
    out = []
    if run.config.execution.pnl == "spread":
        out.append(
            'This P&L is a claim, not money: execution.pnl = "spread" differences the spread with its moving hedge '
            "ratio, which no portfolio of shares earns."
        )
    if limited(run.config):
        out.append(
            "This run limits what is held at once ([portfolio] max_pairs_held, max_ticker_share or max_gross). "
            "The page trades without these limits, so its numbers are not the run's."
        )
    return out


def pack(head: dict[str, Any], arrays: dict[str, np.ndarray]) -> str:
    """Put a head and arrays into one text: deflate over JSON and bytes, in base64.

    The bytes of wide numbers are sorted by their place in the number, so that neighbours that share their first
    digits compress; the head says how to undo it.
    """
    listed, bodies = [], []
    for name, values in arrays.items():
        flat = np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<"), copy=False).ravel()
        raw = flat.view(np.uint8)
        # decimal prices repeat as they are; other numbers share only their first digits with their neighbours
        sides = raw.tobytes(), raw.reshape(-1, flat.itemsize).T.tobytes()
        split = len(zlib.compress(sides[1], 1)) < len(zlib.compress(sides[0], 1))
        body = sides[split]
        listed.append({"name": name, "type": flat.dtype.str[1:], "size": int(flat.size), "split": split})
        bodies.append(body)
    text = json.dumps(head | {"arrays": listed}, sort_keys=True, allow_nan=False).encode()
    data = len(text).to_bytes(4, "little") + text + b"".join(bodies)
    return base64.b64encode(zlib.compress(data, 9)).decode()


def unpack(text: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Undo :func:`pack`."""
    data = zlib.decompress(base64.b64decode(text))
    size = int.from_bytes(data[:4], "little")
    head = json.loads(data[4 : 4 + size])
    arrays, at = {}, 4 + size
    for entry in head["arrays"]:
        kind = np.dtype(f"<{entry['type']}")
        body = np.frombuffer(data, np.uint8, entry["size"] * kind.itemsize, at)
        if entry["split"]:
            body = np.ascontiguousarray(body.reshape(kind.itemsize, -1).T)
        arrays[entry["name"]] = body.view(kind).ravel() if body.size else np.empty(0, kind)
        at += body.size
    return head, arrays
