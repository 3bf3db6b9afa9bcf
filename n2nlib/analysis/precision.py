"""Training in lower precision beside training in fp32: differences over all stored runs."""

from __future__ import annotations

from collections.abc import Sequence

from n2nlib.analysis.intervals import FEWEST, Interval, paired
from n2nlib.runs.store import RunStore
from n2nlib.spec import RunSpec

Effect = tuple[RunSpec, str, Interval]


def precision_effects(store: RunStore, precisions: Sequence[str] = ("bf16",)) -> list[Effect]:
    """Return (kind of run, precision, PSNR in dB minus that in fp32) from three pairs of runs on.

    Pairs share dataset, size and seed; intervals are at 90 %. Without precisions the store is not read.
    """
    kinds: dict[RunSpec, dict[int, dict[str, float]]] = {}
    for run in store.all() if precisions else []:
        kind = run.spec.replace(seed=0, precision="fp32")
        kinds.setdefault(kind, {}).setdefault(run.spec.seed, {})[run.arithmetic] = run.metrics["psnr"]
    out = []
    for kind in sorted(kinds, key=lambda kind: (kind.images, described(kind))):
        for precision in precisions:
            both = [(found[precision], found["fp32"]) for found in kinds[kind].values()
                    if {"fp32", precision} <= found.keys()]  # fmt: skip
            if len(both) >= FEWEST:
                out.append((kind, precision, paired(*zip(*both, strict=True), confidence=0.9)))
    return out


def described(spec: RunSpec) -> str:
    """Return a run's network and what in its training is not the paper's TNet's, as words."""
    told = spec.changes("dataset", "n_train", "epochs", "network", "seed", "precision")
    options = told.pop("options", {})
    return ", ".join([spec.network, *(f"{k} {v}" for k, v in {**options, **told}.items())])
