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


PROFILES = {
    p.name: p
    for p in (
        Profile(
            "smoke",
            n_train=256,
            n_val=40,
            epochs=2,
            seeds=2,
            unet_seeds=1,
            extra_seeds=1,
            saliency=8,
            slow=2,
            trials=2,
        ),
        Profile(
            "quick",
            n_train=3_250,
            n_val=200,
            epochs=4,
            seeds=2,
            unet_seeds=1,
            extra_seeds=1,
            saliency=40,
            slow=8,
            trials=4,
        ),
        Profile(
            "overnight",
            n_train=8_000,
            n_val=1_000,
            epochs=10,
            seeds=5,
            unet_seeds=3,
            extra_seeds=3,
            saliency=200,
            slow=50,
            trials=12,
        ),
        Profile(
            "paper",
            n_train=50_000,
            n_val=1_000,
            epochs=50,
            seeds=5,
            unet_seeds=5,
            extra_seeds=3,
            saliency=200,
            slow=50,
            trials=48,
        ),
        Profile(
            "paper-bf16",
            n_train=50_000,
            n_val=1_000,
            epochs=50,
            seeds=5,
            unet_seeds=3,
            extra_seeds=3,
            saliency=200,
            slow=50,
            trials=12,
            precision="bf16",
        ),
    )
}


def profile(name: str) -> Profile:
    """Return the profile of that name; raises ReportError for an unknown one."""
    if name not in PROFILES:
        raise unknown_name("profile", name, PROFILES)
    return PROFILES[name]
