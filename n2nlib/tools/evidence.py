"""`n2n evidence`: take runs of the local store into the tracked evidence, and check it.

The evidence keeps the weights of what something reads: at the paper's size all small networks, the
first seed of large ones, and what comes with the package; at the small sizes what measurements,
`explore.ipynb` and the live check read. Of all others `index.csv` and the run's own file keep the hash, and
`n2n verify ID --keep` trains them again.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from n2nlib import paths
from n2nlib.data import authors, open_dataset
from n2nlib.errors import ReportError, StoreError, unknown_name
from n2nlib.experiments import all_runs
from n2nlib.models import NETWORKS
from n2nlib.profiles import PROFILES
from n2nlib.runs import archive, folders
from n2nlib.runs.archive import WEIGHTS
from n2nlib.runs.store import Run, RunStore
from n2nlib.spec import RunSpec
from n2nlib.tools import pretrained

INDEX = "index.csv"
#: Weights of up to so many bytes are those of a small network.
SMALL = 256 * 1024
#: Sizes of training, in images seen, at which weights are read: the tests', explore's and the paper's.
SMOKE, QUICK, PAPER = (PROFILES[name].n_train * PROFILES[name].epochs for name in ("smoke", "quick", "paper"))


def keeps_weights(spec: RunSpec, size: int, read: set[str]) -> bool:
    """Say whether the evidence keeps a run's weights of `size` bytes; `read`: runs that measurements name."""
    if spec.images >= PAPER:
        return size <= SMALL or spec.seed == 0 or spec.id in pretrained.RUNS.values()
    explored = spec.seed == 0 and (spec.loss == "L1" or spec.network not in NETWORKS)
    if spec.images == QUICK:
        return spec.seed == 0 and size <= SMALL
    return spec.images <= SMOKE and (spec.id in read or explored)


def add(source: RunStore, names: Iterable[str], evidence: Path) -> list[str]:
    """Copy entries of a store into the evidence and write its index; return the changed names.

    A present entry with other content is replaced. Raises StoreError for one that is damaged.
    """
    names = sorted(names)
    there = RunStore(evidence)
    measured = [(store, name) for store in (source, there) for name in store.names("measurements/*/*.npz")
                if store is there or name in names]  # fmt: skip
    read = set().union(*(store.measured_of(name) for store, name in measured))
    changed = [name for name in names if _copy(source, name, evidence / name, read)]
    paths.write(evidence / INDEX, index(evidence))
    return changed


def _copy(source: RunStore, name: str, target: Path, read: set[str]) -> bool:
    file = source.folder / name
    if fault := archive.fault(file):
        raise StoreError(f"{file} {fault}: name entries that exist and are whole.")
    members, left_out = archive.read_all(file), {}
    if file.suffix == ".zip" and WEIGHTS in members:
        spec = RunSpec.from_dict(json.loads(members["spec.json"]))
        if not keeps_weights(spec, len(members[WEIGHTS]), read):
            left_out = {WEIGHTS: archive.sha256(members.pop(WEIGHTS))}
    elif file.suffix == ".zip":
        left_out = {WEIGHTS: archive.sums(file)[WEIGHTS]}
        if archive.whole(target) and archive.sums(target) == archive.sums(file):
            return False  # it may have the weights that this one lacks
    content = archive.pack(members, left_out)
    if target.exists() and target.read_bytes() == content:
        return False
    paths.write(target, content)
    return True


def of_report(store: RunStore, report: str) -> list[str]:
    """Return the entries of a store that a report reads: its runs and their measurements.

    report: the name of its folder, as in `imagenet-sample-overnight`. Measurements of the authors' public
    pairs count, those of the same dataset's other runs do not.
    """
    dataset, profile = parsed(report)
    opened = open_dataset(dataset, n_train=PROFILES[profile].n_train, n_val=PROFILES[profile].n_val)
    ids = {spec.id for spec in all_runs(PROFILES[profile], opened)}
    others = {r.id for r in RunStore().all() + store.all() if r.spec.dataset == opened.fingerprint} - ids
    measured = {name: store.measured_of(name) for name in store.names("measurements/*/*.npz")}
    data = {opened.fingerprint, authors.fingerprint("pairs"), authors.fingerprint("checkpoint")}
    measured = {
        name: named for name, named in measured.items() if named & (ids | data) and not named & others
    }
    runs = [f"runs/{id}.zip" for id in ids.union(*measured.values())]
    return [*measured, *(name for name in runs if store.find(name))]


def parsed(report: str) -> tuple[str, str]:
    """Return dataset and profile of a report's folder name; raises ReportError for another name."""
    for profile in sorted(PROFILES, key=len, reverse=True):
        dataset = report.removesuffix(f"-{profile}")
        if dataset in ("bundled", "imagenet-sample") and dataset != report:
            return dataset, profile
    names = [f"{dataset}-{profile}" for dataset in ("bundled", "imagenet-sample") for profile in PROFILES]
    raise unknown_name("report", report, names)


def index(evidence: Path) -> str:
    """Return the index of the evidence as CSV, a row per run: its fields, its numbers, and hashes."""
    rows = sorted(map(_row, RunStore(evidence).all()), key=lambda row: [str(v) for v in row.values()])
    return pd.DataFrame(rows, columns=None if rows else ["id"]).to_csv(index=False, lineterminator="\n")


def _row(run: Run) -> dict[str, object]:
    spec, metrics = run.spec, run.metrics
    shown = ("dataset", "n_train", "epochs", "network", "options", "seed", "precision")
    changes = {**spec.options, **spec.changes(*shown)}
    return {
        "dataset": spec.dataset,
        "pairs": spec.n_train,
        "epochs": spec.epochs,
        "network": spec.network,
        "changes": " ".join(f"{k}={'+'.join(v) if isinstance(v, list) else v}" for k, v in changes.items()),
        "precision": spec.precision,
        "seed": spec.seed,
        "id": run.id,
        "psnr": f"{metrics['psnr']:.4f}",
        "loss": f"{metrics['loss']:.6g}",
        "seconds": f"{metrics['seconds']:.1f}",
        "commit": run.env["commit"],
        "weights": "kept" if run.has_weights else "",
        "weights_sha256": run.weights_sha256,
        "sha256": archive.sha256(run.file.read_bytes()),
    }


def faults(evidence: Path) -> list[str]:
    """Return a sentence on each fault of the evidence: entries, foreign files, and the index."""
    store = RunStore(evidence)
    found = [f"{file} {what}" for file, what in store.damaged().items()]
    entries = {*store.names("runs/*.zip"), *store.names("measurements/*/*.npz"), *store.names("search/*.csv")}
    files = {f.relative_to(evidence).as_posix() for f in evidence.rglob("*") if f.is_file()}
    found += [f"{evidence / name} does not belong there" for name in sorted(files - entries - {INDEX})]
    file = evidence / INDEX
    if not found and not (file.exists() and file.read_text(encoding="utf-8") == index(evidence)):
        found.append(f"{file} does not list the stored entries: `n2n evidence add` rewrites it")
    return found


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="n2n evidence", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    adding = commands.add_parser("add", help="copy runs and measurements into the evidence")
    adding.add_argument("ids", nargs="*", metavar="ID", help="runs, by their ids")
    adding.add_argument(
        "--report", metavar="NAME", help="what a report reads, as in imagenet-sample-overnight"
    )
    adding.add_argument("--from", dest="folder", type=Path, metavar="FOLDER",
                        help="another store than the local one; alone: all its runs")  # fmt: skip
    commands.add_parser("check", help="compare every entry with its checksums, and the index")
    options = parser.parse_args(arguments)
    return _check() if options.command == "check" else _add(options)


def _check() -> int:
    found = faults(paths.evidence())
    for sentence in found:
        print(sentence, file=sys.stderr)
    store = RunStore(paths.evidence())
    runs, measurements = (len(store.names(p)) for p in ("runs/*.zip", "measurements/*/*.npz"))
    print(f"{runs} runs and {measurements} measurements, {len(found) or 'no'} faults")
    return 1 if found else 0


def _add(options) -> int:
    if options.folder and not options.folder.is_dir():
        raise ReportError(f"{options.folder} is not a folder: name a store, as in results/store.")
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or paths.store()
        if folders.convert(folder, Path(temporary)):  # in the former form
            folder = Path(temporary)
        store = RunStore(folder)
        names = [f"runs/{id}.zip" for id in options.ids]
        names += of_report(store, options.report) if options.report else []
        if options.folder and not names:
            names = store.names("runs/*.zip")
        if not options.ids:
            for table in sorted(((options.folder or paths.store()) / "search").glob("*.csv")):
                paths.write(paths.evidence() / "search" / table.name, table.read_bytes())
        changed = add(store, set(names), paths.evidence())
    print(f"{len(changed)} of {len(set(names))} entries are new or changed; {INDEX} is written")
    return 0
