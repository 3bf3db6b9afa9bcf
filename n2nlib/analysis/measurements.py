"""Expensive results, computed once and stored: one function with a version per kind.

A measurement's identity is its kind, its version and its arguments. Whoever changes what a function computes
raises its version, and the stored answers of the old one are no longer found
(tests/analysis/test_measurements.py watches the source).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import update_wrapper
from typing import Any

import numpy as np

from n2nlib.data import Dataset, measure, open_dataset
from n2nlib.evaluation import classical, detail, metrics, transfer
from n2nlib.evaluation.metrics import denoise, psnr
from n2nlib.models import build
from n2nlib.runs.store import Run, RunStore
from n2nlib.spec import JSON_NAMES

#: Every kind of measurement by name.
KINDS: dict[str, Measurement] = {}


@dataclass
class Measurement:
    """A function whose results are stored; called, it computes, and `stored` looks first."""

    kind: str
    version: int
    function: Callable[..., dict[str, Any]]
    explicit: bool = False  # version 1 is part of the identity too

    def __call__(self, **arguments):
        return self.function(**arguments)

    def inputs(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments as plain JSON values: a run is its id, a dataset its fingerprint."""
        version = {"version": self.version} if self.explicit or self.version > 1 else {}
        named = {JSON_NAMES.get(name, name): identity(value) for name, value in arguments.items()}
        return named | version

    def stored(self, store: RunStore, **arguments) -> dict[str, Any]:
        """Return the result for these arguments, computed once.

        JSON values, and NumPy arrays by name under "arrays".
        """
        return store.measurement(self.kind, self.inputs(arguments), lambda: self.function(**arguments))


def measurement(kind: str, version: int = 1, *, explicit: bool = False) -> Callable[[Callable], Measurement]:
    """Register a module-level function as a kind of measurement.

    `explicit`: its stored answers name version 1 too.
    The function takes keyword arguments (runs, datasets, plain values) and returns JSON values, with NumPy
    arrays by name under "arrays". Everything its result depends on must be an argument.
    """

    def register(function: Callable) -> Measurement:
        KINDS[kind] = update_wrapper(Measurement(kind, version, function, explicit), function, updated=())
        return KINDS[kind]

    return register


def identity(value: Any) -> Any:
    """Return what names a value in a measurement's identity."""
    if hasattr(value, "id"):  # a run, or a network made from one
        return value.id
    if isinstance(value, Dataset):
        return value.fingerprint
    if isinstance(value, Mapping):
        return {key: identity(v) for key, v in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [identity(v) for v in value]
    return value


@measurement("validation-images")
def validation_images(*, dataset: Dataset) -> dict[str, Any]:
    """The validation images before denoising.

    `photo` (N,), and PSNR in dB of `noisy` (N,) and of black images, `zero` (N,).
    Stored, so that a ledger can be judged again without the photographs.
    """
    val = dataset.val
    noisy, zero = (psnr(val.clean, image, data_range=255) for image in (val.a, 0 * val.a))
    return {"arrays": {"photo": val.photo, "noisy": noisy, "zero": zero}}


# --- chapter 04 ---


@measurement("examples")
def examples(
    *, dataset: Dataset, bundled: Dataset, levels: Sequence[float], runs: Sequence[Run]
) -> dict[str, Any]:
    """Figure 2: validation windows of the bundled photographs, denoised by one run of each network.

    runs: trained on `dataset`; windows are ranked by the PSNR of the last one's network, and `levels` are the
    ranks to show, from 0 (lowest PSNR) to 1. Returns the photographs' `names`, and arrays "noisy", "clean",
    and one per network.
    """
    pairs = bundled.val
    names = [p.name.rpartition(".")[0] for p in bundled.photographs("val")]
    out = {run.spec.network: denoise(run.model(), pairs.a) for run in runs}
    index = spread_windows(psnr(pairs.clean, out[runs[-1].spec.network], 255), pairs.photo, levels)
    shown = {"noisy": pairs.a, **out, "clean": pairs.clean}
    arrays = {label: images[index] for label, images in shown.items()}
    return {"names": [names[p] for p in pairs.photo[index]], "arrays": arrays}


def spread_windows(values, photo, levels: Sequence[float]) -> list[int]:
    """Return for each level (rank of `values`, 0 to 1) the nearest window of the photographs chosen least."""
    rank = np.argsort(np.argsort(values)) / max(len(values) - 1, 1)
    chosen: list[int] = []
    for level in levels:
        shown = np.array([np.isin(photo[chosen], p).sum() for p in photo])
        free = [i for i in np.flatnonzero(shown == shown.min()) if i not in chosen]
        chosen.append(min(free, key=lambda i: abs(rank[i] - level)))
    return chosen


# --- chapter 06 ---


@measurement("transfer")
def transferred(*, dataset: Dataset, runs: Sequence[Run], **where: Dataset) -> dict[str, Any]:
    """Judge runs on the dataset `where["judged on"]`: the arrays of `transfer.judge`.

    dataset: the dataset of the report, a part of the identity only.
    """
    return {"arrays": transfer.judge([run.model() for run in runs], where["judged on"])}


@measurement("whole photographs", classical.VERSION, explicit=True)
def whole_photographs(*, dataset: Dataset, runs: Mapping[str, Sequence[Run]], filters: Mapping[str, Mapping],
                      cells: Sequence[int], photographs: int) -> dict[str, Any]:  # fmt: skip
    """Judge networks and filters on the first whole validation photographs, for each size of cell.

    runs: label -> runs; filters: name -> parameters. Returns shapes[cell], a list of
    [height, width], and arrays "<measure> <cell> <method>" (seeds, photographs) of PSNR in dB and SSIM.
    """
    transfer.require(dataset)
    networks = _models(runs)
    shapes, arrays = {}, {}
    for cell in cells:
        pairs = [pair for p in dataset.photographs("val")[:photographs] if (pair := transfer.whole(p, cell))]
        shapes[str(cell)] = [list(clean.shape[2:]) for _, clean in pairs]
        outputs = [(transfer.restored(noisy, networks, filters), clean) for noisy, clean in pairs]
        for method in outputs[0][0] if outputs else ():
            for name, of in (("psnr", metrics.psnr), ("ssim", metrics.ssim)):
                values = [[of(clean, image, data_range=255)[0] for image in images[method]]
                          for images, clean in outputs]  # fmt: skip
                arrays[f"{name} {cell} {method}"] = np.array(values).T
    return {"shapes": shapes, "arrays": arrays}


@measurement("pictures of whole photographs", classical.VERSION, explicit=True)
def whole_pictures(*, dataset: Dataset, runs: Mapping[str, Sequence[Run]], filters: Mapping[str, Mapping],
                   cells: Sequence[int], photographs: int) -> dict[str, Any]:  # fmt: skip
    """Two bundled validation photographs at the first size of cell: arrays "<0 or 1> <method>".

    Each (3,H,W) uint8; the method "clean" is among them, and networks show their first seed. The arguments
    are those of `whole_photographs`, but the photographs are the bundled ones, so that the figure may be
    shared.
    """
    networks, arrays = _models(runs), {}
    for i, photograph in enumerate(open_dataset("bundled").photographs("val")[:2]):
        noisy, clean = transfer.whole(photograph, cells[0])
        images = transfer.restored(noisy, networks, filters) | {"clean": [clean]}
        arrays |= {f"{i} {method}": seeds[0][0] for method, seeds in images.items()}
    return {"arrays": arrays}


def _models(runs: Mapping[str, Sequence[Run]]) -> dict[str, list]:
    return {label: [run.model() for run in row] for label, row in runs.items()}


# --- chapters 01 and 02 ---


@measurement("noise", measure.VERSION, explicit=True)
def noise(*, dataset: Dataset) -> dict[str, Any]:
    """The noise of the validation images: `data.measure.summary`, and their PSNR in dB.

    psnr and psnr_sd: mean and standard deviation over images; psnr_global: of the squared error over all
    images.
    """
    val = dataset.val
    of_images = metrics.psnr(val.clean, val.a, data_range=255)
    levels = {"psnr": of_images.mean(), "psnr_sd": of_images.std(ddof=1)}
    return (
        measure.summary(val) | levels | {"psnr_global": metrics.global_psnr(val.clean, val.a, data_range=255)}
    )


@measurement("other noises", measure.VERSION, explicit=True)
def other_noises(*, dataset: Dataset, noises: Sequence[str]) -> dict[str, Any]:
    """Other noises around the clean validation images, by name.

    `data.measure.other_noise`, and `psnr` in dB once stored.
    """
    found = {name: measure.other_noise(dataset.val.clean, name) for name in noises}
    return {
        name: one | {"psnr": metrics.psnr(dataset.val.clean, one.pop("stored"), data_range=255).mean()}
        for name, one in found.items()
    }


@measurement("filter", classical.VERSION, explicit=True)
def tuned_filter(*, dataset: Dataset, name: str, pairs: int) -> dict[str, Any]:
    """A filter tuned on the first `pairs` noisy training pairs and applied to as many validation images.

    parameters, at_limit, curve (columns as lists) and pairs as in `classical.Tuned`; ms: milliseconds per
    image; global: PSNR (dB) of the squared error over all images; arrays: psnr (n,) in dB.
    Raises ReportError for an unknown filter, MissingPackage for one whose package is not installed.
    """
    classical.require(name)  # before a dataset is built that nothing will use
    tuned = classical.tune(name, dataset.train, pairs)
    val = dataset.val.subset(min(pairs, len(dataset.val)))
    start = time.perf_counter()
    filtered = classical.apply(name, val.a, **tuned.parameters)
    ms = 1000 * (time.perf_counter() - start) / len(val)
    return {
        "parameters": tuned.parameters,
        "at_limit": tuned.at_limit,
        "curve": tuned.curve.to_dict("list"),
        "pairs": tuned.n,
        "ms": ms,
        "global": metrics.global_psnr(val.clean, filtered, data_range=255),
        "arrays": {"psnr": metrics.psnr(val.clean, filtered, data_range=255)},
    }


@measurement("network")
def trained_network(*, dataset: Dataset, run: Run) -> dict[str, Any]:
    """A trained network on the validation images: its speed and its dead outputs.

    ms: milliseconds per image on this processor; dead_channels: output channels that never change; same:
    whether every image gives the same output.
    """
    noisy, network = dataset.val.a, run.model()
    metrics.denoise(network, noisy[:32])  # the first call also allocates
    start = time.perf_counter()
    out = metrics.denoise(network, noisy)
    ms = 1000 * (time.perf_counter() - start) / len(noisy)
    return {
        "ms": ms,
        "dead_channels": int((np.ptp(out, axis=(0, 2, 3)) == 0).sum()),
        "same": bool((out == out[:1]).all()),
    }


@measurement("untrained")
def untrained_network(*, dataset: Dataset, network: str, seed: int) -> dict[str, Any]:
    """A network before training on the validation images: `global` PSNR and arrays["psnr"] (N,) in dB."""
    val = dataset.val
    out = metrics.denoise(build(network, seed=seed), val.a)
    return {
        "global": metrics.global_psnr(val.clean, out, 255),
        "arrays": {"psnr": metrics.psnr(val.clean, out, 255)},
    }


@measurement("error by detail", classical.VERSION, explicit=True)
def error_by_detail(
    *, dataset: Dataset, filters: Mapping[str, Mapping], runs: Sequence[Run]
) -> dict[str, Any]:
    """Squared error in tenths of the validation pixels, ranked by the local deviation of the clean image.

    filters: name -> parameters. Returns `middle`, the median deviation of each tenth, and arrays: `pixels`
    (photographs, tenths), and sums of squared error on [0, 1] data, for a filter (photographs, tenths) and
    for a network, by its name, (seeds, photographs, tenths).
    """
    val = dataset.val
    ranked = detail.local_deviation(val.clean)
    part = detail.parts(ranked)

    def sums(image: np.ndarray) -> np.ndarray:
        return detail.error_by_part(image, val.clean, part, val.photo)

    found = {name: sums(classical.apply(name, val.a, **parameters)) for name, parameters in filters.items()}
    for network in dict.fromkeys(run.spec.network for run in runs):
        found[network] = np.stack(
            [sums(metrics.denoise(run.model(), val.a)) for run in runs if run.spec.network == network]
        )
    middle = [float(np.median(ranked[part == k])) if (part == k).any() else 0.0 for k in range(detail.PARTS)]
    return {"middle": middle, "arrays": {**found, "pixels": detail.pixels_by_part(part, val.photo)}}


@measurement("pictures of filters", classical.VERSION, explicit=True)
def filter_pictures(
    *, dataset: Dataset, bundled: Dataset, filters: Mapping[str, Mapping], run: Run | None
) -> dict[str, Any]:
    """Five validation windows of the bundled photographs: clean, and denoised by filters and by a network.

    filters: name -> parameters, tuned on `dataset`. Arrays by name, each uint8 (5, 3, 32, 32): one window per
    photograph, then a second one. The network's name is that of its run; None leaves it out.
    """
    pairs = bundled.val
    first = np.unique(pairs.photo, return_index=True)[1]
    second = [i for p in pairs.photo[first] for i in np.flatnonzero(pairs.photo == p)[1:2]]
    index = np.array([*first, *second])[:5]
    images = {
        name: classical.apply(name, pairs.a[index], **parameters) for name, parameters in filters.items()
    }
    if run is not None:
        images[run.spec.network] = metrics.denoise(run.model(), pairs.a[index])
    return {"arrays": {**images, "clean": pairs.clean[index]}}
