"""Which steps are stale, and why: decided by content, since a clone loses modification times."""

from __future__ import annotations

import hashlib
import json
import platform
import re
import shlex
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from n2nlib import paths, profiles
from n2nlib.data import open_dataset
from n2nlib.environment import processor
from n2nlib.errors import ReportError, unknown_name
from n2nlib.experiments import all_runs
from n2nlib.report.closure import Library, code_of, load_notebook
from n2nlib.report.pictures import linked_file
from n2nlib.runs.store import RunStore
from n2nlib.spec import RunSpec

#: Packages whose version may change a result.
PACKAGES = "torch numpy pandas scipy matplotlib scikit-image scikit-learn pillow PyWavelets".split()
#: Name of the step that writes report.html and report.pdf.
REPORT = "report"
#: Name of the step that trains a short stored run again.
CHECK = "live check"

#: A link of Markdown (`](...)`, `]: ...`) or of HTML (`src=...`), perhaps to a picture.
LINK = re.compile(
    r"""(?:\]\(\s*<?|\]:\s*<?|src\s*=\s*["']?)([^"'<>]+?)(?=[>)"']|\s+["'>]|\s*$)""", re.MULTILINE
)

#: A chapter's name: two digits, an underscore, then letters, digits and underscores.
CHAPTER = re.compile(r"[0-9]{2}_[A-Za-z0-9_]+")


@dataclass(frozen=True)
class Settings:
    """The choices of a reader for one report."""

    dataset: str
    profile: str
    device: str
    train: bool = True
    executor: str = "local"
    check: bool = False  # train a short stored run again, and say how it differs

    @property
    def folder(self) -> Path:
        return paths.report(self.dataset, self.profile)

    @property
    def figures(self) -> Path:
        return paths.figures(self.dataset, self.profile)

    @property
    def parameters(self) -> dict[str, str | bool]:
        """The values of a chapter's parameters cell."""
        names = ("dataset", "profile", "device", "train", "executor")
        return {name: getattr(self, name) for name in names}

    @property
    def command(self) -> str:
        """The command that makes this report."""
        rest = "" if self.train else " TRAIN=0"
        return f"make report PROFILE={self.profile} DATASET={shlex.quote(self.dataset)}{rest}"

    def command_for(self, chapter: str) -> str:
        """The command that executes one chapter again and shows the result."""
        return f"{self.command} CHAPTER={chapter.partition('_')[0]}"

    @cached_property
    def opened(self):
        """The dataset, opened (cheap: files and checksums are listed, no pair is built)."""
        size = profiles.profile(self.profile)
        return open_dataset(self.dataset, n_train=size.n_train, n_val=size.n_val)

    def file(self, name: str) -> Path:
        """Return the path of an output: `figures/x.pdf` in the figures' folder, all else in the report's."""
        kind, _, rest = name.partition("/")
        return self.figures / rest if kind == "figures" else self.folder / name


def chapters() -> list[str]:
    """Return the names of the chapters in order; the last, `*_report`, reads what the others wrote.

    A notebook is a chapter if its name matches `CHAPTER`: `08_mine` is one; `Untitled`, `my_notes` and
    `01_data-Copy1` are not.
    """
    found = (p for p in paths.notebooks().glob("*.ipynb") if not p.is_dir())
    names = sorted(p.stem for p in found if CHAPTER.fullmatch(p.stem))
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


class Build:
    """One report being planned or made: its settings, its earlier state, and why a step is stale.

    Every file is hashed once: inputs count as they were when first read, and an output is hashed again only
    when it is recorded. `force` names chapters that are executed whatever their state.
    """

    def __init__(self, settings: Settings, force: Iterable[str] = ()):
        self.settings, self.force = settings, frozenset(force)
        self.store = RunStore()
        self.path = settings.folder / "state.json"
        #: Step -> the `inputs` (name -> hash) and `outputs` that it had, and its `seconds`.
        self.made = paths.read_json(self.path)
        self._hashes: dict[Path, str] = {}
        self._read: dict[str, dict[str, str]] = {}

    # --- what it needs ---

    @cached_property
    def chapters(self) -> list[str]:
        return chapters()

    @cached_property
    def wanted(self) -> list[RunSpec]:
        """The training runs that the report needs."""
        return all_runs(profiles.profile(self.settings.profile), self.settings.opened)

    @cached_property
    def stored(self) -> list[RunSpec]:
        """Those of `wanted` that the store holds, as first looked at."""
        return [s for s in self.wanted if self.store.has(s)]

    @property
    def missing(self) -> list[RunSpec]:
        """The runs that the store lacks, whether or not they are to be trained."""
        stored = set(self.stored)
        return [s for s in self.wanted if s not in stored]

    def tell_damage(self) -> None:
        """Report damaged entries of the store on stderr if the report needs one of the runs among them."""
        damaged = any(self.store.files(f"runs/{s.id}.zip") for s in self.missing)
        if damaged and (sentence := self.store.damage()):
            print(f"note: {sentence}", file=sys.stderr)

    # --- what is stale ---

    def steps(self) -> dict[str, str | None]:
        """Return every step in order, each with the reason why it is stale, or None.

        A chapter that reads the others is stale when one of them is, and so is the report.
        """
        steps = {CHECK: self.reason(CHECK)} if self.settings.check else {}
        steps |= {name: self.reason(name) for name in self.chapters}
        stale = [name for name in self.chapters if steps[name] and not reads_others(name)]
        for name in filter(reads_others, self.chapters):
            steps[name] = steps[name] or (f"reads {', '.join(stale)}" if stale else None)
        shown = "shows the chapters above" if any(steps[name] for name in self.chapters) else None
        return steps | {REPORT: self.reason(REPORT) or shown}

    def reason(self, name: str) -> str | None:
        """Return why a step is stale, or None if its inputs and outputs are unchanged."""
        if name in self.force:
            return "asked for"
        inputs = self.inputs(name)
        if name not in self.made:
            return "never made"
        if not self.made[name]["inputs"]:
            return "FRESH=1 was not finished"
        if changed := self._changed(name, inputs):
            return _list(changed, "changed")
        outputs = self.made[name]["outputs"]
        missing = [f for f in outputs if not self.settings.file(f).exists()]
        altered = [f for f in outputs if f not in missing and self.hash(self.settings.file(f)) != outputs[f]]
        return _list(missing, "missing") if missing else _list(altered, "altered") if altered else None

    def _changed(self, name: str, inputs: Mapping[str, str]) -> list[str]:
        """Return the names of the inputs that have changed since a step was made."""
        was = self.made.get(name, {}).get("inputs", {})
        changed = [k for k in inputs if inputs[k] != was.get(k)]
        return changed + [f"{k} (gone)" for k in was if k not in inputs]

    @property
    def layout_changed(self) -> bool:
        """Whether the documents were made here before, by other code of `n2nlib.report` or other packages."""
        code = [k for k in self._changed(REPORT, self.inputs(REPORT)) if not k.startswith("what ")]
        return REPORT in self.made and bool(code)

    def inputs(self, name: str) -> dict[str, str]:
        """Return name -> hash of all that a step's result depends on."""
        if name == CHECK:
            return self._of_check()
        return self._of_report() if name == REPORT else self._of_chapter(name)

    def _of_check(self) -> dict[str, str]:
        modules = self._library.closure("from n2nlib.runs.sweep import sweep")
        sources = {name: self.hash(path) for name, path in modules.items()}
        return sources | {"torch version": version("torch"), "the processor": processor()}

    def _of_chapter(self, chapter: str) -> dict[str, str]:
        inputs = dict(self._sources(chapter)) | self._parameters
        inputs |= {what: look(self) for module, (what, look) in FOUND.items() if module in inputs}
        if reads_others(chapter):
            others = [c for c in self.chapters if not reads_others(c)]
            inputs |= {f"what {c} wrote": self.written(c, "numbers/", "tables/") for c in others}
        return inputs

    def _sources(self, chapter: str) -> dict[str, str]:
        """Return name -> hash of a chapter's cells, and of the library's files that it can depend on."""
        if chapter not in self._read:
            library = self._library
            notebook = load_notebook(paths.notebooks() / f"{chapter}.ipynb")
            cells = json.dumps([_content(cell) for cell in notebook["cells"]])
            modules = library.closure(code_of(notebook, f"{chapter}.ipynb"))
            files = library.data_files(modules.values())
            named = {f.relative_to(library.package.parent).as_posix(): f for f in files}
            hashes = {name: self.hash(path) for name, path in (modules | named).items()}
            self._read[chapter] = {"the notebook": digest(cells.encode())} | hashes
        return self._read[chapter]

    @cached_property
    def _library(self) -> Library:
        return Library(Path(__file__).resolve().parent.parent)

    @cached_property
    def _parameters(self) -> dict[str, str]:
        settings = self.settings
        names = ("dataset", "profile", "device")
        out = {f"parameter {name}": repr(getattr(settings, name)) for name in names}
        out["the dataset"] = settings.opened.fingerprint
        out["the notes on the dataset"] = settings.opened.notes_digest
        out |= {f"{package} version": version(package) for package in PACKAGES}
        shown = self.wanted if settings.train else self.stored  # missing runs will have been trained
        out["the stored runs"] = digest(" ".join(s.id for s in shown).encode())
        return out | {"Python version": ".".join(platform.python_version_tuple()[:2])}

    def _of_report(self) -> dict[str, str]:
        inputs = {f"what {c} wrote": self.written(c, "notebooks/", "figures/") for c in self.chapters}
        inputs |= self._linked_pictures()
        here, citation = Path(__file__).parent, paths.root() / "CITATION.cff"
        inputs |= {citation.name: self.hash(citation)} if citation.exists() else {}
        inputs |= {f"n2nlib/report/{p.name}": self.hash(p) for p in sorted(here.iterdir()) if p.is_file()}
        return inputs | {
            f"{p} version": version(p) for p in ("pypandoc_binary", "typst", "pillow", "matplotlib")
        }

    def _linked_pictures(self) -> dict[str, str]:
        """Return name -> hash of the files that the Markdown of executed chapters links to."""
        found = {}
        for chapter in self.chapters:
            path = self.settings.file(f"notebooks/{chapter}.ipynb")
            for cell in load_notebook(path)["cells"] if path.exists() else []:
                text = "".join(cell["source"]) if cell["cell_type"] == "markdown" else ""
                for link in LINK.findall(text):
                    file = linked_file(link)
                    if file is not None and file.is_file():
                        found[file.relative_to(paths.root().absolute()).as_posix()] = self.hash(file)
        return dict(sorted(found.items()))

    def hash(self, path: Path) -> str:
        """Return the hash of a file's content, read at most once."""
        if path not in self._hashes:
            self._hashes[path] = digest(path.read_bytes())
        return self._hashes[path]

    # --- what was made ---

    def written(self, name: str, *kinds: str) -> str:
        """Return one hash over a step's recorded outputs of some kinds (`tables/`, ...)."""
        outputs = self.made.get(name, {}).get("outputs", {})
        return digest(json.dumps(sorted((f, h) for f, h in outputs.items() if f.startswith(kinds))).encode())

    def record(
        self, name: str, inputs: Mapping[str, str], outputs: Iterable[str], seconds: float, **notes: str
    ) -> None:
        """Note that a step was made; outputs that it no longer makes are deleted."""
        files = {f: self.settings.file(f) for f in sorted(outputs)}
        for path in files.values():
            self._hashes.pop(path, None)
        before = self.made.get(name, {}).get("outputs", {})
        hashes = {f: self.hash(path) for f, path in files.items()}
        self.made[name] = {"inputs": dict(inputs), "outputs": hashes, "seconds": round(seconds, 1), **notes}
        kept = {f for step in self.made.values() for f in step["outputs"]}
        for gone in set(before) - kept:
            self.settings.file(gone).unlink(missing_ok=True)
        paths.write_json(self.path, self.made)

    def forget(self) -> None:
        """Mark every step as stale; its outputs stay known, so that an obsolete one is deleted later."""
        for step in self.made.values():
            step["inputs"] = {}
        paths.write_json(self.path, self.made)


def _content(cell: Mapping) -> list:
    """Return what of a cell a result can depend on: whatever JupyterLab adds when it saves is left out."""
    source = "".join(cell["source"]).splitlines(keepends=True)
    pictures = [cell["attachments"]] if cell.get("attachments") else []
    return [cell["cell_type"], source, cell["metadata"].get("tags", []), *pictures]


def _searches(build: Build) -> str:
    tables = [build.store.files(name)[0] for name in build.store.names("search/*.csv")]
    return digest("".join(build.hash(table) for table in tables).encode())


def _benchmark(build: Build) -> str:
    record = paths.result("bench/cpu.json")
    return build.hash(record) if record.exists() else ""


#: Module -> what else a chapter that uses it depends on: what a reader may fetch, install or make meanwhile.
FOUND = {
    "n2nlib.tools.bench": ("the benchmark's record", _benchmark),
    "n2nlib.tools.search": ("the searches that were made", _searches),
    "n2nlib.evaluation.classical": (
        "whether bm3d is installed",
        lambda _: str(find_spec("bm3d") is not None),
    ),
    "n2nlib.evaluation.transfer": (
        "whether imagenet-sample is on this machine",
        lambda _: str(open_dataset("imagenet-sample").at_hand),
    ),
}


def digest(content: bytes) -> str:
    """Return 16 hexadecimal digits of SHA-256."""
    return hashlib.sha256(content).hexdigest()[:16]


def _list(names: list[str], what: str) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{', '.join(names[:3])}{more} {what}"
