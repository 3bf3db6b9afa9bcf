"""What chapter 05 measures: the statements of section 3 for each validation image, and the maps that it shows.

A subject is a `Network` or a `Filter`. `per_image` measures a statistic of one or more subjects and returns
`ImageStatistics`, which averages them and knows their intervals. Definitions: `n2nlib.saliency`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch

from . import classical, filters, saliency, smoothgrad
from .comparison import Comparison
from .corpus import Corpus
from .measurements import Measurement, measurement
from .models import build
from .runs import Run
from .stats import FEWEST, Interval, cluster_bootstrap, crossed

#: Stored identities hold this; a change of what is computed raises the version in the decorator instead.
IDENTITY = {"version": 1}

#: Statistic as the ledger names it -> the arrays it is made of, and how.
STATISTICS = {
    "change_auc": (("change_auc",), lambda auc: auc),
    "loss_gradient_auc": (("loss_auc",), lambda auc: auc),
    "output_gradient_ratio": (("pixel",), lambda pixel: pixel),
    "ring_ratio": (("ring",), lambda ring: ring),
    "pixel_to_ring": (("pixel", "ring"), lambda pixel, ring: pixel - ring),
    "same_side": (("weights",), saliency.log_same_side),
}

#: Label of a subject -> its name in the ledger.
LEDGER_NAMES = {"TNet": "TNet", "TNet, untrained": "untrained", "UNet": "UNet", "mean, 3x3": "mean", "Gaussian": "gaussian",
                "bilateral": "bilateral", "non-local means": "nlm"}  # fmt: skip


# --- networks and filters --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Network:
    """A network of a run, perhaps with its weights shuffled; without a run, TNet before training. Loaded when first used."""

    run: Run | None = None
    shuffled: bool = False
    device: str = "cpu"

    @property
    def id(self) -> str:
        """What names the network in a measurement's identity."""
        return f"shuffled {self.run.id}" if self.shuffled else self.run.id if self.run else "untrained"

    @property
    def inputs(self) -> dict[str, Any]:
        """The arguments by which a measurement gets this network."""
        return {"network": self}

    @cached_property
    def model(self) -> torch.nn.Module:
        network = (self.run.model() if self.run else build("TNet", seed=1000)).to(self.device)
        return smoothgrad.shuffled(network, torch.Generator().manual_seed(0)) if self.shuffled else network

    def statements(self, noisy: np.ndarray, clean: np.ndarray, **draws) -> dict[str, np.ndarray]:
        return saliency.network_statements(self.model, noisy, clean, **draws)

    def rows(self, image: np.ndarray, pixels: np.ndarray, radius: int = saliency.RADIUS) -> np.ndarray:
        """Rows of the Jacobian, all of each: uint8 (3,H,W), (K,2) -> (K,H,W)."""
        return smoothgrad.jacobian_rows(self.model, image, pixels).numpy()


@dataclass(frozen=True)
class Filter:
    """A filter of `n2nlib.classical` with its parameters."""

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def inputs(self) -> dict[str, Any]:
        """The arguments by which a measurement gets this filter."""
        return {"filter": self.name, "parameters": dict(self.parameters)}

    @cached_property
    def matrix(self) -> np.ndarray | None:
        """A linear filter as a matrix (H*W,H*W); None for the others."""
        linear = self.name in ("noisy", "mean", "gaussian")
        return saliency.filter_matrix(self.name, 32, 32, **self.parameters) if linear else None

    def statements(self, noisy: np.ndarray, clean: np.ndarray) -> dict[str, np.ndarray]:
        if self.matrix is not None:
            return saliency.linear_statements(self.matrix, noisy, clean)
        return saliency.statements(noisy, clean, classical.filter_float(self.name, noisy / 255.0, **self.parameters))

    def rows(self, image: np.ndarray, pixels: np.ndarray, radius: int = saliency.RADIUS) -> np.ndarray:
        """Rows of the Jacobian, up to `radius` pixels away: uint8 (3,H,W), (K,2) -> (K,H,W)."""
        if self.matrix is not None:
            return saliency.matrix_rows(self.matrix)(image, pixels)
        return saliency.filter_rows(self.name, image, pixels, radius, **self.parameters)


Subjects = Mapping[str, Sequence[Network | Filter]]


def networks(runs: Comparison, label: str, device: str = "cpu") -> dict[str, list[Network]]:
    """Return the networks of a row of runs, one a seed, under its label; nothing where there is no run."""
    return {label: [Network(run, device=device) for run in runs.rows[label]]} if label in runs.rows else {}


def controls(tnet: Subjects) -> dict[str, list[Network]]:
    """Return TNet that has learnt nothing: before training, and with the first run's weights shuffled within each tensor."""
    first = _first(tnet)
    return {
        "TNet, untrained": [Network(device=first.device)],
        "TNet, shuffled weights": [replace(first, shuffled=True)],
    } if first else {}  # fmt: skip


def linear_filters(study) -> dict[str, list[Filter]]:
    """Return the mean of 3x3 pixels, the smallest that filters at all (tuning may choose 1), and the tuned Gaussian."""
    return {"mean, 3x3": [Filter("mean", {"size": 3})], "Gaussian": [Filter("gaussian", filters.tuned(study, "gaussian"))]}


def adaptive_filters(study) -> dict[str, list[Filter]]:
    """Return the tuned filters whose weights depend on the picture."""
    labels = {"bilateral": "bilateral", "nlm": "non-local means"}
    return {label: [Filter(name, filters.tuned(study, name))] for name, label in labels.items()}


#: The filter that does nothing.
IDENTITY_FILTER = {"noisy image": [Filter("noisy")]}


def _first(subjects: Subjects) -> Network | Filter | None:
    return next((members[0] for members in subjects.values()), None)


# --- what is stored --------------------------------------------------------------------------------------------------


def maps(network: torch.nn.Module, noisy: np.ndarray, clean: np.ndarray, **draws) -> np.ndarray:
    """Return signed SmoothGrad maps of loss and output, means over channels: uint8 (N,3,H,W) twice -> (N,2,H,W)."""
    # The same noise for both maps, so that they can be compared.
    loss = smoothgrad.loss_gradient(network, noisy, clean, generator=torch.Generator().manual_seed(0), **draws)
    output = smoothgrad.output_gradient(network, noisy, generator=torch.Generator().manual_seed(0), **draws)
    return torch.stack([loss.mean(1), output.mean(1)], dim=1).numpy()


@measurement("smoothgrad-statements")
def statements(*, corpus: Corpus, n: int, network: Network | None = None, filter: str = "", parameters: Mapping | None = None,
               version: int = 1, **draws) -> dict[str, Any]:
    """`saliency.statements` of the first n validation images for a network or a filter: arrays (n,), `photo` among them."""
    val = corpus.val.subset(n)
    subject = network or Filter(filter, parameters or {})
    return {"arrays": {**subject.statements(val.a, val.clean, **draws), "photo": val.photo}}


@measurement("smoothgrad-same-side")
def same_side(*, corpus: Corpus, n: int, network: Network | None = None, filter: str = "", parameters: Mapping | None = None,
              version: int = 1) -> dict[str, Any]:
    """`saliency.same_side` of the first n validation images for a network or a filter, `photo` (n,) added."""
    val = corpus.val.subset(n)
    subject = network or Filter(filter, parameters or {})
    return {"arrays": {**saliency.same_side(subject.rows, val.a, val.clean), "photo": val.photo}}


@measurement("smoothgrad-cascade")
def cascade(*, corpus: Corpus, network: Network, n: int, version: int = 1, **draws) -> dict[str, Any]:
    """Rank correlation of a network's maps with those of the same network, more and more of its layers randomised.

    Arrays: `correlation` (layers,2,n) of the sizes of the maps of loss and output, from the output layer on; `photo` (n,).
    """
    val = corpus.val.subset(n)

    def sizes(model):
        return np.abs(maps(model, val.a, val.clean, **draws)).swapaxes(0, 1)  # (n,2,H,W) -> (2,n,H,W)

    trained = sizes(network.model)
    steps = [[saliency.rank_correlation(x, y) for x, y in zip(trained, sizes(model), strict=True)]
             for _, model in smoothgrad.cascade(network.model, seed=0)]  # fmt: skip
    return {"arrays": {"correlation": np.array(steps), "photo": val.photo}}


@measurement("smoothgrad-pictures")
def pictures(*, corpus: Corpus, bundled: Corpus, network: Network, n: int, version: int = 1, **draws) -> dict[str, Any]:
    """n of the bundled pictures, chosen by `saliency.noisiest_edges`, with what a network makes of them and its maps.

    Arrays: `noisy`, `clean`, `denoised` (n,3,H,W), `squares` (n,2) the chosen pixels, and maps (n,2,H,W) of the network
    as `trained`, with `shuffled weights`, and of TNet before training, `untrained`. corpus: what the network learnt on.
    """
    chosen = saliency.noisiest_edges(bundled.val.a, bundled.val.clean, bundled.val.photo, n)
    numbers = [i for i, _ in chosen]
    noisy, clean = bundled.val.a[numbers], bundled.val.clean[numbers]
    shuffled, untrained = replace(network, shuffled=True), Network(device=network.device)
    subjects = {"trained": network, "shuffled weights": shuffled, "untrained": untrained}
    return {"arrays": {
        "noisy": noisy, "clean": clean, "squares": np.array([pixel for _, pixel in chosen]),
        "denoised": smoothgrad.output(network.model, noisy).numpy(),
        **{name: maps(subject.model, noisy, clean, **draws) for name, subject in subjects.items()},
    }}  # fmt: skip


@measurement("smoothgrad-rows")
def rows(*, corpus: Corpus, bundled: Corpus, network: Network, unet: Network | None, parameters: Mapping[str, Mapping],
         pictures: int, half: int, version: int = 1) -> dict[str, Any]:
    """The Jacobian row of the chosen pixel of each of the first `pictures` for networks and filters: arrays (pictures,H,W).

    parameters: of each filter by name. Rows of filters without a derivative reach `half` pixels.
    """
    chosen = saliency.noisiest_edges(bundled.val.a, bundled.val.clean, bundled.val.photo, pictures)
    named = {"Gaussian": "gaussian", "bilateral": "bilateral", "non-local means": "nlm"}
    subjects = {"TNet": network, "UNet": unet, **{label: Filter(name, parameters[name]) for label, name in named.items()}}
    return {"arrays": {
        label: np.stack([subject.rows(bundled.val.a[i], np.array([pixel]), half)[0] for i, pixel in chosen])
        for label, subject in subjects.items() if subject
    }}  # fmt: skip


# --- measuring in a study --------------------------------------------------------------------------------------------


def per_image(study, what: Measurement, subjects: Subjects, n: int, **settings) -> ImageStatistics:
    """Measure a statistic of the first n validation images (all, where there are fewer) for each subject and seed."""
    n = min(n, study.profile.n_val)
    found = {
        label: [study.measure(what, **subject.inputs, **settings, n=n, **IDENTITY)["arrays"] for subject in members]
        for label, members in subjects.items()
    }
    return ImageStatistics({
        label: {name: np.stack([f[name] for f in seeds]) for name in seeds[0] if name != "photo"} | {"photo": seeds[0]["photo"]}
        for label, seeds in found.items()
    })  # fmt: skip


def pictured(study, tnet: Subjects, n: int, **draws) -> dict[str, np.ndarray]:
    """Return the arrays of `pictures` for the first TNet; nothing without one."""
    first = _first(tnet)
    if first is None:
        return {}
    return study.measure(pictures, bundled=study.open_corpus("bundled"), network=first, n=n, **draws, **IDENTITY)["arrays"]


def row_pictures(study, tnet: Subjects, unet: Subjects, tuned: Subjects, n: int, half: int) -> dict[str, np.ndarray]:
    """Return the arrays of `rows` for the first TNet, the first UNet if there is one, and filters; nothing without TNet."""
    first = _first(tnet)
    if first is None:
        return {}
    parameters = {members[0].name: members[0].parameters for members in tuned.values()}
    return study.measure(rows, bundled=study.open_corpus("bundled"), network=first, unet=_first(unet), parameters=parameters,
                         pictures=n, half=half, **IDENTITY)["arrays"]  # fmt: skip


def cascaded(study, tnet: Subjects, n: int, **draws) -> np.ndarray | None:
    """Return the mean over images of `cascade` for the first TNet, 1 before any layer is randomised: (layers + 1,2)."""
    first = _first(tnet)
    if first is None:
        return None
    n = min(n, study.profile.n_val)
    correlation = study.measure(cascade, network=first, n=n, **draws, **IDENTITY)["arrays"]["correlation"]
    return np.concatenate([np.ones((1, 2)), np.nanmean(correlation, axis=2)])


class ImageStatistics:
    """Statistics of each validation image by subject, with averages, differences and their intervals.

    found: label -> arrays (seeds,N,...) by name, and `photo` (N,), the photograph of each image. `STATISTICS` says which
    statistics are made of them. Those called AUC are areas under a curve; the others are logarithms of ratios, and
    are averaged geometrically. Two of these objects of different subjects are joined by `|`; one without any is false.
    """

    sample = ("Means over images; intervals are over photographs, and over seeds as well where there are three or more. "
              "The untrained and the shuffled network are one draw each.")  # fmt: skip
    pairing = ""

    def __init__(self, found: Mapping[str, Mapping[str, np.ndarray]]):
        self.found = dict(found)

    def __bool__(self) -> bool:
        return bool(self.found)

    def __or__(self, other: ImageStatistics) -> ImageStatistics:
        return ImageStatistics({**self.found, **other.found})

    @property
    def labels(self) -> list[str]:
        return list(self.found)

    @property
    def names(self) -> dict[str, str]:
        """Name in the ledger -> label, of the subjects here that the ledger has."""
        return {name: label for label, name in LEDGER_NAMES.items() if label in self.found}

    def values(self, label: str, statistic: str) -> np.ndarray | None:
        """Return a statistic of each seed and image, (seeds,N), NaN where an image has none; None if it was not measured."""
        arrays, combine = STATISTICS[statistic]
        found = self.found.get(label, {})
        return combine(*(found[name] for name in arrays)) if set(arrays) <= found.keys() else None

    def average(self, label: str, statistic: str) -> Interval | None:
        """Return the mean over images with its interval; that of an AUC is cut at 0 and 1, which Student's t does not know of."""
        values = self.values(label, statistic)
        if values is None:
            return None
        found = replace(average(values, self.found[label]["photo"], logs=not _is_auc(statistic)), digits=3)
        if _is_auc(statistic) and found:
            found = replace(found, low=max(found.low, 0.0), high=min(found.high, 1.0))
        return found

    def difference(self, label: str, other: str, statistic: str) -> Interval | None:
        """Return one subject minus another (its mean over seeds) on the images of both: of AUCs, or of logarithms."""
        a, b = self.values(label, statistic), self.values(other, statistic)
        if a is None or b is None:
            return None
        n = min(a.shape[1], b.shape[1])
        return average(a[:, :n] - b[:, :n].mean(0), self.found[label]["photo"][:n]).signed(3)

    def images(self, label: str, statistic: str | None = None) -> int:
        """Count the images that were looked at, or those that have a statistic."""
        if statistic is None:
            return int(self.found[label]["photo"].size)
        values = self.values(label, statistic)
        return 0 if values is None else int(np.isfinite(values).all(0).sum())

    def ledger(self, label: str, statistic: str) -> dict | None:
        """Return the average as the claims ledger reads it, `images` added; None where no image qualifies.

        `n` counts what the interval rests on, as in `Interval`; `low` and `high` are None for fewer than three.
        """
        values = self.values(label, statistic)
        images = self.images(label, statistic)
        found = average(values, self.found[label]["photo"], logs=not _is_auc(statistic)) if images else None
        return found.to_dict() | {"images": images} if found is not None else None

    def told(self, label: str, statistic: str) -> str:
        """Return the average and its images in words."""
        images = self.images(label, statistic)
        return f"{self.average(label, statistic).value:.3f} over {images} images" if images else "no image qualifies"


def _is_auc(statistic: str) -> bool:
    return statistic.endswith("_auc")


def average(values: np.ndarray, photo: np.ndarray, *, logs: bool = False) -> Interval:
    """Average over images with its interval: (N,) or (seeds,N), (N,) -> Interval.

    Of three seeds or more the interval crosses them with photographs, as that of a PSNR does; of fewer it is over
    photographs. Images without a number (NaN) are left out; `logs` gives the geometric mean.
    """
    values, photo = np.atleast_2d(values), np.asarray(photo)
    there = np.isfinite(values).all(0)
    if not there.any():
        return Interval(math.nan, None, None, 0, "no image qualifies")
    values, photo = values[:, there], photo[there]
    if len(values) >= FEWEST and len(np.unique(photo)) >= FEWEST:
        found = crossed(values, photo=photo)
    else:
        one = values.mean(0)
        generator = np.random.default_rng(0)  # the same draws for every row of a table, so that rows can be compared
        found = cluster_bootstrap(lambda index: one[index].mean(), photo, generator)
    if not logs:
        return found
    low, high = (None, None) if found.low is None else (math.exp(found.low), math.exp(found.high))
    return Interval(math.exp(found.value), low, high, found.n, found.method, df=found.df)
