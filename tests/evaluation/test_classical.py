"""The classical filters: what each computes, that the tuned optimum is one, and that no clean image is needed."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import ndimage
from skimage import data

from n2nlib.errors import MissingPackage, ReportError
from n2nlib.evaluation import classical

TUNABLE = [name for name, f in classical.FILTERS.items() if f.grid and not f.slow]


def make_pairs(n, seed=0):
    """Return n sub-pixel sampled pairs of windows of one photograph, since this noise needs no dataset."""
    rng = np.random.default_rng(seed)
    photograph = data.astronaut()
    a, b, clean = (np.empty((n, 3, 32, 32), np.uint8) for _ in range(3))
    for i in range(n):
        cell = int(rng.integers(8, 16))
        y, x = rng.integers(0, 512 - 32 * cell + 1, size=2)
        window = photograph[y : y + 32 * cell, x : x + 32 * cell].reshape(32, cell, 32, cell, 3)
        cells = window.transpose(4, 0, 2, 1, 3).reshape(3, 32, 32, cell**2)
        clean[i] = np.round(cells.mean(axis=-1))
        for out in (a, b):
            pick = rng.integers(0, cell**2, size=(1, 32, 32, 1))
            out[i] = np.take_along_axis(cells, pick, axis=-1)[..., 0]
    return SimpleNamespace(a=a, b=b, clean=clean)


@pytest.fixture(scope="module")
def pairs():
    return make_pairs(48)


@pytest.fixture(scope="module")
def tuned(pairs):
    blind = SimpleNamespace(a=pairs.a, b=pairs.b, clean=None)
    return {name: classical.tune(name, blind, 48) for name in (*TUNABLE, "zero", "noisy", "linear")}


def error(x, y):
    return np.square(x / 255 - y / 255).mean()


@pytest.mark.parametrize("name", TUNABLE)
def test_the_optimum_lies_inside_its_grid(tuned, name):
    t = tuned[name]
    best = t.curve.loc[t.curve["mse"].idxmin()]
    assert {p: best[p] for p in t.parameters} == t.parameters
    for parameter, value in t.parameters.items():
        if parameter not in t.at_limit:
            assert t.curve[parameter].min() < value < t.curve[parameter].max()
    # Non-local means may say that the eight neighbours are enough; nothing else may end at a limit on this
    # noise.
    assert set(t.at_limit) <= ({"distance"} if name == "nlm" else set())


@pytest.mark.parametrize("name", [*TUNABLE, "linear"])
def test_tuned_filters_denoise_images_they_were_not_tuned_on(tuned, name):
    fresh = make_pairs(24, seed=1)
    filtered = classical.apply(name, fresh.a, **tuned[name].parameters)
    assert filtered.dtype == np.uint8 and filtered.shape == fresh.a.shape
    assert error(filtered, fresh.clean) < 0.95 * error(fresh.a, fresh.clean)  # the median's is 0.88


def test_noisy_targets_choose_what_clean_ones_would(pairs, tuned):
    """The noise of b adds its own variance to every point of the curve and moves the best sigma by a step at most."""
    clean = classical.tune("gaussian", SimpleNamespace(a=pairs.a, b=pairs.clean), 48)
    assert 1 / 1.11 < tuned["gaussian"].parameters["sigma"] / clean.parameters["sigma"] < 1.11


def test_a_grid_follows_the_noise():
    """White noise of standard deviation 60 on a ramp needs a far wider Gaussian than the grid begins with."""
    rng = np.random.default_rng(0)
    ramp = np.broadcast_to(np.linspace(100, 150, 32), (8, 3, 32, 32))
    a, b = (np.clip(ramp + rng.normal(0, 60, ramp.shape), 0, 255).astype(np.uint8) for _ in range(2))
    t = classical.tune("gaussian", SimpleNamespace(a=a, b=b), 8)
    assert t.parameters["sigma"] > 2 and not t.at_limit


@pytest.mark.parametrize("name", TUNABLE)
def test_every_limit_can_be_reached(name):
    """From the first grid outwards each value goes on the way of the last, and past the last is no room for another."""
    for axis in classical.FILTERS[name].grid.values():
        for end, sign in ((0, -1), (-1, 1)):
            values = list(axis.values)
            while (following := axis.beyond(values, end)) is not None:
                assert axis.limits[0] <= following <= axis.limits[1] and sign * (following - values[end]) > 0
                values.insert(0 if end == 0 else len(values), following)
            limit, step = axis.limits[end], axis.step
            there = (
                abs(limit - values[end]) < step
                if step
                else abs(np.log(limit / values[end])) < np.log(axis.values[1] / axis.values[0]) + 0.01
            )
            assert there, (name, values[end], limit)


@pytest.mark.parametrize("side", [8, 16])
@pytest.mark.parametrize(("name", "parameter"), [("tv", "weight"), ("nlm", "h")])
def test_graphics_without_noise_can_be_tuned_on(name, parameter, side):
    """Squares of one colour, both copies alike: the best filter hardly changes them, and lies far from where the grid begins."""
    squares = np.random.default_rng(0).integers(0, 256, (4, 3, 32 // side, 32 // side), dtype=np.uint8)
    a = squares.repeat(side, axis=2).repeat(side, axis=3)
    t = classical.tune(name, SimpleNamespace(a=a, b=a), 4)
    assert t.curve["mse"].min() < 1e-5  # under one grey level, which the cut to 8 bits costs
    assert t.parameters[parameter] < classical.FILTERS[name].grid[parameter].values[0] / 5


def test_without_noise_the_identity_wins_and_says_so(pairs):
    t = classical.tune("mean", SimpleNamespace(a=pairs.a, b=pairs.a), 8)
    assert (
        t.parameters == {"size": 1} and t.at_limit == {"size": "the identity"} and t.curve["mse"].min() == 0
    )


@pytest.mark.parametrize("name", ["mean", "gaussian", "median", "bilateral", "nlm"])
def test_filters_do_not_shift_the_image(tuned, pairs, name):
    """Filtering the mirror image gives the mirror image.

    scikit-image 0.26.0's own bilateral filter and fast non-local means fail this by 0.2 and more. Its slow
    non-local means leaves a patch as soon as it is clearly unlike, in reading order: about 0.01. (Total
    variation by forward differences and wavelets have no such symmetry to begin with.)
    """
    images = pairs.a[:4] / 255
    there = classical.filter_float(name, images[..., ::-1, ::-1], **tuned[name].parameters)[..., ::-1, ::-1]
    here = classical.filter_float(name, images, **tuned[name].parameters)
    np.testing.assert_allclose(there, here, rtol=0, atol=0.03 if name == "nlm" else 1e-12)


def test_mean_and_gaussian_are_their_definitions():
    impulse = np.zeros((1, 3, 33, 33))
    impulse[..., 16, 16] = 1
    assert classical.filter_float("mean", impulse, size=3)[0, 0, 15:18, 15:18] == pytest.approx(1 / 9)
    kernel = classical.filter_float("gaussian", impulse, sigma=1.3)[0, 0]
    # A sampled Gaussian of this width has the variance of the continuous one to 1e-4.
    assert kernel.sum() == pytest.approx(1) and kernel.sum(0) @ (np.arange(33) - 16) ** 2 == pytest.approx(
        1.69, rel=1e-3
    )


def test_bilateral_is_its_formula_and_becomes_a_gaussian(pairs):
    image = pairs.a[:1] / 255
    y, x = np.mgrid[:32, :32]
    centre = image[0, :, 9, 20]
    weight = np.exp(-((y - 9) ** 2 + (x - 20) ** 2) / (2 * 0.8**2))
    weight *= np.exp(-np.square(image[0] - centre[:, None, None]).sum(0) / (2 * 0.2**2))
    weight[(abs(y - 9) > 3) | (abs(x - 20) > 3)] = 0
    by_hand = (weight * image[0]).sum((1, 2)) / weight.sum()
    out = classical.filter_float("bilateral", image, sigma_spatial=0.8, sigma_color=0.2)
    np.testing.assert_allclose(out[0, :, 9, 20], by_hand, rtol=1e-12)
    wide = classical.filter_float("bilateral", image, sigma_spatial=0.8, sigma_color=1e4)
    # The two windows end at 3 and 5 sigma: their tails differ by about 0.1 %.
    np.testing.assert_allclose(wide, classical.filter_float("gaussian", image, sigma=0.8), atol=2e-3)


def test_the_fitted_filter_finds_a_known_kernel(pairs):
    kernel = np.random.default_rng(0).normal(0, 0.1, (5, 5))
    images = pairs.a[:6] / 255
    b = ndimage.correlate(images, kernel[None, None], mode="reflect") + 0.07
    fitted = classical.fit_linear(images, b)
    np.testing.assert_allclose(fitted["weights"], kernel, atol=1e-9)
    assert fitted["bias"] == pytest.approx(0.07, abs=1e-9)
    np.testing.assert_allclose(classical.filter_float("linear", images, **fitted), b, atol=1e-9)


def test_the_fitted_filter_is_no_worse_than_any_gaussian(tuned):
    """A Gaussian cut to 5x5 is one of its kernels; the cut to 8 bits and to 5x5 costs less than 0.1 %."""
    assert tuned["linear"].curve["mse"].min() <= 1.001 * tuned["gaussian"].curve["mse"].min()


def test_the_cut_to_8_bits_is_the_networks(pairs):
    np.testing.assert_array_equal(classical.apply("noisy", pairs.a), pairs.a)
    assert not classical.apply("zero", pairs.a).any()
    smooth = classical.filter_float("mean", pairs.a / 255, size=3)
    np.testing.assert_array_equal(classical.apply("mean", pairs.a, size=3), (smooth * 255).astype(np.uint8))


def test_float_access_neither_clips_nor_cuts():
    beyond = np.full((1, 3, 16, 20), 1.25)
    out = classical.filter_float("gaussian", beyond, sigma=0.7)
    assert out.dtype == np.float64 and out == pytest.approx(1.25)


def test_bad_input_gives_one_clear_sentence(pairs):
    with pytest.raises(ReportError, match="did you mean 'gaussian'"):
        classical.tune("gausian", pairs, 8)
    with pytest.raises(ReportError, match="did you mean 'sigma'"):
        classical.apply("gaussian", pairs.a, sigmas=1)
    with pytest.raises(ReportError, match="needs sigma"):
        classical.apply("gaussian", pairs.a)
    with pytest.raises(ReportError, match="uint8"):
        classical.apply("gaussian", pairs.a / 255, sigma=1)
    with pytest.raises(ReportError, match=r"\(N,3,H,W\)"):
        classical.filter_float("gaussian", np.zeros((32, 32, 3)), sigma=1)
    with pytest.raises(ReportError, match="noisy pairs"):
        classical.tune("gaussian", SimpleNamespace(a=pairs.a, b=None), 8)


def test_bm3d_is_optional(pairs):
    try:
        import bm3d  # noqa: F401
    except ImportError:
        with pytest.raises(MissingPackage, match="pip install bm3d"):
            classical.apply("bm3d", pairs.a[:1], sigma=0.1)
    else:
        out = classical.apply("bm3d", pairs.a[:2], sigma=0.1)
        assert error(out, pairs.clean[:2]) < error(pairs.a[:2], pairs.clean[:2])
