"""What is stale, and why: decided by content alone, since a clone loses modification times."""

from __future__ import annotations

import hashlib
import json
import platform
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from n2nlib import paths, profiles
from n2nlib.data import open_corpus
from n2nlib.errors import ReportError, unknown_name
from n2nlib.experiments import all_runs
from n2nlib.report.closure import closure, code_of, data_files, load_notebook
from n2nlib.report.pictures import linked_file
from n2nlib.runs.store import RunStore
from n2nlib.spec import RunSpec

#: Packages whose version may change a result.
PACKAGES = (
    "torch",
    "numpy",
    "pandas",
    "scipy",
    "matplotlib",
    "scikit-image",
    "scikit-learn",
    "pillow",
    "PyWavelets",
)
#: Name of the step that writes report.html and report.pdf.
REPORT = "report"

#: A link of Markdown (`](...)`, `]: ...`) or of HTML (`src=...`), perhaps to a picture.
LINK = re.compile(
    r"""(?:\]\(\s*<?|\]:\s*<?|src\s*=\s*["']?)([^"'<>]+?)(?=[>)"']|\s+["'>]|\s*$)""", re.MULTILINE
)

#: A chapter's name: two digits, an underscore, then letters, digits and underscores.
CHAPTER = re.compile(r"[0-9]{2}_[A-Za-z0-9_]+")


@dataclass(frozen=True)
class Settings:
    """What a reader can choose for one report."""

    dataset: str
    profile: str
    device: str
    train: bool = True
    executor: str = "local"

    @property
    def folder(self) -> Path:
        return paths.report(self.dataset, self.profile)

    @property
    def figures(self) -> Path:
        return paths.figures(self.dataset, self.profile)

    @property
    def parameters(self) -> dict[str, str | bool]:
        """What a chapter's parameters cell is given."""
        names = ("dataset", "profile", "device", "train", "executor")
        return {name: getattr(self, name) for name in names}

    @property
    def command(self) -> str:
        """The command that makes this report."""
        return f"make report PROFILE={self.profile} DATASET={shlex.quote(self.dataset)}"

    def command_for(self, chapter: str) -> str:
        """The command that executes one chapter again and shows the result."""
        return f"{self.command} CHAPTER={chapter.partition('_')[0]}"

    @cached_property
    def opened(self):
        """The dataset, opened (cheap: files and checksums are listed, no pair is built)."""
        size = profiles.profile(self.profile)
        return open_corpus(self.dataset, n_train=size.n_train, n_val=size.n_val)

    def file(self, name: str) -> Path:
        """Return where an output lies: `figures/x.pdf` under the figures' folder, all else under the report's."""
        kind, _, rest = name.partition("/")
        return self.figures / rest if kind == "figures" else self.folder / name


@dataclass(frozen=True)
class Step:
    """One chapter, or the report itself: what goes in, what came out, and why it is stale (None when it is not)."""

    name: str
    inputs: dict[str, str]
    reason: str | None


def chapters() -> list[str]:
    """Return the names of the chapters in order; the last, `*_report`, reads what the others wrote.

    A notebook is a chapter if its name matches `CHAPTER`: `08_mine` is one; `Untitled`, `my_notes` and
    `01_data-Copy1` are not.
    """
    names = sorted(p.stem for p in paths.notebooks().glob("*.ipynb") if CHAPTER.fullmatch(p.stem))
    if not names:
        raise ReportError(
            f"there is no chapter in {paths.notebooks()}: it should hold 01_data.ipynb and its like."
        )
    return sorted(names, key=reads_others)


def reads_others(chapter: str) -> bool:
    """Tell whether a chapter is made from what the others wrote."""
    return chapter.endswith("_report")


def chapter_named(text: str) -> str:
    """Return the chapter that `03` or `03_lr_grid_search` names."""
    for name in chapters():
        if text in (name, name.partition("_")[0]):
            return name
    raise unknown_name("chapter", text, chapters())


def plan(settings: Settings, force: Iterable[str] = ()) -> list[Step]:
    """Return every step in order, each with the reason why it must be made again, or None.

    `force` names chapters that are made again whatever their state. A chapter that reads the others is stale when one of them is,
    and so is the report.
    """
    state = State(settings)
    steps: list[Step] = []
    for name in chapters():
        inputs = chapter_inputs(settings, name, state)
        reason = "asked for" if name in force else state.reason(name, inputs)
        if reason is None and reads_others(name) and (stale := [s.name for s in steps if s.reason]):
            reason = f"reads {', '.join(stale)}"
        steps.append(Step(name, inputs, reason))
    inputs = report_inputs(settings, state)
    reason = state.reason(REPORT, inputs)
    if reason is None and any(s.reason for s in steps):
        reason = "shows the chapters above"
    return [*steps, Step(REPORT, inputs, reason)]


def chapter_inputs(settings: Settings, chapter: str, state: State) -> dict[str, str]:
    """Return name -> content of all that a chapter's result depends on."""
    package = Path(__file__).resolve().parent.parent
    notebook = load_notebook(paths.notebooks() / f"{chapter}.ipynb")
    modules = closure(code_of(notebook, f"{chapter}.ipynb"), package)
    read = [_content(cell) for cell in notebook["cells"]]
    inputs = {"the notebook": digest(json.dumps(read).encode())}
    inputs |= {name: digest(path.read_bytes()) for name, path in modules.items()}
    inputs |= {
        f.relative_to(package.parent).as_posix(): digest(f.read_bytes())
        for f in data_files(package, modules.values())
    }
    inputs |= _parameters(settings)
    inputs |= {what: look() for module, (what, look) in FOUND.items() if module in inputs}
    if reads_others(chapter):
        others = [c for c in chapters() if not reads_others(c)]
        inputs |= {f"what {c} wrote": state.written(c, "numbers/", "tables/") for c in others}
    return inputs


def _content(cell: Mapping) -> list:
    """Return what of a cell a result can depend on: whatever JupyterLab adds when it saves is left out."""
    source = "".join(cell["source"]).splitlines(keepends=True)
    pictures = [cell["attachments"]] if cell.get("attachments") else []
    return [cell["cell_type"], source, cell["metadata"].get("tags", []), *pictures]


def report_inputs(settings: Settings, state: State) -> dict[str, str]:
    """Return name -> content of all that report.html and report.pdf depend on."""
    here = Path(__file__).parent
    inputs = {f"what {c} wrote": state.written(c, "notebooks/", "figures/") for c in chapters()}
    inputs |= _linked_pictures(settings)
    if (citation := paths.root() / "CITATION.cff").exists():
        inputs["CITATION.cff"] = digest(citation.read_bytes())
    inputs |= {
        f"n2nlib/report/{p.name}": digest(p.read_bytes()) for p in sorted(here.iterdir()) if p.is_file()
    }
    return inputs | {f"{p} version": version(p) for p in ("pypandoc_binary", "typst", "pillow", "matplotlib")}


def _linked_pictures(settings: Settings) -> dict[str, str]:
    """Return name -> content of the files that the Markdown of executed chapters links to."""
    found = {}
    for chapter in chapters():
        path = settings.file(f"notebooks/{chapter}.ipynb")
        for cell in load_notebook(path)["cells"] if path.exists() else []:
            text = "".join(cell["source"]) if cell["cell_type"] == "markdown" else ""
            for link in LINK.findall(text):
                file = linked_file(link)
                if file is not None and file.is_file():
                    found[file.relative_to(paths.root().absolute()).as_posix()] = digest(file.read_bytes())
    return dict(sorted(found.items()))


def _parameters(settings: Settings) -> dict[str, str]:
    chosen = {"dataset": settings.dataset, "profile": settings.profile, "device": settings.device}
    out = {f"parameter {name}": repr(value) for name, value in chosen.items()}
    out["the dataset"] = settings.opened.fingerprint
    out["the notes on the dataset"] = settings.opened.notes_digest
    out |= {f"{package} version": version(package) for package in PACKAGES}
    if not settings.train:
        out["the stored runs"] = digest(
            " ".join(s.id for s in wanted_runs(settings) if RunStore().has(s)).encode()
        )
    return out | {"Python version": ".".join(platform.python_version_tuple()[:2])}


def _searches() -> str:
    store = RunStore()
    tables = [store.files(name)[0] for name in store.names("search/*.csv")]
    return digest(b"".join(digest(t.read_bytes()).encode() for t in tables))


#: Module -> what else a chapter that uses it shows, and how it is known: what a reader may fetch, install or make meanwhile.
FOUND = {
    "n2nlib.tools.bench": (
        "the benchmark's record",
        lambda: digest(f.read_bytes()) if (f := paths.results() / "bench" / "cpu.json").exists() else "",
    ),
    "n2nlib.tools.search": ("the searches that were made", _searches),
    "n2nlib.evaluation.classical": ("whether bm3d is installed", lambda: str(find_spec("bm3d") is not None)),
    "n2nlib.evaluation.transfer": (
        "whether imagenet-sample is on this machine",
        lambda: str(open_corpus("imagenet-sample").at_hand),
    ),
}


class State:
    """What was made, from what: `state.json` in the report's folder."""

    def __init__(self, settings: Settings):
        self.settings = settings
        self.path = settings.folder / "state.json"
        try:
            self.steps = json.loads(self.path.read_text())
        except (FileNotFoundError, ValueError):
            self.steps = {}

    def reason(self, name: str, inputs: Mapping[str, str]) -> str | None:
        """Return why a step must be made again, or None if its inputs and outputs are what they were."""
        if name not in self.steps:
            return "never made"
        was = self.steps[name]["inputs"]
        if not was:
            return "FRESH=1 was not finished"
        changed = [k for k in inputs if inputs[k] != was.get(k)] + [
            f"{k} (gone)" for k in was if k not in inputs
        ]
        if changed:
            return _list(changed, "changed")
        outputs = self.steps[name]["outputs"]
        missing = [f for f in outputs if not self.settings.file(f).exists()]
        if missing:
            return _list(missing, "missing")
        altered = [f for f, was in outputs.items() if digest(self.settings.file(f).read_bytes()) != was]
        return _list(altered, "altered") if altered else None

    def written(self, name: str, *kinds: str) -> str:
        """Return one hash over a step's recorded outputs of some kinds (`tables/`, ...)."""
        outputs = self.steps.get(name, {}).get("outputs", {})
        return digest(json.dumps(sorted((f, h) for f, h in outputs.items() if f.startswith(kinds))).encode())

    def record(self, name: str, inputs: Mapping[str, str], outputs: Iterable[str], seconds: float) -> None:
        """Note that a step was made; outputs that it no longer makes are deleted."""
        outputs = sorted(outputs)
        before = self.steps.get(name, {}).get("outputs", {})
        self.steps[name] = {
            "inputs": dict(inputs),
            "outputs": {f: digest(self.settings.file(f).read_bytes()) for f in outputs},
            "seconds": round(seconds, 1),
        }
        kept = {f for step in self.steps.values() for f in step["outputs"]}
        for gone in set(before) - kept:
            self.settings.file(gone).unlink(missing_ok=True)
        self._write()

    def forget(self) -> None:
        """Note that every step must be made again; its outputs stay known, so that one it no longer makes is deleted then."""
        for step in self.steps.values():
            step["inputs"] = {}
        self._write()

    def _write(self) -> None:
        paths.write(self.path, json.dumps(self.steps, indent=1, sort_keys=True) + "\n")


def wanted_runs(settings: Settings) -> list[RunSpec]:
    """Return the training runs that the report needs."""
    return all_runs(profiles.profile(settings.profile), settings.opened)


def missing_runs(settings: Settings) -> list[RunSpec]:
    """Return the runs that are to be trained: those that the store does not hold, unless nothing may be trained."""
    return [s for s in wanted_runs(settings) if not RunStore().has(s)] if settings.train else []


def training_seconds(specs: Iterable[RunSpec], device: str) -> float:
    """Estimate how long training takes, from rates that were measured on this machine."""
    from n2nlib.runs.speed import seconds

    return seconds(specs, device)


def digest(content: bytes) -> str:
    """Return 16 hexadecimal digits of SHA-256."""
    return hashlib.sha256(content).hexdigest()[:16]


def _list(names: list[str], what: str) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{', '.join(names[:3])}{more} {what}"
