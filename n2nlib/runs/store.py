"""The run store: every trained run and every dear measurement under the hash of what made it.

A run's folder is built under another name and renamed when whole; `FINISHED`, written last, holds the SHA-256 of
every file, so that a half-written or altered run is never believed.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from n2nlib import __version__, paths
from n2nlib.errors import ReportError, StoreError
from n2nlib.spec import SEMANTICS, RunSpec

WEIGHTS = "model.safetensors"
#: What a folder must hold to be a run or a measurement; a measurement may have arrays beside.
RUN_FILES = {"spec.json", "history.csv", "metrics.json", "psnr.npy", WEIGHTS, "env.json"}
#: Variables by which a git hook names its own repository.
REPOSITORY = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_PREFIX", "GIT_NAMESPACE"}
MEASUREMENT_FILES = {"inputs.json", "values.json", "env.json"}


@dataclass(frozen=True)
class Run:
    """A finished run, read from the store."""

    spec: RunSpec
    folder: Path

    @property
    def id(self) -> str:
        return self.spec.id

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """Final numbers: psnr and psnr_global in dB, loss, published_loss (None unless the loss is L2), images, parameters, seconds."""
        return json.loads((self.folder / "metrics.json").read_text())

    @cached_property
    def history(self) -> pd.DataFrame:
        """One row an epoch: epoch, images, loss, published_loss, psnr (dB, NaN where not measured), seconds."""
        return pd.read_csv(self.folder / "history.csv")

    @cached_property
    def psnr(self) -> np.ndarray:
        """PSNR of each validation image in dB: (n_val,) float64."""
        return np.load(self.folder / "psnr.npy", allow_pickle=False)

    @cached_property
    def env(self) -> dict[str, Any]:
        """Where the run was made: versions, device, commit, seconds."""
        return json.loads((self.folder / "env.json").read_text())

    @property
    def arithmetic(self) -> str:
        """The precision of training."""
        return self.spec.precision

    def model(self):
        """Return the trained network on the CPU, in eval mode."""
        from safetensors.torch import load_file

        from n2nlib.models import build

        network = build(self.spec.network, **self.spec.options)
        network.load_state_dict(load_file(self.folder / WEIGHTS))
        return network.eval()


class RunStore:
    """The folder of finished runs and measurements; `paths.store()` unless told otherwise."""

    def __init__(self, folder: Path | None = None):
        self.folder = Path(folder or paths.store())

    def path(self, spec: RunSpec) -> Path:
        return self.folder / "runs" / spec.id

    @property
    def checkpoints(self) -> Path:
        return self.folder / ".checkpoints"

    def has(self, spec: RunSpec) -> bool:
        """Say whether a run is there, whole and unaltered."""
        return whole(self.path(spec))

    def get(self, spec: RunSpec) -> Run:
        """Return a finished run; raises StoreError if it is missing, half-written or altered."""
        folder = self.path(spec)
        if not folder.exists():
            raise StoreError(
                f"run {spec.id} ({spec.network}, initialisation {spec.seed}) is not in {self.folder}: train it."
            )
        if not whole(folder):
            raise StoreError(
                f"run {spec.id} in {folder} {fault(folder)}: `make report` sets it aside and trains it again."
            )
        return Run(spec, folder)

    def all(self) -> list[Run]:
        """Return every whole run of the store that this version could have made; another version's are passed over."""
        found = []
        for folder in sorted((self.folder / "runs").glob("[0-9a-f]*")):
            if whole(folder):
                try:
                    spec = RunSpec.from_dict(json.loads((folder / "spec.json").read_text()))
                except (ReportError, TypeError):  # a field, or a value, that this version does not know
                    continue
                if spec.id == folder.name:
                    found.append(Run(spec, folder))
        return found

    def put(self, trained) -> Run:
        """Write a `training.Trained`; a run that is there already and whole is left as it is.

        Raises StoreError where the store cannot be written.
        """
        from safetensors.torch import save_file

        spec = trained.spec

        def fill(folder: Path) -> None:
            write_json(folder / "spec.json", spec.to_dict())
            pd.DataFrame(trained.history).to_csv(folder / "history.csv", index=False)
            write_json(folder / "metrics.json", trained.metrics)
            np.save(folder / "psnr.npy", trained.psnr, allow_pickle=False)
            save_file(trained.weights, folder / WEIGHTS)
            write_json(
                folder / "env.json",
                environment(trained.device) | trained.notes | {"seconds": trained.metrics["seconds"]},
            )

        self._place(self.path(spec), fill)
        self.drop_checkpoints(spec)
        return Run(spec, self.path(spec))

    def damaged(self) -> dict[Path, str]:
        """Return each run and measurement that is there and cannot be believed, with what is wrong with it."""
        folders = [
            *(self.folder / "runs").glob("[0-9a-f]*"),
            *(self.folder / "measurements").glob("*/[0-9a-f]*"),
        ]
        return {folder: fault(folder) for folder in sorted(folders) if not whole(folder)}

    def damage(self) -> str:
        """Return a sentence on the entries that cannot be believed, and how to get them back; empty where there are none."""
        faults = Counter(self.damaged().values())
        if not faults:
            return ""
        kinds = "; ".join(
            f"{n} {'entry' if n == 1 else 'entries'} {what}" for what, n in faults.most_common(3)
        )
        repair = "git rm -rq --cached results && git reset -q && git checkout -- results"
        return (
            f"{self.folder} holds {faults.total()} runs or measurements that do not match their checksums and are not used: {kinds}. "
            f"Tracked ones come back with `{repair}`; `make report` moves others to {self.folder / 'set-aside'} when it makes them again."
        )

    def set_aside(self, folder: Path) -> Path:
        """Move a damaged entry into `set-aside/` of the store, from where it can be taken back; return its new place."""
        kept = self.folder / "set-aside" / folder.relative_to(self.folder)
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept = next(
            p
            for p in (kept.with_name(f"{kept.name}{end}") for end in ("", *(f".{i}" for i in range(1, 1000))))
            if not p.exists()
        )
        folder.rename(kept)
        print(
            f"{folder} {fault(kept)}: it was moved to {kept}, and is made again.", file=sys.stderr, flush=True
        )
        return kept

    def drop_checkpoints(self, spec: RunSpec) -> None:
        """Remove what a run would go on from."""
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
            raise StoreError(
                f"{folder} cannot be written ({error}): free some space or check the permissions."
            ) from error
        with held:
            yield

    def measurement(
        self, name: str, inputs: Mapping[str, Any], compute: Callable[[], dict[str, Any]]
    ) -> dict[str, Any]:
        """Return a dear measurement, computed once for a name and its inputs (JSON values).

        `compute` returns JSON values and, under the key "arrays", NumPy arrays by name; both come back alike. Another
        process that wants the same measurement waits for it. Raises StoreError where the store cannot be written.
        """
        identity = json.dumps({"name": name, "inputs": dict(inputs)}, sort_keys=True)
        folder = self.folder / "measurements" / name / hashlib.sha256(identity.encode()).hexdigest()[:16]
        if not whole(folder):
            with self._locked(folder.name):
                if not whole(folder):
                    self._measure(name, inputs, compute, folder)
        values = json.loads((folder / "values.json").read_text())
        arrays = {f.stem: np.load(f, allow_pickle=False) for f in sorted(folder.glob("*.npy"))}
        return values | ({"arrays": arrays} if arrays else {})

    def _measure(self, name, inputs, compute, folder: Path) -> None:
        values = dict(compute())
        arrays = {k: np.asarray(v) for k, v in values.pop("arrays", {}).items()}

        def fill(part: Path) -> None:
            write_json(part / "inputs.json", {"name": name, "inputs": dict(inputs)})
            write_json(part / "values.json", values)
            write_json(part / "env.json", environment())
            for key, array in arrays.items():
                np.save(part / f"{key}.npy", array, allow_pickle=False)

        self._place(folder, fill)

    def _place(self, folder: Path, fill: Callable[[Path], None]) -> None:
        """Fill a temporary folder, seal it with FINISHED and rename it to `folder`."""
        if whole(folder):
            return
        part = None
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            part = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
            part.chmod(0o755)
            fill(part)
            write_json(part / "FINISHED", {"files": {f.name: sha256(f) for f in sorted(part.iterdir())}})
            if folder.exists() and not whole(folder):
                self.set_aside(folder)
            part.rename(folder)  # fails where another process was first
        except OSError as error:
            if whole(folder):  # another process was first
                return
            raise StoreError(
                f"{folder} cannot be written ({error}): free some space or check the permissions, then start again."
            ) from error
        finally:
            if part is not None:
                shutil.rmtree(part, ignore_errors=True)


def whole(folder: Path) -> bool:
    """Say whether a folder of the store has all files of a run or a measurement, unaltered since FINISHED was written."""
    try:
        files = json.loads((folder / "FINISHED").read_text())["files"]
        expected = RUN_FILES <= files.keys() or MEASUREMENT_FILES <= files.keys()
        return expected and all(sha256(folder / name) == digest for name, digest in files.items())
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
    ):  # unreadable, no JSON, or JSON of another shape
        return False


def fault(folder: Path) -> str:
    """Say what is wrong with a folder of the store that is not `whole`, and the likely cause."""
    try:
        files = json.loads((folder / "FINISHED").read_text(encoding="utf-8"))["files"]
        missing = [name for name in files if not (folder / name).exists()]
        altered = [name for name in files if name not in missing and sha256(folder / name) != files[name]]
        converted = [name for name in altered if _with_unix_lines(folder / name) == files[name]]
    except FileNotFoundError:
        return "is half-written (no FINISHED)"
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return "has an unreadable FINISHED"
    if converted:
        return "has converted line endings, as git with core.autocrlf=true or an editor makes them"
    if missing or altered:
        return "; ".join(
            f"has {what} files ({', '.join(names)})"
            for what, names in (("missing", missing), ("altered", altered))
            if names
        )
    return "lacks files that this version expects"


def _with_unix_lines(path: Path) -> str:
    return hashlib.sha256(path.read_bytes().replace(b"\r\n", b"\n")).hexdigest()


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def json_text(values: Any) -> str:
    """Return values as JSON that any reader takes: NaN is refused, not written."""
    return json.dumps(values, indent=1, sort_keys=True, allow_nan=False, default=_plain) + "\n"


def write_json(path: Path, values: Any) -> None:
    path.write_text(json_text(values))


def _plain(value):
    """Turn NumPy's scalars and arrays into JSON's."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is no JSON value")


def environment(device: str = "cpu") -> dict[str, Any]:
    """Return what a result was made with: versions, device, commit."""
    import torch

    return {
        "commit": commit(),
        "device": processor() if device == "cpu" else device,
        "kind": "cpu" if device == "cpu" else "cuda",
        "n2nlib": __version__,
        "numpy": np.__version__,
        "platform": platform.platform(terse=True),
        "python": platform.python_version(),
        "semantics": SEMANTICS,
        "torch": torch.__version__,
    }


@cache
def commit() -> str:
    """Return the checkout's commit, with a + where the library differs from it; for an archive the commit it was made of.

    "unknown", with the reason in brackets, where neither can be told.
    """
    root = paths.root()
    if not (root / ".git").exists():  # not in a checkout, or in that of another project
        text = (Path(__file__).with_name("commit.txt")).read_text(encoding="utf-8").strip()
        return "unknown (not a git checkout)" if "$" in text else text[:12]
    environment = {k: v for k, v in os.environ.items() if k not in REPOSITORY}

    def git(*words):
        return subprocess.run(
            ["git", *words], cwd=root, env=environment, capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=normal", "--", "n2nlib", "notebooks")
        return git("rev-parse", "--short=12", "HEAD") + ("+" if changed else "")
    except FileNotFoundError:
        return "unknown (git is not installed)"
    except subprocess.CalledProcessError as error:
        owner = "dubious ownership" in error.stderr
        return (
            "unknown (the checkout belongs to another user)"
            if owner
            else "unknown (git cannot read the checkout)"
        )


@cache
def processor() -> str:
    """Return the name of this machine's processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or sys.platform
