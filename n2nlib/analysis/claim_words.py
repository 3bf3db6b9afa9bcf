"""How claims, their bounds and their values are put in words and printed."""

from __future__ import annotations

from n2nlib.analysis.intervals import Interval
from n2nlib.analysis.quantities import Measured, row_name
from n2nlib.paper import Claim

COUNTED = {"parameters": "weights", "macs": "MACs per image", "convolutions": "convolutions",
           "max_pools": "max pooling layers"}  # fmt: skip


def describe(claim: Claim) -> str:
    """Return the measured quantity of a claim in words, as "TNet - UNet"."""
    if claim.quantity:
        return claim.quantity
    a, b = row_name(claim.a), row_name(claim.b)
    if claim.kind == "count":
        return f"the number of {COUNTED[claim.metric]} of {a}" + (f" over that of {b}" if b else "")
    return f"{a} − {b}" if b else a


def condition(claim: Claim) -> str:
    """Return when a claim holds, as the ledger prints it.

    After "in full": what its words or its number add.
    """
    if claim.kind == "statement":
        return "–"
    unit, near = _unit(claim), []
    if claim.tolerance == 0:
        near.append("equal to the paper's")
    elif claim.tolerance is not None:
        near.append(f"within {claim.tolerance:g}{unit} of the paper's")
    if claim.above is claim.below is None or claim.kind in ("level", "amount"):
        return near[0]
    if claim.least is not None:
        near.append(f"{least_text(claim)}{unit}")
    also = ", and where there is detail above 0" if claim.also else ""
    return f"{bounds(claim)}{unit}{also}" + (f"; in full {' and '.join(near)}" if near else "")


def bounds(claim: Claim) -> str:
    """Return a claim's bounds, as "above 0"."""
    above, below = claim.above, claim.below
    if above is not None and below is not None:
        return f"within ±{below:g}" if above == -below else f"between {above:.6g} and {below:.6g}"
    return f"above {above:g}" if above is not None else f"below {below:g}"


def least_text(claim: Claim) -> str:
    """Return the smallest effect that a claim's words stand for, as "above 1.1"."""
    return f"{'above' if claim.above is not None else 'below'} {claim.least:g}"


def value_text(x: float | Interval, claim: Claim) -> str:
    """Return a claim's value, printed or measured, with its unit; an exact one without interval."""
    exact = claim.kind == "count" and isinstance(x, Interval)
    return f"{x.value if exact else x:{number_format(claim)}}{_unit(claim)}"


def number_format(claim: Claim) -> str:
    """Return how a claim's values are printed.

    Counts whole or in tenths, dB to two digits, ratios to three.
    """
    if claim.kind == "count":
        return ".1f" if claim.b or claim.unit == "thousand" or claim.metric.startswith("adam") else ",.0f"
    ratio = claim.scale == "log" or claim.kind in ("number", "spread") and not claim.unit
    digits = ".5f" if "loss" in claim.metric else ".3f" if ratio else ".2f"
    signed = claim.kind in ("difference", "amount", "best") or claim.kind == "number" and claim.unit == "dB"
    return f"{'+' * signed}z{digits}"  # z: a rounded zero has no minus sign


def _unit(claim: Claim) -> str:
    return "" if claim.kind == "count" and claim.b else f" {claim.unit}".rstrip()


def came_from(m: Measured) -> str:
    """Return how many values a measurement comes from, in words."""
    n, method = m.ours.n, m.ours.method
    seeds = m.values or "seeds" in method or method.startswith(("Welch", "difference"))
    what = "seed" if seeds else "photograph" if "photograph" in method else ""
    if not n or not what:
        return f" (n = {n})" if n else ""
    return f" from {n} {what}{'s' if n > 1 else ''}"


def p_text(p: float) -> str:
    """Return a p value as "p = 0.047"."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
