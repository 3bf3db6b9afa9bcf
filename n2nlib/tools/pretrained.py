"""`n2n pretrained`: write the weights that come with the package, and their manifest, from the store."""

from __future__ import annotations

import argparse
import hashlib

from safetensors.torch import save

from n2nlib import paths, pretrained
from n2nlib.errors import StoreError
from n2nlib.runs.store import Run, RunStore, json_text

#: Name -> run: the first seed at the paper's size, of BaseNet the second, because its first ends 4 dB below
#: the others. SmallNet is augmented, with a cosine schedule; the others have the paper's recipe.
RUNS = {
    "tnet": "9c3976dc5c9cba4f",
    "smallnet": "8b63e19faaf1a314",
    "basenet": "79e514022bbecb04",
    "unet": "a3d3ef89c04a99ef",
}


def main(arguments: list[str]) -> int:
    """Write weights and manifest; raises StoreError for a run that is not stored."""
    argparse.ArgumentParser(prog="n2n pretrained", description=__doc__).parse_args(arguments)
    stored = {run.id: run for run in RunStore().all()}
    manifest = {}
    for name, run in RUNS.items():
        if run not in stored:
            raise StoreError(f"run {run} ({name}) is not stored: fetch results/evidence, or train it.")
        weights = rounded(stored[run])
        paths.write(pretrained.FOLDER / f"{name}.safetensors", weights)
        manifest[name] = entry(stored[run], weights)
        print(f"{name}: run {run}, {len(weights):,} bytes")
    paths.write(pretrained.FOLDER / "manifest.json", json_text(manifest))
    return 0


def rounded(run: Run) -> bytes:
    """Return a run's weights as 16-bit floating-point numbers, in the form of a safetensors file."""
    return save({name: value.half().contiguous() for name, value in run.model().state_dict().items()})


def entry(run: Run, weights: bytes) -> dict:
    """Return what the manifest says of a run and its file of weights."""
    return {
        "run": run.id,
        "spec": run.spec.to_dict(),
        "images": run.spec.images,
        "psnr": round(run.metrics["psnr"], 4),
        "sha256": hashlib.sha256(weights).hexdigest(),
    }
