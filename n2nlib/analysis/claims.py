"""What a ledger of claims is made of: evidence, verdicts, judged claims. `verdicts` has the rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from n2nlib.analysis.intervals import Interval
from n2nlib.experiments import networks
from n2nlib.models import build, count_parameters
from n2nlib.models.summary import multiply_adds
from n2nlib.paper import Claim

REPRODUCED = "reproduced"
DIRECTION = "reproduced in direction"
COMPATIBLE = "compatible on the authors' images"
NOT_REPRODUCED = "not reproduced"
CONTRADICTED = "contradicted"
INCOMPATIBLE = "not compatible on the authors' images"
TOO_SMALL = "not tested at this size"
TOO_FEW = "too few runs"
NO_RUN = "no run"
NO_DATA = "not testable without the authors' data"
LISTED = "listed only"
VERDICTS = (REPRODUCED, DIRECTION, COMPATIBLE, NOT_REPRODUCED, CONTRADICTED, INCOMPATIBLE,
            TOO_SMALL, TOO_FEW, NO_RUN, NO_DATA, LISTED)  # fmt: skip
#: Verdicts that no test stands behind.
UNTESTED = (TOO_SMALL, TOO_FEW, NO_RUN, NO_DATA, LISTED)


@dataclass(frozen=True)
class Evidence:
    """What a ledger is judged from.

    runs: finished runs by row; numbers: what chapters measured, by name; noisy (N,): PSNR (dB) of the noisy
    validation images; photo (N,): the photograph of each; images: training images of a whole run at this
    size;
    authors_data: whether the dataset is the authors' own.
    """

    runs: Mapping[str, Sequence]
    numbers: Mapping[str, object]
    noisy: np.ndarray
    photo: np.ndarray
    images: int
    authors_data: bool = False

    def number(self, name: str) -> Interval | None:
        """Return a number that a chapter kept, a plain one without an interval.

        None where it was not measured.
        """
        kept = self.numbers.get(name)
        if kept is None:
            return None
        if not isinstance(kept, Mapping):
            return Interval(float(kept), None, None, 0, "value")
        known = {key: kept.get(key) for key in ("low", "high", "se", "df")}
        return Interval(value=kept["value"], n=kept.get("n", 0), method=kept.get("method", ""), **known)


@dataclass(frozen=True)
class Judged:
    """A claim with what was measured (None: nothing), its adjusted p value, verdict and why.

    `spread`: sample standard deviation over seeds of the measured value, None below three seeds.
    """

    claim: Claim
    ours: Interval | None
    p: float | None
    verdict: str
    why: str
    spread: float | None = None

    def to_dict(self) -> dict:
        """Return plain JSON values."""
        fields = "id topic place says unit published above below tolerance size shown".split()
        found = {name: getattr(self.claim, name) for name in fields}
        found |= {"ours": None if self.ours is None else self.ours.to_dict(), "spread": self.spread}
        return found | {"p_holm": self.p, "verdict": self.verdict, "why": self.why}


def count(row: str) -> int:
    """Return the trainable weights of a row of Table 2, counted on the network itself."""
    return count_parameters(network(row))


def work(row: str) -> int:
    """Return the MACs of one 32x32 image through a row of Table 2, recorded on the network itself."""
    return multiply_adds(network(row))


def network(row: str):
    """Build the network of a row of Table 2."""
    name, options = networks()[row]
    return build(name, **options)
