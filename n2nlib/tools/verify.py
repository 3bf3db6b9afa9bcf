"""`make verify`: retrain a sample of the stored runs and compare.

On the same kind of processor with the same versions a run comes back to the same weights. Another processor
sums in another order, which training amplifies until the run is as good as one from another seed. So a run
with other weights has come back if its PSNR differs by no more than two seeds of its row may: in 99 of 100
cases by less than t * sqrt(2) * s, with s the row's own standard deviation over its stored seeds. A run
with the same weights must have the same PSNR. A row of fewer than three seeds has no spread, and its runs
are not judged.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections import Counter, defaultdict
from itertools import zip_longest
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from n2nlib import paths
from n2nlib.data import Dataset, open_dataset
from n2nlib.device import emulates_bf16, resolve
from n2nlib.errors import ReportError
from n2nlib.models import NETWORKS
from n2nlib.profiles import PROFILES
from n2nlib.runs.speed import COST
from n2nlib.runs.store import Run, RunStore
from n2nlib.runs.sweep import sweep
from n2nlib.text import pipe_table

#: PSNRs of the same weights differ by what rounding does to pixels between two of the 256 levels.
SAME_WEIGHTS_DB = 1e-3


def datasets(names: list[str]) -> dict[str, Dataset]:
    """Return the named datasets at every profile, by fingerprint: only their runs can be retrained."""
    opened = [
        open_dataset(name, n_train=p.n_train, n_val=p.n_val) for name in names for p in PROFILES.values()
    ]
    return {c.fingerprint: c for c in opened}


def sample(runs: list[Run], n: int) -> list[Run]:
    """Return n runs spread over the kinds of run, the cheapest of each kind first."""
    kinds = defaultdict(list)
    for run in sorted(runs, key=lambda r: (r.spec.images * COST.get(r.spec.network, 1.0), r.id)):
        kinds[run.spec.network, run.spec.options, run.spec.loss, run.spec.scheme].append(run)
    return [run for turn in zip_longest(*kinds.values()) for run in turn if run][:n]


def without_emulation(runs: list[Run], device: str) -> list[Run]:
    """Return the runs without those in bf16 where this CPU only emulates it, and report them."""
    lower = [run for run in runs if run.spec.precision == "bf16"]
    if not lower or device != "cpu" or not emulates_bf16():
        return runs
    print(f"{len(lower)} runs in bf16 are left out: this CPU has no bfloat16 arithmetic.", file=sys.stderr)
    return [run for run in runs if run.spec.precision != "bf16"]


def named(stored: list[Run], ids: list[str]) -> list[Run]:
    """Return the runs of some ids; raises ReportError for one that cannot be retrained."""
    found = {run.id: run for run in stored}
    for id in ids:
        if id not in found:
            raise ReportError(
                f"run {id} is not stored, or its dataset is not among those named by --dataset: name it."
            )
    return [found[id] for id in ids]


def compare(runs: list[Run], known: dict[str, Dataset], device: str, store: RunStore) -> pd.DataFrame:
    """Retrain runs into a store; return a row each: both PSNRs, and whether the bits are the same."""
    again = sweep([r.spec for r in runs], known, device=device, store=store)
    rows = []
    for old, new in zip(runs, again, strict=True):
        rows.append(
            {
                "run": old.id,
                "network": old.spec.network,
                "stored (dB)": old.metrics["psnr"],
                "again (dB)": new.metrics["psnr"],
                "difference (dB)": new.metrics["psnr"] - old.metrics["psnr"],
                "weights": "same" if old.weights_sha256 == new.weights_sha256 else "differ",
                "images": "same" if np.array_equal(old.psnr, new.psnr) else "differ",
            }
        )
    return pd.DataFrame(rows)


def tolerance(run: Run, stored: list[Run]) -> float:
    """Return by how many dB two seeds of a row may differ, in 99 of 100 cases; NaN below three."""
    row = [r.metrics["psnr"] for r in stored if r.spec.replace(seed=0) == run.spec.replace(seed=0)]
    if len(row) < 3:
        return math.nan
    return float(stats.t.ppf(0.995, len(row) - 1) * math.sqrt(2) * np.std(row, ddof=1))


def judged(found: pd.DataFrame, allowed: list[float]) -> pd.DataFrame:
    """Add to a table of `compare` what is allowed, and the result: "yes", "no" or "not judged"."""
    same = found["weights"] == "same"
    allowed = np.where(same, SAME_WEIGHTS_DB, allowed)
    near = found["difference (dB)"].abs() <= allowed
    verdict = np.where(np.isnan(allowed), "not judged", np.where(near, "yes", "no"))
    return found.assign(**{"allowed (dB)": allowed, "came back": verdict})


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="n2n verify", description=__doc__)
    parser.add_argument("ids", nargs="*", metavar="ID", help="runs to retrain (default: a sample)")
    parser.add_argument(
        "--keep", action="store_true", help="keep the runs of these ids, with weights, in the local store"
    )
    parser.add_argument(
        "--dataset",
        action="append",
        help=(
            "datasets to look among (may be given more than once; default: bundled, with ids "
            "imagenet-sample too)"
        ),
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("-n", type=int, default=8, help="runs to retrain (default: 8)")
    options = parser.parse_args(arguments)
    if options.n < 1:
        raise ReportError(f"-n is {options.n}: retrain at least 1 run.")
    if options.keep and not options.ids:
        raise ReportError("--keep needs the ids of runs: `n2n verify ID --keep`.")
    default = ["bundled", "imagenet-sample"] if options.ids else ["bundled"]
    known = datasets(options.dataset or default)
    stored = [r for r in RunStore().all() if r.spec.dataset in known and r.spec.network in NETWORKS]
    device = resolve(options.device)
    runs = named(stored, options.ids) or sample(without_emulation(stored, device), options.n)
    if not runs:
        raise ReportError(
            "the store holds no run on these datasets: make a report first, or name another with DATASET=."
        )
    with tempfile.TemporaryDirectory() as folder:
        store = RunStore(paths.store() if options.keep else Path(folder))
        found = judged(compare(runs, known, device, store), [tolerance(r, stored) for r in runs])
    texts = found.map(lambda v: ("–" if math.isnan(v) else f"{v:.4f}") if isinstance(v, float) else str(v))
    print(pipe_table(texts))
    counts = Counter(found["came back"])
    parts = [f"{counts['yes']} of {len(found)} runs came back"]
    if counts["no"]:
        parts.append(f"{counts['no']} did not")
    if counts["not judged"]:
        few = "other weights, and fewer than three seeds in the row"
        parts.append(f"{counts['not judged']} not judged ({few})")
    print(f"{', '.join(parts)}.")
    return 1 if counts["no"] else 0
