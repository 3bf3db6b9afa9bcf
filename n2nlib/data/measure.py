"""Statistics of the noise: bias, correlations, tails, and their relation to image detail.

`error` is always noisy - clean, float (N, 3, H, W) in grey levels (0..255). A value comes with its standard
error over images, which are drawn independently of one another; None where it has none.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from n2nlib.data import noise as noises
from n2nlib.data import sampling
from n2nlib.data.pairs import Pairs

#: Raised by hand when a measurement changes its meaning, so that no stored one is taken for it.
VERSION = 1
#: Edges of the histograms of the error, in grey levels.
EDGES = np.arange(-255.5, 256, 7)


def errors(noisy: np.ndarray, clean: np.ndarray) -> np.ndarray:
    """Return noisy - clean as float64 grey levels."""
    return noisy.astype(np.float64) - clean


def mean_error(error: np.ndarray) -> tuple[float, float]:
    """Return the mean error and its standard error."""
    of_image = error.reshape(len(error), -1).mean(axis=1)
    return float(of_image.mean()), float(of_image.std(ddof=1) / np.sqrt(len(of_image)))


def correlation(x: np.ndarray, y: np.ndarray) -> tuple[float, float] | None:
    """Return the correlation of two zero-mean errors (N, ...) and its standard error.

    None where one of them is zero throughout.
    """
    x, y = x.reshape(len(x), -1), y.reshape(len(y), -1)
    product = (x * y).sum(axis=1)
    scale = np.sqrt((x**2).sum() * (y**2).sum())
    if scale == 0:
        return None
    return float(product.sum() / scale), float(np.sqrt((product**2).sum()) / scale)


def channel_correlations(error: np.ndarray) -> dict[str, float | None]:
    """Return the error's correlation between each two channels, None where one has no error."""
    pairs = {"RG": (0, 1), "RB": (0, 2), "GB": (1, 2)}
    found = {pair: correlation(error[:, i], error[:, j]) for pair, (i, j) in pairs.items()}
    return {pair: r and r[0] for pair, r in found.items()}


def spatial_correlation(error: np.ndarray, reach: int = 3) -> np.ndarray:
    """Return the autocorrelation of the error, (2 reach + 1, 2 reach + 1), 1 in the centre.

    NaN where there is no error.
    """
    height, width = error.shape[-2:]
    out = np.ones((2 * reach + 1, 2 * reach + 1))
    for dy in range(reach + 1):
        for dx in range(-reach, reach + 1):
            here = error[..., : height - dy, max(0, -dx) : width - max(0, dx)]
            there = error[..., dy:, max(0, dx) : width - max(0, -dx)]
            r = correlation(here, there)
            out[reach + dy, reach + dx] = out[reach - dy, reach - dx] = r[0] if r else np.nan
    return out


def neighbour_correlation(error: np.ndarray) -> tuple[float, float] | None:
    """Return the error's correlation with its right and lower neighbours', and its standard error.

    None without error.
    """
    across = correlation(error[..., 1:], error[..., :-1])
    down = correlation(error[..., 1:, :], error[..., :-1, :])
    if not (across and down):
        return None
    return (across[0] + down[0]) / 2, float(np.hypot(across[1], down[1]) / 2)


def kurtosis(error: np.ndarray) -> float | None:
    """Return the kurtosis of all errors together: 3 for a Gaussian, None where all are equal."""
    centred = error - error.mean()
    if not centred.any():
        return None
    return float((centred**4).mean() / (centred**2).mean() ** 2)


def neighbour_difference(clean: np.ndarray) -> np.ndarray:
    """Return each pixel's RMS difference to its four neighbours: (N, 3, H, W) -> (N, H, W)."""
    padded = np.pad(clean.astype(np.float64), ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    centre = padded[..., 1:-1, 1:-1]
    sides = (padded[..., :-2, 1:-1], padded[..., 2:, 1:-1], padded[..., 1:-1, :-2], padded[..., 1:-1, 2:])
    return np.sqrt(np.mean([((s - centre) ** 2).mean(axis=1) for s in sides], axis=0))


def noise_by_detail(error: np.ndarray, clean: np.ndarray, bins: int = 12) -> pd.DataFrame:
    """Return detail and sd (grey levels) and pixels for equal classes of `neighbour_difference`."""
    detail = neighbour_difference(clean).ravel()
    square = (error**2).mean(axis=1).ravel()
    classes = np.array_split(np.argsort(detail, kind="stable"), bins)
    return pd.DataFrame(
        {
            "detail": [detail[c].mean() for c in classes],
            "sd": [np.sqrt(square[c].mean()) for c in classes],
            "pixels": [len(c) for c in classes],
        }
    )


def given(x: np.ndarray, y: np.ndarray, bins: int = 25) -> pd.DataFrame:
    """Return x, and mean, se and sd of y, for classes of x of equal width (those of at least 30 values).

    Noise2Noise needs the mean of one copy's error to be zero for every value of the other's; their sizes
    may go together.
    """
    edges = np.linspace(*np.quantile(x, [0.001, 0.999]), bins + 1)
    label = np.digitize(x.ravel(), edges)
    classes = [
        (x.ravel()[label == k], y.ravel()[label == k]) for k in range(1, bins + 1) if (label == k).sum() >= 30
    ]
    rows = [
        {"x": u.mean(), "mean": v.mean(), "se": v.std(ddof=1) / np.sqrt(len(v)), "sd": v.std(ddof=1)}
        for u, v in classes
    ]
    return pd.DataFrame(rows, columns=["x", "mean", "se", "sd"])


def same_pixel(shape: tuple[int, int], n: int, seed: int = 0) -> dict[str, float]:
    """Count how often both copies of a window of `shape` take the same pixel of a cell, over n pairs.

    Returns share, se (its standard error) and expected: the mean of 1 / (pixels in the cell), which holds
    only if both draws are uniform and independent.
    """
    rows, columns = sampling.edges([0], [shape[0]]), sampling.edges([0], [shape[1]])
    chance = 1 / (np.diff(rows)[0][:, None] * np.diff(columns)[0][None, :])
    where = np.arange(shape[0] * shape[1]).reshape(*shape, 1)
    hits = 0
    for word in sampling.words(sampling.generator(seed, "same pixel"), (n, 1, sampling.SIDE, sampling.SIDE)):
        a, b = (sampling.draw(where, rows, columns, number) for number in sampling.halves(word))
        hits += int((a == b).sum())
    se = np.sqrt((chance * (1 - chance)).sum() / n) / chance.size
    return {"share": hits / (n * chance.size), "se": float(se), "expected": float(chance.mean())}


def summary(pairs: Pairs) -> dict:
    """Measure everything above on some pairs: JSON values and, under `arrays`, arrays.

    What needs the second noisy image (`pair_correlation`, `given_a`) is None where there is none; so are
    correlations and kurtosis where the photographs have no noise.
    """
    error = errors(pairs.a, pairs.clean)
    by_detail = noise_by_detail(error, pairs.clean)
    out = {
        "images": len(pairs),
        "mean_error": mean_error(error),
        "sd": float(error.std()),
        "channels": channel_correlations(error),
        "neighbours": neighbour_correlation(error),
        "kurtosis": kurtosis(error),
        "by_detail": by_detail.to_dict("list"),
        "pair_correlation": None,
        "given_a": None,
        "arrays": {
            "histogram": np.histogram(error, EDGES)[0],
            "spatial": spatial_correlation(error, reach=2),
        },
    }
    if pairs.b is not None:
        other = errors(pairs.b, pairs.clean)
        out["pair_correlation"] = correlation(error, other)
        out["given_a"] = given(error[:, 1], other[:, 1]).to_dict("list")
    return out


def averaged_draws(image: np.ndarray, counts: list[int], seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """Compare the mean of many noisy images of one photograph with its exact cell means.

    image: uint8 (H, W, 3); counts: numbers of draws, rising. Returns a table of draws, error (root mean
    square, grey levels), expected (what independent unbiased draws give: noise sd / sqrt(draws)) and
    worst_z (the largest deviation of a pixel in its own standard errors); and the means themselves,
    (len(counts), 3, 32, 32) in grey levels.
    """
    rows, columns = sampling.edges([0], [image.shape[0]]), sampling.edges([0], [image.shape[1]])
    area = np.diff(rows)[0][:, None, None] * np.diff(columns)[0][None, :, None]

    def sums(values):  # (H, W, 3) -> (32, 32, 3)
        return np.add.reduceat(np.add.reduceat(values, rows[0][:-1], axis=0), columns[0][:-1], axis=1)

    pixels = image.astype(np.float64)
    mean = sums(pixels) / area
    variance = sums(pixels**2) / area - mean**2
    noisy = variance > 1e-9
    rng, total = sampling.generator(seed, "averaged draws"), np.zeros(mean.shape)
    drawn, table, means = 0, [], []
    for n in counts:
        for _ in range(n - drawn):
            total += sampling.subsample(image, rng).transpose(1, 2, 0)
        drawn = n
        error = total / n - mean
        rms, expected = np.sqrt((error**2).mean()), np.sqrt(variance.mean() / n)
        worst_z = np.abs(error[noisy] / np.sqrt(variance[noisy] / n)).max()
        table.append({"draws": n, "error": rms, "expected": expected, "worst_z": worst_z})
        means.append((total / n).transpose(2, 0, 1))
    return pd.DataFrame(table), np.stack(means)


def other_noise(clean: np.ndarray, name: str, seed: int = 0) -> dict:
    """Draw another noise around clean images; measure it before and after clipping to 8 bits.

    Returns zero_mean (whether it claims to be), mean_error and clipped_mean_error, each with its standard
    error, the channel correlations and the kurtosis of the unclipped error, and the clipped images.
    """
    kind, value = noises.parse(name)
    function, _, _, zero_mean = noises.NOISES[kind]
    raw = function(clean, sampling.generator(seed, f"measure/{kind}"), value)
    stored, error = noises.to_uint8_clipped(raw), errors(raw, clean)
    return {
        "zero_mean": zero_mean,
        "mean_error": mean_error(error),
        "clipped_mean_error": mean_error(errors(stored, clean)),
        "channels": channel_correlations(error),
        "kurtosis": kurtosis(error),
        "stored": stored,
    }
