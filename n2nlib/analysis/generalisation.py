"""Transfer of trained networks to other datasets, other noise and whole photographs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from n2nlib.analysis import intervals, measurements
from n2nlib.analysis.comparison import Comparison
from n2nlib.analysis.filters import tuned
from n2nlib.analysis.intervals import Interval, MeanSD
from n2nlib.data import Dataset
from n2nlib.errors import ReportError
from n2nlib.evaluation.classical import find
from n2nlib.evaluation.transfer import CELLS, label, require
from n2nlib.experiments import with_seeds
from n2nlib.runs.store import Run
from n2nlib.spec import RunSpec

if TYPE_CHECKING:
    from n2nlib.study import Study


@dataclass(frozen=True)
class Judged:
    """A run on validation images of any dataset: its spec, and its PSNR (dB) on each of them."""

    spec: RunSpec
    psnr: np.ndarray


class Transfer:
    """One network trained on each of some datasets and judged on each of them.

    targets: dataset that networks are judged on -> comparison. Its rows are the datasets that they were
    trained on, its reference row is the dataset itself. Without any target it is false, and its table is
    empty.
    """

    def __init__(self, targets: Mapping[str, Comparison]):
        self.targets = dict(targets)

    def __bool__(self) -> bool:
        return bool(self.targets)

    def __or__(self, other: Transfer) -> Transfer:
        return Transfer({**self.targets, **other.targets})

    @property
    def losses(self) -> dict[tuple[str, str], Interval]:
        """(trained on, judged on) -> PSNR (dB) minus that of networks trained on those data."""
        return {(source, target): d for target, rows in self.targets.items()
                for source, d in rows.differences().items()}  # fmt: skip

    @property
    def sample(self) -> str:
        """Training images of each run, for a caption."""
        images = max((rows.images for rows in self.targets.values()), default=0)
        return f"After {images:,} training images." if images else ""

    @property
    def pairing(self) -> str:
        """Which rows are compared with a part of the reference's seeds only."""
        return " ".join(filter(None, (rows.pairing for rows in self.targets.values())))


def transfer(study: Study, here: str, there: str, *, dataset: str = "", noise: str = "subpixel") -> Transfer:
    """Train TNet on the study's dataset and on another one, and judge both on both.

    here, there: labels of the two; dataset: the other dataset, the study's own unless given; noise: the
    other's noise. Runs that are stored are not repeated, and nothing is downloaded. Where the comparison
    cannot be made, the section is marked as absent with the reason, and the result is false.
    """
    try:
        datasets = {here: study.dataset, there: study.open_dataset(dataset or study.dataset.name, noise)}
        runs = {name: _trained_on(study, name, dataset) for name, dataset in datasets.items()}
        return Transfer({name: _judged(study, runs, name, dataset) for name, dataset in datasets.items()})
    except ReportError as why:
        study.absent(f"Transfer to {there} was not measured: {_without_path(why, study)}")
        return Transfer({})


def _trained_on(study: Study, name: str, dataset: Dataset) -> list[Run]:
    specs = with_seeds(study.profile, dataset.fingerprint, study.profile.extra_seeds)
    if not all(study.store.has(spec) for spec in specs):
        require(dataset)
    if not (runs := study.prepare(specs)):
        raise ReportError(f"no run trained on {name} is stored, and training is disabled.")
    return runs


def _judged(study: Study, runs: Mapping[str, Sequence[Run]], target: str, dataset: Dataset) -> Comparison:
    rows = {}
    for source, row in runs.items():
        images = study.measure(measurements.transferred, runs=row, **{"judged on": dataset})["arrays"]
        rows[source] = [Judged(run.spec, psnr) for run, psnr in zip(row, images["psnr"], strict=True)]
    return Comparison(rows, target, images["photo"], images["noisy"])


def _without_path(why: Exception, study: Study) -> str:
    """Return a message with the dataset's label in place of its path, which may hold any character."""
    return f"{str(why).replace(study.dataset.name, label(study.dataset.name)).rstrip('.')}."


class WholePhotographs:
    """Networks and filters on whole photographs at several sizes of cell.

    found: `measurements.whole_photographs`, None where nothing was measured: then it is false and its tables
    are empty. filters, networks: labels of the methods; dataset: label of the photographs' dataset; images:
    training images that each network saw; pictures: arrays of `measurements.whole_pictures`.
    """

    def __init__(self, found: Mapping | None = None, *, filters: Sequence[str] = (),
                 networks: Sequence[str] = (), dataset: str = "", images: int = 0,
                 pictures: Mapping[str, np.ndarray] | None = None):  # fmt: skip
        found = found or {"shapes": {}, "arrays": {}}
        self.shapes = {int(cell): np.array(sizes) for cell, sizes in found["shapes"].items() if sizes}
        self.methods, self.networks = ["noisy", *filters, *networks], list(networks)
        self.dataset, self.images, self.pictures = dataset, images, pictures or {}
        self._arrays = found["arrays"]

    def __bool__(self) -> bool:
        return bool(self.shapes)

    @property
    def cells(self) -> list[int]:
        """Sides of the cells, in pixels, that at least one photograph is large enough for."""
        return sorted(self.shapes)

    def values(self, cell: int, method: str, measure: str = "psnr") -> np.ndarray:
        """Return `psnr` (dB) or `ssim` of a method: (seeds, photographs), of a filter (1, photographs)."""
        return self._arrays[f"{measure} {cell} {method}"]

    def level(self, cell: int, method: str) -> MeanSD:
        """Return mean PSNR (dB) and its standard deviation over seeds."""
        return MeanSD.of(self.values(cell, method).mean(axis=1))

    def gain(self, cell: int, method: str, over: str = "noisy", measure: str = "psnr") -> Interval:
        """Return a method minus another, with its interval; for a filter it is over photographs alone."""
        gain = self.values(cell, method, measure) - self.values(cell, over, measure)  # (seeds, photographs)
        if method in self.networks:
            return intervals.crossed(gain, photo=np.arange(gain.shape[1])).signed()
        return intervals.mean_interval(gain[0]).signed()

    @property
    def frame(self) -> pd.DataFrame:
        """One line for each method and cell: mean PSNR minus the noisy image's (`gain`, dB) and mean SSIM."""
        lines = [(cell, method, self.values(cell, method).mean() - self.values(cell, "noisy").mean(),
                  self.values(cell, method, "ssim").mean())
                 for method in self.methods for cell in self.cells]  # fmt: skip
        return pd.DataFrame(lines, columns=["cell", "method", "gain", "ssim"])

    @property
    def sample(self) -> str:
        """What was measured on what, for a caption."""
        trained = f" Networks after {self.images:,} training images of 32×32 pixels." if self.networks else ""
        return f"Whole validation photographs of {self.dataset}.{trained}" if self else ""

    #: How intervals are to be read, for a caption.
    pairing = "Intervals of networks are over seeds and photographs, those of filters over photographs."


def whole_photographs(
    study: Study, rows: Comparison, networks: Sequence[str], filters: Sequence[str]
) -> WholePhotographs:
    """Judge some rows and some tuned filters on whole validation photographs.

    They are the bundled ones where the dataset holds no photographs. Where nothing can be measured, the
    section is marked as absent with the reason, and the result is false.
    """
    where = study.open_dataset("bundled") if study.dataset.name.startswith("epfl:") else study.dataset
    runs = {name: rows.rows.get(name, []) for name in networks}
    try:
        arguments = {"runs": runs, "filters": {name: tuned(study, name) for name in filters}, "cells": CELLS,
                     "photographs": study.profile.saliency, "dataset": where}  # fmt: skip
        found = study.measure(measurements.whole_photographs, **arguments)
        pictures = study.measure(measurements.whole_pictures, **arguments)["arrays"]
    except ReportError as why:
        study.absent(f"Whole photographs were not measured: {_without_path(why, study)}")
        return WholePhotographs()
    titles, trained = [find(name).title for name in filters], [name for name, row in runs.items() if row]
    return WholePhotographs(found, filters=titles, networks=trained, dataset=label(where.name),
                            images=rows.images, pictures=pictures)  # fmt: skip
