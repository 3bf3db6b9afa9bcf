"""How large a report is: the profiles, from `smoke` to the paper's size."""

from __future__ import annotations

from dataclasses import dataclass

from n2nlib.errors import unknown_name
from n2nlib.spec import RunSpec


@dataclass(frozen=True)
class Profile:
    """The sizes of a report and the arithmetic of its training; all else is the same at every profile.

    `seeds` for the paper's own rows, `unet_seeds` for UNet's among them (ten times the cost per image),
    `extra_seeds` for everything beyond them; `trials` of the network search; `saliency` images for
    the Jacobian measurements, `slow` images for filters that take about a second each.
    `precision` is the arithmetic of training: `bf16` is two to four times as fast on a CPU with AMX.
    Evaluation is always in fp32.
    """

    name: str
    n_train: int
    n_val: int
    epochs: int
    seeds: int
    unet_seeds: int
    extra_seeds: int
    saliency: int
    slow: int
    trials: int
    precision: str = "fp32"

    def spec(self, fingerprint: str, **changes) -> RunSpec:
        """Return the paper's TNet run at this size on a dataset, with some fields changed."""
        base = {"n_train": self.n_train, "epochs": self.epochs, "precision": self.precision}
        return RunSpec.from_dict({"dataset": fingerprint, **base, **changes})


# fmt: off
_ALL = (
    #       name        n_train  n_val epochs seeds unet_seeds extra_seeds saliency slow trials precision
    Profile("smoke",        256,    40,     2,    2,         1,          1,       8,   2,     2),
    Profile("quick",      3_250,   200,     4,    2,         1,          1,      40,   8,     4),
    Profile("overnight",  8_000, 1_000,    10,    5,         3,          3,     200,  50,    12),
    Profile("paper",     50_000, 1_000,    50,    5,         5,          3,     200,  50,    48),
    Profile("paper-bf16", 50_000, 1_000,   50,    5,         3,          3,     200,  50,    12, "bf16"),
)
# fmt: on
PROFILES = {profile.name: profile for profile in _ALL}


def profile(name: str) -> Profile:
    """Return the profile of that name; raises ReportError for an unknown one."""
    if name not in PROFILES:
        raise unknown_name("profile", name, PROFILES)
    return PROFILES[name]
