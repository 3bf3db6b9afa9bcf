"""The live check: one short stored run is retrained on this machine and compared."""

from __future__ import annotations

import tempfile
from pathlib import Path

from n2nlib.data import open_dataset
from n2nlib.profiles import profile
from n2nlib.runs.store import Run, RunStore
from n2nlib.runs.sweep import sweep
from n2nlib.spec import RunSpec

#: The profile of the run: TNet's first seed, some seconds on one core. Its dataset needs no download.
PROFILE, DATASET = "quick", "bundled"


def check() -> str:
    """Retrain the run of the live check in a temporary folder; return the result as a sentence."""
    size = profile(PROFILE)
    dataset = open_dataset(DATASET, n_train=size.n_train, n_val=size.n_val)
    spec = size.spec(dataset.fingerprint)
    store = RunStore()
    if not store.has(spec):
        return f"not done, because run {spec.id} is not stored"
    with tempfile.TemporaryDirectory() as folder:
        known = {dataset.fingerprint: dataset}
        [again] = sweep([spec], known, device="cpu", store=RunStore(Path(folder)), quiet=True)
        return compared(spec, store.get(spec), again)


def compared(spec: RunSpec, stored: Run, again: Run) -> str:
    """Return how a retrained run differs from the stored one."""
    was, psnr = stored.metrics["psnr"], again.metrics["psnr"]
    weights = (
        "the same weights"
        if again.weights_sha256 == stored.weights_sha256
        else "other weights, as on another processor"
    )
    return (
        f"{spec.network}, seed {spec.seed}, retrained on {spec.images:,} images of {DATASET} in "
        f"{again.metrics['seconds']:.0f} s: {psnr:.3f} dB, stored {was:.3f} dB, difference {psnr - was:+.3f} "
        f"dB; {weights}"
    )
