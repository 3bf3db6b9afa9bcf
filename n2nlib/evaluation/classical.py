"""Classical filters, each tuned as Noise2Noise trains: on noisy pairs only.

A filter is a plain function of float64 images (N,3,H,W) in [0, 1]. `tune` minimises the squared error of
filter(a) against b, the second noisy copy; `apply` maps uint8 images to uint8 images, quantised as the
networks' outputs are, and `filter_float` leaves that cut out (for derivatives).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import product

import numpy as np
import pandas as pd
from scipy import ndimage
from skimage import restoration

from n2nlib.errors import MissingPackage, ReportError, unknown_name
from n2nlib.evaluation.metrics import to_uint8

#: Raised by hand whenever a filter or its tuning would give other numbers: stored measurements carry it.
VERSION = 1


@dataclass(frozen=True)
class Axis:
    """The first values of one parameter, and how the grid is extended beyond them.

    Further values follow at the same ratio, or at the same `step` for whole numbers, within `limits`:
    beyond them there is nothing else to find, and `at_limits` says what the filter has become there (lower
    end, upper end).
    """

    values: tuple[float, ...]
    limits: tuple[float, float]
    at_limits: tuple[str, str]
    step: int = 0

    def beyond(self, values: list[float], end: int) -> float | None:
        """Return the next value past the first (`end` 0) or last (-1) of `values`, None at a limit."""
        sign = -1 if end == 0 else 1
        ratio = self.values[1] / self.values[0]
        following = values[end] + sign * self.step if self.step else float(f"{values[end] * ratio**sign:.3g}")
        return following if self.limits[0] <= following <= self.limits[1] else None


@dataclass(frozen=True)
class Filter:
    """A filter: `function(images, **parameters)` maps float64 (N,3,H,W) in [0, 1] to the same."""

    title: str
    function: Callable[..., np.ndarray]
    grid: Mapping[str, Axis] = field(default_factory=dict)
    fit: Callable[[np.ndarray, np.ndarray], dict] | None = None  # closed form, in place of a grid
    slow: bool = False  # about a second for one image: run it on a sample


@dataclass(frozen=True)
class Tuned:
    """The tuned parameters, and the mean squared error of filter(a) against b at every point.

    `at_limit` says, parameter by parameter, what the filter has become where the best value is a limit of
    the grid; every other optimum lies strictly inside its grid.
    """

    parameters: dict
    curve: pd.DataFrame  # one column per parameter, and mse on [0, 1] data
    n: int
    at_limit: dict[str, str]


def tune(name: str, pairs, n: int) -> Tuned:
    """Choose the parameters of a filter on the first `n` noisy pairs: uint8 (N,3,H,W) each.

    Pairs are stored in a random order, so the first ones are a sample. A grid is extended until its optimum
    lies inside it or at a limit. Clean images are never looked at. Raises ReportError for an unknown
    filter, no pairs or no second noisy copy.
    """
    chosen = find(name)
    if pairs.b is None or n < 1 or len(pairs.a) == 0:
        raise ReportError(
            f"tuning {name!r} needs noisy pairs (a, b): expected at least one pair with both copies."
        )
    a, b = np.asarray(pairs.a[:n]), np.asarray(pairs.b[:n])
    if chosen.fit is not None:
        parameters, at_limit = chosen.fit(_unit(a), _unit(b)), {}
        curve = [{"mse": _mse(name, a, b, parameters)}]
    else:
        parameters, curve, at_limit = _search(name, a, b)
    return Tuned(parameters, pd.DataFrame(curve), len(a), at_limit)


def apply(name: str, images: np.ndarray, **parameters) -> np.ndarray:
    """Filter uint8 images (N,3,H,W); return uint8, quantised as the networks' outputs are."""
    images = np.asarray(images)
    if images.dtype != np.uint8:
        raise ReportError(
            f"classical.apply takes uint8 images, these are {images.dtype}: see classical.filter_float."
        )
    return to_uint8(filter_float(name, _unit(images), **parameters))


def filter_float(name: str, images: np.ndarray, **parameters) -> np.ndarray:
    """Filter images (N,3,H,W) in [0, 1]; return float64, neither clipped nor quantised.

    Raises ReportError for an unknown filter, an unknown or missing parameter, or another shape.
    """
    chosen = find(name)
    images = np.asarray(images, dtype=np.float64)
    if images.ndim != 4 or images.shape[1] != 3:
        raise ReportError(f"filters take images of shape (N,3,H,W), these are {images.shape}.")
    known = ("weights", "bias") if chosen.fit is not None else tuple(chosen.grid)
    for given in parameters:
        if given not in known:
            raise unknown_name(f"parameter of filter {name!r}", given, known or ("(none)",))
    missing = [p for p in known if p not in parameters]
    if missing:
        raise ReportError(
            f"filter {name!r} needs {', '.join(missing)}: take them from classical.tune({name!r}, ...)."
        )
    return chosen.function(images, **parameters)


def require(name: str) -> None:
    """Raise MissingPackage for a filter whose package is not installed."""
    if name == "bm3d" and find_spec("bm3d") is None:
        raise MissingPackage("bm3d is not installed: `pip install bm3d` (for non-commercial use only).")


def find(name: str) -> Filter:
    if name not in FILTERS:
        raise unknown_name("filter", name, FILTERS)
    return FILTERS[name]


def _unit(images: np.ndarray) -> np.ndarray:
    return np.asarray(images, dtype=np.float64) / 255


def _mse(name: str, a: np.ndarray, b: np.ndarray, parameters: dict) -> float:
    """Mean squared error on [0, 1] data of the quantised output against the second noisy copy."""
    return float(np.square(_unit(apply(name, a, **parameters)) - _unit(b)).mean())


def _search(name: str, a: np.ndarray, b: np.ndarray) -> tuple[dict, list[dict], dict[str, str]]:
    """Try the whole grid; extend an end that holds the best point, up to its limit, and repeat."""
    grid = find(name).grid
    axes = {p: list(axis.values) for p, axis in grid.items()}
    tried: dict[tuple, float] = {}
    while True:  # an extension takes an end nearer to its limit, so there is a last one
        for point in product(*axes.values()):
            if point not in tried:
                tried[point] = _mse(name, a, b, dict(zip(axes, point, strict=True)))
        best = dict(zip(axes, min(tried, key=tried.get), strict=True))
        at_limit, extended = {}, False
        for p, values in axes.items():
            for end in (0, -1):
                if best[p] == values[end]:
                    following = grid[p].beyond(values, end)
                    if following is None:
                        at_limit[p] = grid[p].at_limits[end]
                    else:
                        values.insert(0 if end == 0 else len(values), following)
                        extended = True
        if not extended:
            break
    curve = [{**dict(zip(axes, point, strict=True)), "mse": mse} for point, mse in sorted(tried.items())]
    return best, curve, at_limit


# --- the filters: images are float64 (N,3,H,W); "reflect" repeats the edge pixel ---


def zero(images: np.ndarray) -> np.ndarray:
    """Return black images, the output of a network of dead ReLUs."""
    return np.zeros_like(images)


def noisy(images: np.ndarray) -> np.ndarray:
    """Return the images as they are."""
    return images


def mean(images: np.ndarray, size: int) -> np.ndarray:
    """Replace each pixel by the mean of the `size` x `size` pixels around it."""
    return ndimage.uniform_filter(images, size=(int(size), int(size)), axes=(2, 3), mode="reflect")


def gaussian(images: np.ndarray, sigma: float) -> np.ndarray:
    """Smooth with a Gaussian of standard deviation `sigma` pixels."""
    return ndimage.gaussian_filter(images, sigma=sigma, axes=(2, 3), mode="reflect", truncate=5.0)


def median(images: np.ndarray, size: int) -> np.ndarray:
    """Replace each value by the median of its channel in the `size` x `size` pixels around it."""
    return ndimage.median_filter(images, size=(int(size), int(size)), axes=(2, 3), mode="reflect")


def bilateral(images: np.ndarray, sigma_spatial: float, sigma_color: float) -> np.ndarray:
    """Smooth with weights that fall with distance in pixels and in RGB (Tomasi and Manduchi, 1998).

    Written out here because scikit-image 0.26.0 builds the spatial weights one row and one column too wide,
    so that its filter shifts the image (-5 // 2 is -3); all images at once are faster too.
    """
    r = max(1, int(np.ceil(3 * sigma_spatial)))
    height, width = images.shape[2:]
    padded = np.pad(images, ((0, 0), (0, 0), (r, r), (r, r)), mode="symmetric")
    total, weights = np.zeros_like(images), np.zeros_like(images[:, :1])
    for dy, dx in product(range(-r, r + 1), repeat=2):
        there = padded[:, :, r + dy : r + dy + height, r + dx : r + dx + width]
        distance = np.square(there - images).sum(axis=1, keepdims=True)  # (N,3,H,W) -> (N,1,H,W)
        weight = np.exp(-(dy**2 + dx**2) / (2 * sigma_spatial**2) - distance / (2 * sigma_color**2))
        total += weight * there
        weights += weight
    return total / weights


def nlm(images: np.ndarray, h: float, distance: int) -> np.ndarray:
    """Average pixels with similar 5x5 surroundings, up to `distance` away (Buades et al., 2005).

    Not scikit-image's fast mode: in 0.26.0 its patches lie off-centre, which costs most on images as small
    as these.
    """
    return _each(
        restoration.denoise_nl_means, images, h=h, patch_distance=int(distance), patch_size=5, fast_mode=False
    )


def tv(images: np.ndarray, weight: float) -> np.ndarray:
    """Minimise squared change plus `weight` times the total variation (Chambolle, 2004)."""
    return _each(restoration.denoise_tv_chambolle, images, weight=weight)


def wavelet(images: np.ndarray, sigma: float) -> np.ndarray:
    """Soft-threshold sym4 wavelets at noise sd `sigma` (BayesShrink; Chang et al., 2000)."""
    return _each(restoration.denoise_wavelet, images, sigma=sigma, wavelet="sym4", rescale_sigma=True)


def linear(images: np.ndarray, weights: np.ndarray, bias: float) -> np.ndarray:
    """Correlate each channel with one fitted kernel, `weights` (5,5), and add `bias`."""
    weights = np.asarray(weights)
    return ndimage.correlate(images, weights[None, None], mode="reflect") + bias


def fit_linear(a: np.ndarray, b: np.ndarray) -> dict:
    """Fit b by least squares on the 5x5 pixels of `a` around it: the best linear filter.

    One kernel for the three channels, and a bias: 26 unknowns from 3*H*W equations per image. Weights
    between channels would have little to add, since the noise of this data is nearly the same in all three.
    """
    gram, moment = np.zeros((26, 26)), np.zeros(26)
    for image, target in zip(a, b, strict=True):
        padded = np.pad(image, ((0, 0), (2, 2), (2, 2)), mode="symmetric")
        windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 5), axis=(1, 2))  # (3,H,W,5,5)
        design = np.column_stack([windows.reshape(-1, 25), np.ones(image.size)])  # (3HW,26)
        gram += design.T @ design
        moment += design.T @ target.ravel()
    # lstsq, not solve: flat images alone would leave the kernel undetermined.
    solution = np.linalg.lstsq(gram, moment, rcond=None)[0]
    return {"weights": solution[:25].reshape(5, 5), "bias": float(solution[25])}


def bm3d(images: np.ndarray, sigma: float) -> np.ndarray:
    """Block-matching and 3D filtering for noise of standard deviation `sigma` (Dabov et al., 2007).

    The package `bm3d` is licensed for non-commercial use only and is therefore optional. Raises
    MissingPackage without it.
    """
    require("bm3d")
    from bm3d import bm3d_rgb

    return _each(lambda image, channel_axis: bm3d_rgb(image, sigma_psd=sigma), images)


def _each(function: Callable[..., np.ndarray], images: np.ndarray, **parameters) -> np.ndarray:
    """Run a filter of scikit-image, which takes one (H,W,3) colour image, over a batch (N,3,H,W)."""
    out = np.empty_like(images)
    for i, image in enumerate(images):
        out[i] = np.moveaxis(function(np.moveaxis(image, 0, -1), channel_axis=-1, **parameters), -1, 0)
    return out


_IDENTITY = "the identity"
_ODD = Axis((1, 3, 5), limits=(1, 31), at_limits=(_IDENTITY, "nearly one colour"), step=2)

#: Name -> filter, in the order of the tables. The grids begin where the optimum lies on sub-pixel sampled
#: photographs.
FILTERS = {
    "zero": Filter("Zero image", zero),
    "noisy": Filter("Noisy image", noisy),
    "median": Filter("Median", median, {"size": _ODD}),
    "mean": Filter("Mean", mean, {"size": _ODD}),
    "gaussian": Filter(
        "Gaussian",
        gaussian,
        {"sigma": Axis((0.5, 0.55, 0.605, 0.666, 0.732), (0.1, 15), (_IDENTITY, "nearly one colour"))},
    ),
    "linear": Filter("5x5 linear, fitted", linear, fit=fit_linear),
    "bilateral": Filter(
        "Bilateral",
        bilateral,
        {
            "sigma_spatial": Axis((0.55, 0.66, 0.792), (0.1, 15), (_IDENTITY, "nearly one colour")),
            "sigma_color": Axis((0.3, 0.45, 0.675), (1e-3, 5), (_IDENTITY, "a Gaussian filter")),
        },
    ),
    "nlm": Filter(
        "Non-local means",
        nlm,
        {
            "h": Axis((0.225, 0.27, 0.324, 0.389), (1e-3, 10), (_IDENTITY, "a plain mean")),
            "distance": Axis((1, 2, 3), (1, 15), ("the eight neighbours only", "half the image"), step=1),
        },
    ),
    "tv": Filter(
        "Total variation",
        tv,
        {"weight": Axis((0.04, 0.05, 0.0625, 0.078), (1e-4, 10), (_IDENTITY, "one colour"))},
    ),
    "wavelet": Filter(
        "Wavelet",
        wavelet,
        {"sigma": Axis((0.07, 0.098, 0.137, 0.192), (1e-3, 10), (_IDENTITY, "the coarsest scale only"))},
    ),
    "bm3d": Filter(
        "BM3D",
        bm3d,
        {"sigma": Axis((0.06, 0.085, 0.12), (1e-3, 2), (_IDENTITY, "nearly one colour"))},
        slow=True,
    ),
}
