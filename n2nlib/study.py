"""What a chapter talks to: its corpus and size, the runs it needs, and the one way to show and keep what it finds."""

from __future__ import annotations

import ast
import inspect
import math
import os
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import pandas as pd

from n2nlib import paths
from n2nlib.analysis.comparison import Comparison, Rows
from n2nlib.analysis.measurements import Measurement, validation_images
from n2nlib.analysis.stats import Interval, MeanSD
from n2nlib.data import Corpus, Pairs, open_corpus
from n2nlib.device import resolve
from n2nlib.display import figures
from n2nlib.errors import ReportError, unknown_name
from n2nlib.experiments import possible
from n2nlib.runs.store import Run, RunStore, environment, json_text, may_train
from n2nlib.runs.sweep import sweep
from n2nlib.spec import Profile, RunSpec
from n2nlib.spec import profile as profile_of
from n2nlib.text import cell, flat, latex_table, literal, pipe_table, visible


class Study:
    """One chapter's view of one report; `Study.open` makes it from the notebook's parameters."""

    def __init__(
        self, chapter: str, corpus: Corpus, profile: Profile, device: str, executor: str, store: RunStore
    ):
        self.chapter, self.corpus, self.profile = chapter, corpus, profile
        self.device, self.executor, self.store = device, executor, store
        self.folder = paths.report(corpus.name, profile.name)
        self._corpora = {corpus.fingerprint: corpus}
        self._numbers: dict[str, Any] = {}

    @classmethod
    def open(cls, chapter: str, *, corpus: str, profile: str, device: str = "auto") -> Study:
        """Open a report for a chapter; raises ReportError for an unknown or ill-typed parameter, with the nearest name.

        Missing runs are trained where `N2N_EXECUTOR` says (`make report EXECUTOR=` sets it), on this machine otherwise.

        Called in a notebook, it also refuses parameters that were injected under a name that the notebook lacks,
        which papermill only warns of.
        """
        for name, value in {"corpus": corpus, "profile": profile, "device": device}.items():
            if not isinstance(value, str):
                raise ReportError(f"parameter {name} is {value!r}: give a text.")
        refuse_unknown_parameters()
        size = profile_of(profile)
        opened = open_corpus(corpus, n_train=size.n_train, n_val=size.n_val)
        figures.style()
        return cls(
            chapter, opened, size, resolve(device), os.environ.get("N2N_EXECUTOR", "local"), RunStore()
        )

    @property
    def fingerprint(self) -> str:
        """The corpus's fingerprint, part of every run's identity."""
        return self.corpus.fingerprint

    def spec(self, **changes) -> RunSpec:
        """Return the paper's TNet run at this size on this corpus, with some fields changed.

        An option that repeats the network's default is left out: one network has one identity, however it is asked for.
        Raises ReportError for a field, network or option that does not exist or fit.
        """
        from n2nlib.models import own_options

        spec = self.profile.spec(self.fingerprint, **changes)
        return spec.replace(options=own_options(spec.network, spec.options))

    def run(self, specs: Sequence[RunSpec]) -> list[Run]:
        """Return the runs of some specs in their order, training those that the store lacks.

        Raises ReportError for a run that the corpus cannot make, and for one that the store lacks where nothing may be
        trained (`runs.may_train`); `prepare` and `runs` leave such runs out.
        """
        for spec in specs:
            if not self._possible(spec):
                raise ReportError(
                    f"{self._corpora[spec.corpus].name} holds no clean training images for {spec.scheme}: ask for another scheme or corpus."
                )
        missing = [] if may_train() else [s for s in specs if not self.store.has(s)]
        if missing:
            first = missing[0]
            raise ReportError(
                f"{len(missing)} of {len(specs)} runs not stored (the first: {first.id}, {first.network}, initialisation {first.seed}), "
                "and TRAIN=0 forbids training: leave TRAIN=0 (N2N_TRAIN) out, or ask for what is stored."
            )
        return self._made(specs)

    def prepare(self, specs: Sequence[RunSpec]) -> list[Run]:
        """Train in one sweep what the store lacks of some specs, and return the runs that are there then, in their order.

        What the corpus cannot make is left out; so is what is not stored where nothing may be trained.
        """
        return self._made([s for s in specs if self._possible(s) and (may_train() or self.store.has(s))])

    def runs(self, rows: Mapping[str, Sequence[RunSpec]]) -> dict[str, list[Run]]:
        """Return the runs of a table's rows, as `prepare` makes them of all rows together; a row without any is left out."""
        found = {run.spec: run for run in self.prepare([s for specs in rows.values() for s in specs])}
        there = {label: [found[s] for s in specs if s in found] for label, specs in rows.items()}
        return {label: runs for label, runs in there.items() if runs}

    def _made(self, specs: Sequence[RunSpec]) -> list[Run]:
        if not may_train():  # all are stored: whoever asks has looked, which takes a checksum of each file
            return [self.store.get(s) for s in specs]
        return sweep(specs, self._corpora, device=self.device, executor=self.executor, store=self.store)

    def _possible(self, spec: RunSpec) -> bool:
        return spec.corpus not in self._corpora or possible(spec, self._corpora[spec.corpus])

    def open_corpus(self, name: str, noise: str = "subpixel") -> Corpus:
        """Return another corpus at the same size; runs on it can be asked for from now on."""
        corpus = open_corpus(name, n_train=self.profile.n_train, n_val=self.profile.n_val, noise=noise)
        return self._corpora.setdefault(corpus.fingerprint, corpus)

    @property
    def pictures(self) -> Pairs:
        """Validation pairs of the bundled photographs: what figures show, whatever the corpus, so that they may be shared."""
        size = {"n_train": self.profile.n_train, "n_val": self.profile.n_val}
        return open_corpus("bundled", **size).val

    def measure(
        self,
        what: Measurement | str,
        inputs: Mapping[str, Any] | None = None,
        compute: Callable[[], dict[str, Any]] | None = None,
        **arguments,
    ) -> dict[str, Any]:
        """Return an expensive measurement, computed once for its version and arguments: see `measurements`.

        The fingerprint of this study's dataset is one of the arguments, `corpus`, unless another is given.
        Where an argument is an empty list, as of absent runs, the result is empty and nothing is stored.
        """
        if any(isinstance(value, list) and not value for value in arguments.values()):
            return {}
        if isinstance(what, Measurement):
            return what.stored(self.store, **{"corpus": self.corpus, **arguments})
        return self.store.measurement(what, {"corpus": self.fingerprint, **(inputs or {})}, compute)

    def compare(self, rows: Rows, reference: str | None = None) -> Comparison:
        """Return a comparison of rows of runs, training what the store lacks where that is allowed.

        rows: label -> specs, or a function of `experiments` that takes profile and fingerprint. Rows without a run are
        left out, and where the reference has none there is nothing to compare with: then the comparison is false.
        """
        wanted = self.rows(rows)
        images, found = self.validation_images, self.runs(wanted)
        absent = [label for label in wanted if label not in found]
        return Comparison(found, reference, images["photo"], images["noisy"],
                          photos_known=self.photos_known, absent=absent)  # fmt: skip

    def rows(self, rows: Rows) -> Mapping[str, Sequence[RunSpec]]:
        """Return label -> specs: the rows of a function of `experiments` at this size on this dataset."""
        return rows(self.profile, self.fingerprint) if callable(rows) else rows

    @cached_property
    def validation_images(self) -> dict[str, Any]:
        """`photo` (N,), the photograph of each validation image, and PSNRs in dB: `noisy` (N,), and `zero` (N,) of black images."""
        return validation_images.stored(self.store, corpus=self.corpus)["arrays"]

    @property
    def photos_known(self) -> bool:
        """Whether it is known which validation images come from one photograph."""
        return self.corpus.photographs_known

    def table(
        self,
        frame: pd.DataFrame | None,
        name: str,
        caption: str,
        *,
        of: Comparison | None = None,
        digits: int | Mapping[str, int] = 2,
        absent: str = "",
    ) -> None:
        """Show a table (its index is not shown) and write it as CSV, Markdown and LaTeX.

        frame: cells are numbers, `Interval`, `MeanSD`, texts or None (a dash); they are printed with `digits` decimals
        (one number, or one by column with 2 for the others), and the CSV has them in full. The caption gets the
        sample and the notation of the comparison `of`, and dataset and profile. None or a table without rows
        marks the section as absent, for the reason `absent`, or because its runs are not stored.
        """
        if frame is None or frame.empty:
            unstored = f"*Table {name} has no row: none of its runs is stored, and training is disabled.*"
            self.absent(absent or unstored)
            return
        words = " ".join(
            filter(None, [*caption.split(), *((of.sample, notation(frame, of)) if of is not None else ())])
        )
        caption, plain = (f"{words} {self._made_of(x)}" for x in (self.title, visible(self.corpus.name)))
        places = digits if isinstance(digits, Mapping) else dict.fromkeys(frame.columns, digits)
        texts = frame.apply(lambda column: column.map(lambda value: cell(value, places.get(column.name, 2))))
        markdown, folder = pipe_table(texts), self.folder / "tables"
        paths.write(folder / f"{name}.csv", flat(frame).to_csv(index=False))
        paths.write(folder / f"{name}.md", f"{markdown}\n\n{caption}\n")
        paths.write(folder / f"{name}.tex", latex_table(texts, name, plain))
        show_markdown(markdown, {"kind": "table", "name": name, "caption": caption})
        show_markdown(f"*Table {name}.* {caption}", {"kind": "caption"})

    def figure(self, fig, name: str, caption: str, *, of: Comparison | None = None, absent: str = "") -> None:
        """Show a matplotlib figure, write it as PDF and PNG, and close it; the caption is completed as a table's.

        None, from a function that has nothing to draw, marks the section as absent, as an empty table does.
        """
        if fig is None:
            nothing = f"*Figure {name} has nothing to show: no run of it is stored, or no image qualifies.*"
            self.absent(absent or nothing)
            return
        from IPython.display import Image, display
        from matplotlib import pyplot as plt

        caption = " ".join(
            filter(None, [*caption.split(), of.sample if of is not None else "", self._made_of(self.title)])
        )
        _, png = figures.save(fig, paths.figures(self.corpus.name, self.profile.name) / name)
        plt.close(fig)
        display(
            Image(png.read_bytes()), metadata={"n2n": {"kind": "figure", "name": name, "caption": caption}}
        )
        show_markdown(f"*Figure {name}.* {caption}", {"kind": "caption"})

    def say(self, text: str) -> None:
        """Show prose (Markdown) that was made from results; an empty text shows nothing."""
        if text:
            show_markdown(inspect.cleandoc(text), {"kind": "prose"})

    def absent(self, text: str) -> None:
        """Say (Markdown) that something cannot be shown for want of runs; the report drops a section that says only this."""
        show_markdown(inspect.cleandoc(text), {"kind": "absent"})

    def keep(self, prefix: str, values: Mapping[str, Any]) -> None:
        """Keep several numbers for the ledger, each under `prefix` with its label in place of `{}`."""
        for label, value in values.items():
            self.number(prefix.format(label), value)

    def number(self, name: str, value: Any) -> None:
        """Keep a measured number (JSON value, `Interval` or `MeanSD`) for the ledger, in the report's `numbers/<chapter>.json`.

        An interval without a value, of something that no image has, is kept as null.
        """
        if isinstance(value, MeanSD):
            value = value.mean
        if isinstance(value, Interval):
            value = None if math.isnan(value.value) else value.to_dict()
        self._numbers[name] = value
        paths.write(self.folder / "numbers" / f"{self.chapter}.json", json_text(self._numbers))

    def provenance(self) -> None:
        """Show where this page comes from: commit, corpus, profile, device, versions."""
        env = environment("cpu" if self.device == "cpu" else "cuda")
        show_markdown(
            f"Corpus {self.title} ({self.fingerprint}), profile `{self.profile.name}`, device {self.device}, "
            f"commit {env['commit']}, Python {env['python']}, PyTorch {env['torch']}, NumPy {env['numpy']}.",
            {"kind": "provenance"},
        )
        for warning in self.corpus.warnings:
            self.say(f"**Note on the dataset.** {literal(warning)}")

    @property
    def title(self) -> str:
        """The name of the corpus for Markdown: a path may hold any character."""
        return literal(visible(self.corpus.name))

    def _made_of(self, corpus: str) -> str:
        return f"Corpus {corpus}, profile {self.profile.name}."


def notation(frame: pd.DataFrame, of: Comparison) -> str:
    """How the cells of a comparison's table are to be read: what ± and brackets are, and which seeds were compared."""
    cells = frame.to_numpy().ravel().tolist()
    means = any(isinstance(c, MeanSD) and c.sd is not None for c in cells)
    intervals = any(isinstance(c, Interval) and c for c in cells)
    told = [
        "a ± b: mean and sample standard deviation over seeds." if means else "",
        "Brackets: 95 % confidence interval." if intervals else "",
        of.pairing if any(isinstance(c, Interval) for c in cells) else "",
    ]
    return " ".join(filter(None, told))


def show_markdown(text: str, mark: Mapping[str, str]) -> None:
    """Display Markdown with the mark that the report is built from."""
    from IPython.display import Markdown, display

    display(Markdown(text), metadata={"n2n": dict(mark)})


def refuse_unknown_parameters() -> None:
    """Raise ReportError if papermill injected a parameter that the notebook's own parameters cell does not have.

    Papermill's cell follows the tagged one and its first line is "# Parameters"; IPython's history holds both.
    """
    try:
        from IPython import get_ipython

        history = get_ipython().user_ns["In"]
    except (ImportError, AttributeError, KeyError):
        return
    for own, injected in zip(history[:-1], history[1:], strict=True):
        if injected.partition("\n")[0] == "# Parameters":
            known = _assigned(own)
            for name in _assigned(injected):
                if name not in known:
                    raise unknown_name("notebook parameter", name, known)


def _assigned(source: str) -> set[str]:
    """Return the names that a cell assigns at its top level."""
    tree = ast.parse(source)
    return {
        t.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        for t in node.targets
        if isinstance(t, ast.Name)
    }
