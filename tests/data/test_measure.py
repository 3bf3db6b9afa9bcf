"""The noise's measures, against cases whose answer is known, and chapter 01's pictures."""

import json

import matplotlib.pyplot as plt
import numpy as np
import pytest

from n2nlib.data import Pairs, measure, open_dataset, sampling


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("N2N_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def gaussian():
    """A million independent normal errors, (100, 3, 58, 58)."""
    return np.random.default_rng(0).normal(0, 10, (100, 3, 58, 58))


def test_gaussian_errors_measure_as_such(gaussian):
    n = gaussian.size
    value, se = measure.mean_error(gaussian)
    assert abs(value) < 4 * 10 / np.sqrt(n)
    assert se == pytest.approx(10 / np.sqrt(n), rel=4 / np.sqrt(2 * 99))  # from 100 images
    assert abs(measure.kurtosis(gaussian) - 3) < 4 * np.sqrt(24 / n)
    value, se = measure.neighbour_correlation(gaussian)
    assert se == pytest.approx(1 / np.sqrt(2 * n), rel=0.35) and abs(value) < 4 * se
    assert all(abs(r) < 4 / np.sqrt(n / 3) for r in measure.channel_correlations(gaussian).values())
    assert measure.correlation(gaussian, gaussian)[0] == pytest.approx(1)
    assert measure.correlation(gaussian, -3 * gaussian)[0] == pytest.approx(-1)


def test_kurtosis_of_a_uniform_and_of_a_coin():
    x = np.linspace(-1, 1, 100_001).reshape(1, 1, 1, -1)
    assert measure.kurtosis(x) == pytest.approx(1.8, abs=1e-3)
    assert measure.kurtosis(np.array([-1.0, 1.0] * 8).reshape(1, 1, 4, 4)) == pytest.approx(1)


def test_correlations_that_were_put_in_are_found(gaussian):
    blurred = gaussian[..., 1:] + gaussian[..., :-1]  # neighbours across share half of their variance
    spatial = measure.spatial_correlation(blurred, reach=2)
    assert spatial.shape == (5, 5) and spatial[2, 2] == pytest.approx(1)
    assert np.allclose(spatial, spatial[::-1, ::-1])
    assert (
        spatial[2, 3] == pytest.approx(0.5, abs=0.01)
        and abs(spatial[2, 4]) < 0.01
        and abs(spatial[3, 2]) < 0.01
    )
    sheared = gaussian[..., 1:, 1:] + gaussian[..., :-1, :-1]
    spatial = measure.spatial_correlation(sheared, reach=1)
    assert spatial[2, 2] == pytest.approx(0.5, abs=0.01) and abs(spatial[2, 0]) < 0.01
    shared = gaussian.copy()
    shared[:, 1] = (shared[:, 0] + shared[:, 1]) / 2
    found = measure.channel_correlations(shared)
    assert found["RG"] == pytest.approx(1 / np.sqrt(2), abs=0.01) and abs(found["RB"]) < 0.01


def test_detail_is_the_difference_to_the_neighbours():
    clean = np.zeros((1, 3, 5, 5), np.uint8)
    clean[..., 2, 2] = 100
    detail = measure.neighbour_difference(clean)[0]
    assert detail[2, 2] == 100 and detail[0, 0] == 0
    assert detail[2, 1] == detail[1, 2] == pytest.approx(50)  # one neighbour of four differs


def test_noise_is_put_into_equal_classes_from_flat_to_detailed(gaussian):
    clean = np.random.default_rng(1).integers(0, 256, gaussian.shape).astype(np.uint8)
    error = gaussian * (measure.neighbour_difference(clean)[:, None] / 50)
    table = measure.noise_by_detail(error, clean, bins=8)
    assert table["pixels"].max() - table["pixels"].min() <= 1 and table["pixels"].sum() == 100 * 58 * 58
    assert (np.diff(table["detail"]) > 0).all() and (np.diff(table["sd"]) > 0).all()
    assert np.allclose(table["sd"], 10 * table["detail"] / 50, rtol=0.1)


def test_given_finds_a_mean_that_follows():
    x, y = np.random.default_rng(0).normal(0, 1, (2, 10, 40_000))
    free, tied = measure.given(x, y), measure.given(x, y + 0.5 * x)
    assert (np.abs(free["mean"]) < 4.5 * free["se"]).all()
    assert np.polyfit(tied["x"], tied["mean"], 1)[0] == pytest.approx(0.5, abs=0.02)


def test_averaged_draws_follow_the_square_root_law_and_would_see_a_bias(monkeypatch):
    image = np.random.default_rng(2).integers(0, 256, (70, 90, 3), dtype=np.uint8)
    table, means = measure.averaged_draws(image, [1, 16, 256])
    assert means.shape == (3, 3, 32, 32)
    # About 1,024 independent pixels: the root mean square of their errors is known to 1 / sqrt(2048).
    assert np.allclose(table["error"], table["expected"], rtol=4.5 / np.sqrt(2048))
    assert table["worst_z"].iloc[-1] < 5.5
    honest = sampling.subsample
    monkeypatch.setattr(sampling, "subsample", lambda *args: np.minimum(honest(*args).astype(int) + 2, 255))
    biased, _ = measure.averaged_draws(image, [4096])
    assert biased["error"].iloc[0] > 1.5 * biased["expected"].iloc[0]


def test_same_pixel_agrees_with_chance_and_would_see_dependence(monkeypatch):
    found = measure.same_pixel((50, 75), 200)
    assert abs(found["share"] - found["expected"]) < 4 * found["se"]
    monkeypatch.setattr(sampling, "halves", lambda word: (word >> np.uint64(32),) * 2)
    assert measure.same_pixel((50, 75), 5)["share"] == 1


def test_summary_of_a_dataset_and_of_one_noisy_image():
    val = open_dataset("bundled", 20, 60).val
    found = measure.summary(val)
    bias, se = found["mean_error"]
    assert abs(bias) < 4 * se
    r, r_se = found["pair_correlation"]
    assert abs(r) < 4 * r_se
    assert min(found["channels"].values()) > 0.7 and found["kurtosis"] > 6
    assert found["arrays"]["histogram"].sum() == val.a.size
    alone = measure.summary(Pairs(val.name, val.a, None, val.clean, val.photo))
    assert (
        alone["pair_correlation"] is None
        and alone["given_a"] is None
        and alone["kurtosis"] == found["kurtosis"]
    )


def test_what_does_not_vary_has_no_correlation_and_no_tails():
    """All of it is JSON, which knows no NaN; and one channel without error takes only its own pairs away."""
    clean = np.full((6, 3, 32, 32), 90, np.uint8)
    found = measure.summary(Pairs("flat", clean, clean, clean, np.arange(6)))
    assert found["mean_error"] == (0, 0) and found["sd"] == 0 and set(found["by_detail"]["sd"]) == {0}
    assert found["kurtosis"] is found["neighbours"] is found["pair_correlation"] is None
    assert set(found["channels"].values()) == {None} and np.isnan(found["arrays"]["spatial"]).all()
    assert found["given_a"] == {"x": [], "mean": [], "se": [], "sd": []}
    json.dumps({k: v for k, v in found.items() if k != "arrays"}, allow_nan=False)
    black = measure.other_noise(np.zeros_like(clean), "poisson:30")
    assert black["kurtosis"] is None and set(black["channels"].values()) == {None}
    noisy = np.random.default_rng(0).integers(-9, 10, (6, 3, 32, 32)) * np.array([1, 0, 1])[:, None, None]
    channels = measure.channel_correlations(noisy.astype(float))
    assert channels["RG"] is channels["GB"] is None and abs(channels["RB"]) < 4 / np.sqrt(6 * 32 * 32)


def test_other_noises_keep_their_promise_unclipped():
    clean = open_dataset("bundled", 20, 60).val.clean
    for name in ("gaussian:25", "poisson:30", "bernoulli:0.5"):
        found = measure.other_noise(clean, name)
        assert found["zero_mean"] and abs(found["mean_error"][0]) < 4 * found["mean_error"][1], name
    assert not measure.other_noise(clean, "impulse:0.1")["zero_mean"]
    bernoulli = measure.other_noise(clean, "bernoulli:0.5")
    assert bernoulli["clipped_mean_error"][0] < -10  # half of the light above mid-grey is cut away


def test_pictures_are_drawn(tmp_path):
    from n2nlib.display import data as data_figures
    from n2nlib.display import style

    style.use()
    dataset = open_dataset("bundled", 20, 12)
    found, image = measure.summary(dataset.val), dataset.photographs("val")[0].load()
    table, means = measure.averaged_draws(image, [1, 4])
    drawn = [
        data_figures.photographs(dataset.photographs("train"), dataset.photographs("val")),
        data_figures.pair(image, (10, 20, 100, 150), (3, 3)),
        data_figures.noise(found),
        data_figures.averaging(table, means, sampling.box_mean(image), [1, 4], found["given_a"]),
        data_figures.averaging(table, means, sampling.box_mean(image), [1, 4], None),
        data_figures.noise(
            measure.summary(Pairs("flat", *[np.full((6, 3, 32, 32), 90, np.uint8)] * 3, np.arange(6)))
        ),
        data_figures.averaging(
            table, means, sampling.box_mean(image), [1, 4], {"x": [], "mean": [], "se": [], "sd": []}
        ),
    ]
    for i, fig in enumerate(drawn):
        pdf, png = style.save(fig, tmp_path / str(i))
        assert png.stat().st_size > 10_000 and pdf.read_bytes().startswith(b"%PDF")
        plt.close(fig)
