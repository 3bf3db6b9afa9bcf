"""Judging claims: from measured quantities to verdicts that say no more than these can carry.

Rules, the same for the paper's claims and for questions of our own:

- A claim about trained networks needs runs of the paper's training size (50,000 pairs x 50 epochs). Only a
  claim whose `size` is a number of training images may be read from smaller runs, and then its order alone.
- No interval from fewer than three seeds or three photographs, and no verdict against the paper without an
  interval.
- An order (one bound) is tested two-sided, an equality (two bounds) by two one-sided t tests (TOST) at 5 %.
  The p values of all tests that can lead to a verdict are adjusted together by Holm's method.
- What counts as equal is `paper.margin`, for every claim about runs.
- A level in dB depends on the images. On others than the authors' it is judged by what the runs would reach
  on theirs, predicted from the public pairs, with an interval that widens outside the range of the
  calibration.
"""

from __future__ import annotations

from collections.abc import Sequence

from n2nlib import paper
from n2nlib.analysis.claim_words import bounds, came_from, describe, least_text, p_text, value_text
from n2nlib.analysis.claims import (
    COMPATIBLE,
    CONTRADICTED,
    DIRECTION,
    INCOMPATIBLE,
    LISTED,
    NO_DATA,
    NO_RUN,
    NOT_REPRODUCED,
    REPRODUCED,
    TOO_FEW,
    TOO_SMALL,
    Evidence,
    Judged,
)
from n2nlib.analysis.intervals import Interval, holm
from n2nlib.analysis.quantities import Measured, measure, within
from n2nlib.paper import Claim

#: The chance of any false finding in the whole ledger.
ALPHA = 0.05


def judge(evidence: Evidence, claims: Sequence[Claim] | None = None) -> list[Judged]:
    """Judge every claim (or those given), adjusting for how many are tested at once."""
    measured = [measure(claim, evidence) for claim in (paper.claims() if claims is None else claims)]
    tested = [i for i, m in enumerate(measured) if _testable(m, evidence)]
    p, strict = (holm([min(measured[i].sides(strict)) for i in tested]) for strict in (False, True))
    tests = {i: _Test(*both, len(tested)) for i, *both in zip(tested, p, strict, strict=True)}
    return [_verdict(m, tests.get(i), evidence) for i, m in enumerate(measured)]


class _Test:
    """A claim's adjusted p value, also with n - 1 degrees of freedom, and the number of tests."""

    def __init__(self, p: float, strict: float, tests: int):
        self.p, self.tests = p, tests
        self.decided = p < ALPHA
        self.text = f"adjusted {p_text(p)}"
        if self.decided != (strict < ALPHA):
            self.text += f"; {p_text(strict)} with n - 1 degrees of freedom, so the verdict depends on these"


def _testable(m: Measured, evidence: Evidence) -> bool:
    """Whether a test of the claim can lead to a verdict."""
    if m.claim.kind in ("count", "statement") or m.missing or not m.large_enough:
        return False
    if m.claim.kind == "level" and not evidence.authors_data:
        return False
    return m.sides() is not None


def _verdict(m: Measured, test: _Test | None, evidence: Evidence) -> Judged:
    claim = m.claim
    elsewhere = claim.kind == "level" and not evidence.authors_data

    def judged(verdict: str, why: str, ours: Interval | None = m.ours) -> Judged:
        return Judged(claim, ours, test and test.p, verdict, f"{why[0].upper()}{why[1:]}.", m.spread)

    if claim.kind == "statement":
        return judged(LISTED, claim.why)
    if claim.metric == "published_loss" and elsewhere:
        why = "a loss depends on the images, and the authors' training images are not public"
        return judged(NO_DATA, why)
    if m.missing:
        return judged(NO_RUN, m.missing)
    if claim.kind == "count":
        return judged(*_counted(m))
    what = f"{m.what or describe(claim)} is {value_text(m.ours, claim)}{came_from(m)}"
    if not m.large_enough:
        needed = paper.images() if claim.size == "paper" else claim.size
        why = f"{what} after {m.images:,} training images; this claim is judged from {needed:,} on"
        return judged(TOO_SMALL, why)
    if elsewhere:
        return judged(*_level(m, evidence))
    if test is None:
        if claim.size != "paper" and m.holds:
            return judged(DIRECTION, f"{what}: {bounds(claim)} each time, too few for an interval")
        return judged(TOO_FEW, f"{what}: too few for an interval")
    verdict, why = _tested(m, test, evidence.number(claim.control))
    if m.images < paper.images():
        # Runs this small may show an order; they say nothing of its size, and nothing against the paper.
        if verdict not in (REPRODUCED, DIRECTION):
            return judged(TOO_SMALL, f"{what}: {why}; runs this small cannot contradict the paper")
        verdict = DIRECTION
    return judged(verdict, f"{what}: {why}")


def _tested(m: Measured, test: _Test, control: Interval | None) -> tuple[str, str]:
    """Return the verdict that an interval carries, and the reason."""
    claim, value, where, least = m.claim, m.ours.value, bounds(m.claim), m.claim.least
    support, against = m.sides()
    upwards = claim.above is not None
    if not test.decided:
        if min(support, against) < ALPHA:
            alone = where if support < against else f"not {where}"
            why = f"{alone} on its own, but not after Holm's correction for {test.tests} tests ({test.text})"
            return NOT_REPRODUCED, why
        why = f"inconclusive on whether it is {where} ({test.text})"
        if least is not None and (m.ours.high < least if upwards else m.ours.low > least):
            why += f"; the interval excludes the {least:g} that the words are taken to mean"
        return NOT_REPRODUCED, why
    if against < support:
        return CONTRADICTED, f"not {where}, unlike the claim ({test.text})"
    found = f"{where} ({test.text})"
    if least is not None and not (value > least if upwards else value < least):
        return DIRECTION, f"{found}, but not {least_text(claim)}, which the words are taken to mean"
    if claim.control and not (control and control.low > 0):
        beside = "less than" if control and control.high < 0 else "not significantly more than"
        by = f" ({control:+z.3f})" if control is not None else ", which was not measured"
        return DIRECTION, f"{found}, but {beside} {claim.control_is}{by}"
    if claim.published is None or claim.kind in ("level", "amount"):
        return REPRODUCED, found
    theirs, margin = value_text(claim.published, claim), f"the margin of {claim.tolerance:g}"
    if abs(value - claim.published) <= claim.tolerance:
        return REPRODUCED, f"{found}, and the paper's {theirs} is within {margin}"
    return DIRECTION, f"{found}, but the paper's {theirs} is further away than {margin}"


def _level(m: Measured, evidence: Evidence) -> tuple[str, str, Interval | None]:
    """Judge a printed level by what the runs would reach on the authors' images."""
    published, name = m.claim.published, f"authors.level.{m.claim.a}"
    predicted = evidence.number(name)
    if predicted is None:
        why = "the level was not predicted for the authors' images"
        if name in evidence.numbers:
            why = ("on the authors' public pairs this row is too far outside the calibrated range to predict "
                   "its level")  # fmt: skip
        return NO_DATA, why, m.ours
    if not predicted:
        why = f"{predicted:.2f} dB is predicted for the authors' images: too few for an interval"
        return TOO_FEW, why, predicted
    in_range = evidence.numbers[name]["in_range"]
    wider = "" if in_range else ", wider because the row is outside the calibrated range"
    verdict, side = (COMPATIBLE, "inside") if predicted.holds(published) else (INCOMPATIBLE, "outside")
    why = (
        f"predicted for the authors' validation images {predicted:.2f} dB (95 % prediction interval{wider}); "
        f"the paper's {published:.2f} dB is {side}"
    )
    return verdict, why, predicted


def _counted(m: Measured) -> tuple[str, str]:
    claim, value = m.claim, m.ours.value
    if claim.published is None:
        good = within(value, claim)
    else:
        good = abs(value - claim.published) <= claim.tolerance
    why = f"{describe(claim)} is {value_text(m.ours, claim)}; {claim.why}"
    return (REPRODUCED if good else CONTRADICTED), why
