"""The numbers of chapter 05 on images whose answers are known."""

import numpy as np
import pytest
import torch
from torch import nn

from n2nlib.evaluation import classical, saliency
from n2nlib.evaluation.smoothgrad import jacobian_rows
from n2nlib.models import build


@pytest.fixture(scope="module")
def photographs():
    """Six pictures with edges (a bright disc on a darker ramp) and noise that is there at half of the pixels."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:32, :32]
    clean = np.stack([
        60 + x + 110 * ((y - cy) ** 2 + (x - cx) ** 2 < 70) for cy, cx in rng.uniform(10, 22, (6, 2))
    ])  # fmt: skip
    clean = np.repeat(clean[:, None], 3, axis=1).astype(np.uint8)
    noise = np.rint(rng.laplace(0, 20, (6, 1, 32, 32))) * rng.integers(0, 2, (6, 1, 32, 32))
    return np.clip(clean + noise, 0, 255).astype(np.uint8), clean


def test_pictures_are_chosen_by_the_noise_alone(photographs):
    noisy, clean = photographs
    error = saliency.error_map(noisy, clean)
    worst = [
        max(error[i][tuple(p)] for p in pixels) for i, (pixels, _) in enumerate(saliency.edge_pixels(clean))
    ]
    photo = np.array([0, 0, 0, 1, 1, 1])
    chosen = saliency.noisiest_edges(noisy, clean, photo, 4)
    assert [error[i][pixel] for i, pixel in chosen] == [worst[i] for i, _ in chosen]
    first = {max(range(3), key=worst.__getitem__), max(range(3, 6), key=worst.__getitem__)}
    assert {i for i, _ in chosen[:2]} == first and len({i for i, _ in chosen}) == 4


def test_auc_is_that_of_scikit_learn():
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(1)
    score, positive = rng.integers(0, 20, (4, 8, 8)), rng.random((4, 8, 8)) < 0.2  # with ties
    expected = [roc_auc_score(p.ravel(), s.ravel()) for s, p in zip(score, positive, strict=True)]
    np.testing.assert_allclose(saliency.auc(score, positive), expected, atol=1e-12)
    assert np.isnan(saliency.auc(score[:1], np.zeros((1, 8, 8), bool))).all()


def test_noisiest_five_percent():
    error = np.random.default_rng(2).random((3, 32, 32))
    error[2] = 0
    chosen = saliency.noisiest(error)
    assert chosen.sum(axis=(1, 2)).tolist() == [51, 51, 0]
    assert error[0][chosen[0]].min() > error[0][~chosen[0]].max()


def test_partners_are_quiet_and_of_equal_detail(photographs):
    noisy, clean = photographs
    error = saliency.error_map(noisy, clean)
    light = saliency.grey(clean)
    pairs = saliency.matched(error, clean)
    assert sum(len(i) for i, _ in pairs) > 100
    for e, g, (i, j) in zip(error, light, pairs, strict=True):
        spread = np.array(
            [g[max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3].std() for y in range(32) for x in range(32)]
        )
        rows, columns = np.divmod(np.concatenate([i, j]), 32)
        ratio = (spread[i] + 1e-3) / (spread[j] + 1e-3)
        assert min(rows.min(), columns.min()) >= 2 and max(rows.max(), columns.max()) <= 29
        assert (e.flat[j] <= np.median(e)).all()
        assert (np.abs(np.log(ratio)) <= np.log(1.25) + 1e-6).all()


def test_edge_pixels_of_a_step_a_ramp_and_nothing():
    step = np.full((32, 32), 50, np.uint8)
    step[:, 16:] = 150
    ramp = np.tile(np.linspace(0, 255, 32).astype(np.uint8), (32, 1))
    flat = np.full((32, 32), 90, np.uint8)
    clean = np.repeat(np.stack([step, ramp, flat])[:, None], 3, axis=1)
    (pixels, same), on_ramp, on_flat = saliency.edge_pixels(clean)
    assert len(on_ramp[0]) == len(on_flat[0]) == 0
    assert {tuple(p) for p in pixels} == {(y, x) for y in range(4, 28) for x in (15, 16)}
    right = np.array([x for _, x in saliency.DISC]) > 0
    for (_, x), own in zip(pixels, same, strict=True):
        # From column 15 everything to the right is the other side; from 16 everything to the left is.
        expected = ~right if x == 15 else np.array([dx >= 0 for _, dx in saliency.DISC])
        assert (own == expected).all()


def test_same_side_of_known_weights(photographs):
    noisy, clean = photographs
    sides = {tuple(p): s for p, s in zip(*saliency.edge_pixels(clean[:1])[0], strict=True)}

    def three_to_one(_, pixels):
        rows = np.zeros((len(pixels), 32, 32))
        for k, (y, x) in enumerate(pixels):
            for (dy, dx), own in zip(saliency.DISC, sides[y, x], strict=True):
                rows[k, y + dy, x + dx] = (-3 if own else 1) * np.exp(-np.hypot(dy, dx))
        return rows

    found = saliency.same_side(three_to_one, noisy[:1], clean[:1])
    assert found["edges"][0] == min(len(sides), saliency.ROWS)
    np.testing.assert_allclose(saliency.log_same_side(found["weights"]), np.log(3), atol=1e-12)
    assert np.isnan(saliency.log_same_side(np.zeros((1, 6, 2)))).all()


@pytest.mark.parametrize(
    "name, parameters", [("mean", {"size": 3}), ("mean", {"size": 5}), ("gaussian", {"sigma": 0.7})]
)
def test_mean_and_gaussian_do_not_know_sides(photographs, name, parameters):
    matrix = saliency.filter_matrix(name, 32, 32, **parameters)
    np.testing.assert_allclose(matrix.sum(1), 1, atol=1e-9)
    weights = saliency.same_side(saliency.matrix_rows(matrix), *photographs)["weights"]
    np.testing.assert_allclose(saliency.log_same_side(weights), 0, atol=1e-9)


def test_bilateral_and_non_local_means_know_sides(photographs):
    _, clean = photographs
    for name, parameters in [
        ("bilateral", {"sigma_spatial": 1.0, "sigma_color": 0.1}),
        ("nlm", {"h": 0.1, "distance": 2}),
    ]:
        weights = saliency.same_side(
            lambda i, p: saliency.filter_rows(name, i, p, **parameters), clean, clean
        )["weights"]
        # Without noise nearly no weight crosses a step of 110 grey levels. What is left on the other side
        # is that moving a pixel there also moves the weights (and, for non-local means, patches that lie
        # across the edge).
        assert (saliency.log_same_side(weights) > np.log(3)).all()


def test_filter_rows_are_central_differences_one_pixel_at_a_time(photographs):
    image = photographs[0][0]
    pixels = np.array([[8, 8], [15, 20]])
    for name, parameters in [
        ("bilateral", {"sigma_spatial": 0.8, "sigma_color": 0.3}),
        ("nlm", {"h": 0.1, "distance": 3}),
    ]:
        rows = saliency.filter_rows(name, image, pixels, **parameters)
        for k, (y, x) in enumerate(pixels):
            for dy, dx in [(0, 0), (0, 1), (-2, 1), (3, 0)]:
                moved = np.stack([image / 255.0] * 2)
                moved[0, :, y + dy, x + dx] += saliency.STEP
                moved[1, :, y + dy, x + dx] -= saliency.STEP
                up, down = classical.filter_float(name, moved, **parameters)[:, :, y, x].mean(1)
                assert rows[k, y + dy, x + dx] == pytest.approx((up - down) / (2 * saliency.STEP), abs=1e-6)
    matrix = saliency.filter_matrix("gaussian", 32, 32, sigma=0.7)
    rows = saliency.filter_rows("gaussian", image, pixels, sigma=0.7)
    near = np.s_[0, 5:12, 5:12]  # within 3 pixels of (8, 8)
    np.testing.assert_allclose(rows[near], saliency.matrix_rows(matrix)(image, pixels)[near], atol=1e-9)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("bilateral", {"sigma_spatial": 0.2, "sigma_color": 1.0}), ("bilateral", {"sigma_spatial": 0.8, "sigma_color": 1.0}),
     ("nlm", {"h": 1.0, "distance": 1}), ("nlm", {"h": 1.0, "distance": 4}), ("gaussian", {"sigma": 0.7}), ("gaussian", {"sigma": 1.3})],
    ids=str,
)  # fmt: skip
def test_an_input_pixel_moves_outputs_as_far_as_is_said(name, parameters):
    image = np.random.default_rng(0).random((1, 3, 33, 33))
    moved = image.copy()
    moved[..., 16, 16] += 0.1
    changed = (
        np.abs(np.subtract(*(classical.filter_float(name, x, **parameters) for x in (moved, image)))).max(
            axis=(0, 1)
        )
        > 1e-15
    )
    assert np.abs(np.argwhere(changed) - 16).max() == saliency._reach(name, parameters)


def test_the_noisy_image_itself(photographs):
    """A filter that does nothing: its loss gradient is twice the error, its influence is 1 everywhere."""
    noisy, clean = photographs
    found = saliency.linear_statements(np.eye(1024), noisy, clean)
    np.testing.assert_allclose(found["change_auc"], 0.5)
    np.testing.assert_allclose(found["loss_auc"], 1, atol=1e-3)  # ties at the 51st place
    np.testing.assert_allclose(found["pixel"], 0, atol=1e-12)
    np.testing.assert_allclose(found["ring"], 0, atol=1e-12)


def test_matrix_and_network_give_the_same_statements(photographs):
    noisy, clean = photographs
    matrix = saliency.filter_matrix("mean", 32, 32, size=3)
    blur = nn.Sequential(
        nn.ReplicationPad2d(1), nn.Conv2d(3, 3, 3, groups=3, bias=False)
    )  # reflects by one pixel
    nn.init.constant_(blur[1].weight, 1 / 9)
    by_matrix = saliency.linear_statements(matrix, noisy, clean)
    by_network = saliency.network_statements(blur, noisy, clean, samples=1, sigma=0)
    for key, values in by_matrix.items():
        # float32 may order two nearly equal pixels otherwise: one swap among 51 x 973 pairs moves an AUC by
        # 2e-5.
        np.testing.assert_allclose(by_network[key], values, atol=1e-3)
    pixels = np.array([[0, 0], [9, 31], [12, 13]])
    rows = saliency.matrix_rows(matrix)(noisy[0], pixels)
    np.testing.assert_allclose(jacobian_rows(blur, noisy[0], pixels).numpy(), rows, atol=1e-6)


def test_low_influence_of_noisy_pixels_is_seen(photographs):
    noisy, clean = photographs
    error = saliency.error_map(noisy, clean)
    influence = np.where(saliency.noisiest(error), 0.5, 1.0)
    influence = np.repeat(influence[:, None], 3, axis=1)
    found = saliency.statements(noisy, clean, noisy / 255.0, None, influence)
    np.testing.assert_allclose(found["pixel"], np.log(0.5), atol=1e-12)
    np.testing.assert_allclose(
        found["ring"], 0, atol=1e-12
    )  # the noisy pixels themselves do not count in rings


def test_rank_correlation_is_spearman():
    from scipy.stats import spearmanr

    a, b = np.random.default_rng(3).random((2, 3, 8, 8))
    expected = [spearmanr(x.ravel(), y.ravel()).statistic for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(saliency.rank_correlation(a, b), expected, atol=1e-12)


def test_statements_of_an_untrained_network_are_deterministic(photographs):
    network = build("TNet", seed=0)
    first, second = (saliency.network_statements(network, *photographs, samples=2) for _ in range(2))
    for key in first:
        assert np.array_equal(first[key], second[key], equal_nan=True)
    assert torch.is_grad_enabled() and network.training
