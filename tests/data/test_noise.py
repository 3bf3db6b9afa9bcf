"""Other noises: mean and variance as stated, unclipped until the named step, which biases."""

import numpy as np
import pytest

from n2nlib.data import noise, open_dataset
from n2nlib.data.sampling import generator
from n2nlib.errors import DatasetError

N = 40_000  # samples of each value


def flat(value):
    """Images of one value with N pixels a channel: uint8 (10, 3, 40, 100)."""
    return np.full((N // 4_000, 3, 40, 100), value, np.uint8)


def check(sample, mean, variance, kurtosis=3.0, n=N):
    """Compare mean and variance within 4.5 standard errors (a few dozen comparisons in this file)."""
    sample = sample.astype(np.float64).ravel()
    assert abs(sample.mean() - mean) < 4.5 * np.sqrt(variance / n) + 1e-6
    assert abs(sample.var() - variance) < 4.5 * variance * np.sqrt((kurtosis - 1) / n) + 1e-6


@pytest.mark.parametrize("value", [0, 10, 128, 255])
def test_gaussian_moments(value):
    out = noise.gaussian(flat(value), generator(0, "g", value), 25.0)
    assert out.dtype == np.float32
    check(out, value, 25.0**2, n=3 * N)
    assert (out < value).any() and (out > value).any()  # unclipped, beyond black and white too


@pytest.mark.parametrize("peak", [4, 30, 2_000])
@pytest.mark.parametrize("value", [1, 77, 255])
def test_poisson_moments(peak, value):
    expected = value / 255 * peak
    out = noise.poisson(flat(value), generator(1, "p", value), peak)
    check(out, value, value * 255 / peak, kurtosis=3 + 1 / expected, n=3 * N)
    assert np.allclose(out * peak / 255, np.rint(out * peak / 255), atol=1e-3)  # whole photons


def test_poisson_black_stays_black():
    assert (noise.poisson(flat(0), generator(1, "p"), 30) == 0).all()


@pytest.mark.parametrize("keep", [0.3, 0.9])
def test_bernoulli_moments(keep):
    value = 200
    out = noise.bernoulli(flat(value), generator(2, "b"), keep)
    # Kurtosis of a two-valued variable: 1/(pq) - 3.
    check(out[:, 0], value, value**2 * (1 - keep) / keep, kurtosis=1 / (keep * (1 - keep)) - 3)
    assert np.array_equal(out[:, 0], out[:, 2])  # a pixel is dropped in all channels
    assert set(np.unique(out)) == {np.float32(0), np.float32(value / keep)}
    assert (noise.bernoulli(flat(value), generator(2, "b"), 1.0) == value).all()


def test_impulse_is_not_zero_mean_and_says_so():
    p, value = 0.25, 40
    out = noise.impulse(flat(value), generator(3, "i"), p)
    mean = (1 - p) * value + p * 127.5
    second = (1 - p) * value**2 + p * (np.arange(256.0) ** 2).mean()
    fourth = (1 - p) * (value - mean) ** 4 + p * ((np.arange(256.0) - mean) ** 4).mean()
    for channel in range(3):
        check(out[:, channel], mean, second - mean**2, kurtosis=fourth / (second - mean**2) ** 2)
    hit = (out != value).any(axis=1, keepdims=True).repeat(3, axis=1)
    colours = out.transpose(1, 0, 2, 3)[:, hit[:, 0]]
    assert abs(np.corrcoef(colours)[0, 1]) < 4 / np.sqrt(
        colours.shape[1]
    )  # channels of a colour are independent
    assert noise.NOISES["impulse"][3] is False
    assert all(zero_mean for *_, zero_mean in (v for k, v in noise.NOISES.items() if k != "impulse"))


def test_errors_of_neighbours_and_of_two_copies_are_independent():
    both = noise.gaussian(np.stack([flat(128)] * 2), generator(4, "g"), 10.0) - 128
    a, b = both
    for x, y in [(a, b), (a[..., 1:], a[..., :-1]), (a[:, 0], a[:, 1])]:
        assert abs(np.corrcoef(x.ravel(), y.ravel())[0, 1]) < 4 / np.sqrt(x.size)


def test_clipping_biases_the_mean():
    dark = noise.to_uint8_clipped(noise.gaussian(flat(0), generator(5, "c"), 25.0))
    assert dark.dtype == np.uint8
    # Half of a centred Gaussian is cut away: the mean becomes sigma / sqrt(2 pi); its spread is below sigma.
    assert abs(dark.mean() - 25 / np.sqrt(2 * np.pi)) < 4 * 25 / np.sqrt(3 * N)
    assert np.array_equal(
        noise.to_uint8_clipped(np.array([-3.0, 0.5, 1.5, 254.6, 300.0])), [0, 0, 2, 255, 255]
    )


def test_draws_do_not_depend_on_how_many_are_drawn_together():
    clean = np.random.default_rng(0).integers(0, 256, (6, 3, 8, 8), dtype=np.uint8)
    for kind, (function, *_) in noise.NOISES.items():
        value = {"gaussian": 25, "poisson": 30, "bernoulli": 0.5, "impulse": 0.3}[kind]
        rng = generator(0, kind)
        parts = np.concatenate([function(clean[:2], rng, value), function(clean[2:], rng, value)])
        assert np.array_equal(parts, function(clean, generator(0, kind), value)), kind


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("gausian:25", "did you mean 'gaussian:NUMBER'"),
        ("gaussian", "write gaussian:NUMBER with a number from 0 to 255"),
        ("gaussian:-1", "from 0 to 255"),
        ("poisson:0", "from 0.01 to 10000"),
        ("bernoulli:1.5", "from 0.01 to 1"),
        ("impulse:nan", "from 0 to 1"),
        ("subpixel:3", "unknown noise"),
        ("", "unknown noise"),
    ],
)
def test_unknown_noise_is_refused_with_a_sentence(name, sentence):
    with pytest.raises(DatasetError, match=sentence):
        open_dataset("bundled", noise=name)


def test_a_dataset_with_other_noise_shares_the_clean_images(monkeypatch, tmp_path):
    monkeypatch.setenv("N2N_CACHE", str(tmp_path))
    plain, noisy = (open_dataset("bundled", 30, 12, noise=n) for n in ("subpixel", "gaussian:25.0"))
    assert noisy.noise == "gaussian:25" and noisy.fingerprint != plain.fingerprint
    assert np.array_equal(plain.train.clean, noisy.train.clean)
    pairs = noisy.train
    inside = (pairs.clean > 100) & (pairs.clean < 155)  # 4 sigma from either end: never clipped
    errors = [x[inside].astype(float) - pairs.clean[inside] for x in (pairs.a, pairs.b)]
    n = inside.sum()
    for error in errors:
        assert abs(error.mean()) < 4 * 25 / np.sqrt(n)
        assert abs(error.var() - (625 + 1 / 12)) < 4 * 625 * np.sqrt(2 / n)  # and rounding's twelfth
    assert abs(np.corrcoef(*errors)[0, 1]) < 4 / np.sqrt(n)
