"""The scan's tests of four pairs in step: one pair a lane of a vector of four floats.

The method is that of the kernel for one pair (`cointegration.py` beside this file, which is this one's twin): moments
of the designs, nested Cholesky factors, AIC from the factors' last columns. A factor is a chain of divisions and
roots; four chains side by side take the time of one. Three things differ in how the same numbers are made:

* Lagged products come from short transforms. The products of a kept stretch of L bars of one ticker with the
  L + 2 lags bars around it of another are a circular correlation of S = L + 2 lags points. Every ticker's stretches are
  transformed once a window; a pair multiplies and adds them and turns the sum back at the 2 lags + 1 points asked for.
* The constant is the first column of a centred design, not taken out of its moments afterwards.
* Lanes whose chosen lags differ share one size. What a lane does not have is a column of its own with a one on the
  diagonal, which adds zeros to sums: exactly nothing.

Every lane does the same operations in the same order whatever stands in the others, so a pair's bytes do not depend on
its company. What is not clear by a margin far above rounding is left to the kernel for one pair: a pivot near its
floor, two criteria that nearly tie, legs near collinear, anything that is not finite.

A vector is four float64 of plain LLVM arithmetic, without reordering; LLVM splits it where a machine has no registers
of that width. All of it is one file, because numba does not see an edit of a callee in another file.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import extending, njit, types
from numba.core.registry import CPUDispatcher

# Pivots below this share of what their column started from are the other kernel's: its floor is 1e-4.
PIVOT_FLOOR = 1.001e-4
# 1 - R2 of the legs from which this kernel answers: the other one refuses at 1.5e-6.
CLEAR = 1e-5
# Criteria (exp of AIC / rows) closer than this share are a tie, which the other kernel breaks.
TIE = 1e-8
# Length of a row is a multiple of this, so that sums run in four vectors without a rest.
STEP = 16

_lanes = njit(cache=True, nogil=True, error_model="numpy")


_bare: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}


class _Closed(CPUDispatcher):
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(f"{self.py_func.__name__} is for kernels to call.")


def _inner(function: Callable[..., Any]) -> Any:
    """As `_lanes`, for kernels alone: what lets Python call a small one takes a quarter of its compilation."""
    made = njit(cache=True, nogil=True, error_model="numpy", **_bare)(function)
    # Called without what was left out it would crash. (Not compiled at all, it is a function of Python.)
    if isinstance(made, CPUDispatcher):
        made.__class__ = _Closed
    return made


# ------------------------------------------------------------------------------------ a vector of four float64

# What it makes has the arguments that kernels call it with, not those of the function below it.
_intrinsic: Any = extending.intrinsic
_FOUR = ir.VectorType(ir.DoubleType(), 4)
_INT32 = ir.IntType(32)


class Four(types.Type):
    """Numba's type of the vector."""

    def __init__(self) -> None:
        super().__init__(name="Four")


four = Four()


@extending.register_model(Four)
class _FourModel(extending.models.PrimitiveModel):
    def __init__(self, manager: Any, of: Four) -> None:
        super().__init__(manager, of, _FOUR)  # type: ignore[no-untyped-call]


def _operator(function: Any, build: str) -> None:
    @extending.type_callable(function)
    def typed(context: Any) -> Any:
        return lambda a, b: four if isinstance(a, Four) and isinstance(b, Four) else None

    @extending.lower_builtin(function, Four, Four)  # type: ignore[no-untyped-call]
    def lowered(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return getattr(builder, build)(*args)


for _function, _build in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _operator(_function, _build)


def _place(context: Any, builder: Any, array_type: Any, array: Any, index: Any, kind: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), kind.as_pointer())


def _call(builder: Any, name: str, *values: Any) -> Any:
    kind = ir.FunctionType(_FOUR, [_FOUR] * len(values))
    known = builder.module.globals.get(name)
    return builder.call(known or ir.Function(builder.module, kind, name), values)


def _spread(builder: Any, value: Any) -> Any:
    one = builder.insert_element(ir.Constant(_FOUR, ir.Undefined), value, _INT32(0))
    return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(_INT32, 4), [0] * 4))


@_intrinsic
def _load(typing: Any, a: Any, at: Any) -> Any:
    """a[at : at + 4] of a one-dimensional array; no bound is checked."""

    def made(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.load(_place(context, builder, sig.args[0], args[0], args[1], _FOUR), align=8)

    return four(a, types.intp), made


@_intrinsic
def _store(typing: Any, a: Any, at: Any, value: Any) -> Any:
    """a[at : at + 4] = value."""

    def made(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        builder.store(args[2], _place(context, builder, sig.args[0], args[0], args[1], _FOUR), align=8)
        return context.get_dummy_value()

    return types.void(a, types.intp, four), made


@_intrinsic
def _same(typing: Any, a: Any, at: Any) -> Any:
    """a[at] in every lane."""

    def made(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _spread(builder, builder.load(_place(context, builder, sig.args[0], args[0], args[1], ir.DoubleType())))

    return four(a, types.intp), made


@_intrinsic
def _splat(typing: Any, value: Any) -> Any:
    """A number in every lane."""

    def made(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _spread(builder, args[0])

    return four(types.float64), made


@_intrinsic
def _collect(typing: Any, a: Any, at0: Any, at1: Any, at2: Any, at3: Any) -> Any:
    """a[at0], a[at1], a[at2], a[at3] as one vector."""

    def made(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        value = ir.Constant(_FOUR, ir.Undefined)
        for lane, at in enumerate(args[1:]):
            item = builder.load(_place(context, builder, sig.args[0], args[0], at, ir.DoubleType()))
            value = builder.insert_element(value, item, _INT32(lane))
        return value

    return four(a, *[types.intp] * 4), made


@_intrinsic
def _turn(typing: Any, v0: Any, v1: Any, v2: Any, v3: Any) -> Any:
    """Rows to columns: the first items of the four vectors, their second ones, third, fourth."""

    def made(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        def mixed(a: Any, b: Any, *order: int) -> Any:
            return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(_INT32, 4), list(order)))

        low01, high01 = mixed(args[0], args[1], 0, 4, 2, 6), mixed(args[0], args[1], 1, 5, 3, 7)
        low23, high23 = mixed(args[2], args[3], 0, 4, 2, 6), mixed(args[2], args[3], 1, 5, 3, 7)
        turned = [
            mixed(low01, low23, 0, 1, 4, 5),
            mixed(high01, high23, 0, 1, 4, 5),
            mixed(low01, low23, 2, 3, 6, 7),
            mixed(high01, high23, 2, 3, 6, 7),
        ]
        return context.make_tuple(builder, sig.return_type, turned)

    return types.UniTuple(four, 4)(four, four, four, four), made  # type: ignore[no-untyped-call]


@_intrinsic
def _fma(typing: Any, a: Any, b: Any, c: Any) -> Any:
    """C + a b, rounded once where the machine can."""

    def made(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _call(builder, "llvm.fmuladd.v4f64", *args)

    return four(four, four, four), made


@_intrinsic
def _less(typing: Any, a: Any, b: Any, c: Any) -> Any:
    """C - a b, rounded once where the machine can."""

    def made(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _call(builder, "llvm.fmuladd.v4f64", builder.fneg(args[0]), args[1], args[2])

    return four(four, four, four), made


@_intrinsic
def _sqrt(typing: Any, a: Any) -> Any:
    def made(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _call(builder, "llvm.sqrt.v4f64", args[0])

    return four(four), made


@_intrinsic
def _where_less(typing: Any, a: Any, b: Any, yes: Any, no: Any) -> Any:
    """Yes where a < b, else no (also where either is NaN)."""

    def made(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.select(builder.fcmp_ordered("<", args[0], args[1]), args[2], args[3])

    return four(four, four, four, four), made


# --------------------------------------------------------------------------------------------- once per ticker


class LaneInputs(NamedTuple):
    """What depends on one ticker alone, once per window, in one row a ticker of flat arrays (D = lags + 1)."""

    z: np.ndarray  # `wide` numbers a ticker: centred levels, zeros behind the last bar
    e: np.ndarray  # the same of their differences
    facts: np.ndarray  # `many` numbers a ticker, see `_ZT` and below
    kept: np.ndarray  # transforms of the stretches; by four points: re, im of every stretch
    around: np.ndarray  # transforms of the bars around each stretch, in the same order
    back: np.ndarray  # cosines and sines that turn a product back
    lag_weight: np.ndarray  # (lags + 1,) what AIC multiplies the residual sum of squares by, by lag
    order_weight: np.ndarray  # (order_max + 1,) and the determinant, by VAR order
    bars: int
    wide: int
    many: int
    lags: int  # largest Engle-Granger lag
    order_max: int  # largest VAR order
    stretches: int
    points: int  # of one transform, with those of its first half only: S / 2 + 1, a multiple of 8


# Facts of a ticker, in parts of D: last levels and first levels, last differences and (two parts) first ones, the last
# ones backwards; sum_{t>=D} e[t] e[t-d]; sum_{t>=D} z[t-1] e[t-d]; sum z^2, sum_{t>=D} z[t-1], sum_{t>=D} z[t-1]^2.
# An index below the start of the first ones reads the last ones: finite numbers, which a mask takes away.
_ZT, _ZH, _ET, _EH, _DD, _LD, _END = 0, 1, 2, 3, 5, 6, 7


def transform_size(bars: int, lags: int) -> tuple[int, int]:
    """(stretches, points) of the cheapest transforms: products cost by stretches, turning back costs by points."""
    rows = bars - lags - 1
    best = (math.inf, 0, 0)
    for points in range(8, 1024, 8):
        length = 2 * (points - 1) - 2 * lags
        if length > 0:
            stretches = -(-rows // length)
            best = min(best, (points * (stretches / 2 + (lags + 1) / 6 + 2), stretches, points))
    return best[1], best[2]


def turning_tables(lags: int, points: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cosines and sines of the forward transform (size, points), and the table of `_lagged_products`."""
    size = 2 * (points - 1)
    angle = 2.0 * np.pi / size * (np.outer(np.arange(size), np.arange(points)) % size)
    half = points // 2
    tiles = 2 * (lags // 8 + 1)
    back = np.zeros((tiles, half, 8))
    weight = np.where(np.arange(half) == 0, 1.0, 2.0) / size
    for tile in range(tiles):
        for x in range(4):
            lag = (8 * (tile // 2) + tile % 2 + 2 * x) % size
            back[tile, :, x] = weight * np.cos(angle[lag, :half])
            back[tile, :, 4 + x] = weight * np.sin(angle[lag, :half])
    return np.cos(angle).ravel(), np.sin(angle).ravel(), back.ravel()


@_lanes
def transform(
    e: np.ndarray,
    wide: int,
    bars: int,
    lags: int,
    stretches: int,
    points: int,
    cosine: np.ndarray,
    sine: np.ndarray,
    kept: np.ndarray,
    around: np.ndarray,
) -> None:
    """Transforms of every ticker's stretches of differences and of the bars around them."""
    size = 2 * (points - 1)
    length = size - 2 * lags
    step = 8 * stretches
    for ticker in range(e.size // wide):
        for stretch in range(stretches):
            start = lags + 1 + stretch * length
            for group in range(0, points, 8):
                out = ticker * 2 * points * stretches + (group // 4) * step + stretch * 8
                for whole in range(2):
                    low, high = (-lags, length + lags) if whole else (0, length)
                    high = min(high, bars - start)
                    re0 = im0 = re1 = im1 = _splat(0.0)
                    for t in range(low, high):
                        x = _same(e, ticker * wide + start + t)
                        at = ((t + size) % size) * points + group
                        re0, im0 = _fma(x, _load(cosine, at), re0), _less(x, _load(sine, at), im0)
                        re1, im1 = _fma(x, _load(cosine, at + 4), re1), _less(x, _load(sine, at + 4), im1)
                    into = around if whole else kept
                    _store(into, out, re0)
                    _store(into, out + 4, im0)
                    _store(into, out + step, re1)
                    _store(into, out + step + 4, im1)


# ------------------------------------------------------------------------------------------------ sums of four pairs


@_inner
def _dot(a: np.ndarray, at: int, b: np.ndarray, bt: int, rows: int) -> Any:
    """Partial sums, one a lane, of products of `rows` numbers; what stands behind them up to a STEP must be zero."""
    s0 = s1 = s2 = s3 = _splat(0.0)
    for t in range(0, rows, STEP):
        s0 = _fma(_load(a, at + t), _load(b, bt + t), s0)
        s1 = _fma(_load(a, at + t + 4), _load(b, bt + t + 4), s1)
        s2 = _fma(_load(a, at + t + 8), _load(b, bt + t + 8), s2)
        s3 = _fma(_load(a, at + t + 12), _load(b, bt + t + 12), s3)
    return (s0 + s1) + (s2 + s3)


@_inner
def _add_up(a: np.ndarray) -> Any:
    """Sums of the items of four vectors, one vector a lane."""
    c0, c1, c2, c3 = _turn(_load(a, 0), _load(a, 4), _load(a, 8), _load(a, 12))
    return (c0 + c1) + (c2 + c3)


@_inner
def _rows_to_lanes(rows: np.ndarray, at: np.ndarray, count: int, out: np.ndarray) -> None:
    """out[4 c + lane] = rows[at[lane] + c] for c < count, a multiple of four."""
    r0, r1, r2, r3 = at[0], at[1], at[2], at[3]
    for c in range(0, count, 4):
        c0, c1, c2, c3 = _turn(_load(rows, r0 + c), _load(rows, r1 + c), _load(rows, r2 + c), _load(rows, r3 + c))
        _store(out, 4 * c, c0)
        _store(out, 4 * c + 4, c1)
        _store(out, 4 * c + 8, c2)
        _store(out, 4 * c + 12, c3)


@_inner
def _products(x: LaneInputs, i: np.ndarray, j: np.ndarray, re: np.ndarray, im: np.ndarray) -> None:
    """Products of the two tickers' transforms, added over the stretches: one row of `points` a lane."""
    row = 2 * x.points * x.stretches
    kept, around = x.kept, x.around
    for lane in range(4):
        a, b = i[lane] * row, j[lane] * row
        for group in range(0, x.points, 4):
            rr = ii = ri = ir = _splat(0.0)
            for _ in range(x.stretches):
                a_re, a_im, b_re, b_im = _load(kept, a), _load(kept, a + 4), _load(around, b), _load(around, b + 4)
                rr, ii = _fma(a_re, b_re, rr), _fma(a_im, b_im, ii)
                ri, ir = _fma(a_re, b_im, ri), _fma(a_im, b_re, ir)
                a += 8
                b += 8
            _store(re, lane * x.points + group, rr + ii)
            _store(im, lane * x.points + group, ri - ir)


@_inner
def _lagged_products(
    back: np.ndarray, lags: int, points: int, folded: np.ndarray, even: np.ndarray, odd: np.ndarray
) -> None:
    """Even and odd part in the lag k of sum_t a[t] b[t+k], for k = 0 .. lags and a few more.

    The points f and S/2 - f have the same cosines and sines but for the sign (-1)^k: half of the points are enough for
    sums (even k) and differences (odd k) of the products, which `folded` holds.
    """
    half = points // 2
    at = 0
    for tile in range(2 * (lags // 8 + 1)):
        odd_lags = tile % 2
        re_at = 4 * half * odd_lags
        im_at = 4 * half * (3 - odd_lags)
        c0 = c1 = c2 = c3 = s0 = s1 = s2 = s3 = _splat(0.0)
        for f in range(half):
            re, im = _load(folded, re_at + 4 * f), _load(folded, im_at + 4 * f)
            c0, c1 = _fma(re, _same(back, at), c0), _fma(re, _same(back, at + 1), c1)
            c2, c3 = _fma(re, _same(back, at + 2), c2), _fma(re, _same(back, at + 3), c3)
            s0, s1 = _fma(im, _same(back, at + 4), s0), _fma(im, _same(back, at + 5), s1)
            s2, s3 = _fma(im, _same(back, at + 6), s2), _fma(im, _same(back, at + 7), s3)
            at += 8
        out = 4 * (8 * (tile // 2) + odd_lags)
        _store(even, out, c0)
        _store(even, out + 8, c1)
        _store(even, out + 16, c2)
        _store(even, out + 24, c3)
        _store(odd, out, s0)
        _store(odd, out + 8, s1)
        _store(odd, out + 16, s2)
        _store(odd, out + 24, s3)


@_inner
def _fold(points: int, lanes: np.ndarray, sums: int | np.int64, differences: int, folded: np.ndarray) -> None:
    """Sums and differences of the points f and points - 1 - f."""
    for f in range(points // 2):
        one, other = _load(lanes, 4 * f), _load(lanes, 4 * (points - 1 - f))
        _store(folded, sums + 4 * f, one + other)
        _store(folded, differences + 4 * f, one - other)


class Work(NamedTuple):
    """Scratch of four pairs; every number is a vector."""

    re: np.ndarray
    im: np.ndarray
    lanes: np.ndarray
    folded: np.ndarray
    even: np.ndarray
    odd: np.ndarray
    own1: np.ndarray
    own2: np.ndarray
    spread: np.ndarray
    cross12: np.ndarray
    cross21: np.ndarray
    level12: np.ndarray
    level21: np.ndarray
    factor: np.ndarray
    gross: np.ndarray
    heads: np.ndarray
    tails: np.ndarray
    first: np.ndarray
    level: np.ndarray
    rows: np.ndarray
    small: np.ndarray
    at: np.ndarray
    lag: np.ndarray


def make_work(x: LaneInputs) -> Work:
    """Empty scratch for `test_lanes`: one for each call at a time."""
    d = 4 * (x.lags + 1)
    wide = 8 * (x.lags + 8)
    padded = 32 * (x.lags // 8 + 1)
    return Work(
        np.zeros(4 * x.points),
        np.zeros(4 * x.points),
        np.zeros(4 * x.points),
        np.zeros(8 * x.points),
        np.zeros(padded),
        np.zeros(padded),
        np.zeros(4 * x.many),
        np.zeros(4 * x.many),
        np.zeros(4 * x.many),
        np.zeros(d),
        np.zeros(d),
        np.zeros(d),
        np.zeros(d),
        np.zeros(wide * (2 * x.lags + 10)),
        np.zeros(wide),
        np.zeros(wide),
        np.zeros(wide),
        np.zeros(2 * wide),
        np.zeros(2 * wide),
        np.zeros(4 * d),
        np.zeros(64),
        np.zeros(4, np.int64),
        np.zeros(4, np.int64),
    )


@_inner
def _cross_moments(x: LaneInputs, w: Work, i: np.ndarray, j: np.ndarray) -> Any:
    """Lagged products of the two tickers over t > lags; returns sum z1 z2 over all bars."""
    lags, points = x.lags, x.points
    half = 4 * (points // 2)
    at, own1, own2 = w.at, w.own1, w.own2
    _products(x, i, j, w.re, w.im)
    for lane in range(4):
        at[lane] = lane * points
    _rows_to_lanes(w.re, at, points, w.lanes)
    # typed: of a bare 0 numba makes a type of its own, and compiles the callee for it as well
    _fold(points, w.lanes, np.int64(0), half, w.folded)
    _rows_to_lanes(w.im, at, points, w.lanes)
    _fold(points, w.lanes, 2 * half, 3 * half, w.folded)
    _lagged_products(x.back, lags, points, w.folded, w.even, w.odd)
    for lane in range(4):
        at[lane] = i[lane] * x.many
    _rows_to_lanes(x.facts, at, x.many, own1)
    for lane in range(4):
        at[lane] = j[lane] * x.many
    _rows_to_lanes(x.facts, at, x.many, own2)
    d4 = 4 * (lags + 1)
    zt, zh, et, eh = _ZT * d4, _ZH * d4, _ET * d4, _EH * d4
    for d in range(lags + 1):
        even, odd = _load(w.even, 4 * d), _load(w.odd, 4 * d)
        _store(w.cross12, 4 * d, even + odd)
        # the bars before the first stretch that lie d bars before a kept bar of ticker 2
        product = even - odd
        for t in range(lags + 1 - d, lags + 1):
            product = _fma(_load(own1, eh + 4 * t), _load(own2, eh + 4 * (t + d)), product)
        _store(w.cross21, 4 * d, product)
    # Summation by parts gives one product of level and difference from the other, and each lag's from the last.
    z, e, wide, rows = x.z, x.e, x.wide, x.bars - lags - 1
    for lane in range(4):
        one, other = i[lane] * wide, j[lane] * wide
        _store(w.small, 4 * lane, _dot(z, one, z, other, x.bars))
        _store(w.rows, 4 * lane, _dot(z, one + lags, e, other + lags + 1, rows))
    l12 = _add_up(w.rows)
    last1, last2 = _load(own1, zt), _load(own2, zt)
    start1, start2 = _load(own1, zh + 4 * lags), _load(own2, zh + 4 * lags)
    l21 = _less(start1, start2, last1 * last2) - l12 - _load(w.cross12, 0)
    _store(w.level12, 0, l12)
    _store(w.level21, 0, l21)
    for d in range(lags):
        l12 = l12 + _load(w.cross12, 4 * d)
        l12 = _fma(start1, _load(own2, eh + 4 * (lags - d)), l12)
        l12 = _less(last1, _load(own2, et + 4 * d), l12)
        l21 = l21 + _load(w.cross21, 4 * d)
        l21 = _fma(start2, _load(own1, eh + 4 * (lags - d)), l21)
        l21 = _less(last2, _load(own1, et + 4 * d), l21)
        _store(w.level12, 4 * d + 4, l12)
        _store(w.level21, 4 * d + 4, l21)
    return _add_up(w.small)


# ---------------------------------------------------------------------------------------------- four factors in step


@_inner
def _cholesky(u: np.ndarray, row: int, first: int, size: int, gross: np.ndarray, good: Any) -> Any:
    """Upper factors in place from row `first` on, the rows before it being theirs; 0 in `good` where a pivot is small.

    Two rows and four columns at a time, so that eight sums are under way; each adds its products in order of the rows.
    """
    zero, one = _splat(0.0), _splat(1.0)
    floor = _splat(PIVOT_FLOOR)
    r = first
    while r < size:
        p, q = r * row, (r + 1) * row
        s01 = inverse0 = inverse1 = one
        for c in range(4 * r, 4 * size, 16):
            a0, a1, a2, a3 = _load(u, p + c), _load(u, p + c + 4), _load(u, p + c + 8), _load(u, p + c + 12)
            b0, b1, b2, b3 = _load(u, q + c), _load(u, q + c + 4), _load(u, q + c + 8), _load(u, q + c + 12)
            at, left = c, 4 * r
            for _ in range(r):
                f, g = _load(u, left), _load(u, left + 4)
                u0, u1, u2, u3 = _load(u, at), _load(u, at + 4), _load(u, at + 8), _load(u, at + 12)
                a0, a1, a2, a3 = _less(f, u0, a0), _less(f, u1, a1), _less(f, u2, a2), _less(f, u3, a3)
                b0, b1, b2, b3 = _less(g, u0, b0), _less(g, u1, b1), _less(g, u2, b2), _less(g, u3, b3)
                at += row
                left += row
            if c == 4 * r:
                good = _where_less(floor * _load(gross, c), a0, good, zero)
                inverse0 = one / _sqrt(a0)
                s01 = a1 * inverse0
                b1 = _less(s01, s01, b1)
                if r + 1 < size:
                    good = _where_less(floor * _load(gross, c + 4), b1, good, zero)
                inverse1 = one / _sqrt(b1)
                a0, a1, a2, a3 = a0 * inverse0, s01, a2 * inverse0, a3 * inverse0
                b1, b2, b3 = b1 * inverse1, _less(s01, a2, b2) * inverse1, _less(s01, a3, b3) * inverse1
            else:
                a0, a1, a2, a3 = a0 * inverse0, a1 * inverse0, a2 * inverse0, a3 * inverse0
                b0, b1 = _less(s01, a0, b0) * inverse1, _less(s01, a1, b1) * inverse1
                b2, b3 = _less(s01, a2, b2) * inverse1, _less(s01, a3, b3) * inverse1
            _store(u, p + c, a0)
            _store(u, p + c + 4, a1)
            _store(u, p + c + 8, a2)
            _store(u, p + c + 12, a3)
            _store(u, q + c, b0)
            _store(u, q + c + 4, b1)
            _store(u, q + c + 8, b2)
            _store(u, q + c + 12, b3)
        r += 2
    return good


@_inner
def _own_columns(u: np.ndarray, row: int, size: int, at: int, keep: Any, gross: np.ndarray) -> None:
    """Make column `at` of the lanes where keep is 0 (not 1) one that has nothing in common with the others."""
    one = _splat(1.0)
    for r in range(at):
        _store(u, r * row + 4 * at, keep * _load(u, r * row + 4 * at))
    for c in range(at + 1, size):
        _store(u, at * row + 4 * c, keep * _load(u, at * row + 4 * c))
    spot = at * row + 4 * at
    _store(u, spot, _fma(keep, _load(u, spot), one - keep))
    _store(gross, 4 * at, _fma(keep, _load(gross, 4 * at), one - keep))


@_inner
def _head(facts: np.ndarray, part: int, d: int, lag: np.ndarray) -> Any:
    """The fact at place lag - d of a part, for each lane's lag."""
    at = 4 * (part - d)
    return _collect(facts, at + 4 * lag[0], at + 4 * lag[1] + 1, at + 4 * lag[2] + 2, at + 4 * lag[3] + 3)


@_inner
def _lag_vector(lag: np.ndarray, small: np.ndarray) -> Any:
    for lane in range(4):
        small[lane] = float(lag[lane])
    return _load(small, 0)


@_inner
def _bounds(lag: np.ndarray) -> tuple[int, int]:
    return min(lag[0], lag[1], lag[2], lag[3]), max(lag[0], lag[1], lag[2], lag[3])


# ------------------------------------------------------------------------------------------------ Engle and Granger


@_inner
def _spread_facts(w: Work, y: np.ndarray, x: np.ndarray, lags: int, beta: Any) -> None:
    """Facts of the residual y - beta x from those of the two tickers and their products."""
    d4 = 4 * (lags + 1)
    u, square, dd, ld = w.spread, beta * beta, _DD * d4, _LD * d4
    for c in range(0, (_EH + 1) * d4, 4):
        _store(u, c, _less(beta, _load(x, c), _load(y, c)))
    for d in range(0, d4, 4):
        mixed = _less(beta, _load(w.cross12, d) + _load(w.cross21, d), _load(y, dd + d))
        _store(u, dd + d, _fma(square, _load(x, dd + d), mixed))
        mixed = _less(beta, _load(w.level12, d) + _load(w.level21, d), _load(y, ld + d))
        _store(u, ld + d, _fma(square, _load(x, ld + d), mixed))


@_inner
def _spread_factor(
    w: Work, lags: int, row: int, level_first: int, square: Any, gross_level: Any, gross_diff: Any, good: Any
) -> Any:
    """Factors of the residuals' designs with w.lag lags, over all bars that have them; columns as in the twin."""
    d4 = 4 * (lags + 1)
    u, factor, lag = w.spread, w.factor, w.lag
    zh, et, eh, dd, ld = _ZH * d4, _ET * d4, _EH * d4, _DD * d4, _LD * d4
    least, most = _bounds(lag)
    have = _lag_vector(lag, w.small)
    zero, one = _splat(0.0), _splat(1.0)
    at_lag = 1 if level_first else 0
    at_level = 0 if level_first else most
    target = most + 1
    # The bars t = lag + 1 .. lags come to those of all lags; a lane that starts later adds zeros.
    for t in range(least + 1, lags + 1):
        bar = _splat(float(t))
        level = _where_less(have, bar, _load(u, zh + 4 * (t - 1)), zero)
        square = _fma(level, level, square)
        _store(w.rows, 8 * t, level)
        _store(w.rows, 8 * t + 4, _where_less(have, bar, _load(u, eh + 4 * t), zero))
    for d in range(most + 1):
        first, level = _load(u, dd + 4 * d), _load(u, ld + 4 * d)
        for t in range(least + 1, lags + 1):
            other = _load(u, eh + 4 * (t - d))
            level = _fma(_load(w.rows, 8 * t), other, level)
            first = _fma(_load(w.rows, 8 * t + 4), other, first)
        _store(w.first, 4 * d, first)
        _store(w.level, 4 * d, level)
        _store(w.heads, 4 * d, _head(u, _EH * (lags + 1), d, lag))
    for a in range(1, most + 1):
        into = (a - 1 + at_lag) * row + 4 * (a - 1 + at_lag)
        before = into - row - 4
        head, tail = _load(w.heads, 4 * (a - 1)), _load(u, et + 4 * (a - 1))
        for c in range(0, 4 * (most - a + 1), 4):
            value = _load(w.first, c) if a == 1 else _load(factor, before + c)
            value = _fma(head, _load(w.heads, 4 * (a - 1) + c), value)
            _store(factor, into + c, _less(tail, _load(u, et + 4 * (a - 1) + c), value))
    for c in range(1, most + 1):
        at = c - 1 + at_lag
        _store(factor, at * row + 4 * target, _load(w.first, 4 * c))
        _store(factor, 4 * at if level_first else at * row + 4 * at_level, _load(w.level, 4 * c))
        _store(w.gross, 4 * at, gross_diff)
    _store(factor, at_level * row + 4 * at_level, square)
    _store(factor, at_level * row + 4 * target, _load(w.level, 0))
    _store(factor, target * row + 4 * target, _load(w.first, 0))
    _store(w.gross, 4 * at_level, gross_level)
    _store(w.gross, 4 * target, gross_diff)
    for d in range(least + 1, most + 1):
        keep = _where_less(have, _splat(float(d)), zero, one)
        _own_columns(factor, row, most + 2, d - 1 + at_lag, keep, w.gross)
    return _cholesky(factor, row, np.int64(0), most + 2, w.gross, good)


@_inner
def _spread_lag(
    factor: np.ndarray, row: int, lags: int, weight: np.ndarray, lag: np.ndarray, small: np.ndarray, good: Any
) -> Any:
    """Lag of the least AIC, level first, to `lag`; 0 in `good` where two are nearly equal."""
    last = lags + 1
    corner = _load(factor, last * row + 4 * last)
    ssr = corner * corner
    best, second, chosen = ssr, _splat(math.inf), _splat(float(lags))
    for at in range(lags - 1, -1, -1):
        own = _load(factor, (at + 1) * row + 4 * last)
        ssr = _fma(own, own, ssr)
        value = ssr * _same(weight, at)
        second = _where_less(value, best, best, _where_less(value, second, value, second))
        chosen = _where_less(value, best, _splat(float(at)), chosen)
        best = _where_less(value, best, value, best)
    _store(small, 0, chosen)
    for lane in range(4):
        lag[lane] = int(small[lane])
    return _where_less(best * _splat(1.0 + TIE), second, good, _splat(0.0))


@_inner
def _engle_granger(
    x: LaneInputs, w: Work, own_y: np.ndarray, own_x: np.ndarray, product: Any, both: Any, row: int, good: Any
) -> tuple[Any, Any]:
    """(statistic, good) of each lane's y on its x; w.lag holds the lags."""
    lags = x.lags
    d4 = 4 * (lags + 1)
    total, square_at, dd = _END * d4, _END * d4 + 8, _DD * d4
    beta = product / _load(own_x, total)
    _spread_facts(w, own_y, own_x, lags, beta)
    gross_level = _fma(beta * beta, _load(own_x, square_at), _load(own_y, square_at))
    gross_diff = _fma(beta * beta, _load(own_x, dd), _load(own_y, dd))
    square = _less(beta + beta, both, gross_level)
    for lane in range(4):
        w.lag[lane] = lags
    # All lags with the level first, to choose; then the chosen lags on their own bars, to test.
    for level_first in range(1, -1, -1):
        good = _spread_factor(w, lags, row, level_first, square, gross_level, gross_diff, good)
        if level_first:
            good = _spread_lag(w.factor, row, lags, x.lag_weight, w.lag, w.small, good)
    _, most = _bounds(w.lag)
    have = _lag_vector(w.lag, w.small)
    freedom = _splat(float(x.bars - 2)) - have - have
    corner = _load(w.factor, (most + 1) * row + 4 * (most + 1))
    return _load(w.factor, most * row + 4 * (most + 1)) * _sqrt(freedom) / corner, good


# ----------------------------------------------------------------------------------------- vector autoregressions


@_inner
def _pair_factor(x: LaneInputs, w: Work, both: Any, row: int, level_first: int, good: Any) -> Any:
    """Factors of the pairs' designs with w.lag lags, the constant first: [1, level, lags, target] or [1, lags, level,
    target], the two tickers by turns within each.
    """
    lags = x.lags
    d4 = 4 * (lags + 1)
    own1, own2, factor, lag, rows = w.own1, w.own2, w.factor, w.lag, w.rows
    zt, zh, et, eh, dd, ld = _ZT * d4, _ZH * d4, _ET * d4, _EH * d4, _DD * d4, _LD * d4
    total = _END * d4
    least, most = _bounds(lag)
    have = _lag_vector(lag, w.small)
    zero, one = _splat(0.0), _splat(1.0)
    at_lag = 3 if level_first else 1
    at_level = 1 if level_first else 2 * most + 1
    target = 2 * most + 3
    size = target + 2
    sum1, sum2 = _load(own1, total + 4), _load(own2, total + 4)
    square1, square2, square12 = _load(own1, total + 8), _load(own2, total + 8), both
    for t in range(least + 1, lags + 1):
        bar = _splat(float(t))
        l1 = _where_less(have, bar, _load(own1, zh + 4 * (t - 1)), zero)
        l2 = _where_less(have, bar, _load(own2, zh + 4 * (t - 1)), zero)
        _store(rows, 16 * t, l1)
        _store(rows, 16 * t + 4, l2)
        _store(rows, 16 * t + 8, _where_less(have, bar, _load(own1, eh + 4 * t), zero))
        _store(rows, 16 * t + 12, _where_less(have, bar, _load(own2, eh + 4 * t), zero))
        sum1, sum2 = sum1 + l1, sum2 + l2
        square1, square2, square12 = _fma(l1, l1, square1), _fma(l2, l2, square2), _fma(l1, l2, square12)
    # of 1 / sqrt(number of bars), which makes the row of the constant
    root = one / _sqrt(_splat(float(x.bars - 1)) - have)
    # First rows of moments stand behind the factor's own.
    first1 = (2 * lags + 7) * row
    first2 = first1 + row
    for d in range(most + 1):
        f11, f12, f21, f22 = (
            _load(own1, dd + 4 * d),
            _load(w.cross12, 4 * d),
            _load(w.cross21, 4 * d),
            _load(own2, dd + 4 * d),
        )
        l11, l12, l21, l22 = (
            _load(own1, ld + 4 * d),
            _load(w.level12, 4 * d),
            _load(w.level21, 4 * d),
            _load(own2, ld + 4 * d),
        )
        for t in range(least + 1, lags + 1):
            e1, e2 = _load(own1, eh + 4 * (t - d)), _load(own2, eh + 4 * (t - d))
            z1, z2 = _load(rows, 16 * t), _load(rows, 16 * t + 4)
            d1, d2 = _load(rows, 16 * t + 8), _load(rows, 16 * t + 12)
            f11, f12, f21, f22 = _fma(d1, e1, f11), _fma(d1, e2, f12), _fma(d2, e1, f21), _fma(d2, e2, f22)
            l11, l12, l21, l22 = _fma(z1, e1, l11), _fma(z1, e2, l12), _fma(z2, e1, l21), _fma(z2, e2, l22)
        at = target if d == 0 else 2 * (d - 1) + at_lag
        _store(factor, first1 + 8 * d, f11)
        _store(factor, first1 + 8 * d + 4, f12)
        _store(factor, first2 + 8 * d, f21)
        _store(factor, first2 + 8 * d + 4, f22)
        _store(w.heads, 8 * d, _head(own1, _EH * (lags + 1), d, lag))
        _store(w.heads, 8 * d + 4, _head(own2, _EH * (lags + 1), d, lag))
        _store(w.tails, 8 * d, _load(own1, et + 4 * d))
        _store(w.tails, 8 * d + 4, _load(own2, et + 4 * d))
        # sum_{t=lag+1}^{n-1} e[t-d] telescopes
        _store(factor, 4 * at, (_load(own1, zt + 4 * d) - _head(own1, _ZH * (lags + 1), d, lag)) * root)
        _store(factor, 4 * at + 4, (_load(own2, zt + 4 * d) - _head(own2, _ZH * (lags + 1), d, lag)) * root)
        if d > 0:
            _store(factor, at * row + 4 * target, f11)
            _store(factor, at * row + 4 * target + 4, f21)
            _store(factor, (at + 1) * row + 4 * target, f12)
            _store(factor, (at + 1) * row + 4 * target + 4, f22)
        if d > 0 and level_first:
            _store(factor, row + 4 * at, l11)
            _store(factor, row + 4 * at + 4, l12)
            _store(factor, 2 * row + 4 * at, l21)
            _store(factor, 2 * row + 4 * at + 4, l22)
        elif d > 0:
            _store(factor, at * row + 4 * at_level, l11)
            _store(factor, at * row + 4 * at_level + 4, l21)
            _store(factor, (at + 1) * row + 4 * at_level, l12)
            _store(factor, (at + 1) * row + 4 * at_level + 4, l22)
        else:
            p, q = at_level * row, (at_level + 1) * row
            _store(factor, p + 4 * target, l11)
            _store(factor, p + 4 * target + 4, l12)
            _store(factor, q + 4 * target, l21)
            _store(factor, q + 4 * target + 4, l22)
            p, q = target * row, (target + 1) * row
            _store(factor, p + 4 * target, f11)
            _store(factor, p + 4 * target + 4, f12)
            _store(factor, q + 4 * target + 4, f22)
    p, q = at_level * row, (at_level + 1) * row
    _store(factor, p + 4 * at_level, square1)
    _store(factor, p + 4 * at_level + 4, square12)
    _store(factor, q + 4 * at_level + 4, square2)
    _store(factor, 4 * at_level, sum1 * root)
    _store(factor, 4 * at_level + 4, sum2 * root)
    for d in range(1, most + 1):
        a = 8 * (d - 1)
        into = (2 * (d - 1) + at_lag) * row + 4 * (2 * (d - 1) + at_lag)
        before1, before2 = (first1, first2) if d == 1 else (into - 2 * row - 8, into - row - 8)
        h1, h2 = _load(w.heads, a), _load(w.heads, a + 4)
        t1, t2 = _load(w.tails, a), _load(w.tails, a + 4)
        for c in range(0, 8 * (most - d + 1), 4):
            head, tail = _load(w.heads, a + c), _load(w.tails, a + c)
            _store(factor, into + c, _less(t1, tail, _fma(h1, head, _load(factor, before1 + c))))
            _store(factor, into + row + c, _less(t2, tail, _fma(h2, head, _load(factor, before2 + c))))
    for c in range(1, size):
        own = _load(factor, 4 * c)
        _store(w.gross, 4 * c, _less(own, own, _load(factor, c * row + 4 * c)))
    for d in range(least + 1, most + 1):
        keep = _where_less(have, _splat(float(d)), zero, one)
        _own_columns(factor, row, size, 2 * (d - 1) + at_lag, keep, w.gross)
        _own_columns(factor, row, size, 2 * (d - 1) + at_lag + 1, keep, w.gross)
    return _cholesky(factor, row, np.int64(1), size, w.gross, good)


@_inner
def _level_products(x: LaneInputs, w: Work, both: Any) -> tuple[Any, Any]:
    """Determinant of the centred products of the levels over the VAR's bars, and what it could be at most."""
    d4, start = 4 * (x.lags + 1), x.order_max
    own1, own2 = w.own1, w.own2
    total, zh, zt = _END * d4, _ZH * d4, _ZT * d4
    last1, last2 = _load(own1, zt), _load(own2, zt)
    sum1, sum2 = _load(own1, total + 4) + last1, _load(own2, total + 4) + last2
    s11, s22 = _fma(last1, last1, _load(own1, total + 8)), _fma(last2, last2, _load(own2, total + 8))
    s12 = _fma(last1, last2, both)
    for t in range(start, x.lags):
        z1, z2 = _load(own1, zh + 4 * t), _load(own2, zh + 4 * t)
        sum1, sum2 = sum1 + z1, sum2 + z2
        s11, s22, s12 = _fma(z1, z1, s11), _fma(z2, z2, s22), _fma(z1, z2, s12)
    rows = _splat(float(x.bars - start))
    largest = s11 * s22
    s11, s22, s12 = s11 - sum1 * sum1 / rows, s22 - sum2 * sum2 / rows, s12 - sum1 * sum2 / rows
    return s11 * s22 - s12 * s12, largest


@_inner
def _orders(x: LaneInputs, w: Work, row: int, both: Any, good: Any) -> Any:
    """VAR orders of the least AIC, levels first, to w.lag; 0 in `good` where two nearly tie, or order 0 may win."""
    factor, m = w.factor, x.order_max - 1
    last = 2 * m + 3
    corner, beside = _load(factor, last * row + 4 * last), _load(factor, last * row + 4 * last + 4)
    other = _load(factor, (last + 1) * row + 4 * last + 4)
    one = _splat(1.0)
    a, kappa, g = corner * corner, beside / corner, other * other
    best, second, chosen = _splat(math.inf), _splat(math.inf), _splat(1.0)
    for order in range(m + 1, 0, -1):
        value = a * g * _same(x.order_weight, order)
        second = _where_less(value, best, best, _where_less(value, second, value, second))
        chosen = _where_less(value, best, _splat(float(order)), chosen)
        best = _where_less(value, best, value, best)
        for r in range(2 * order, 2 * order - 2, -1):
            own = _load(factor, r * row + 4 * last)
            two = _less(kappa, own, _load(factor, r * row + 4 * last + 4))
            grown = _fma(own, own, a)
            share = one / grown
            g = _fma(two * two, a * share, g)
            kappa = _fma(own * two, share, kappa)
            a = grown
    none, largest = _level_products(x, w, both)
    none = _less(_splat(1e-9), largest, none) * _same(x.order_weight, 0)
    best = best * _splat(1.0 + TIE)
    _store(w.small, 0, chosen)
    for lane in range(4):
        w.lag[lane] = int(w.small[lane])
    return _where_less(best, second, _where_less(best, none, good, _splat(0.0)), _splat(0.0))


@_inner
def _canonical(factor: np.ndarray, row: int, at: int) -> tuple[Any, Any]:
    """Squared canonical correlations, larger and smaller, of levels (columns from `at`) and differences."""
    last = at + 2
    p, q, target = at * row, (at + 1) * row, 4 * last
    corner = _load(factor, last * row + target)
    other = _load(factor, (last + 1) * row + target + 4)
    c11, c12, c21, c22 = (
        _load(factor, p + target),
        _load(factor, p + target + 4),
        _load(factor, q + target),
        _load(factor, q + target + 4),
    )
    a, kappa, g = corner * corner, _load(factor, last * row + target + 4) / corner, other * other
    two = _less(kappa, c11, c12)
    grown = _fma(c11, c11, a)
    g = _fma(two * two, a / grown, g)
    kappa = kappa + c11 * two / grown
    a = grown
    two = _less(kappa, c21, c22)
    grown = _fma(c21, c21, a)
    g = _fma(two * two, a / grown, g)
    kappa = kappa + c21 * two / grown
    root_a, root_g = _sqrt(grown), _sqrt(g)
    w11, w21 = c11 / root_a, c21 / root_a
    w12, w22 = _less(kappa, c11, c12) / root_g, _less(kappa, c21, c22) / root_g
    square1, square2 = _fma(w12, w12, w11 * w11), _fma(w22, w22, w21 * w21)
    mixed = _fma(w12, w22, w11 * w21)
    apart = square1 - square2
    spread = _sqrt(_fma(_splat(4.0) * mixed, mixed, apart * apart))
    larger = _splat(0.5) * (square1 + square2 + spread)
    determinant = _less(w12, w21, w11 * w22)
    return larger, determinant * determinant / larger


# -------------------------------------------------------------------------------------------------- many pairs


@_lanes
def test_lanes(
    x: LaneInputs,
    w: Work,
    first: np.ndarray,
    second: np.ndarray,
    book: bool,
    stats: np.ndarray,
    orders: np.ndarray,
    clear: np.ndarray,
) -> None:
    """Statistics and orders of the pairs for which nothing is near a decision; clear = 1 for those.

    Rows of stats: Engle-Granger 12 and 21, larger and smaller squared canonical correlation.
    Rows of orders: lag 12, lag 21, VAR order.
    """
    lags, pairs, row = x.lags, first.size, 8 * (x.lags + 8)
    d4 = 4 * (lags + 1)
    total, zh = _END * d4, _ZH * d4
    i, j = np.empty(4, np.int64), np.empty(4, np.int64)
    found, chosen = np.empty(20), np.empty(12, np.int64)
    one, zero = _splat(1.0), _splat(0.0)
    for at in range(0, pairs, 4):
        for lane in range(4):
            i[lane], j[lane] = first[min(at + lane, pairs - 1)], second[min(at + lane, pairs - 1)]
        product = _cross_moments(x, w, i, j)
        share = product / _load(w.own1, total) * (product / _load(w.own2, total))
        good = _where_less(_splat(CLEAR), one - share, one, zero)
        both = product
        for t in range(0, 4 * lags, 4):
            both = _less(_load(w.own1, zh + t), _load(w.own2, zh + t), both)
        both = _less(_load(w.own1, 0), _load(w.own2, 0), both)
        for side in range(2):
            own_y, own_x = (w.own2, w.own1) if side else (w.own1, w.own2)
            stat, good = _engle_granger(x, w, own_y, own_x, product, both, row, good)
            _store(found, 4 * side, stat)
            for lane in range(4):
                chosen[4 * side + lane] = w.lag[lane]
        for lane in range(4):
            w.lag[lane] = x.order_max - 1
        for level_first in range(1, -1, -1):
            good = _pair_factor(x, w, both, row, level_first, good)
            if level_first:
                good = _orders(x, w, row, both, good)
                for lane in range(4):
                    order = w.lag[lane]
                    chosen[8 + lane] = order
                    w.lag[lane] = max(order if book else order - 1, 1)
        most = max(w.lag[0], w.lag[1], w.lag[2], w.lag[3])
        larger, smaller = _canonical(w.factor, row, 2 * most + 1)
        _store(found, 8, larger)
        _store(found, 12, smaller)
        _store(found, 16, good)
        for lane in range(min(4, pairs - at)):
            pair = at + lane
            for k in range(4):
                stats[k, pair] = found[4 * k + lane]
            for k in range(3):
                orders[k, pair] = chosen[4 * k + lane]
            sound = math.isfinite(found[lane]) and math.isfinite(found[4 + lane])
            sound = sound and found[8 + lane] < 1.0 and found[12 + lane] >= 0.0
            clear[pair] = sound and found[16 + lane] == 1.0
