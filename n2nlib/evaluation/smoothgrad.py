"""SmoothGrad of a network's loss and output, and rows of its Jacobian (paper, section 3).

Images go in as uint8 or as floats in [0, 1]; gradients are with respect to the [0, 1] input and come back
as float32 tensors on the CPU, whatever device the network is on.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import vjp, vmap

from n2nlib.errors import ReportError
from n2nlib.evaluation.metrics import judging

#: Noise of 10 to 20 % of the range is what Smilkov et al. (2017, section 3.1) advise. They take 50 samples
#: for a classifier; these maps vary far less from sample to sample, and chapter 05 shows how far the
#: numbers move.
SAMPLES, SIGMA = 16, 0.1

#: Rows that go through the network at once. On a CPU small chunks stay in the cache and are several times
#: faster.
CHUNK = {"cpu": 32, "cuda": 1024}


def loss_gradient(
    network: nn.Module,
    noisy,
    target,
    *,
    samples: int = SAMPLES,
    sigma: float = SIGMA,
    generator: torch.Generator | None = None,
) -> Tensor:
    """SmoothGrad of each image's squared error: (N,3,H,W), (N,3,H,W) -> (N,3,H,W).

    The loss of an image is the sum over its values of (f(x) - target)^2 (the mean would make the gradient
    depend on the size of the image); `samples`, `sigma` and `generator` as in `output_gradient`.
    """
    target = _images(target)

    def error(output: Tensor, index: Tensor) -> Tensor:
        return ((output - target[index].to(output.device)) ** 2).sum()

    return _smooth(network, noisy, error, samples, sigma, generator)


def output_gradient(
    network: nn.Module,
    noisy,
    *,
    samples: int = SAMPLES,
    sigma: float = SIGMA,
    generator: torch.Generator | None = None,
) -> Tensor:
    """SmoothGrad of the output: the gradient of the sum of all output values, (N,3,H,W) -> (N,3,H,W).

    This is the Jacobian summed over its rows, the paper's df(X)/dX: how far the whole output moves when one
    input value does. The gradient is averaged over `samples` copies of each image with Gaussian noise
    added, whose standard deviation is `sigma` times that image's range (max - min); sigma = 0 is the plain
    gradient. The noise comes from `generator` (on the CPU), image by image, so neither chunks nor device
    change it.
    """
    return _smooth(network, noisy, lambda output, _: output.sum(), samples, sigma, generator)


def _smooth(network, noisy, scalar: Callable[[Tensor, Tensor], Tensor], samples, sigma, generator) -> Tensor:
    """Average the gradient of `scalar(output, image numbers)` over noisy copies of each image."""
    if samples < 1 or sigma < 0:
        raise ReportError(
            f"SmoothGrad with samples={samples} and sigma={sigma}: expected at least 1 sample and sigma of 0 "
            "or more."
        )
    if sigma > 0 and generator is None:
        raise ReportError("SmoothGrad with sigma above 0 draws noise: pass a torch.Generator.")
    samples = samples if sigma > 0 else 1
    images = _images(noisy)
    gradient = torch.zeros_like(images)
    with _frozen(network) as device:
        size = CHUNK[device.type]
        for rows in torch.arange(len(images)).repeat_interleave(samples).split(size):
            x = images[rows]
            if sigma > 0:
                # One draw for each copy: a larger draw would give other numbers when the chunks change.
                noise = torch.stack([torch.randn(images.shape[1:], generator=generator) for _ in rows])
                x = x + sigma * (x.amax((1, 2, 3), keepdim=True) - x.amin((1, 2, 3), keepdim=True)) * noise
            # Channels last: the same numbers in half the time on a CPU.
            x = x.to(device).contiguous(memory_format=torch.channels_last).requires_grad_()
            (g,) = torch.autograd.grad(scalar(network(x), rows), x)
            gradient.index_add_(0, rows, g.cpu() / samples)
    return gradient


def jacobian_rows(network: nn.Module, image, pixels) -> Tensor:
    """Rows of the Jacobian at `image`: which inputs each of the chosen output pixels listens to.

    `image`: (3,H,W); `pixels`: (K,2) rows and columns of output pixels -> (K,H,W): how far the pixel's mean
    over channels moves when the three channels of an input pixel move together, so a filter whose weights
    sum to 1 has rows that sum to 1. One forward pass, then vmap over vector-Jacobian products.
    """
    x = _images(image)[None]
    _, channels, height, width = x.shape
    pixels = torch.as_tensor(np.asarray(pixels), dtype=torch.long).reshape(-1, 2)
    if ((pixels < 0) | (pixels >= torch.tensor([height, width]))).any():
        raise ReportError(f"jacobian_rows got a pixel outside an image of {height}x{width} pixels.")
    row, column = pixels.unbind(1)
    seeds = torch.zeros(len(pixels), 1, channels, height, width)
    seeds[torch.arange(len(pixels)), 0, :, row, column] = 1 / channels
    with _frozen(network) as device:
        _, pull = vjp(network, x.to(device))
        pull = vmap(pull)
        # Chunked here, not by vmap, so that seeds and rows need not all lie on the device.
        rows = [pull(chunk.to(device))[0][:, 0].cpu() for chunk in seeds.split(CHUNK[device.type])]
    return torch.cat(rows).sum(1)  # (K,3,H,W) -> (K,H,W)


def output(network: nn.Module, noisy) -> Tensor:
    """Return f(noisy) on a [0, 1] scale, neither clipped nor quantised: (N,3,H,W) -> (N,3,H,W)."""
    with judging(network) as device:
        return torch.cat([network(x.to(device)).cpu() for x in _images(noisy).split(CHUNK[device.type])])


def shuffled(network: nn.Module, generator: torch.Generator) -> nn.Module:
    """Return a copy whose weights are permuted within each tensor: same values, nothing learnt left."""
    network = copy.deepcopy(network)
    with torch.no_grad():
        for p in network.parameters():
            order = torch.randperm(p.numel(), generator=generator).to(p.device)
            p.copy_(p.flatten()[order].reshape(p.shape))
    return network


def cascade(network: nn.Module, seed: int) -> Iterator[tuple[str, nn.Module]]:
    """Yield copies with more and more layers reinitialised, from the output to the input.

    The cascading randomisation of Adebayo et al. (2018, section 3): first the last layer, then the last
    two, and so on; yields (name of the layer randomised last, network). The global random state is left as
    it was.
    """
    network = copy.deepcopy(network)
    layers = [(name, m) for name, m in network.named_modules() if hasattr(m, "reset_parameters")]
    for depth, (name, layer) in enumerate(reversed(layers)):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed + depth)
            layer.reset_parameters()
        yield name, copy.deepcopy(network)


def _images(x) -> Tensor:
    """Return images as float32 in [0, 1] on the CPU: uint8 is divided by 255, floats are kept."""
    x = torch.from_numpy(np.array(x)) if isinstance(x, np.ndarray) else x.cpu()  # a copy: pairs are read-only
    return x.float() / 255 if x.dtype == torch.uint8 else x.detach().float()


@contextmanager
def _frozen(network: nn.Module) -> Iterator[torch.device]:
    """Lend a network in eval mode, in fp32 and without gradients of its weights; yield its device."""
    wanted = [(p, p.requires_grad) for p in network.parameters()]
    network.requires_grad_(False)
    try:
        with judging(network) as device, torch.enable_grad():
            yield device
    finally:
        for p, on in wanted:
            p.requires_grad_(on)
