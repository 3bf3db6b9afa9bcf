"""`make verify`: retrain a sample of the stored runs and compare; writes beside the store, never into it.

On the processor that made a run its bits come back. Elsewhere sums are rounded in another order; the runs may then
differ, but by less than 0.05 dB, which is what initialisations differ by.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from .corpus import Corpus, open_corpus
from .device import resolve
from .errors import ReportError
from .models import NETWORKS
from .runs import Run, RunStore
from .spec import PROFILES
from .sweep import COST, sweep
from .text import pipe_table

TOLERANCE_DB = 0.05


def corpora(names: list[str]) -> dict[str, Corpus]:
    """Return the corpora of some names at every profile, by fingerprint; runs on any other cannot be remade."""
    opened = [open_corpus(name, n_train=p.n_train, n_val=p.n_val) for name in names for p in PROFILES.values()]
    return {c.fingerprint: c for c in opened}


def sample(runs: list[Run], n: int) -> list[Run]:
    """Return n runs spread over the kinds of run, the cheapest of each kind first."""
    kinds: dict[tuple, list[Run]] = {}
    for run in sorted(runs, key=lambda r: (r.spec.images * COST.get(r.spec.network, 1.0), r.id)):
        kinds.setdefault((run.spec.network, run.spec.options, run.spec.loss, run.spec.scheme), []).append(run)
    rounds = max(map(len, kinds.values()), default=0)
    spread = [members[i] for i in range(rounds) for members in kinds.values() if i < len(members)]
    return spread[:n]


def compare(runs: list[Run], known: dict[str, Corpus], device: str) -> pd.DataFrame:
    """Retrain runs in a folder that is thrown away and return a row each: PSNR stored and again, and whether the bits are the same."""
    with tempfile.TemporaryDirectory() as folder:
        again = sweep([r.spec for r in runs], known, device=device, store=RunStore(Path(folder)))
        rows = []
        for old, new in zip(runs, again, strict=True):
            rows.append(
                {
                    "run": old.id,
                    "network": old.spec.network,
                    "stored (dB)": old.metrics["psnr"],
                    "again (dB)": new.metrics["psnr"],
                    "difference (dB)": new.metrics["psnr"] - old.metrics["psnr"],
                    "weights": "same" if same_weights(old, new) else "differ",
                    "images": "same" if np.array_equal(old.psnr, new.psnr) else "differ",
                }
            )
    return pd.DataFrame(rows)


def same_weights(old: Run, new: Run) -> bool:
    """Say whether two runs ended in the same weights, to the bit."""
    a, b = old.model().state_dict(), new.model().state_dict()
    return all(torch.equal(a[k], b[k]) for k in a)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make verify", description=__doc__)
    parser.add_argument("--corpus", action="append", help="corpora to look among (default: bundled; may be given more than once)")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("-n", type=int, default=8, help="runs to retrain (default: 8)")
    options = parser.parse_args(arguments)
    try:
        if options.n < 1:
            raise ReportError(f"-n is {options.n}: retrain at least 1 run.")
        known = corpora(options.corpus or ["bundled"])
        runs = sample([r for r in RunStore().all() if r.spec.corpus in known and r.spec.network in NETWORKS], options.n)
        if not runs:
            raise ReportError("the store holds no run on these corpora: make a report first, or name another with CORPUS=.")
        found = compare(runs, known, resolve(options.device))
    except ReportError as error:
        print(f"verify: {error}", file=sys.stderr)
        return 2
    print(pipe_table(found.map(lambda v: f"{v:.4f}" if isinstance(v, float) else str(v))))
    far = found[found["difference (dB)"].abs() > TOLERANCE_DB]
    print(f"{len(found) - len(far)} of {len(found)} runs come back within {TOLERANCE_DB} dB.")
    return 1 if len(far) else 0


if __name__ == "__main__":
    sys.exit(main())
