"""The quantity of each claim: a PSNR or loss of runs, a number that a chapter kept, or an exact count."""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats as sps
from torch import optim

from n2nlib import paper
from n2nlib.analysis.claims import Evidence, count, network, work
from n2nlib.analysis.comparison import difference_of, partners, value_of
from n2nlib.analysis.intervals import FEWEST, Interval, crossed, mean_interval, spread_ratio, welch
from n2nlib.models.summary import trace
from n2nlib.paper import Claim

#: Degrees of freedom from which on photographs, not seeds, make up most of an error.
MANY = 10


@dataclass(frozen=True)
class Measured:
    """A claim's quantity before the verdict.

    ours: for readers; tested: what the test is made on (a logarithm where the claim is about a ratio); also:
    a second quantity that must be above 0; values: one per seed; missing: why there is no quantity; images:
    training images of the runs; what: a name for the quantity in place of the claim's own.
    """

    claim: Claim
    ours: Interval | None = None
    tested: Interval | None = None
    also: Interval | None = None
    values: tuple[float, ...] = ()
    spread: float | None = None
    missing: str = ""
    images: int = 0
    what: str = ""

    @property
    def large_enough(self) -> bool:
        return self.images >= (paper.images() if self.claim.size == "paper" else self.claim.size)

    @property
    def holds(self) -> bool:
        """Whether every single seed (or the one value) is on the claimed side."""
        values = self.values or ((self.ours.value,) if self.ours else ())
        return bool(values) and all(within(v, self.claim) for v in values)

    def sides(self, strict: bool = False) -> tuple[float, float] | None:
        """Return the p values for and against the claim; None without an interval.

        One bound is tested two-sided (each side's p value doubled), two bounds by TOST: the larger of two
        one-sided p values. strict: with n - 1 degrees of freedom, the fewest that any part of the error has.
        """
        if self.tested is None or self.tested.low is None:
            return None
        bounds = [None if x is None else self._scaled(x) for x in (self.claim.above, self.claim.below)]
        support, against = _sides(_strict(self.tested, strict), *bounds)
        if self.also is not None:
            more = _sides(_strict(self.also, strict), 0, None)
            support, against = max(support, more[0]), min(against, more[1])
        return support, against

    def _scaled(self, x: float) -> float:
        return math.log(x) if self.claim.scale == "log" else x


def within(value: float, claim: Claim) -> bool:
    """Return whether a value is between a claim's bounds."""
    return (claim.above is None or value > claim.above) and (claim.below is None or value < claim.below)


def _strict(interval: Interval, strict: bool) -> Interval:
    few = strict and interval.df is not None and interval.df < MANY
    return replace(interval, df=min(interval.df, interval.n - 1)) if few else interval


def _sides(interval: Interval, above: float | None, below: float | None) -> tuple[float, float]:
    support = [interval.p_above(above)] if above is not None else []
    support += [interval.p_below(below)] if below is not None else []
    against = [1 - p for p in support]
    tails = 2 if len(support) == 1 else 1
    return min(1.0, tails * max(support)), min(1.0, tails * min(against))


def measure(claim: Claim, evidence: Evidence) -> Measured:
    """Measure a claim's quantity; where that cannot be done, `missing` says why."""
    if claim.kind == "statement":
        return Measured(claim)
    kinds = dict.fromkeys(paper.OF_RUNS, _runs)
    kinds |= {"best": _best, "spread": _spreads, "cost": _costs, "number": _number, "count": _count}
    return kinds[claim.kind](claim, evidence)


def row_name(row: str) -> str:
    """Return a row's name in words: a learning rate is TNet's."""
    return f"TNet at {row}" if row[:1].isdigit() else row


# --- runs -----------------------------------------------------------------------------------------


def _without_runs(claim: Claim, evidence: Evidence) -> str:
    rows = [row for row in (claim.a, claim.b) if row and row != "noisy" and not evidence.runs.get(row)]
    return f"the runs of {' and '.join(map(row_name, rows))} are not in the store" if rows else ""


def _images(*rows: Sequence) -> int:
    return min(run.spec.images for row in rows for run in row)


def _runs(claim: Claim, evidence: Evidence) -> Measured:
    if missing := _without_runs(claim, evidence):
        return Measured(claim, missing=missing)
    a = evidence.runs[claim.a]
    if claim.b == "noisy":
        levels = np.stack([run.psnr - evidence.noisy for run in a])
        return _of_runs(claim, crossed(levels, photo=evidence.photo), levels.mean(axis=1), a)
    if not claim.b:
        # Only training varies: a level is decided on the authors' own validation set, whose mean is what they
        # print.
        values = [value_of(run, claim.metric) for run in a]
        return _of_runs(claim, mean_interval(values), values, a)
    return _difference(claim, a, evidence.runs[claim.b], evidence)


def _difference(claim: Claim, a: Sequence, b: Sequence, evidence: Evidence) -> Measured:
    ours = difference_of(a, b, evidence.photo, claim.metric)
    a, b, _ = partners(a, b)
    values = [value_of(x, claim.metric) - value_of(y, claim.metric) for x, y in zip(a, b, strict=False)]
    return _of_runs(claim, ours, values, a, b)


def _of_runs(claim: Claim, ours: Interval, values, *rows: Sequence) -> Measured:
    spread = float(np.std(values, ddof=1)) if len(values) >= FEWEST else None
    return Measured(claim, ours, ours, values=tuple(values), spread=spread, images=_images(*rows))


def _best(claim: Claim, evidence: Evidence) -> Measured:
    """The difference to that of the other rows which shows least that `a` is above it.

    Where some rows have no run, only a row that is shown to be above `a` decides.
    """
    if not evidence.runs.get(claim.a):
        return Measured(claim, missing=_without_runs(claim, evidence))
    found = {row: _difference(claim, evidence.runs[claim.a], evidence.runs[row], evidence)
             for row in claim.others if evidence.runs.get(row)}  # fmt: skip
    p = {row: 1.0 if not m.ours else m.ours.p_above(0) for row, m in found.items()}
    row = max(p, key=p.get, default=None)
    absent = [other for other in claim.others if other not in found]
    if absent and (row is None or not found[row].ours or found[row].ours.high > 0):
        return Measured(claim, missing=f"the runs of {' and '.join(absent)} are not in the store")
    return replace(found[row], what=f"{claim.a} − {row}, the row that decides,")


def _spreads(claim: Claim, evidence: Evidence) -> Measured:
    if missing := _without_runs(claim, evidence):
        return Measured(claim, missing=missing)
    a, b = evidence.runs[claim.a], evidence.runs[claim.b]
    if min(len(a), len(b)) < 2:
        return Measured(claim, missing="a standard deviation needs two runs of each network")
    ours = spread_ratio(*([value_of(run) for run in row] for row in (a, b)))
    return Measured(claim, ours, ours, images=_images(a, b))


def _costs(claim: Claim, evidence: Evidence) -> Measured:
    if missing := _without_runs(claim, evidence):
        return Measured(claim, missing=missing)
    rows = {row: evidence.runs[row] for row in (claim.a, claim.b)}
    a, b = cost(rows, claim.metric).values()
    log = welch(np.log(a), np.log(b))
    return Measured(claim, log.mapped(math.exp), log, images=_images(*rows.values()))


def cost(rows: dict[str, Sequence], metric: str) -> dict[str, list[float]]:
    """Return what each run needed to reach `common_level`: training images, MACs or seconds.

    Linear between two validations; a run that is there at its first validation counts up to it.
    """
    level = common_level(rows)
    of = {row: work(row) if metric == "macs" else 1 for row in rows}
    column = "seconds" if metric == "seconds" else "images"
    return {row: [of[row] * _reached(run, level, column) for run in runs] for row, runs in rows.items()}


def common_level(rows: dict[str, Sequence]) -> float:
    """Return the highest PSNR (dB) that every run of some rows has at its end."""
    return min(_curve(run).psnr.iloc[-1] for runs in rows.values() for run in runs)


def _curve(run):
    return run.history[["images", "psnr", "seconds"]].dropna()


def _reached(run, level: float, column: str) -> float:
    curve = _curve(run)
    i = int((curve.psnr >= level).to_numpy().argmax())
    before, after = curve.iloc[max(i - 1, 0)], curve.iloc[i]
    share = 1.0 if i == 0 else (level - before.psnr) / (after.psnr - before.psnr)
    return float(before[column] + share * (after[column] - before[column]))


# --- numbers of chapters --------------------------------------------------------------------------


def _number(claim: Claim, evidence: Evidence) -> Measured:
    found = [evidence.number(name) for name in (claim.number, claim.also) if name]
    if None in found:
        return Measured(claim, missing=f"the chapter that measures {claim.number} has not run")
    ours = found[0]
    tested = _with_error(ours.mapped(math.log) if claim.scale == "log" else ours)
    also = _with_error(found[1]) if claim.also else None
    return Measured(claim, ours, tested, also, images=evidence.images)


def _with_error(interval: Interval) -> Interval:
    """Return the interval with the standard error that its two ends stand for (95 %, Student's t)."""
    if interval.se is not None:
        return interval
    if interval.low is None or interval.n < FEWEST:
        return replace(interval, low=None, high=None)
    df = interval.df or interval.n - 1
    return replace(interval, se=(interval.high - interval.low) / (2 * sps.t.ppf(0.975, df)), df=df)


# --- exact counts ---------------------------------------------------------------------------------


def _count(claim: Claim, evidence: Evidence) -> Measured:
    of = COUNTS[claim.metric]
    value = of(claim.a) / (of(claim.b) if claim.b else 1000 if claim.unit == "thousand" else 1)
    return Measured(claim, Interval(value, value, value, 1, "count"))


def _steps(kind: str):
    return lambda row: sum(step.text.startswith(kind) for step in trace(network(row)))


def _adam(name: str):
    return inspect.signature(optim.Adam).parameters[name].default


def adam_bound(_row: str) -> float:
    """Return the largest step of Adam over its learning rate, for default moments.

    Kingma and Ba 2015, section 2.1.
    """
    beta1, beta2 = _adam("betas")
    return (1 - beta1) / math.sqrt(1 - beta2)


#: What can be counted exactly, by the name of a claim's metric: a function of a row of Table 2.
COUNTS = {
    "parameters": count,
    "macs": work,
    "convolutions": _steps("convolution"),
    "max_pools": _steps("max pooling"),
    "embedding": lambda row: min(math.prod(step.shape) for step in trace(network(row))),
    "adam_rate": lambda _: paper.value("training.lr") / _adam("lr"),
    "adam_bound": adam_bound,
}
