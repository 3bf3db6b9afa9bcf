"""Squared error by local deviation: the parts, their sums, and a gain that is known beforehand."""

import numpy as np
import pytest

from n2nlib.analysis.detail import DETAILED, FLAT, ErrorByDetail
from n2nlib.evaluation import detail

RNG = np.random.default_rng(0)
CLEAN = RNG.integers(0, 256, (6, 3, 32, 32), dtype=np.uint8)
PHOTO = np.array([4, 4, 7, 7, 9, 9])


def test_detail_is_the_standard_deviation_of_the_surroundings():
    by_hand = (CLEAN[2].mean(axis=0) / 255)[8:13, 18:23].std()
    assert detail.local_deviation(CLEAN)[2, 10, 20] == pytest.approx(by_hand, rel=1e-9)
    assert detail.local_deviation(np.full((1, 3, 8, 8), 200, np.uint8)) == pytest.approx(0, abs=1e-7)


def test_tenths_are_tenths_and_rise_with_detail():
    d = detail.local_deviation(CLEAN)
    part = detail.parts(d)
    # Quantiles of 6,144 different values: each tenth holds 614 or 615 of them.
    assert np.bincount(part.ravel(), minlength=10) == pytest.approx(d.size / 10, abs=1)
    assert d[part == 3].max() <= d[part == 4].min()


def test_sums_add_up_to_the_error_of_the_whole():
    image = RNG.integers(0, 256, CLEAN.shape, dtype=np.uint8)
    part = detail.parts(detail.local_deviation(CLEAN))
    sums, pixels = detail.error_by_part(image, CLEAN, part, PHOTO), detail.pixels_by_part(part, PHOTO)
    assert sums.shape == pixels.shape == (3, 10) and pixels.sum() == part.size
    mse = np.square(image / 255 - CLEAN / 255).mean()
    assert sums.sum() / pixels.sum() == pytest.approx(mse, rel=1e-12)


def test_ten_times_less_error_is_ten_decibels():
    pixels = np.full((3, 10), 50.0)
    pixels[2, 9] = 0  # the third photograph has no detailed pixel
    before = np.where(pixels > 0, 0.5, 0.0)
    gains = detail.gain(before, np.stack([before / 10, before]), pixels, slice(9, 10))
    np.testing.assert_allclose(gains, [[10, 10, np.nan], [0, 0, np.nan]])


def errors(tnet=1.0):
    """Errors of a filter and of TNet (three seeds) on four photographs of 50 pixels per tenth; TNet's in tenth 9 are a tenth of it."""
    pixels = np.full((4, 10), 50.0)
    filtered = np.full((4, 10), 0.5)
    network = np.stack([filtered * tnet * k for k in (0.9, 1.0, 1.1)])
    network[..., 8:] /= 10
    return ErrorByDetail.of({"gaussian": filtered, "TNet": network, "pixels": pixels})


def test_gains_in_fifths_and_their_difference():
    found = errors().gains("gaussian")
    middle = np.mean(-10 * np.log10([0.9, 1.0, 1.1]))
    assert found["gain_detail"].value == pytest.approx(10 + middle) and found[
        "gain_flat"
    ].value == pytest.approx(middle)
    assert (
        found["gain_detail_minus_flat"].value == pytest.approx(10) and found["gain_detail_minus_flat"].n == 3
    )
    assert f"{found['gain_detail']}".startswith("+10.01 [")


def test_root_mean_square_share_and_what_is_saved():
    found = errors()
    assert found.rms("gaussian") == pytest.approx(np.full(10, 25.5)) and found.rms("TNet")[
        9
    ] == pytest.approx(25.5 / np.sqrt(10))
    assert found.share("gaussian", DETAILED) == pytest.approx(0.2)
    assert found.saved("gaussian")[0] == pytest.approx(0) and found.saved("gaussian")[9] == pytest.approx(
        4 * 0.45 / 2000
    )


def test_without_tnet_there_is_no_gain_and_without_error_no_share():
    found = ErrorByDetail.of({"gaussian": np.zeros((4, 10)), "pixels": np.full((4, 10), 50.0)})
    assert not found and found.gains() == {} and np.isnan(found.share("gaussian", FLAT))


def test_photographs_without_such_pixels_are_left_out():
    found = errors()
    found.pixels[1, 8:] = 0
    for sums in found.sums.values():
        sums[..., 1, 8:] = 0
    assert np.isfinite(found.gain("gaussian", DETAILED).value)
    found.pixels[:, 8:] = 0
    assert np.isnan(found.gain("gaussian", DETAILED).value) and f"{found.contrast('gaussian')}" == "–"
