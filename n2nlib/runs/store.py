"""The run store: every trained run and every expensive measurement under the hash of what made it.

Two layers are read as one: the local store, which takes all that is new and which git ignores, and the
tracked evidence. Where both hold an entry, the local one counts. An entry is one file (see `archive`).
"""

from __future__ import annotations

import io
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from n2nlib import paths
from n2nlib.environment import environment
from n2nlib.errors import ReportError, StoreError
from n2nlib.runs import archive, folders
from n2nlib.runs.archive import WEIGHTS, array, array_bytes, fault, json_text, whole
from n2nlib.spec import SEMANTICS, RunSpec

#: The local layer's list of entries of the evidence that FRESH has asked to make again.
SUPERSEDED = ".superseded"


@dataclass(frozen=True)
class Run:
    """A finished run, read from its file in the store."""

    spec: RunSpec
    file: Path

    @property
    def id(self) -> str:
        return self.spec.id

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """Final numbers: psnr and psnr_global (dB), loss, published_loss, images, parameters, seconds.

        published_loss is None unless the loss is L2.
        """
        return json.loads(archive.read(self.file, "metrics.json"))

    @cached_property
    def history(self) -> pd.DataFrame:
        """One row per epoch: epoch, images, loss, published_loss, psnr (dB, NaN: not measured), seconds."""
        return pd.read_csv(io.BytesIO(archive.read(self.file, "history.csv")))

    @cached_property
    def psnr(self) -> np.ndarray:
        """PSNR of each validation image in dB: (n_val,) float64."""
        return array(archive.read(self.file, "psnr.npy"))

    @cached_property
    def env(self) -> dict[str, Any]:
        """Where the run was made: versions, device, commit, seconds."""
        return json.loads(archive.read(self.file, "env.json"))

    @property
    def arithmetic(self) -> str:
        """The precision of training."""
        return self.spec.precision

    @property
    def weights_sha256(self) -> str:
        """SHA-256 of the trained weights as a safetensors file, known even where they are not kept."""
        return archive.sums(self.file)[WEIGHTS]

    @property
    def has_weights(self) -> bool:
        return WEIGHTS in archive.names(self.file)

    def model(self):
        """Return the trained network on the CPU, in eval mode; raises StoreError without its weights."""
        from safetensors.torch import load

        from n2nlib.models import build

        try:
            weights = archive.read(self.file, WEIGHTS)
        except KeyError:
            raise StoreError(
                f"the weights of run {self.id} ({self.spec.network}, seed {self.spec.seed}) are not kept "
                f"in the evidence: `n2n verify {self.id} --keep` trains it again into the local store "
                f"and compares it (it took {self.metrics['seconds']:.0f} s)."
            ) from None
        network = build(self.spec.network, **self.spec.options)
        network.load_state_dict(load(weights))
        return network.eval()


class RunStore:
    """Finished runs and measurements: the local store and the evidence, or one given folder."""

    def __init__(self, folder: Path | None = None):
        self.folder = Path(folder or paths.store())
        self.layers = (self.folder,) if folder else (self.folder, paths.evidence())
        folders.convert_once(self.folder)

    def path(self, spec: RunSpec) -> Path:
        """Return where a run is written: its file in the local layer."""
        return self.folder / _run_name(spec)

    @property
    def checkpoints(self) -> Path:
        return self.folder / ".checkpoints"

    def find(self, name: str) -> Path | None:
        """Return the first whole file of that name in the layers; None where there is none."""
        return next((file for file in self.files(name) if whole(file)), None)

    def files(self, name: str) -> list[Path]:
        """Return the files of that name in the layers, whole or not."""
        layers = self.layers[:1] if name in self._superseded else self.layers
        return [file for layer in layers if (file := layer / name).exists()]

    def names(self, pattern: str) -> list[str]:
        """Return the sorted names of the entries of all layers that match a pattern, such as `runs/*.zip`."""
        found = {f.relative_to(layer).as_posix() for layer in self.layers for f in layer.glob(pattern)}
        return sorted(name for name in found if self.files(name))

    def has(self, spec: RunSpec) -> bool:
        """Say whether a run is stored, whole and unaltered."""
        return self.find(_run_name(spec)) is not None

    def get(self, spec: RunSpec) -> Run:
        """Return a finished run; raises StoreError if it is missing, half-written or altered."""
        if file := self.find(_run_name(spec)):
            return Run(spec, file)
        damaged = self.files(_run_name(spec))
        if not damaged:
            raise StoreError(
                f"run {spec.id} ({spec.network}, seed {spec.seed}) is not in {self.folder}: train it."
            )
        raise StoreError(f"{damaged[0]} {fault(damaged[0])}: `make report` trains the run again.")

    def all(self) -> list[Run]:
        """Return every whole run that this version could have made; another version's are passed over."""
        found = []
        for name in self.names("runs/[0-9a-f]*.zip"):
            if file := self.find(name):
                try:
                    spec = RunSpec.from_dict(json.loads(archive.read(file, "spec.json")))
                except (ReportError, TypeError):  # a field or a value that is unknown to this version
                    continue
                if spec.id == file.stem:
                    found.append(Run(spec, file))
        return found

    def put(self, trained) -> Run:
        """Write a `training.Trained`; a whole run that is stored already is kept.

        Raises StoreError where the store cannot be written.
        """
        from safetensors.torch import save

        spec, file = trained.spec, self.path(trained.spec)
        if not whole(file):
            notes = trained.notes | {"semantics": SEMANTICS, "seconds": trained.metrics["seconds"]}
            history = pd.DataFrame(trained.history).to_csv(index=False, lineterminator="\n")
            members = {
                "spec.json": json_text(spec.to_dict()).encode(),
                "history.csv": history.encode(),
                "metrics.json": json_text(trained.metrics).encode(),
                "psnr.npy": array_bytes(trained.psnr),
                WEIGHTS: save(trained.weights),
                "env.json": json_text(environment(trained.device) | notes).encode(),
            }
            self._place(file, members)
        self.drop_checkpoints(spec)
        return Run(spec, file)

    def damaged(self) -> dict[Path, str]:
        """Return each stored run and measurement that fails its check, with the reason."""
        files = [
            file
            for layer in self.layers
            for pattern in ("runs/[0-9a-f]*.zip", "measurements/*/[0-9a-f]*.npz")
            for file in sorted(layer.glob(pattern))
        ]
        return {file: what for file in files if (what := fault(file))}

    def damage(self) -> str:
        """Return a sentence on the entries that cannot be believed, and how to get them back, or ""."""
        faults = Counter(self.damaged().values())
        if not faults:
            return ""
        kinds = "; ".join(
            f"{'one' if n == 1 else f'each of {n}'} {what}" for what, n in faults.most_common(3)
        )
        are = "run or measurement is" if faults.total() == 1 else "runs or measurements are"
        return (
            f"{' and '.join(map(str, self.layers))}: {faults.total()} {are} damaged and not used: {kinds}. "
            "Tracked ones come back with `git checkout -- results/evidence`; `make report` moves others to "
            f"{self.folder / 'set-aside'} when it rebuilds them."
        )

    def set_aside(self, file: Path) -> Path:
        """Move a damaged entry of the local layer into its `set-aside/`; return its new place."""
        kept = self.folder / "set-aside" / file.relative_to(self.folder)
        kept.parent.mkdir(parents=True, exist_ok=True)
        what = fault(file)
        free = (kept.with_name(f"{kept.name}{end}") for end in ("", *(f".{i}" for i in range(1, 1000))))
        kept = next(p for p in free if not p.exists())
        file.rename(kept)
        print(f"{file} {what}: it was moved to {kept} and will be rebuilt.", file=sys.stderr, flush=True)
        return kept

    def forget(self, specs: Iterable[RunSpec], dataset: str) -> int:
        """Let runs be trained again, and measured again what names them or that dataset alone.

        Entries of the local layer are removed. The evidence keeps its copies, and a list in the local layer
        says that they do not count; without that file they count again. Returns the number of entries.
        """
        specs = list(specs)
        ids = {spec.id for spec in specs}
        # Runs last: were this interrupted, no measurement would name a run that is gone.
        gone = [
            name for name in self.names("measurements/*/*.npz")
            if (named := self.measured_of(name)) & ids or named == {dataset}
        ]  # fmt: skip
        gone += [name for spec in specs if self.files(name := _run_name(spec))]
        tracked = [name for name in gone if any((layer / name).exists() for layer in self.layers[1:])]
        if tracked:
            text = "".join(f"{name}\n" for name in sorted(self._superseded.union(tracked)))
            paths.write(self.folder / SUPERSEDED, text)
        for name in gone:
            (self.folder / name).unlink(missing_ok=True)
        for spec in specs:
            self.drop_checkpoints(spec)
        return len(gone)

    def measured_of(self, name: str) -> set[str]:
        """Return the ids of runs and datasets that a measurement names; none where it is damaged."""
        file = self.find(name)
        return folders.named(archive.read(file, "inputs.json")) if file else set()

    @property
    def _superseded(self) -> frozenset[str]:
        file = self.folder / SUPERSEDED
        try:
            state = file.stat()
        except (FileNotFoundError, NotADirectoryError):
            return frozenset()
        return _lines(file, state.st_mtime_ns, state.st_size, state.st_ino)

    def drop_checkpoints(self, spec: RunSpec) -> None:
        """Remove what an interrupted run would resume from."""
        for file in self.checkpoints.glob(f"{spec.id}.*"):
            file.unlink(missing_ok=True)

    def lock(self, spec: RunSpec):
        """Hold a run for training; another process that wants the same run waits, then finds it finished.

        Raises StoreError where the store cannot be written.
        """
        return self._locked(spec.id)

    @contextmanager
    def _locked(self, name: str):
        from n2nlib.locks import lock

        folder = self.folder / ".locks"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            held = lock(folder / name)
        except OSError as error:
            raise StoreError(paths.unwritable(folder, error)) from error
        with held:
            yield

    def measurement(
        self, name: str, inputs: Mapping[str, Any], compute: Callable[[], dict[str, Any]]
    ) -> dict[str, Any]:
        """Return an expensive measurement, computed once for a name and its inputs (JSON values).

        `compute` returns JSON values and, under the key "arrays", NumPy arrays by name; both come back alike.
        Another process that wants the same measurement waits for it. Raises StoreError where the store cannot
        be written.
        """
        entry = archive.measurement_name(name, inputs)
        file = self.find(entry)
        if file is None:
            with self._locked(Path(entry).stem):
                file = self.find(entry) or self._measure(self.folder / entry, name, inputs, compute)
        with archive.opened(file) as members:
            values = json.loads(members("values.json"))
            names = sorted(n for n in archive.names(file) if n.endswith(".npy"))
            arrays = {n.removesuffix(".npy"): array(members(n)) for n in names}
        return values | ({"arrays": arrays} if arrays else {})

    def _measure(self, file: Path, name, inputs, compute) -> Path:
        values = dict(compute())
        arrays = {f"{k}.npy": array_bytes(np.asarray(v)) for k, v in values.pop("arrays", {}).items()}
        members = {
            "inputs.json": json_text({"name": name, "inputs": dict(inputs)}).encode(),
            "values.json": json_text(values).encode(),
            "env.json": json_text(environment() | {"semantics": SEMANTICS}).encode(),
        }
        self._place(file, members | arrays)
        return file

    def _place(self, file: Path, members: Mapping[str, bytes]) -> None:
        """Write an entry of the local layer in one move; a damaged one is set aside."""
        try:
            if file.exists() and not whole(file):
                self.set_aside(file)
            with paths.writing(file) as out:
                out.write(archive.pack(members))
        except OSError as error:
            raise StoreError(paths.unwritable(file, error)) from error


@cache
def _lines(file: Path, *_state: int) -> frozenset[str]:
    return frozenset(file.read_text(encoding="utf-8").splitlines())


def _run_name(spec: RunSpec) -> str:
    return f"runs/{spec.id}.zip"
