"""Squared error by local detail: the parts, their sums, and a gain that is known beforehand."""

import numpy as np
import pytest

from n2nlib import detail

RNG = np.random.default_rng(0)
CLEAN = RNG.integers(0, 256, (6, 3, 32, 32), dtype=np.uint8)
PHOTO = np.array([4, 4, 7, 7, 9, 9])


def test_detail_is_the_standard_deviation_of_the_surroundings():
    by_hand = (CLEAN[2].mean(axis=0) / 255)[8:13, 18:23].std()
    assert detail.local_detail(CLEAN)[2, 10, 20] == pytest.approx(by_hand, rel=1e-9)
    assert detail.local_detail(np.full((1, 3, 8, 8), 200, np.uint8)) == pytest.approx(0, abs=1e-7)


def test_tenths_are_tenths_and_rise_with_detail():
    d = detail.local_detail(CLEAN)
    part = detail.parts(d)
    # Quantiles of 6,144 different values: each tenth holds 614 or 615 of them.
    assert np.bincount(part.ravel(), minlength=10) == pytest.approx(d.size / 10, abs=1)
    assert d[part == 3].max() <= d[part == 4].min()


def test_sums_add_up_to_the_error_of_the_whole():
    image = RNG.integers(0, 256, CLEAN.shape, dtype=np.uint8)
    part = detail.parts(detail.local_detail(CLEAN))
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
