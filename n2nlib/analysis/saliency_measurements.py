"""Measurements of chapter 05: the statements of section 3 per image, and the maps shown.

A subject is a `Network` or a `Filter`. `per_image` measures a statistic of one or more subjects and returns
`ImageStatistics`, which averages them and knows their intervals. Definitions: `n2nlib.evaluation.saliency`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch

from n2nlib.analysis import filters
from n2nlib.analysis.comparison import Comparison
from n2nlib.analysis.image_statistics import ImageStatistics
from n2nlib.analysis.measurements import Measurement, measurement
from n2nlib.data import Dataset
from n2nlib.data.pairs import Pairs
from n2nlib.evaluation import classical, influence, saliency, smoothgrad
from n2nlib.models import build
from n2nlib.runs.store import Run

# --- networks and filters -------------------------------------------------------------------------


@dataclass(frozen=True)
class Network:
    """A run's network, with shuffled weights, or as it was before training; loaded when first used."""

    run: Run
    shuffled: bool = False
    untrained: bool = False
    device: str = "cpu"

    @property
    def id(self) -> str:
        """What names the network in a measurement's identity."""
        return "shuffled " * self.shuffled + "untrained " * self.untrained + self.run.id

    @property
    def inputs(self) -> dict[str, Any]:
        """The arguments by which a measurement gets this network."""
        return {"network": self}

    @cached_property
    def model(self) -> torch.nn.Module:
        spec = self.run.spec
        network = build(spec.network, seed=spec.seed, **spec.options) if self.untrained else self.run.model()
        network = network.to(self.device)
        order = torch.Generator().manual_seed(spec.seed)
        return smoothgrad.shuffled(network, order) if self.shuffled else network

    def denoise(self, noisy: np.ndarray) -> np.ndarray:
        """Return f(noisy) on a [0, 1] scale: uint8 (N,3,H,W) -> (N,3,H,W)."""
        return smoothgrad.output(self.model, noisy).numpy()

    def statements(self, noisy: np.ndarray, clean: np.ndarray, **draws) -> dict[str, np.ndarray]:
        return saliency.network_statements(self.model, noisy, clean, **draws)

    def rows(self, image: np.ndarray, pixels: np.ndarray, radius: int = saliency.RADIUS) -> np.ndarray:
        """Rows of the Jacobian, all of each: uint8 (3,H,W), (K,2) -> (K,H,W)."""
        return smoothgrad.jacobian_rows(self.model, image, pixels).numpy()


@dataclass(frozen=True)
class Filter:
    """A filter of `n2nlib.evaluation.classical` with its parameters."""

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

    def denoise(self, noisy: np.ndarray) -> np.ndarray:
        """Return the filtered images on a [0, 1] scale: uint8 (N,3,H,W) -> (N,3,H,W)."""
        return classical.filter_float(self.name, noisy / 255.0, **self.parameters)

    def statements(self, noisy: np.ndarray, clean: np.ndarray) -> dict[str, np.ndarray]:
        if self.matrix is not None:
            return saliency.linear_statements(self.matrix, noisy, clean)
        return saliency.statements(noisy, clean, self.denoise(noisy))

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
    """Return TNet that has learnt nothing, as often as it was trained.

    Before training, and with shuffled weights.
    """
    trained = [network for members in tnet.values() for network in members]
    if not trained:
        return {}
    return {
        "TNet, untrained": [replace(network, untrained=True) for network in trained],
        "TNet, shuffled weights": [replace(network, shuffled=True) for network in trained],
    }


def linear_filters(study) -> dict[str, list[Filter]]:
    """Return the mean of 3x3 pixels and the tuned Gaussian."""
    # 3x3 is the smallest mean that filters at all: tuning may choose 1x1.
    return {
        "mean, 3x3": [Filter("mean", {"size": 3})],
        "Gaussian": [Filter("gaussian", filters.tuned(study, "gaussian"))],
    }


def adaptive_filters(study) -> dict[str, list[Filter]]:
    """Return the tuned filters whose weights depend on the picture."""
    labels = {"bilateral": "bilateral", "nlm": "non-local means"}
    return {label: [Filter(name, filters.tuned(study, name))] for name, label in labels.items()}


#: The filter that does nothing.
IDENTITY_FILTER = {"noisy image": [Filter("noisy")]}


def _first(subjects: Subjects) -> Network | Filter | None:
    return next((members[0] for members in subjects.values()), None)


# --- what is stored -------------------------------------------------------------------------------


def maps(network: torch.nn.Module, noisy: np.ndarray, clean: np.ndarray, **draws) -> np.ndarray:
    """Return signed SmoothGrad maps of loss and output, means over channels: (N,3,H,W) twice -> (N,2,H,W)."""
    # The same noise for both maps, so that they can be compared.
    loss = smoothgrad.loss_gradient(
        network, noisy, clean, generator=torch.Generator().manual_seed(0), **draws
    )
    output = smoothgrad.output_gradient(network, noisy, generator=torch.Generator().manual_seed(0), **draws)
    return torch.stack([loss.mean(1), output.mean(1)], dim=1).numpy()


def _images_and_subject(dataset: Dataset, n: int, network: Network | None = None, filter: str = "",
                        parameters: Mapping | None = None) -> tuple[Pairs, Network | Filter]:  # fmt: skip
    """Return the first n validation images, and the subject that `inputs` of it names."""
    return dataset.val.subset(n), network or Filter(filter, parameters or {})


@measurement("smoothgrad-statements", explicit=True)
def statements(
    *, dataset: Dataset, n: int, network: Network | None = None, filter: str = "",
    parameters: Mapping | None = None, **draws,
) -> dict[str, Any]:  # fmt: skip
    """`saliency.statements` of the first n validation images for a network or filter, `photo` (n,) added."""
    val, subject = _images_and_subject(dataset, n, network, filter, parameters)
    return {"arrays": {**subject.statements(val.a, val.clean, **draws), "photo": val.photo}}


@measurement("smoothgrad-same-side", explicit=True)
def same_side(*, dataset: Dataset, n: int, **subject) -> dict[str, Any]:
    """`saliency.same_side` of the first n validation images for a network or a filter, `photo` (n,) added."""
    val, subject = _images_and_subject(dataset, n, **subject)
    return {"arrays": {**saliency.same_side(subject.rows, val.a, val.clean), "photo": val.photo}}


@measurement("smoothgrad-change", explicit=True)
def changes(*, dataset: Dataset, n: int, **subject) -> dict[str, Any]:
    """`influence.change` of the first n validation images for a network or a filter, `photo` (n,) added."""
    val, subject = _images_and_subject(dataset, n, **subject)
    return {"arrays": {**influence.change(val.a, val.clean, subject.denoise(val.a)), "photo": val.photo}}


@measurement("smoothgrad-background", explicit=True)
def background(*, dataset: Dataset, n: int, network: Network, **draws) -> dict[str, Any]:
    """`influence.background` of the first n validation images for a network.

    `background` (n,), and `photo` (n,).
    """
    val = dataset.val.subset(n)
    generator = torch.Generator().manual_seed(0)
    weights = smoothgrad.output_gradient(network.model, val.a, generator=generator, **draws)
    found = influence.background(val.clean, np.abs(weights.numpy()).mean(1))
    return {"arrays": {"background": found, "photo": val.photo}}


@measurement("smoothgrad-cascade", explicit=True)
def cascade(*, dataset: Dataset, network: Network, n: int, **draws) -> dict[str, Any]:
    """Rank correlation of a network's maps with those of the network with more and more layers randomised.

    Arrays: `correlation` (layers,2,n) of the sizes of the maps of loss and output, from the output layer on,
    and `photo` (n,).
    """
    val = dataset.val.subset(n)

    def sizes(model):
        return np.abs(maps(model, val.a, val.clean, **draws)).swapaxes(0, 1)  # (n,2,H,W) -> (2,n,H,W)

    trained = sizes(network.model)
    steps = [
        [saliency.rank_correlation(x, y) for x, y in zip(trained, sizes(model), strict=True)]
        for _, model in smoothgrad.cascade(network.model, seed=0)
    ]
    return {"arrays": {"correlation": np.array(steps), "photo": val.photo}}


@measurement("smoothgrad-pictures", 2)
def pictures(*, dataset: Dataset, bundled: Dataset, network: Network, n: int, **draws) -> dict[str, Any]:
    """Bundled pictures chosen by `saliency.noisiest_edges`, with the output and the maps of a network.

    Arrays: `noisy`, `clean`, `denoised` (n,3,H,W), `squares` (n,2) the chosen pixels, and maps (n,2,H,W) of
    the network as `trained`, with `shuffled weights`, and of TNet before training, `untrained`.
    dataset: the dataset that the network was trained on.
    """
    chosen = saliency.noisiest_edges(bundled.val.a, bundled.val.clean, bundled.val.photo, n)
    numbers = [i for i, _ in chosen]
    noisy, clean = bundled.val.a[numbers], bundled.val.clean[numbers]
    shuffled, untrained = replace(network, shuffled=True), replace(network, untrained=True)
    subjects = {"trained": network, "shuffled weights": shuffled, "untrained": untrained}
    return {
        "arrays": {
            "noisy": noisy,
            "clean": clean,
            "squares": np.array([pixel for _, pixel in chosen]),
            "denoised": smoothgrad.output(network.model, noisy).numpy(),
            **{name: maps(subject.model, noisy, clean, **draws) for name, subject in subjects.items()},
        }
    }


@measurement("smoothgrad-rows", explicit=True)
def rows(*, dataset: Dataset, bundled: Dataset, network: Network, unet: Network | None,
         parameters: Mapping[str, Mapping], pictures: int, half: int) -> dict[str, Any]:  # fmt: skip
    """The Jacobian row of one pixel per picture, for networks and filters: (pictures,H,W).

    parameters: of each filter by name. Rows of filters without a derivative reach `half` pixels.
    """
    chosen = saliency.noisiest_edges(bundled.val.a, bundled.val.clean, bundled.val.photo, pictures)
    named = {"Gaussian": "gaussian", "bilateral": "bilateral", "non-local means": "nlm"}
    tuned = {label: Filter(name, parameters[name]) for label, name in named.items()}
    arrays = {}
    for label, subject in ({"TNet": network, "UNet": unet} | tuned).items():
        if subject:
            each = [subject.rows(bundled.val.a[i], np.array([pixel]), half)[0] for i, pixel in chosen]
            arrays[label] = np.stack(each)
    return {"arrays": arrays}


# --- measuring in a study -------------------------------------------------------------------------


def per_image(study, what: Measurement, subjects: Subjects, n: int, **settings) -> ImageStatistics:
    """Measure the first n validation images (all, where there are fewer) for each subject and seed."""
    n = min(n, study.profile.n_val)
    found = {}
    for label, members in subjects.items():
        seeds = [study.measure(what, **one.inputs, **settings, n=n)["arrays"] for one in members]
        found[label] = {name: np.stack([arrays[name] for arrays in seeds]) for name in seeds[0]}
        found[label]["photo"] = seeds[0]["photo"]
    return ImageStatistics(found)


def pictured(study, tnet: Subjects, n: int, **draws) -> dict[str, np.ndarray]:
    """Return the arrays of `pictures` for the first TNet; nothing without one."""
    if not tnet:
        return {}
    bundled = study.open_dataset("bundled")
    return study.measure(pictures, bundled=bundled, network=_first(tnet), n=n, **draws)["arrays"]


def row_pictures(
    study, tnet: Subjects, unet: Subjects, tuned: Subjects, n: int, half: int
) -> dict[str, np.ndarray]:
    """Return the arrays of `rows` for the first TNet, the first UNet, and filters; nothing without TNet."""
    if not tnet:
        return {}
    parameters = {members[0].name: members[0].parameters for members in tuned.values()}
    arguments = {"network": _first(tnet), "unet": _first(unet), "parameters": parameters}
    bundled = study.open_dataset("bundled")
    return study.measure(rows, bundled=bundled, **arguments, pictures=n, half=half)["arrays"]


def cascaded(study, tnet: Subjects, n: int, **draws) -> np.ndarray | None:
    """Return the mean over images of `cascade` for the first TNet, from 1 for no layer on: (layers + 1,2)."""
    if not tnet:
        return None
    n = min(n, study.profile.n_val)
    correlation = study.measure(cascade, network=_first(tnet), n=n, **draws)["arrays"]["correlation"]
    return np.concatenate([np.ones((1, 2)), np.nanmean(correlation, axis=2)])
