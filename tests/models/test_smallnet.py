"""SmallNet: its size, its start as a correction, and the neighbours' weights against a literal loop."""

import inspect
import itertools

import pytest
import torch

from n2nlib.errors import ReportError
from n2nlib.models import build, count_parameters
from n2nlib.models.smallnet import SmallNet
from n2nlib.tools.search import SPACE, START


@pytest.fixture
def image():
    return torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def test_it_is_smaller_than_tnet():
    assert count_parameters(SmallNet()) == 41_607
    assert count_parameters(SmallNet()) <= count_parameters(build("TNet"))


@pytest.mark.parametrize("size", [(32, 32), (1, 1), (37, 45), (5, 200)])
def test_any_size(size):
    x = torch.rand(1, 3, *size)
    with torch.no_grad():
        assert build("SmallNet", seed=0)(x).shape == x.shape


@pytest.mark.parametrize(
    "options",
    [{"levels": 2}, {"levels": 4, "convs": 1}, {"down": "average", "up": "bilinear"}, {"down": "stride", "up": "transposed"},
     {"activation": "relu", "kernel": 5}, {"activation": "silu", "correction": False, "kernel": 0}],
    ids=str,
)  # fmt: skip
def test_every_option_builds_and_learns(options, image):
    network = build("SmallNet", seed=0, **options)
    network(image).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_a_last_layer_of_zeros_leaves_the_input_as_it_is(image):
    network = build("SmallNet", seed=0)
    torch.nn.init.zeros_(network.last.weight)
    torch.nn.init.zeros_(network.last.bias)
    with torch.no_grad():
        assert torch.equal(network(image), image)


@pytest.mark.parametrize("kernel", [3, 5])
def test_neighbours_are_weighed_as_written(kernel, image):
    network = SmallNet(kernel=kernel)
    x = image[:, :, :8, :9]
    weights = torch.randn(2, kernel**2 - 1, 8, 9, generator=torch.Generator().manual_seed(1))
    expected = torch.zeros_like(x)
    r = kernel // 2
    offsets = [o for o in itertools.product(range(-r, r + 1), repeat=2) if o != (0, 0)]
    for i, j in itertools.product(range(8), range(9)):
        for k, (di, dj) in enumerate(offsets):
            there = x[:, :, min(max(i + di, 0), 7), min(max(j + dj, 0), 8)]  # the border is repeated
            expected[:, :, i, j] += weights[:, k, i, j, None] * (there - x[:, :, i, j])
    # sums of 24 products of order one in float32
    torch.testing.assert_close(network.towards_neighbours(x, weights), expected, atol=1e-5, rtol=0)


def test_the_neighbours_of_a_flat_image_change_nothing():
    """Whatever the weights: a flat image has no differences, so only the three colour channels can move it."""
    flat = torch.full((1, 3, 8, 8), 0.3)
    assert torch.equal(SmallNet().towards_neighbours(flat, torch.randn(1, 8, 8, 8)), torch.zeros_like(flat))


@pytest.mark.parametrize(
    "options, named",
    [
        ({"activation": "rleu"}, "rleu"),
        ({"down": "mean"}, "mean"),
        ({"up": "cubic"}, "cubic"),
        ({"kernel": 4}, "kernel 4"),
    ],
)
def test_bad_options_are_named(options, named):
    with pytest.raises(ReportError, match=named):
        build("SmallNet", **options)


def test_the_searched_space_is_the_constructor():
    options = set(inspect.signature(SmallNet).parameters)
    assert set(SPACE) == set(START) == options | {"lr"}
    assert all(START[name] in values for name, values in SPACE.items())
    assert {name: p.default for name, p in inspect.signature(SmallNet).parameters.items()} == {
        n: v for n, v in START.items() if n != "lr"
    }
