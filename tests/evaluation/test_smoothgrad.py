"""SmoothGrad and Jacobian rows against closed forms, autograd, finite differences and Captum."""

import time

import numpy as np
import pytest
import torch
from torch import nn

from n2nlib.errors import ReportError
from n2nlib.evaluation import smoothgrad
from n2nlib.evaluation.smoothgrad import (
    cascade,
    jacobian_rows,
    loss_gradient,
    output,
    output_gradient,
    shuffled,
)
from n2nlib.models import build


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def network():
    return build("TNet", seed=0).eval()


@pytest.fixture(scope="module")
def images():
    return torch.rand(5, 3, 32, 32, generator=generator(1))


def test_sigma_zero_is_the_plain_gradient(network, images):
    x = images.clone().requires_grad_()
    network(x).sum().backward()
    torch.testing.assert_close(output_gradient(network, images, sigma=0), x.grad, rtol=0, atol=1e-5)
    target = torch.rand(images.shape, generator=generator(2))
    x.grad = None
    ((network(x) - target) ** 2).sum().backward()
    torch.testing.assert_close(loss_gradient(network, images, target, sigma=0), x.grad, rtol=0, atol=1e-5)


def test_a_small_sigma_tends_to_the_plain_gradient(network, images):
    plain = output_gradient(network, images, sigma=0)
    off = [
        (output_gradient(network, images, sigma=sigma, generator=generator()) - plain).norm() / plain.norm()
        for sigma in (1e-1, 1e-3, 1e-6)
    ]
    # Only a kink of the network (a LeakyReLU, a maximum) crossed by the noise changes the gradient.
    assert off[0] > off[1] > off[2]
    assert off[2] < 1e-2


def test_agrees_with_captum(network, images):
    from captum.attr import NoiseTunnel, Saliency

    image = images[:1]
    spread = float(image.max() - image.min())
    tunnel = NoiseTunnel(Saliency(lambda x: network(x).sum((1, 2, 3))))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(
            3
        )  # Captum draws from the global generator: the same stream as a generator of that seed
        theirs = tunnel.attribute(
            image.clone(), nt_type="smoothgrad", nt_samples=20, stdevs=0.1 * spread, abs=False
        )
    ours = output_gradient(network, image, samples=20, sigma=0.1, generator=generator(3))
    torch.testing.assert_close(ours, theirs.float(), rtol=0, atol=1e-5)


def test_noise_belongs_to_the_generator_and_the_image(network, images, monkeypatch):
    def gradient(n=len(images), seed=0):
        return output_gradient(network, images[:n], samples=7, sigma=0.2, generator=generator(seed))

    whole = gradient()
    assert torch.equal(whole, gradient())
    assert not torch.allclose(whole, gradient(seed=1), atol=1e-4)
    torch.testing.assert_close(gradient(2), whole[:2], rtol=0, atol=1e-5)
    monkeypatch.setitem(smoothgrad.CHUNK, "cpu", 3)
    torch.testing.assert_close(gradient(), whole, rtol=0, atol=1e-5)


def test_a_linear_network_has_the_same_gradient_at_every_sigma(images):
    blur = nn.Conv2d(3, 3, 3, padding=1, groups=3, bias=False)
    nn.init.constant_(blur.weight, 1 / 9)
    smooth = output_gradient(blur, images, samples=4, sigma=0.3, generator=generator())
    expected = torch.ones(32, 32)
    expected[[0, -1]] *= 6 / 9  # the kernel leaves the image with 3 of its 9 weights, with 5 in a corner
    expected[:, [0, -1]] *= 6 / 9
    torch.testing.assert_close(smooth, expected.expand(5, 3, 32, 32), rtol=0, atol=1e-5)


def test_rows_are_the_jacobian(network, images):
    image, pixels = images[0], [(0, 0), (13, 20), (31, 5)]
    exact = torch.func.jacrev(lambda x: torch.stack([network(x[None])[0, :, r, c] for r, c in pixels]))(image)
    rows = jacobian_rows(network, image, pixels)
    torch.testing.assert_close(rows, exact.mean(1).sum(1), rtol=0, atol=1e-6)


def test_all_rows_in_seconds_sum_to_the_output_gradient(network, images):
    pixels = np.stack(np.divmod(np.arange(1024), 32), axis=1)
    start = time.perf_counter()
    rows = jacobian_rows(network, images[0], pixels)
    assert time.perf_counter() - start < 20  # about half a second on one idle core
    # Rows average over 3 output channels and sum over 3 input channels; the output gradient sums over
    # outputs only.
    plain = output_gradient(network, images[:1], sigma=0)[0]
    torch.testing.assert_close(3 * rows.sum(0), plain.sum(0), rtol=0, atol=1e-4)


def test_uint8_is_scaled_once(network):
    noisy = np.random.default_rng(0).integers(0, 256, (2, 3, 32, 32), dtype=np.uint8)
    scaled = torch.from_numpy(noisy).float() / 255
    assert torch.equal(output_gradient(network, noisy, sigma=0), output_gradient(network, scaled, sigma=0))
    torch.testing.assert_close(output(network, noisy), network(scaled).detach(), rtol=0, atol=1e-6)


def test_the_network_comes_back_as_it_was(images):
    network = build("TNet", seed=0, dropout=0.5).train()
    network.conv1.weight.requires_grad_(False)
    output_gradient(network, images, samples=1, sigma=0)
    assert network.training and network.drop.training
    assert [p.requires_grad for p in network.parameters()] == [False] + [True] * 13
    assert all(p.grad is None for p in network.parameters())


def test_shuffled_keeps_the_values_and_nothing_else(network):
    other = shuffled(network, generator())
    for a, b in zip(network.parameters(), other.parameters(), strict=True):
        assert torch.equal(a.flatten().sort().values, b.flatten().sort().values)
    assert not torch.equal(network.conv3.weight, other.conv3.weight)


def test_cascade_goes_from_the_output_to_the_input(network):
    state = torch.random.get_rng_state()
    steps = list(cascade(network, seed=5))
    assert torch.equal(state, torch.random.get_rng_state())
    assert [name for name, _ in steps] == [f"conv{i}" for i in range(7, 0, -1)]
    for depth, (_, step) in enumerate(steps, start=1):
        kept = [
            torch.equal(getattr(network, f"conv{i}").weight, getattr(step, f"conv{i}").weight)
            for i in range(1, 8)
        ]
        assert kept == [True] * (7 - depth) + [False] * depth


@pytest.mark.parametrize("wrong", [{"samples": 0}, {"sigma": -0.1}, {"generator": None}])
def test_bad_settings_are_one_sentence(network, images, wrong):
    with pytest.raises(ReportError, match="SmoothGrad with"):
        output_gradient(network, images, **{"samples": 2, "sigma": 0.1, "generator": generator(), **wrong})


def test_a_pixel_outside_is_one_sentence(network, images):
    with pytest.raises(ReportError, match="outside an image of 32x32"):
        jacobian_rows(network, images[0], [(3, 32)])
