"""Losses and metrics: the authors' conventions, against scikit-image and by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from n2nlib.errors import ReportError
from n2nlib.evaluation.metrics import MSE_FLOOR, denoise, global_psnr, mse, psnr, ssim, to_uint8
from n2nlib.models import build
from n2nlib.training.losses import LOSSES, l1, l2, l_hdr


def pictures(n=7, seed=0):
    """Random images and noisy ones, uint8 (n,3,32,32); the noise grows from image to image."""
    generator = np.random.default_rng(seed)
    clean = generator.integers(0, 256, (n, 3, 32, 32), dtype=np.uint8)
    noise = generator.normal(0, 1, clean.shape) * np.linspace(2, 60, n)[:, None, None, None]
    return clean, np.clip(clean + noise, 0, 255).astype(np.uint8)


def test_psnr_is_that_of_scikit_image():
    clean, noisy = pictures()
    theirs = [peak_signal_noise_ratio(c, n, data_range=255) for c, n in zip(clean, noisy, strict=True)]
    np.testing.assert_allclose(psnr(clean, noisy, data_range=255), theirs, rtol=1e-12)
    scaled = psnr(clean / 255, noisy / 255, data_range=1)
    np.testing.assert_allclose(scaled, theirs, rtol=1e-12)


def test_ssim_is_that_of_scikit_image():
    clean, noisy = pictures(3)
    theirs = [
        structural_similarity(c, n, channel_axis=0, data_range=255) for c, n in zip(clean, noisy, strict=True)
    ]
    np.testing.assert_allclose(ssim(clean, noisy, data_range=255), theirs, rtol=1e-12)


def test_uint8_does_not_wrap_around():
    black, white = np.zeros((1, 3, 4, 4), np.uint8), np.full((1, 3, 4, 4), 255, np.uint8)
    assert mse(black, white, data_range=255) == [1.0] == mse(white, black, data_range=255)
    assert psnr(black, white, data_range=255) == [0.0]


def test_a_perfect_image_is_80_db():
    clean, _ = pictures(2)
    assert psnr(clean, clean, data_range=255) == pytest.approx([-10 * np.log10(MSE_FLOOR)] * 2) == [80, 80]
    assert global_psnr(clean, clean, data_range=255) == pytest.approx(80)


def test_global_psnr_is_below_the_mean_of_images():
    """The logarithm is concave: the PSNR of the mean error is the lower of the two, never to be mixed with it."""
    clean, noisy = pictures()
    error = mse(clean, noisy, data_range=255)
    assert global_psnr(clean, noisy, data_range=255) == pytest.approx(-10 * np.log10(error.mean()), rel=1e-12)
    assert global_psnr(clean, noisy, data_range=255) < psnr(clean, noisy, data_range=255).mean() - 1


def test_a_data_range_is_demanded():
    clean, noisy = pictures(1)
    with pytest.raises(TypeError):
        psnr(clean, noisy)


def test_tensors_are_read_with_gradients_and_in_bfloat16():
    clean, noisy = pictures(2)
    real, half = (
        torch.from_numpy(noisy / 255).to(t).requires_grad_() for t in (torch.float64, torch.bfloat16)
    )
    assert np.array_equal(psnr(clean / 255, real, 1), psnr(clean / 255, noisy / 255, 1))
    assert np.array_equal(ssim(clean / 255, real, 1), ssim(clean / 255, noisy / 255, 1))
    as_read = half.detach().float().numpy()
    assert np.array_equal(psnr(torch.from_numpy(clean / 255), half, 1), psnr(clean / 255, as_read, 1))


def test_an_estimate_may_leave_the_range_and_be_black():
    clean, noisy = pictures(2)
    far = noisy / 255 * 2 - 0.5
    expected = -10 * np.log10(((clean / 255 - far) ** 2).mean(axis=(1, 2, 3)))
    np.testing.assert_allclose(psnr(clean / 255, far, 1), expected)
    dark = np.ones_like(clean)
    assert psnr(dark, dark * 0.5, 255) == pytest.approx([-20 * np.log10(0.5 / 255)] * 2)
    assert (psnr(clean / 127.5 - 1, noisy / 127.5 - 1, 2) == pytest.approx(psnr(clean, noisy, 255))) is True


def nan(images):
    return np.where(np.arange(len(images))[:, None, None, None] == 1, np.nan, images)


@pytest.mark.parametrize(
    ("change", "data_range", "says"),
    [
        (
            lambda c, n: (c, n / 255),
            255,
            "image holds float64 values up to 1, which does not fit data_range=255",
        ),
        (
            lambda c, n: (c / 255, n / 255),
            255,
            "clean holds float64 values up to 1, .*bring both images to one",
        ),
        (lambda c, n: (c, n), 1, "clean holds uint8 values up to 255, which does not fit data_range=1"),
        (lambda c, n: (c / 255, n), 1, "image holds uint8 values up to 255"),
        (lambda c, n: (c.astype(float), n.astype(float)), 1, "clean holds float64 values up to 255"),
        (lambda c, n: (c / 255, nan(n / 255)), 1, "1 of 2 images hold NaN or infinite values"),
        (lambda c, n: (c, n), 0, "data_range is 0: expected a number above 0, such as 255 for uint8"),
        (lambda c, n: (c, n), np.nan, "data_range is nan"),
        (lambda c, n: (c, n), "255", "data_range is '255'"),
        (lambda c, n: (c, n), None, "data_range is None"),
        (lambda c, n: (c[:0], n[:0]), 255, r"shapes \(0, 3, 32, 32\) .* cannot be compared"),
        (lambda c, n: (c, n * 1j), 255, "uint8 and complex128 cannot be compared: expected real numbers"),
        (lambda c, n: (c, torch.from_numpy(n).to_sparse()), 255, "a torch.sparse_coo tensor of torch.uint8"),
    ],
)
@pytest.mark.parametrize("metric", [psnr, ssim, global_psnr])
def test_mistakes_of_scale_get_a_sentence(metric, change, data_range, says):
    clean, noisy = pictures(2)
    clean[0, 0, 0, :2] = noisy[0, 0, 0, :2] = 0, 255
    with pytest.raises(ReportError, match=says):
        metric(*change(clean, noisy), data_range)


def test_ssim_needs_seven_pixels():
    clean, noisy = pictures(2)
    for one, other in ((clean[..., :6], noisy[..., :6]), (clean.transpose(0, 2, 3, 1),) * 2):
        with pytest.raises(ReportError, match="of at least 7x7 pixels"):
            ssim(one, other, 255)


def test_shapes_must_agree():
    clean, noisy = pictures(2)
    with pytest.raises(ReportError, match=r"\(2, 3, 32, 32\).*\(1, 3, 32, 32\)"):
        psnr(clean, noisy[:1], data_range=255)
    with pytest.raises(ReportError, match="expected two arrays"):
        psnr(clean[0], noisy[0], data_range=255)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((1, 3, 32, 32), np.float32),
        np.zeros((3, 32, 32), np.uint8),
        torch.zeros(1, 1, 32, 32, dtype=torch.uint8),
    ],
)
def test_denoise_takes_8_bit_colour_images_only(image):
    """Floats in [0, 1] would be divided by 255 once more and come out nearly black."""
    with pytest.raises(ReportError, match="expected uint8 images"):
        denoise(build("TNet"), image)


@pytest.mark.parametrize("make", [np.array, torch.tensor])
def test_predictions_are_cut_not_rounded(make):
    values = make([[-0.2, 0.0, 0.9999 / 255, 127.99 / 255, 1.0, 1.7]])
    assert to_uint8(values).tolist() == [[0, 0, 0, 127, 255, 255]]


@pytest.mark.parametrize("batch", [1, 3, 7, 250])
def test_denoise_does_not_depend_on_the_batch(batch):
    """Seven images in threes leave an uneven last batch: per image and in the mean nothing may change.

    Convolutions of another batch size may sum in another order (float32), which the cut can turn into one
    grey level.
    """
    network = build("TNet", seed=0, batch_norm=True)
    clean, noisy = pictures()
    whole = denoise(network, noisy, batch=7)
    parts = denoise(network, noisy, batch=batch)
    assert parts.shape == noisy.shape and parts.dtype == np.uint8
    assert np.abs(parts.astype(int) - whole).max() <= 1 and (parts != whole).mean() < 1e-3
    difference = psnr(clean, parts, data_range=255) - psnr(clean, whole, data_range=255)
    assert np.abs(difference).max() < 1e-3


def test_denoise_is_the_network_in_eval_mode_cut_to_8_bits():
    network = build("TNet", seed=0, batch_norm=True, dropout=0.5)
    network.norm1.running_mean.fill_(0.1)
    _, noisy = pictures(2)
    with torch.no_grad():
        wanted = to_uint8(network.eval()(torch.from_numpy(noisy).float() / 255))
    for mode in (True, False):
        network.train(mode)
        assert np.abs(denoise(network, noisy).astype(int) - wanted).max() <= 1
        assert network.training is mode and network.norm1.training is mode
    assert network.norm1.running_mean.eq(0.1).all()


def test_denoise_leaves_the_mode_when_it_fails():
    network = build("BaseNet", seed=0).train()
    with pytest.raises(ValueError, match="32x32"):
        denoise(network, np.zeros((1, 3, 40, 40), np.uint8))
    assert network.training


def test_denoise_of_no_image():
    assert denoise(build("TNet", seed=0), np.zeros((0, 3, 32, 32), np.uint8)).shape == (0, 3, 32, 32)


# --- losses -------------------------------------------------------------------------------------------------


def test_losses_by_hand():
    y, target = torch.tensor([[0.5, 0.2]]), torch.tensor([[0.1, 0.3]])
    assert float(l2(y, target)) == pytest.approx((0.16 + 0.01) / 2, rel=1e-6)
    assert float(l1(y, target)) == pytest.approx((0.4 + 0.1) / 2, rel=1e-6)
    assert float(l_hdr(y, target)) == pytest.approx((0.16 / 0.51**2 + 0.01 / 0.21**2) / 2, rel=1e-6)
    assert list(LOSSES) == ["L2", "L1", "L_HDR"] and all(
        loss(y, target).ndim == 0 for loss in LOSSES.values()
    )


def test_the_denominator_of_hdr_carries_no_gradient():
    """d/dy of (y - t)^2 / c with c constant is 2 (y - t) / c; with a gradient in c it would have a second term."""
    y = torch.tensor([0.5, 0.2], dtype=torch.float64, requires_grad=True)
    target = torch.tensor([0.1, 0.3], dtype=torch.float64)
    l_hdr(y, target).backward()
    wanted = (2 * (y - target) / (y + 0.01) ** 2 / 2).detach()
    torch.testing.assert_close(y.grad, wanted, rtol=1e-12, atol=0)


def test_l_hdr_of_a_negative_prediction():
    """A leaky last layer may put out -0.01 exactly: it counts as black, and loss and gradient stay finite."""
    y = torch.tensor([-0.01, -0.2], requires_grad=True)
    loss = l_hdr(y, torch.tensor([0.1, 0.1]))
    loss.backward()
    assert float(loss.detach()) == pytest.approx((0.11**2 + 0.3**2) / 0.01**2 / 2, rel=1e-5)
    torch.testing.assert_close(y.grad, torch.tensor([-0.11, -0.3]) / 0.01**2, rtol=1e-5, atol=0)


@pytest.mark.parametrize("loss, statistic", [(l2, np.mean), (l1, np.median)])
def test_what_a_loss_settles_on(loss, statistic):
    """Against many noisy targets of one pixel, L2 is least at their mean and L1 at their median (section 2.3.2)."""
    targets = np.random.default_rng(0).exponential(0.2, 2_001)
    grid = np.linspace(0, 1, 2_001)
    losses = [
        float(loss(torch.full((2_001,), float(g), dtype=torch.float64), torch.from_numpy(targets)))
        for g in grid
    ]
    assert grid[int(np.argmin(losses))] == pytest.approx(
        statistic(targets), abs=1 / 2_000
    )  # one step of the grid
