"""Sub-pixel sampling: unbiased, independent, fair to unequal cells, and the same bytes everywhere."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from n2nlib.data import photos, sampling
from n2nlib.data.bench import plain_pair
from n2nlib.data.building import build
from n2nlib.data.sampling import box_mean, subsample
from n2nlib.errors import DatasetError


@pytest.fixture(scope="module")
def photograph():
    """Random pixels, 50 x 45: cells of 1 and 2 pixels a side, the hardest case for fairness."""
    return np.random.default_rng(1).integers(0, 256, (50, 45, 3), dtype=np.uint8)


def exact_means(image):
    rows, columns = (np.arange(33) * side // 32 for side in image.shape[:2])
    return np.array(
        [
            [image[rows[i] : rows[i + 1], columns[j] : columns[j + 1]].mean(axis=(0, 1)) for j in range(32)]
            for i in range(32)
        ]
    ).transpose(2, 0, 1)


def test_edges_cover_the_window_once():
    for length in (32, 33, 50, 63, 64, 375):
        edges = sampling.edges([7], [length])[0]
        assert edges[0] == 7 and edges[-1] == 7 + length
        sizes = np.diff(edges)
        assert sizes.min() == length // 32 and sizes.max() - sizes.min() <= 1
        assert np.array_equal(edges, 7 + np.floor(np.arange(33) * length / 32))


def test_box_mean_rounds_the_exact_mean_once_half_to_even(photograph):
    assert np.array_equal(box_mean(photograph), np.rint(exact_means(photograph)))
    # Two pixels a cell: every odd sum is a tie.
    tie = np.zeros((32, 64, 3), np.uint8)
    tie[:, ::2] = np.arange(32, dtype=np.uint8)[:, None, None]
    assert np.array_equal(box_mean(tie)[0, :, 0], np.round(np.arange(32) / 2))


def test_integral_image_survives_the_wrap_of_its_sums():
    # 4200 x 4200 white pixels sum to 4.5e9, beyond 2^32; each cell's sum does not.
    white = np.full((4200, 4200, 1), 255, np.uint8)
    table = sampling.integral(white)
    edges = sampling.edges([0], [4200])
    assert (sampling.cell_means(table, edges, edges) == 255).all()


def test_expectation_of_a_noisy_image_is_the_cell_mean(photograph):
    n = 4_000
    rng = sampling.generator(0, "expectation")
    draws = np.stack([subsample(photograph, rng) for _ in range(n)]).astype(np.float64)
    error = draws.mean(axis=0) - exact_means(photograph)
    deviation = draws.std(axis=0)
    # Single-pixel cells have no noise at all; elsewhere z is standard normal, and about 750 independent
    # ones stay below 5.
    assert np.abs(error[deviation == 0]).max() == 0
    z = error[deviation > 0] / (deviation[deviation > 0] / np.sqrt(n))
    assert np.abs(z).max() < 5
    # Three channels share each draw, so there are about 1,024 independent values of z.
    assert abs(z.mean()) < 4 / np.sqrt(1024)
    assert abs(z.std() - 1) < 4 / np.sqrt(2 * 1024)


def test_every_pixel_of_an_unequal_cell_is_drawn_equally_often():
    # 5 x 7 pixels in 2 x 2 cells: cells of 2 or 3 rows and 3 or 4 columns. The channel holds the pixel's
    # number.
    image = np.arange(35, dtype=np.uint8).reshape(5, 7, 1).repeat(3, axis=2)
    rng = sampling.generator(0, "fair")
    n = 20_000
    counts = np.zeros(35)
    for _ in range(n):
        np.add.at(counts, subsample(image, rng, cells=(2, 2))[0].ravel(), 1)
    rows, columns = np.array([2, 2, 3, 3, 3]), np.array([3, 3, 3, 4, 4, 4, 4])
    p = 1 / np.outer(rows, columns).ravel()
    assert np.abs((counts - n * p) / np.sqrt(n * p * (1 - p))).max() < 4.5  # 35 standard normals


def test_channels_share_one_pixel(photograph):
    same = photograph[:, :, :1].repeat(3, axis=2)
    noisy = subsample(same, sampling.generator(0, "channels"))
    assert np.array_equal(noisy[0], noisy[1]) and np.array_equal(noisy[0], noisy[2])


def test_the_two_noisy_images_are_independent(photograph):
    a_error, b_error = [], []
    edges = sampling.edges([0], [50]), sampling.edges([0], [45])
    exact = exact_means(photograph).transpose(1, 2, 0)
    word = sampling.words(sampling.generator(5, "pair"), (400, 32, 32))
    for part in word:
        a, b = sampling.halves(part[None])
        a_error.append(sampling.draw(photograph, *edges, a)[0] - exact)
        b_error.append(sampling.draw(photograph, *edges, b)[0] - exact)
    x, y = np.array(a_error)[..., 0].ravel(), np.array(b_error)[..., 0].ravel()
    # 400 x 1,024 independent cells: a correlation of independent errors has standard deviation 1 / sqrt(n).
    assert abs(np.corrcoef(x, y)[0, 1]) < 4 / np.sqrt(x.size)


def test_windows_keep_to_their_fractions_and_to_the_photograph():
    n = 5_000
    box = sampling.windows((300, 450), n, (0.47, 0.95), sampling.generator(0, "windows"))
    top, left, height, width, flip = box.T
    assert (top >= 0).all() and (left >= 0).all()
    assert (top + height <= 300).all() and (left + width <= 450).all()
    assert height.min() >= int(0.47 * 300) and height.max() <= 0.95 * 300
    assert np.abs(height / 300 - width / 450).max() < 1 / 300 + 1e-12  # one fraction for both sides
    fraction = width / 450
    assert abs(fraction.mean() - 0.71) < 4 * 0.48 / np.sqrt(12 * n) + 1 / 450
    assert abs(flip.mean() - 0.5) < 4 * 0.5 / np.sqrt(n)
    assert np.array_equal(
        box[:7], sampling.windows((300, 450), 7, (0.47, 0.95), sampling.generator(0, "windows"))
    )
    assert (sampling.windows((40, 500), 100, (0.2, 0.3), sampling.generator(0, "small"))[:, 2] == 32).all()


def test_vectorised_sampling_equals_a_plain_loop(photograph):
    out = build((Still(photograph),), 6, fractions=(0.7, 1.0), split="train", seed=4)
    place = sampling.permutation(sampling.generator(4, "train/order"), 6)
    window = sampling.windows((50, 45), 6, (0.7, 1.0), sampling.generator(4, "train/windows"))
    word = sampling.words(sampling.generator(4, "train/pixels"), (6, 32, 32))
    assert set(window[:, 4]) == {0, 1}
    for k in range(6):
        for name, plain in zip(("a", "b", "clean"), plain_pair(photograph, window[k], word[k]), strict=True):
            assert np.array_equal(out[name][place[k]], plain.transpose(2, 0, 1)), name


class Still:
    """A photograph in memory."""

    group, path = 0, Path()

    def __init__(self, pixels):
        self.pixels = pixels

    def load(self):
        return self.pixels


def test_number_of_threads_and_batch_size_change_no_byte(monkeypatch):
    chosen = photos.bundled().train[:3]
    one = build(chosen, 300, fractions=(0.2, 1.0), split="train", seed=0, threads=1)
    two = build(chosen, 300, fractions=(0.2, 1.0), split="train", seed=0, threads=2)
    monkeypatch.setattr("n2nlib.data.building._CHUNK", 7)
    small = build(chosen, 300, fractions=(0.2, 1.0), split="train", seed=0, threads=3)
    for name in one:
        assert one[name].tobytes() == two[name].tobytes() == small[name].tobytes(), name


def test_bytes_of_a_small_dataset_are_pinned():
    # From a PNG file, whose pixels do not depend on the version of a JPEG decoder. If this fails, the
    # meaning of a recipe has changed: raise SAMPLER_VERSION, so that no stored run claims to have seen the
    # old pairs.
    astronaut = photos.bundled().train[:1]
    assert astronaut[0].name == "astronaut.png"
    out = build(astronaut, 24, fractions=(0.2, 1.0), split="train", seed=0)
    digest = hashlib.sha256(b"".join(out[k].tobytes() for k in ("a", "b", "clean", "photo"))).hexdigest()
    assert digest == "934629fc1b582c53cf96baab2c5d6e20053ef27c9253cebbfcbede053201e891"


def test_too_small_images_and_wrong_types_are_refused():
    with pytest.raises(DatasetError, match="31x40 pixels cannot be divided into 32x32 cells"):
        box_mean(np.zeros((31, 40, 3), np.uint8))
    with pytest.raises(DatasetError, match="expected a uint8 image"):
        subsample(np.zeros((64, 64, 3)), sampling.generator(0, "x"))
    with pytest.raises(TypeError, match="32-bit"):
        subsample(np.zeros((64, 64, 3), np.uint8), np.random.Generator(np.random.MT19937(0)))


def test_generators_differ_by_seed_purpose_and_index():
    first = {
        sampling.words(sampling.generator(*key), 1)[0]
        for key in [(0, "a", 0), (0, "a", 1), (0, "b", 0), (1, "a", 0), (1, "a", 1)]
    }
    assert len(first) == 5
    # Philox' raw stream itself is pinned: it is what all bytes rest on.
    assert hex(sampling.words(sampling.generator(0, "pinned"), 1)[0]) == "0x6e5573adb4881abb"
