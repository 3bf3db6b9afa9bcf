"""The interface of a chapter: its dataset and size, its runs, and how results are shown and kept."""

from __future__ import annotations

import inspect
import json
import math
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from operator import eq
from pathlib import Path
from typing import Any

import pandas as pd

from n2nlib import paths
from n2nlib.agreement import agree, rounded
from n2nlib.analysis.comparison import Comparison, Rows
from n2nlib.analysis.intervals import Interval, MeanSD
from n2nlib.analysis.measurements import Measurement, validation_images
from n2nlib.data import Dataset, Pairs, open_dataset
from n2nlib.device import resolve
from n2nlib.display import alternatives, style
from n2nlib.environment import environment
from n2nlib.errors import ReportError
from n2nlib.experiments import all_runs, possible
from n2nlib.owners import own
from n2nlib.parameters import refuse_ill_typed, refuse_unknown_parameters
from n2nlib.profiles import Profile
from n2nlib.profiles import profile as profile_of
from n2nlib.runs import speed
from n2nlib.runs.progress import duration
from n2nlib.runs.store import Run, RunStore, json_text
from n2nlib.runs.sweep import check_executor, sweep
from n2nlib.spec import RunSpec
from n2nlib.text import cell, csv, literal, pipe_table, visible

#: A function that is called after each epoch: with a run's spec and the new row of its history.
OnEpoch = Callable[[RunSpec, dict[str, Any]], None]
#: The name of a table or figure, which its files are named by.
NAME = re.compile(r"[A-Za-z0-9_-]+")


def fields_of_a_run() -> inspect.Signature:
    """Return the fields of `RunSpec` as `Study.spec` takes them, for prompts that complete and show them.

    The profile sets the sizes, so that their default is shown as an ellipsis.
    """
    fields = inspect.signature(RunSpec).parameters.values()
    shown = [
        f.replace(
            kind=f.KEYWORD_ONLY,
            default={} if f.name == "options" else ... if f.default is f.empty else f.default,
        )
        for f in fields
        if f.name != "dataset"
    ]
    first = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return inspect.Signature([first, *shown], return_annotation="RunSpec")


class Study:
    """One chapter's view of one report; `Study.open` makes it from the notebook's parameters."""

    def __init__(self, chapter: str, dataset: Dataset, profile: Profile, device: str, store: RunStore, *,
                 train: bool = True, executor: str = "local"):  # fmt: skip
        self.chapter, self.dataset, self.profile = chapter, dataset, profile
        self.device, self.store, self.train, self.executor = device, store, train, executor
        self.folder = paths.report(dataset.name, profile.name)
        self._datasets = {dataset.fingerprint: dataset}
        self._numbers: dict[str, Any] = {}
        self._owned: set[str] = set()
        self._told = False

    @classmethod
    def open(cls, chapter: str, *, dataset: str, profile: str, device: str = "auto", train: bool = True,
             executor: str = "local") -> Study:  # fmt: skip
        """Open a report for a chapter, with the notebook's parameters.

        train: whether runs that the store lacks are trained, by `executor`; otherwise they are left out.
        Raises ReportError for an unknown or ill-typed parameter, with the nearest name; in a notebook also
        for one that was injected under a name that its parameters cell lacks, of which papermill only warns,
        and, where a report executes it, for another chapter's name, whose results it would replace.
        """
        executed = Path(os.environ.get("N2N_NOTEBOOK") or chapter).stem
        if executed != chapter:
            raise ReportError(
                f"chapter {executed} opens the study of {chapter}, whose results it would replace: "
                f'write Study.open("{executed}", ...).'
            )
        refuse_unknown_parameters()
        refuse_ill_typed(str, dataset=dataset, profile=profile, device=device, executor=executor)
        refuse_ill_typed(bool, train=train)
        check_executor(executor)
        size = profile_of(profile)
        opened = open_dataset(dataset, n_train=size.n_train, n_val=size.n_val)
        style.use()
        return cls(chapter, opened, size, resolve(device), RunStore(), train=train, executor=executor)

    def __repr__(self) -> str:
        training = f"trains by {self.executor}" if self.train else "trains nothing"
        where = f"dataset {self.dataset.name}, profile {self.profile.name}, device {self.device}"
        return f"<Study {self.chapter}: {where}, {training}>"

    @property
    def fingerprint(self) -> str:
        """The dataset's fingerprint, part of every run's identity."""
        return self.dataset.fingerprint

    def spec(self, **changes) -> RunSpec:
        """Return the paper's TNet run at this size on this dataset, with some fields changed.

        An option that repeats the network's default is left out, so that one network has one identity.
        Raises ReportError for a field, network or option that does not exist or fit.
        """
        from n2nlib.models import own_options

        spec = self.profile.spec(self.fingerprint, **changes)
        return spec.replace(options=own_options(spec.network, spec.options))

    spec.__signature__ = fields_of_a_run()

    def run(self, specs: Sequence[RunSpec], on_epoch: OnEpoch | None = None) -> list[Run]:
        """Return the runs of some specs in their order, training those that the store lacks.

        `on_epoch` is called with a run's spec and each new row of its history.
        Raises ReportError for a run that the dataset cannot make, and for one that the store lacks where
        nothing is trained; `prepare` and `runs` leave such runs out.
        """
        for spec in specs:
            if not self._possible(spec):
                name = self._datasets[spec.dataset].name
                raise ReportError(f"{name} holds no clean training images for {spec.scheme}: "
                                  "choose another scheme or dataset.")  # fmt: skip
        missing = [] if self.train else [s for s in specs if not self.store.has(s)]
        if missing:
            first = missing[0]
            raise ReportError(
                f"{len(missing)} of {len(specs)} runs not stored (the first: {first.id}, {first.network}, "
                f"seed {first.seed}), and train = False: set train = True in the parameters cell, or ask for "
                "stored runs."
            )
        return self._made(specs, on_epoch)

    def watch(self, specs: Mapping[str, RunSpec]) -> dict[str, Run]:
        """Return labelled runs as `run` does, and draw their learning curves while they train."""
        from n2nlib.display.live import LiveCurves

        curves = LiveCurves(specs)
        runs = dict(zip(specs, self.run(list(specs.values()), curves), strict=True))
        curves.finish({label: run.history for label, run in runs.items()})
        return runs

    def prepare(self, specs: Sequence[RunSpec]) -> list[Run]:
        """Return the runs of some specs in their order, training in one sweep what the store lacks.

        Runs that the dataset cannot make are left out, and so are missing ones where nothing is trained.
        """
        wanted = [s for s in specs if self._possible(s)]
        there = wanted if self.train else [s for s in wanted if self.store.has(s)]
        if len(there) < len(wanted):
            self._tell_missing()
        return self._made(there)

    def runs(self, rows: Mapping[str, Sequence[RunSpec]]) -> dict[str, list[Run]]:
        """Return the runs of a table's rows, prepared together; rows without runs are left out."""
        found = {run.spec: run for run in self.prepare([s for specs in rows.values() for s in specs])}
        there = {label: [found[s] for s in specs if s in found] for label, specs in rows.items()}
        return {label: runs for label, runs in there.items() if runs}

    def _made(self, specs: Sequence[RunSpec], on_epoch: OnEpoch | None = None) -> list[Run]:
        if not self.train:  # all are stored: the caller has checked, which takes a checksum of each file
            return [self.store.get(s) for s in specs]
        return sweep(specs, self._datasets, device=self.device, executor=self.executor, store=self.store,
                     on_epoch=on_epoch)  # fmt: skip

    def _tell_missing(self) -> None:
        """Say once, on stderr, how many runs of the report are not stored, and how to train them."""
        if self._told:
            return
        self._told = True
        wanted = all_runs(self.profile, self.dataset)
        missing = [s for s in wanted if not self.store.has(s)]
        rest = ""
        if missing:
            took = duration(speed.seconds(missing, self.device))
            rest = f"; training them takes about {took}. Set train = True in the parameters cell to do so"
        print(f"Rows without stored runs are omitted: {len(missing)} of the report's {len(wanted)} runs are "
              f"missing{rest}.", file=sys.stderr, flush=True)  # fmt: skip

    def _possible(self, spec: RunSpec) -> bool:
        return spec.dataset not in self._datasets or possible(spec, self._datasets[spec.dataset])

    def open_dataset(self, name: str, noise: str = "subpixel") -> Dataset:
        """Return another dataset at the same size; runs on it can be asked for from now on."""
        dataset = open_dataset(name, n_train=self.profile.n_train, n_val=self.profile.n_val, noise=noise)
        return self._datasets.setdefault(dataset.fingerprint, dataset)

    @property
    def pictures(self) -> Pairs:
        """Validation pairs of the bundled photographs, which figures show because they may be shared."""
        return self.open_dataset("bundled").val

    def measure(self, what: Measurement, **arguments) -> dict[str, Any]:
        """Return an expensive measurement, computed once for its version and arguments: see `measurements`.

        The fingerprint of this study's dataset is one of the arguments, `dataset`, unless another is given.
        Where an argument is an empty list, as of absent runs, the result is empty and nothing is stored.
        """
        if any(isinstance(value, list) and not value for value in arguments.values()):
            return {}
        return what.stored(self.store, **{"dataset": self.dataset, **arguments})

    def compare(self, rows: Rows, reference: str | None = None) -> Comparison:
        """Return a comparison of rows of runs, training what the store lacks where that is allowed.

        rows: label -> specs, or a function of `experiments` that takes profile and fingerprint. Rows without
        a run are left out; without the reference's runs the comparison is empty, and false.
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
        """Per validation image, (N,): `photo`, and the PSNR (dB) of the `noisy` and a black image."""
        return validation_images.stored(self.store, dataset=self.dataset)["arrays"]

    @property
    def photos_known(self) -> bool:
        """Whether it is known which validation images come from one photograph."""
        return self.dataset.photographs_known

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
        """Show a table (its index is not shown) and write it as CSV and Markdown.

        frame: cells are numbers, `Interval`, `MeanSD`, texts or None (a dash); they are printed with
        `digits` decimals (one number, or one by column with 2 for the others), and the CSV has ten
        significant digits. The caption gets the sample and the notation of the comparison `of`, and dataset
        and profile. None or a table without rows marks the section as absent, for the reason `absent`, or
        because no runs are stored. Files that agree with the result are left as they are (`agreement`).
        """
        if frame is None or frame.empty:
            unstored = f"*Table {name} has no row: none of its runs is stored, and training is disabled.*"
            self.absent(absent or unstored)
            return
        more = [] if of is None else [of.sample, notation(frame, of)]
        words = " ".join(filter(None, [*caption.split(), *more]))
        caption = f"{words} {self._made_of}"
        self._own("table", name)
        places = digits if isinstance(digits, Mapping) else dict.fromkeys(frame.columns, digits)
        texts = frame.apply(lambda column: column.map(lambda value: cell(value, places.get(column.name, 2))))
        markdown, folder = pipe_table(texts), self.folder / "tables"
        new = paths.update(folder / f"{name}.csv", csv(frame), agree)
        paths.update(folder / f"{name}.md", f"{markdown}\n\n{caption}\n", eq if new else agree)
        show_markdown(markdown, {"kind": "table", "name": name, "caption": words})
        show_markdown(f"*Table {name}.* {caption}", {"kind": "caption"})

    def figure(self, fig, name: str, caption: str, *, of: Comparison | None = None, absent: str = "",
               alt: str = "") -> None:  # fmt: skip
        """Show a matplotlib figure, write it as PDF and PNG, and close it; its caption is completed.

        alt: a description for readers who cannot see it; made from the drawing by default. None, from a
        function that has nothing to draw, marks the section as absent, as an empty table does.
        """
        if fig is None:
            nothing = f"*Figure {name} has nothing to show: no run of it is stored, or no image qualifies.*"
            self.absent(absent or nothing)
            return
        from IPython.display import Image, display
        from matplotlib import pyplot as plt

        words = " ".join(filter(None, [*caption.split(), of.sample if of is not None else ""]))
        self._own("figure", name)
        _, png = style.save(fig, paths.figures(self.dataset.name, self.profile.name) / name)
        mark = {"kind": "figure", "name": name, "caption": words, "alt": alt or alternatives.describe(fig)}
        plt.close(fig)
        display(Image(png.read_bytes()), metadata={"n2n": mark})
        show_markdown(f"*Figure {name}.* {words} {self._made_of}", {"kind": "caption"})

    def say(self, text: str) -> None:
        """Show prose (Markdown) that was made from results; an empty text shows nothing."""
        if text:
            show_markdown(inspect.cleandoc(text), {"kind": "prose"})

    def absent(self, text: str) -> None:
        """Say (Markdown) that runs are missing; the report drops a section that says only this."""
        text = inspect.cleandoc(text)
        show_markdown(text[:1].upper() + text[1:], {"kind": "absent"})  # an error's text begins small

    def keep(self, prefix: str, values: Mapping[str, Any]) -> None:
        """Keep several numbers for the ledger, each under `prefix` with its label in place of `{}`."""
        for label, value in values.items():
            self.number(prefix.format(label), value)

    def number(self, name: str, value: Any) -> None:
        """Keep a number (JSON value, `Interval`, `MeanSD`) for the ledger, in `numbers/<chapter>.json`.

        An interval without a value, of something that no image has, is kept as null.
        """
        self._own("number", name)
        if isinstance(value, MeanSD):
            value = value.mean
        if isinstance(value, Interval):
            value = None if math.isnan(value.value) else value.to_dict()
        value, was = rounded(json.loads(json_text(value))), self._kept.get(name)
        self._numbers[name] = was if agree(json_text(was), json_text(value)) else value
        paths.write(self._numbers_file, json_text(self._numbers))

    def _own(self, kind: str, name: str) -> None:
        """Raise ReportError for a name that makes no file, and for a result that another chapter makes."""
        if kind != "number" and not NAME.fullmatch(name):
            raise ReportError(f"{kind} {name!r}: choose a name of letters, digits, _ and -.")
        what = f"{kind} {name}"
        if what not in self._owned:
            own(self.folder, what, self.chapter)
            self._owned.add(what)

    @property
    def _numbers_file(self) -> Path:
        return self.folder / "numbers" / f"{self.chapter}.json"

    @cached_property
    def _kept(self) -> dict[str, Any]:
        """The numbers of the last report; one that agrees keeps its digits, and so its file."""
        return paths.read_json(self._numbers_file)

    def provenance(self) -> None:
        """Show where this page comes from: commit, dataset, profile, device, versions."""
        env = environment("cpu" if self.device == "cpu" else "cuda")
        show_markdown(
            f"Dataset {self.title} ({self.fingerprint}), profile `{self.profile.name}`, device "
            f"{self.device}, commit {env['commit']}, Python {env['python']}, PyTorch {env['torch']}, "
            f"NumPy {env['numpy']}.",
            {"kind": "provenance"},
        )
        for warning in self.dataset.warnings:
            self.say(f"**Note on the dataset.** {literal(warning)}")

    @property
    def title(self) -> str:
        """The name of the dataset for Markdown: a path may hold any character."""
        return literal(visible(self.dataset.name))

    @property
    def _made_of(self) -> str:
        return f"Dataset {self.title}, profile {self.profile.name}."


def notation(frame: pd.DataFrame, of: Comparison) -> str:
    """Return how to read a comparison's table: what ± and brackets are, and which seeds are compared."""
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
