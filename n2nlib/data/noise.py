"""Other noises, for comparison with the literature, and their quantisation to 8 bits.

Each function takes images in 0..255 (..., 3, H, W) and a generator, and returns float32 of the same shape
and range, unclipped: clipping would bias the mean that Noise2Noise relies on, so it is left to
`to_uint8_clipped`.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from n2nlib.data.sampling import halves, words
from n2nlib.errors import DatasetError, unknown_name


def gaussian(clean: np.ndarray, rng: np.random.Generator, sigma: float) -> np.ndarray:
    """Add zero-mean Gaussian noise of standard deviation `sigma` (0..255 units), independent per channel."""
    return (clean + sigma * ndtri(_uniform(rng, clean.shape))).astype(np.float32)


def poisson(clean: np.ndarray, rng: np.random.Generator, peak: float) -> np.ndarray:
    """Replace each value by a scaled Poisson photon count with mean `peak` at full white.

    Its variance is value * 255 / peak. `clean` must hold whole numbers 0..255.
    """
    uniform = _uniform(rng, clean.shape)
    count = np.empty(clean.shape)
    for value in np.unique(clean):
        here = clean == value
        count[here] = np.searchsorted(_poisson_cdf(float(value) / 255 * peak), uniform[here], side="right")
    return (count * (255 / peak)).astype(np.float32)


def bernoulli(clean: np.ndarray, rng: np.random.Generator, keep: float) -> np.ndarray:
    """Drop each pixel (all channels) with probability 1 - keep, and divide the rest by `keep`.

    Zero-mean error of variance value^2 (1 - keep) / keep. A kept value may be far above 255: clipping it is
    a bias.
    """
    kept = _uniform(rng, _pixels(clean.shape)) < keep
    return (clean * (kept / keep)).astype(np.float32)


def impulse(clean: np.ndarray, rng: np.random.Generator, probability: float) -> np.ndarray:
    """Replace each pixel with that probability by a uniformly random colour.

    Not zero-mean: the expectation is (1 - p) clean + p 127.5, so an L2 Noise2Noise network learns that
    instead.
    """
    high, low = halves(words(rng, _pixels(clean.shape)))
    colour = np.concatenate([(low >> np.uint64(8 * c)) & np.uint64(255) for c in range(3)], axis=-3)
    return np.where(high < np.uint64(probability * 2**32), colour, clean).astype(np.float32)


def to_uint8_clipped(image: np.ndarray) -> np.ndarray:
    """Clip to 0..255, round half to even and store as uint8.

    Clipping biases the mean wherever the noise reaches beyond black or white: after this step a noise that
    was zero-mean no longer is, most of all Bernoulli's.
    """
    return np.rint(np.clip(image, 0, 255)).astype(np.uint8)


#: name -> (function, smallest and largest parameter, whether its error is zero-mean before clipping)
NOISES = {
    "gaussian": (gaussian, 0.0, 255.0, True),
    "poisson": (poisson, 0.01, 1e4, True),
    "bernoulli": (bernoulli, 0.01, 1.0, True),
    "impulse": (impulse, 0.0, 1.0, False),
}


def parse(name: str) -> tuple[str, float | None]:
    """Return kind and parameter of a noise.

    `subpixel`, `gaussian:SIGMA255`, `poisson:PEAK`, `bernoulli:KEEP` or `impulse:P`.
    Raises DatasetError for an unknown kind, or a parameter that is missing or out of range.
    """
    kind, _, text = str(name).partition(":")
    if kind not in NOISES and name != "subpixel":
        raise unknown_name("noise", name, ["subpixel", *(f"{k}:NUMBER" for k in NOISES)], DatasetError)
    if kind == "subpixel":
        return kind, None
    _, low, high, _ = NOISES[kind]
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise DatasetError(f"noise {name!r}: write {kind}:NUMBER with a number from {low:g} to {high:g}.")
    return kind, value


def canonical(name: str) -> str:
    """Return the canonical spelling of a noise: `gaussian:25` for `gaussian:25.0`."""
    kind, value = parse(name)
    return kind if value is None else f"{kind}:{value:.10g}"


def _pixels(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (*shape[:-3], 1, *shape[-2:])


def _uniform(rng: np.random.Generator, shape) -> np.ndarray:
    """Uniform on the open interval (0, 1): 52 random bits, offset by half a step."""
    return ((words(rng, shape) >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52


def _poisson_cdf(mean: float) -> np.ndarray:
    k = np.arange(1, int(mean + 12 * np.sqrt(mean) + 30))
    # In logarithms, so that a large mean does not start from exp(-mean) = 0.
    log_p = -mean + np.concatenate([[0.0], np.cumsum(np.log(max(mean, 1e-300) / k))])
    return np.cumsum(np.exp(log_p))
