"""Judging the paper's claims: from runs and measurements to verdicts that say no more than these can carry.

Rules, the same for every claim:

- A claim about trained networks needs runs of the paper's training size (50,000 pairs x 50 epochs). Only a claim
  whose `size` is a number of training images may be read from smaller runs, and then its order alone.
- No interval from fewer than three initialisations or three photographs, and no verdict against the paper without
  an interval.
- A claim holds while the measured value lies between its bounds. Its test is two one-sided t tests (TOST where there
  are two bounds); p values are two-sided and adjusted by Holm's method over all tests of the ledger together.
- Absolute decibels belong to the authors' data: on any other corpus only differences are judged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats as sps

from n2nlib import paper
from n2nlib.analysis.stats import (
    FEWEST,
    Interval,
    crossed,
    holm,
    loss_difference,
    mean_interval,
    psnr_difference,
)
from n2nlib.experiments import networks
from n2nlib.paper import Claim

REPRODUCED = "reproduced"
DIRECTION = "reproduced in direction"
NOT_REPRODUCED = "not reproduced"
CONTRADICTED = "contradicted"
TOO_SMALL = "not tested at this size"
NO_DATA = "not testable without the authors' data"
VERDICTS = (REPRODUCED, DIRECTION, NOT_REPRODUCED, CONTRADICTED, TOO_SMALL, NO_DATA)

#: The chance of any false finding in the whole ledger.
ALPHA = 0.05


@dataclass(frozen=True)
class Evidence:
    """What a ledger is judged from.

    runs: finished runs by row name, those initialisations of a row that are there; numbers: what chapters measured, by name;
    noisy (N,): PSNR (dB) of the noisy validation images; photo (N,): the photograph of each; images: training images
    of a whole run at this size; authors_data: whether the corpus is the authors' own.
    """

    runs: Mapping[str, Sequence]
    numbers: Mapping[str, object]
    noisy: np.ndarray
    photo: np.ndarray
    images: int
    authors_data: bool = False


@dataclass(frozen=True)
class Judged:
    """A claim with what was measured (None: nothing), its p value (two-sided, Holm), verdict and why.

    `spread`: sample standard deviation over initialisations of the measured value, None below three of them.
    """

    claim: Claim
    ours: Interval | None
    p: float | None
    verdict: str
    why: str
    spread: float | None = None

    def to_dict(self) -> dict:
        """Return plain JSON values."""
        c = self.claim
        return {
            "id": c.id, "topic": c.topic, "place": c.place, "says": c.says, "unit": c.unit, "published": c.published, "above": c.above,
            "below": c.below, "tolerance": c.tolerance, "reason": c.reason, "size": c.size,
            "ours": None if self.ours is None else self.ours.to_dict(), "spread": self.spread, "p_holm": self.p,
            "verdict": self.verdict, "why": self.why, "shown": c.shown,
        }  # fmt: skip


def judge(evidence: Evidence, claims: Sequence[Claim] | None = None) -> list[Judged]:
    """Judge every claim of the paper (or those given), adjusting for how many are tested at once."""
    claims = paper.claims() if claims is None else claims
    measured = [_measure(claim, evidence) for claim in claims]
    tested = [i for i, m in enumerate(measured) if m.p is not None]
    adjusted = dict(zip(tested, holm([measured[i].p for i in tested]), strict=True))
    return [_verdict(m, adjusted.get(i), len(tested), evidence) for i, m in enumerate(measured)]


@dataclass(frozen=True)
class _Measured:
    """A claim's quantity before the verdict; `values` holds one an initialisation where there are runs."""

    claim: Claim
    ours: Interval | None = None
    log: Interval | None = None  # the same on the logarithm, where the claim is about a ratio
    values: tuple[float, ...] = ()
    spread: float | None = None
    missing: str = ""
    images: int = 0

    @property
    def scale(self) -> tuple[Interval | None, Callable[[float], float]]:
        return (self.log, np.log) if self.claim.scale == "log" else (self.ours, float)

    @property
    def sides(self) -> tuple[float, float] | None:
        """One-sided p values for and against the claim; None without an interval, or where the runs are too small."""
        interval, to = self.scale
        claim = self.claim
        if (
            interval is None
            or interval.se is None
            or not self.large_enough
            or claim.above is claim.below is None
        ):
            return None
        lower = [] if claim.above is None else [to(claim.above)]
        upper = [] if claim.below is None else [to(claim.below)]
        support = max([interval.p_above(x) for x in lower] + [interval.p_below(x) for x in upper])
        against = min([interval.p_below(x) for x in lower] + [interval.p_above(x) for x in upper])
        return support, against

    @property
    def large_enough(self) -> bool:
        return self.images >= (paper.images() if self.claim.size == "paper" else self.claim.size)

    @property
    def p(self) -> float | None:
        """Two-sided p value of the claim's test; None where nothing is tested."""
        return None if self.sides is None else min(1.0, 2 * min(self.sides))

    @property
    def holds(self) -> bool:
        """Whether every single initialisation (or the one value) lies on the claimed side."""
        c = self.claim
        values = self.values or ((self.ours.value,) if self.ours else ())
        return bool(values) and all(
            (c.above is None or v > c.above) and (c.below is None or v < c.below) for v in values
        )


def _measure(claim: Claim, evidence: Evidence) -> _Measured:
    if claim.kind in ("absolute", "amount"):
        # The printed value, give or take the tolerance, is what the claim says.
        claim = replace(
            claim, above=claim.published - claim.tolerance, below=claim.published + claim.tolerance
        )
    return {"difference": _runs, "amount": _runs, "absolute": _runs, "number": _number, "count": _count,
            "ratio": _count, "unrun": lambda c, _: _Measured(c)}[claim.kind](claim, evidence)  # fmt: skip


def _runs(claim: Claim, evidence: Evidence) -> _Measured:
    rows = [row for row in (claim.a, claim.b) if row and row != "noisy"]
    missing = [row for row in rows if not evidence.runs.get(row)]
    if missing:
        return _Measured(
            claim, missing=f"the runs of {' and '.join(map(row_name, missing))} are not in the store"
        )
    a, *rest = (evidence.runs[row] for row in rows)
    b = rest[0] if rest else None
    images = min(run.spec.images for row in rows for run in evidence.runs[row])
    if claim.metric == "psnr":
        return _psnr(claim, a, b, evidence, images)
    x, y = ([run.metrics[claim.metric] for run in runs] if runs else None for runs in (a, b))
    if b is None:
        ours = mean_interval(x)
        return _Measured(claim, ours, values=tuple(x), spread=_spread(x), images=images)
    return _Measured(
        claim,
        loss_difference(a, b, claim.metric),
        values=_differences(x, y),
        spread=_spread(x, y),
        images=images,
    )


def _psnr(claim: Claim, a: Sequence, b: Sequence | None, evidence: Evidence, images: int) -> _Measured:
    means = [run.psnr.mean() for run in a]
    if claim.b == "noisy":
        ours = crossed(np.stack([run.psnr - evidence.noisy for run in a]), photo=evidence.photo)
        return _Measured(
            claim,
            ours,
            values=tuple(m - evidence.noisy.mean() for m in means),
            spread=_spread(means),
            images=images,
        )
    if b is None:
        # The validation set is the authors' own here, and its mean is what the paper prints: only training varies.
        return _Measured(
            claim, mean_interval(means), values=tuple(means), spread=_spread(means), images=images
        )
    others = [run.psnr.mean() for run in b]
    ours = psnr_difference(a, b, evidence.photo)
    return _Measured(
        claim, ours, values=_differences(means, others), spread=_spread(means, others), images=images
    )


def _number(claim: Claim, evidence: Evidence) -> _Measured:
    if evidence.numbers.get(claim.number) is None:
        return _Measured(claim, missing=f"the chapter that measures {claim.number} has not run")
    ours, log = interval_of(evidence.numbers[claim.number]), None
    if claim.scale == "log":
        log = _with_error(
            Interval(
                *(None if v is None else float(np.log(v)) for v in (ours.value, ours.low, ours.high)),
                ours.n,
                ours.method,
                df=ours.df,
            )
        )
    elif ours.se is None:
        ours = _with_error(ours)
    return _Measured(claim, ours, log, images=evidence.images)


def interval_of(number) -> Interval:
    """Return a number that a chapter kept as an Interval: a plain one has none."""
    if not isinstance(number, Mapping):
        return Interval(float(number), None, None, 0, "value")
    known = {key: number.get(key) for key in ("low", "high", "se", "df")}
    return Interval(value=number["value"], n=number.get("n", 0), method=number.get("method", ""), **known)


def count(row: str) -> int:
    """Return the trainable weights of a row of Table 2, counted on the network itself."""
    from n2nlib.models import build, count_parameters

    name, options = networks()[row]
    return count_parameters(build(name, **options))


def work(row: str) -> int:
    """Return the multiply-adds of one 32x32 image through a row of Table 2, recorded on the network itself."""
    from n2nlib.models import build
    from n2nlib.models.summary import multiply_adds

    name, options = networks()[row]
    return multiply_adds(build(name, **options))


def _count(claim: Claim, evidence: Evidence) -> _Measured:
    of = work if claim.metric == "multiply_adds" else count
    value = of(claim.a) / (of(claim.b) if claim.b else 1000 if claim.unit == "thousand" else 1)
    return _Measured(claim, Interval(value, value, value, 1, "count"))


def _verdict(m: _Measured, p: float | None, tests: int, evidence: Evidence) -> Judged:
    claim, ours = m.claim, m.ours

    def judged(verdict: str, why: str) -> Judged:
        return Judged(claim, ours, p, verdict, why[0].upper() + why[1:], m.spread)

    if claim.kind == "unrun":
        return judged(TOO_SMALL, f"{claim.why}.")
    if claim.kind == "absolute" and not evidence.authors_data:
        return judged(
            NO_DATA,
            "the level belongs to the authors' images; on other photographs only differences are judged.",
        )
    if m.missing:
        return judged(TOO_SMALL, f"{m.missing}.")
    if claim.kind in ("count", "ratio"):
        return _counted(claim, ours, judged)

    what = f"{describe(claim)} is {value_text(ours, claim)}{_from(m)}"
    if not m.large_enough:
        needed = paper.images() if claim.size == "paper" else claim.size
        return judged(
            TOO_SMALL, f"{what} after {m.images:,} training images; this claim is judged from {needed:,} on."
        )
    if m.sides is None:
        if claim.size != "paper" and m.holds:
            return judged(DIRECTION, f"{what}: {_bounds(claim)} each time, too few for an interval.")
        return judged(TOO_SMALL, f"{what}: too few for an interval.")
    control = evidence.numbers.get(claim.control)
    verdict, why = _tested(m, p, tests, None if control is None else interval_of(control))
    if m.images < paper.images():
        # Runs this small may show an order; they say nothing of its size, and nothing against the paper.
        if verdict not in (REPRODUCED, DIRECTION):
            return judged(TOO_SMALL, f"{what}: {why}; runs this small are not held against the paper.")
        verdict = DIRECTION
    return judged(verdict, f"{what}: {why}.")


def _tested(m: _Measured, p: float, tests: int, control: Interval | None) -> tuple[str, str]:
    """Return the verdict that an interval carries, and the reason."""
    claim, value = m.claim, m.ours.value
    support, against = m.sides
    bounds, holm_p = _bounds(claim), f"adjusted {_p(p)}"
    if p >= ALPHA:
        if 2 * min(support, against) < ALPHA:
            return (
                NOT_REPRODUCED,
                f"taken alone {'' if support < against else 'not '}{bounds}, but not surely among {tests} tests ({holm_p})",
            )
        ruled_out = claim.least is not None and (
            m.ours.high < claim.least if claim.above is not None else m.ours.low > claim.least
        )
        return NOT_REPRODUCED, (
            f"this does not decide whether it lies {bounds} ({holm_p})"
            + (
                f", but leaves no room for the {claim.least:g} that we take the words to stand for"
                if ruled_out
                else ""
            )
        )
    if against < support:
        return CONTRADICTED, f"not {bounds}, where the claim has it ({holm_p})"
    if claim.least is not None and not (
        value > claim.least if claim.above is not None else value < claim.least
    ):
        return (
            DIRECTION,
            f"{bounds} ({holm_p}), but by less than the {claim.least:g} that we take the words to stand for",
        )
    if claim.control and not (control and control.low > 0):
        beside = "less than" if control and control.high < 0 else "not shown to be more than"
        by = f" ({control:+z.3f})" if control is not None else ", which was not measured"
        return DIRECTION, f"{bounds} ({holm_p}), but {beside} {claim.control_is}{by}"
    if claim.published is None or claim.kind in ("absolute", "amount"):
        return REPRODUCED, f"{bounds} ({holm_p})"
    theirs = value_text(claim.published, claim)
    if abs(m.ours.value - claim.published) <= claim.tolerance:
        return (
            REPRODUCED,
            f"{bounds} ({holm_p}), and the paper's {theirs} is within {claim.tolerance:g} ({claim.reason})",
        )
    return (
        DIRECTION,
        f"{bounds} ({holm_p}), but the paper's {theirs} is further than {claim.tolerance:g} away ({claim.reason})",
    )


def _counted(claim: Claim, ours: Interval, judged) -> Judged:
    if claim.kind == "ratio":
        good = ours.value > claim.above
        return judged(
            REPRODUCED if good else CONTRADICTED, f"{describe(claim)} is {ours.value:.1f}: {claim.why}."
        )
    good = abs(ours.value - claim.published) <= claim.tolerance
    return judged(
        REPRODUCED if good else CONTRADICTED,
        f"counted on the network, {value_text(ours, claim)}; {claim.reason}.",
    )


def row_name(row: str) -> str:
    """Return a row's name in words: a learning rate is TNet's."""
    return f"TNet at {row}" if row[:1].isdigit() else row


def describe(claim: Claim) -> str:
    """Return the measured quantity of a claim in words, as "TNet - UNet"."""
    if claim.kind == "number":
        return claim.quantity
    a, b = row_name(claim.a), row_name(claim.b)
    if claim.kind == "ratio":
        return f"the number of {'weights' if claim.metric == 'parameters' else 'multiply-adds an image'} of {a} over {b}'s"
    return f"{a} − {b}" if b else a


def _from(m: _Measured) -> str:
    """Return how many values a measurement comes from, in words."""
    n, method = m.ours.n, m.ours.method
    what = (
        "initialisation"
        if m.values or method.startswith(("crossed", "difference"))
        else "photograph"
        if "photograph" in method
        else ""
    )
    if not n or not what:
        return f" (n = {n})" if n else ""
    return f" from {n} {what}{'s' if n > 1 else ''}"


def condition(claim: Claim) -> str:
    """Return in a few words when a claim holds, as the ledger prints it: its bounds, and after "in full" what its words or its number add."""
    if claim.kind == "unrun":
        return "–"
    unit = _unit(claim)
    near = (
        []
        if claim.tolerance is None
        else [
            f"within {claim.tolerance:g}{unit} of the paper's" if claim.tolerance else "equal to the paper's"
        ]
    )
    if claim.kind in ("count", "absolute", "amount"):
        return near[0]
    near += (
        [] if claim.least is None else [f"{'above' if claim.above is not None else 'below'} {claim.least:g}"]
    )
    return f"{_bounds(claim)}{unit}" + (f"; in full {near[0]}" if near else "")


def _bounds(claim: Claim) -> str:
    above, below = claim.above, claim.below
    if above is not None and below is not None:
        return f"within ±{below:g}" if above == -below else f"between {above:g} and {below:g}"
    return f"above {above:g}" if above is not None else f"below {below:g}"


def value_text(x: float | Interval, claim: Claim) -> str:
    """Return a claim's value, printed or measured, with its unit; of a count or ratio, which are exact, without interval."""
    exact = claim.kind in ("count", "ratio") and isinstance(x, Interval)
    return f"{x.value if exact else x:{number_format(claim)}}{_unit(claim)}"


def _unit(claim: Claim) -> str:
    return "" if claim.kind == "ratio" else f" {claim.unit}".rstrip()


def number_format(claim: Claim) -> str:
    """Return how a claim's values are printed: counts whole or in tenths of a thousand, decibels to two digits, ratios and areas under a curve to three, losses to five, differences with a sign."""
    if claim.kind in ("count", "ratio"):
        return ",.0f" if claim.kind == "count" and not claim.unit else ".1f"
    digits = (
        ".5f"
        if "loss" in claim.metric
        else ".3f"
        if claim.scale == "log" or claim.kind == "number" and not claim.unit
        else ".2f"
    )
    signed = claim.kind in ("difference", "amount") or claim.kind == "number" and claim.unit == "dB"
    return f"{'+' * signed}z{digits}"  # z: a rounded zero has no minus sign


def _p(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def _with_error(interval: Interval) -> Interval:
    """Return the interval with the standard error that its two ends stand for (95 %, Student's t)."""
    if interval.low is None or interval.n < FEWEST:
        return replace(interval, low=None, high=None)
    df = interval.df or interval.n - 1
    return replace(interval, se=(interval.high - interval.low) / (2 * sps.t.ppf(0.975, df)), df=df)


def _differences(x, y) -> tuple[float, ...]:
    """Return the differences of single initialisations, in the order in which both are there."""
    return tuple(i - j for i, j in zip(x, y, strict=False))


def _spread(*rows) -> float | None:
    """Return the standard deviation over initialisations of a difference of independent values."""
    if any(len(row) < FEWEST for row in rows):
        return None
    return float(np.sqrt(sum(np.var(row, ddof=1) for row in rows)))
