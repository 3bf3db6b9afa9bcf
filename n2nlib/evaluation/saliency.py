"""The four statements of the paper's section 3, as numbers for each image.

Definitions, used by chapter 05 and by the claims ledger:

- A pixel is one of the H*W places of an image; its error is the mean over channels of |noisy - clean|, and
  the **noisy pixels** of an image are its noisiest 5 % (51 of 1,024). Maps of a network are means over
  channels of absolute values: |f(a) - a| (the change), |SmoothGrad of the loss|, |SmoothGrad of the output|.
- `smoothgrad.change_auc`, `smoothgrad.loss_gradient_auc`: area under the ROC curve with which that map finds
  the noisy pixels, averaged over images. 0.5 is chance, 1 is perfect.
- A **quiet pixel of equal detail** is, for a noisy pixel, the pixel of the same image with an error up to the
  median and the most similar detail (standard deviation of the clean grey values in 5x5), within 25 %;
  without one, the noisy pixel is left out.
- `smoothgrad.output_gradient_ratio`: output gradient at noisy pixels over that at their quiet partners; below
  1, noisy pixels have less influence. `smoothgrad.ring_ratio`: the same ratio for the mean over the eight
  neighbours (the noisiest 5 % left out); above 1, the surroundings of a noisy pixel have more.
  `smoothgrad.pixel_to_ring`: the first divided by the second. Each is a ratio of means in one image, averaged
  over images geometrically.
- An **edge pixel** stands between two sides: Otsu's threshold splits the clean grey values within 3 pixels of
  it into two groups of at least 6, whose means differ by at least 0.15 and which explain at least 80 % of the
  variance (a ramp explains 75 %), and among its four direct neighbours both sides occur.
- `smoothgrad.same_side.NAME`: in the Jacobian row of an edge pixel, the absolute weight on pixels of its own
  side over that on pixels of the other side, compared at equal distance (up to 3 pixels, only distances at
  which both sides occur, each counted with its number of pixels), summed over the edge pixels of an image,
  averaged over images geometrically. A filter whose weights depend on the distance alone has exactly 1.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy import ndimage, stats

from n2nlib.evaluation import classical
from n2nlib.evaluation.detail import local_deviation
from n2nlib.evaluation.smoothgrad import SAMPLES, SIGMA, loss_gradient, output, output_gradient

NOISIEST = 0.05
CALIPER = math.log(1.25)
#: Images with fewer matched pixels than this give no ratio: a mean of two or three pixels is mostly chance.
FEWEST_PAIRS = 5
RADIUS, CONTRAST, EXPLAINED, SMALLEST = 3, 0.15, 0.8, 6
#: Edge pixels stay this far from the border, where filters fold their kernels back into the image.
MARGIN = 4
#: Most edge pixels of one image whose Jacobian rows are taken, spread evenly over those there are.
ROWS = 48
#: Half the distance, on a [0, 1] scale, of the central differences for filters that have no derivative.
STEP = 2 / 255

#: Rows and columns of the 28 pixels within RADIUS of a pixel.
DISC = [
    (y, x)
    for y in range(-RADIUS, RADIUS + 1)
    for x in range(-RADIUS, RADIUS + 1)
    if 0 < y * y + x * x <= RADIUS**2
]
_SQUARED = np.array([y * y + x * x for y, x in DISC])
#: The distances in pixels within the disc: 1, sqrt 2, 2, sqrt 5, sqrt 8, 3.
DISTANCES = np.sqrt(np.unique(_SQUARED))
_COUNTS = np.array([np.sum(_SQUARED == d) for d in np.unique(_SQUARED)])


# --- what is in the image -------------------------------------------------------------------------


def error_map(noisy: np.ndarray, clean: np.ndarray) -> np.ndarray:
    """Return each pixel's true error on a [0, 1] scale: uint8 (N,3,H,W) twice -> (N,H,W) float64."""
    return np.abs(noisy.astype(np.float64) - clean).mean(1) / 255


def noisiest(error: np.ndarray) -> np.ndarray:
    """Mark the noisiest 5 % of each image's pixels: (N,H,W) -> bool (N,H,W).

    None is marked where fewer pixels have any error.
    """
    flat = error.reshape(len(error), -1)
    k = round(NOISIEST * flat.shape[1])
    chosen = np.zeros(flat.shape, dtype=bool)
    # Stable, so that equal errors fall the same way on every machine.
    np.put_along_axis(chosen, np.argsort(-flat, axis=1, kind="stable")[:, :k], True, axis=1)
    chosen[(flat > 0).sum(1) < k] = False
    return chosen.reshape(error.shape)


def auc(score: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """Area under the ROC curve of each image, ties counted half.

    (N,H,W), bool (N,H,W) -> (N,), NaN without positives.
    """
    score, positive = score.reshape(len(score), -1), positive.reshape(len(score), -1)
    n = positive.sum(1)
    ranks = (stats.rankdata(score, axis=1) * positive).sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (ranks - n * (n + 1) / 2) / (n * (positive.shape[1] - n))


def grey(images: np.ndarray) -> np.ndarray:
    """Return the mean over channels on a [0, 1] scale: uint8 (N,3,H,W) -> (N,H,W) float64."""
    return images.astype(np.float64).mean(1) / 255


def matched(error: np.ndarray, clean: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pair the noisy pixels of each image with quiet pixels of equal detail.

    (N,H,W), uint8 (N,3,H,W) -> index pairs.
    Indices are into the flattened H*W pixels; the outermost two rows and columns are left out, where the
    windows of detail are not whole and every convolution meets its padding.
    """
    # A thousandth (a quarter of a grey level) keeps the ratio of two flat surroundings finite.
    detail = np.log(local_deviation(clean) + 1e-3)
    inside = np.zeros(error.shape[1:], dtype=bool)
    inside[2:-2, 2:-2] = True
    quiet = (error <= np.median(error, axis=(1, 2), keepdims=True)) & inside
    noisy = noisiest(error) & inside
    out = []
    for d, is_noisy, is_quiet in zip(detail, noisy, quiet, strict=True):
        i, j = np.flatnonzero(is_noisy), np.flatnonzero(is_quiet)
        if len(i) and len(j):
            distance = np.abs(d.flat[i][:, None] - d.flat[j][None])
            nearest = distance.argmin(1)
            near = distance[np.arange(len(i)), nearest] <= CALIPER
            i, j = i[near], j[nearest[near]]
        else:
            i = j = np.empty(0, dtype=int)
        out.append((i, j))
    return out


def edge_pixels(clean: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Find the edge pixels of each image: uint8 (N,3,H,W) -> per image, pixels (K,2) and bool (K,28).

    The second array says which of the 28 pixels within 3 of the first lies on its own side.
    """
    light = grey(clean)
    height, width = light.shape[1:]
    y, x = np.mgrid[MARGIN : height - MARGIN, MARGIN : width - MARGIN].reshape(2, -1)
    around = np.stack([light[:, y + dy, x + dx] for dy, dx in DISC], axis=-1)  # (N,M,28)
    centre = light[:, y, x]  # (N,M)
    values = np.sort(np.concatenate([around, centre[..., None]], axis=-1), axis=-1)  # (N,M,29)
    total = values.shape[-1]
    low = np.arange(1, total)  # sizes of the darker group
    sums = values.cumsum(-1)
    dark = sums[..., :-1] / low
    bright = (sums[..., -1:] - sums[..., :-1]) / (total - low)
    between = low * (total - low) / total**2 * (bright - dark) ** 2
    between[..., (low < SMALLEST) | (total - low < SMALLEST)] = -1
    best = between.argmax(-1)[..., None]

    def at_best(v):
        return np.take_along_axis(v, best, -1)[..., 0]

    threshold = (at_best(values[..., :-1]) + at_best(values[..., 1:])) / 2
    same = (around > threshold[..., None]) == (centre > threshold)[..., None]
    direct = same[..., _SQUARED == 1]
    edge = (
        (at_best(bright - dark) >= CONTRAST)
        & (at_best(between) >= EXPLAINED * values.var(-1))
        & direct.any(-1)
        & ~direct.all(-1)
    )
    return [(np.stack([y[e], x[e]], 1), s[e]) for e, s in zip(edge, same, strict=True)]


def noisiest_edges(
    noisy: np.ndarray, clean: np.ndarray, photo: np.ndarray, n: int
) -> list[tuple[int, tuple[int, int]]]:
    """Choose n images to show, without a look at any network.

    (number of the image, row and column of its pixel).
    The pixel is the noisiest edge pixel of its image; images come in order of that pixel's error, the first
    of every photograph before the second of any.
    """
    found = []
    for i, (error, (pixels, _)) in enumerate(zip(error_map(noisy, clean), edge_pixels(clean), strict=True)):
        if len(pixels):
            here = error[pixels[:, 0], pixels[:, 1]]
            found.append((-here.max(), i, tuple(int(v) for v in pixels[here.argmax()])))
    turns: dict[int, int] = {}
    order = []
    for worst, i, pixel in sorted(found):
        turn = turns[int(photo[i])] = turns.get(int(photo[i]), -1) + 1
        order.append((turn, worst, i, pixel))
    return [(i, pixel) for _, _, i, pixel in sorted(order)[:n]]


# --- what a network or filter does with it --------------------------------------------------------


def statements(noisy, clean, denoised, of_loss=None, of_output=None) -> dict[str, np.ndarray]:
    """Return the numbers that statements 1 to 3 average: (N,) each, NaN where there is none.

    `noisy`, `clean`: uint8 (N,3,H,W); `denoised`: f(noisy) on a [0, 1] scale; the gradients (N,3,H,W), or
    None. Keys: `change_auc`, `loss_auc`, and as logarithms `pixel`, `ring` (see the top of this file).
    """
    error = error_map(noisy, clean)
    positive = noisiest(error)
    out = {"change_auc": auc(np.abs(denoised - noisy / 255.0).mean(1), positive)}
    if of_loss is not None:
        out["loss_auc"] = auc(np.abs(of_loss).mean(1), positive)
    if of_output is not None:
        influence = np.abs(of_output).mean(1).astype(np.float64)
        pairs = matched(error, clean)
        for name, maps in (("pixel", influence), ("ring", surroundings(influence, positive))):
            out[name] = np.array([_log_ratio(m, *p) for m, p in zip(maps, pairs, strict=True)])
    return out


def surroundings(values: np.ndarray, left_out: np.ndarray) -> np.ndarray:
    """Return the mean over those of each pixel's eight neighbours that are not left out, NaN without any.

    (N,H,W), bool (N,H,W) -> (N,H,W).
    """
    ring = np.array([[[1, 1, 1], [1, 0, 1], [1, 1, 1]]], float)
    kept = (~left_out).astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        return ndimage.convolve(values * kept, ring, mode="constant") / ndimage.convolve(
            kept, ring, mode="constant"
        )


def _log_ratio(values: np.ndarray, i: np.ndarray, j: np.ndarray) -> float:
    """Log of the mean of `values` at i over that at j, NaN for fewer than FEWEST_PAIRS pairs."""
    a, b = values.flat[i], values.flat[j]
    whole = np.isfinite(a) & np.isfinite(b)
    if whole.sum() < FEWEST_PAIRS or not (a[whole].mean() > 0 and b[whole].mean() > 0):
        return math.nan
    return float(np.log(a[whole].mean() / b[whole].mean()))


def network_statements(
    network, noisy, clean, *, samples=SAMPLES, sigma=SIGMA, seed=0
) -> dict[str, np.ndarray]:
    """`statements` of a network, with SmoothGrad of the loss against the clean image and of the output."""
    draws = {"samples": samples, "sigma": sigma}
    # The two maps of one image see the same noise, so that they can be compared.
    of_loss = loss_gradient(network, noisy, clean, generator=torch.Generator().manual_seed(seed), **draws)
    of_output = output_gradient(network, noisy, generator=torch.Generator().manual_seed(seed), **draws)
    return statements(noisy, clean, output(network, noisy).numpy(), of_loss.numpy(), of_output.numpy())


def linear_statements(matrix: np.ndarray, noisy, clean) -> dict[str, np.ndarray]:
    """`statements` of a linear filter given by `filter_matrix`: its gradients need no samples."""
    shape = noisy.shape
    x, c = (v.reshape(-1, matrix.shape[0]) / 255.0 for v in (noisy, clean))  # (N,3,H,W) -> (3N,H*W)
    y = x @ matrix.T
    maps = (y, 2 * (y - c) @ matrix, np.broadcast_to(matrix.sum(0), y.shape))
    return statements(noisy, clean, *(v.reshape(shape) for v in maps))


def same_side(rows_of, noisy: np.ndarray, clean: np.ndarray) -> dict[str, np.ndarray]:
    """Compare Jacobian weights on both sides of edges.

    `rows_of(image uint8 (3,H,W), pixels (K,2))` gives (K,H,W).
    Returns `weights` (N,6,2): for each image and distance, the absolute weight of one pixel on the edge
    pixel's own side and on the other, summed over the edge pixels that have both at that distance; `edges`
    (N,): how many edge pixels were used. `log_same_side` turns the weights into one number for each image.
    """
    weights, edges = np.zeros((len(noisy), len(DISTANCES), 2)), np.zeros(len(noisy))
    for i, (image, (pixels, same)) in enumerate(zip(noisy, edge_pixels(clean), strict=True)):
        some = np.unique(np.linspace(0, len(pixels) - 1, min(ROWS, len(pixels))).round().astype(int))
        pixels, same = pixels[some], same[some]
        edges[i] = len(pixels)
        if len(pixels) == 0:
            continue
        rows = np.abs(np.asarray(rows_of(image, pixels), dtype=np.float64))
        k = np.arange(len(pixels))
        around = [rows[k, pixels[:, 0] + dy, pixels[:, 1] + dx] for dy, dx in DISC]
        around = np.stack(around, axis=1)  # (K,28)
        for d, squared in enumerate(np.unique(_SQUARED)):
            there = _SQUARED == squared
            a, own = around[:, there], same[:, there]
            both = own.any(1) & ~own.all(1)
            a, own = a[both], own[both]
            weights[i, d] = ((a * own).sum(1) / own.sum(1)).sum(), ((a * ~own).sum(1) / (~own).sum(1)).sum()
    return {"weights": weights, "edges": edges}


def log_same_side(weights: np.ndarray) -> np.ndarray:
    """Return the logarithm of own side over other side for each image.

    (...,N,6,2) -> (...,N), NaN without edge pixels.
    """
    own, other = np.moveaxis((weights * _COUNTS[:, None]).sum(-2), -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where((own > 0) & (other > 0), np.log(own / other), np.nan)


def rank_correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return Spearman's correlation over the pixels of two maps of each image: (N,H,W), (N,H,W) -> (N,)."""
    ranks = [stats.rankdata(m.reshape(len(m), -1), axis=1) for m in (a, b)]
    x, y = (r - r.mean(1, keepdims=True) for r in ranks)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (x * y).sum(1) / np.sqrt((x**2).sum(1) * (y**2).sum(1))


# --- filters --------------------------------------------------------------------------------------


def filter_matrix(name: str, height: int, width: int, **parameters) -> np.ndarray:
    """Return a linear filter of `n2nlib.evaluation.classical` as a matrix (H*W,H*W).

    Row p holds the weights of output pixel p.
    """
    size = height * width
    impulses = np.repeat(np.eye(size).reshape(size, 1, height, width), 3, axis=1)
    offset = classical.filter_float(name, np.zeros((1, 3, height, width)), **parameters)
    return (classical.filter_float(name, impulses, **parameters) - offset)[:, 0].reshape(size, size).T


def matrix_rows(matrix: np.ndarray):
    """Return `rows_of` for `same_side`: the rows of a linear filter, which do not depend on the image."""

    def rows(image, pixels):
        pixels = np.asarray(pixels)
        height, width = image.shape[-2:]
        return matrix[pixels[:, 0] * width + pixels[:, 1]].reshape(-1, height, width)

    return rows


def filter_rows(
    name: str, image: np.ndarray, pixels: np.ndarray, radius: int = RADIUS, **parameters
) -> np.ndarray:
    """Rows of the Jacobian of a filter without a derivative, by central differences.

    uint8 (3,H,W), (K,2) -> (K,H,W).
    Grey to grey as in `smoothgrad.jacobian_rows`. Input pixels that no output within `radius` pixels can
    confuse are moved together, which needs about a hundred runs of the filter in place of 2,048; weights
    further away are left 0.
    """
    spacing = max(_reach(name, parameters) + radius, 2 * radius) + 1
    height, width = image.shape[1:]
    x = image / 255.0
    moved = np.repeat(x[None], 2 * spacing**2, axis=0)
    for n in range(spacing**2):
        r, c = divmod(n, spacing)
        moved[2 * n, :, r::spacing, c::spacing] += STEP
        moved[2 * n + 1, :, r::spacing, c::spacing] -= STEP
    y = classical.filter_float(name, moved, **parameters).mean(1)  # (2*spacing^2,3,H,W) -> (2*spacing^2,H,W)
    slope = (y[::2] - y[1::2]) / (2 * STEP)
    rows = np.zeros((len(pixels), height, width))
    for row, (y, x) in zip(rows, pixels, strict=True):
        top, left = max(y - radius, 0), max(x - radius, 0)
        q = np.mgrid[top : min(y + radius + 1, height), left : min(x + radius + 1, width)]
        row[q[0], q[1]] = slope[(q[0] % spacing) * spacing + q[1] % spacing, y, x]
    return rows


def _reach(name: str, parameters: dict) -> int:
    """How far, in pixels, an input pixel can move outputs of a filter."""
    if name == "bilateral":  # the window of `classical.bilateral`
        return max(1, math.ceil(3 * parameters["sigma_spatial"]))
    if name == "nlm":  # patches of 5x5 around pixels up to `distance` away
        return int(parameters["distance"]) + 2
    if name == "gaussian":  # SciPy's kernel at truncate=5
        return int(5 * parameters["sigma"] + 0.5)
    raise ValueError(f"the reach of filter {name!r} is not known")
