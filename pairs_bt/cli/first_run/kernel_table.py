"""The kernels that a run calls, with the types of their arguments: what can be compiled before there are any.

Text, so that whether they are compiled can be told without importing Numba. A test holds the table against what a run
calls.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

# A letter and a number of dimensions is an array, contiguous by rows; a letter alone is a number. f: float64,
# i: int64, s: int8, u: uint8, b: bool. A word is a tuple or record of the kernel's own module, `read` in front an array
# that cannot be written to. Those that take longest stand first: the processes then end together.
KERNELS = {
    "scan.cointegration:spread_stats": "ScanInputs i1 i1 f1 f1 i1",
    "scan.lanes:test_lanes": "LaneInputs Work i1 i1 b f2 i2 b1",
    "reverting_spread:fit_pairs": "f2 i1 i1 i f f2 s1",
    "ledger:trade_rows": "f2 b2 i1 i1 f2 f2 f2 f2 f1 f1 f1 f1 f2 f1 f1 TradingRules s1 TRADE FILL f3",
    "mean_reversion:rolling_zscores_and_means": "f2 i i1 f2 f2",
    "mean_reversion:spread_signals": "f2 f2 f1 i1 i1 read:f2 SpreadRules f2 f2 f2 f2 f2 f1 i1 s1",
    "scan.cointegration:prepare": "f2 i i",
    "hedge_effectiveness:measure_hedges": "f2 i1 i1 f2 i1 f f3",
    "reverting_spread:filter_pairs": "f2 i1 i1 i f1 f1 f2 f2 f2 f2 f2 f2",
    "mean_reversion:half_lives": "f2 i f1",
    "scan.cointegration:fill_values": "f2 i2 s1 i b f2",
    "scan.lanes:transform": "f1 i i i i i f1 f1 f1 f1",
    "ledger:block_sums": "f3 i f3",
    "ledger:held_sides": "TRADE s2",
}
# The fields of the tuples.
TUPLES = {
    "scan.cointegration:ScanInputs": "f2 f2 f1 u1 f1 f1 f1 f2 f2 i i",
    "scan.lanes:LaneInputs": "f1 f1 f1 f1 f1 f1 f1 f1 i i i i i i i",
    "scan.lanes:Work": "f1 f1 f1 f1 f1 f1 f1 f1 f1 f1 f1 f1 f1 f1 f1 f1 f1 f1 f1 f1 f1 i1 i1",
    "ledger:TradingRules": "f f i i i b b f f f b f f i f b b f f",
    "mean_reversion:SpreadRules": "i f b b f b f",
}


def compile_kernel(key: str) -> None:
    """Compile one kernel of the table for its types, or load it where the cache holds it.

    Parameters
    ----------
    key : str
        A key of `KERNELS`.
    """
    kernel = dispatcher(key)
    # without compiled code (NUMBA_DISABLE_JIT) a kernel is a function of Python
    if hasattr(kernel, "compile"):
        kernel.compile(argument_types(key))


def dispatcher(key: str) -> Any:
    """The kernel of that key."""
    module, name = key.split(":")
    return getattr(import_module(f"pairs_bt.kernels.{module}"), name)


def argument_types(key: str) -> tuple[Any, ...]:
    """Numba's types of a kernel's arguments."""
    module = key.split(":")[0]
    return tuple(_type(word, module) for word in KERNELS[key].split())


def _type(word: str, module: str) -> Any:
    from numba import from_dtype, types

    letters = {"f": types.float64, "i": types.int64, "s": types.int8, "u": types.uint8, "b": types.boolean}
    if word in letters:
        return letters[word]
    if word.startswith("read:"):
        return _type(word.removeprefix("read:"), module).copy(readonly=True)
    if word[0] in letters and word[1:].isdigit():
        return types.Array(letters[word[0]], int(word[1:]), "C")
    of = getattr(import_module(f"pairs_bt.kernels.{module}"), word)
    fields = TUPLES.get(f"{module}:{word}")
    if fields is None:
        return types.Array(from_dtype(of), 1, "C", aligned=False)
    return types.NamedTuple([_type(field, module) for field in fields.split()], of)  # type: ignore[no-untyped-call]
