"""Pieces that more than one network uses."""

from __future__ import annotations

from collections.abc import Collection

import torch
import torch.nn.functional as F
from torch import nn


def one_of(known: Collection[str], **choice: str) -> None:
    """Raise ValueError for a choice that is not known."""
    for kind, name in choice.items():
        if name not in known:
            raise ValueError(f"unknown {kind} {name!r}, choose one of {', '.join(known)}")


def at_least_one(**sizes: int) -> None:
    """Raise ValueError for a size below 1."""
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name} is {size}, and at least 1 is needed")


class ConvAfterDoubling(nn.Conv2d):
    """A 3x3 convolution whose input is doubled in size first: together cheaper than in turn.

    Convolution is linear: that of doubled pixels equals four small ones of the pixels as they were, and
    that of a concatenation equals a sum, so in training neither the doubled map nor the concatenation is
    ever made. The numbers are the same within rounding. In eval mode, and where `textbook` is set, it takes
    the published steps.
    """

    textbook = False

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs, 3, padding=1)

    def after(self, double: nn.Module, low, *skip):
        """Return conv(cat(double(low), *skip)): (B,C1,H/2,W/2), perhaps (B,C2,H,W) -> (B,outputs,H,W)."""
        doubles = isinstance(double, nn.Upsample) and (double.mode, double.scale_factor) == ("nearest", 2)
        if self.textbook or not self.training or not doubles:
            high = double(low)
            return self(torch.cat([high, *skip], dim=1) if skip else high)
        weight, *others = self.weight.split([part.shape[1] for part in (low, *skip)], dim=1)
        outputs, inputs = weight.shape[:2]
        kernels = doubled(doubled(weight, 3), 3).reshape(4 * outputs, inputs, 3, 3)  # two rows x two columns
        y = F.conv2d(low, kernels, self.bias.repeat(4), padding=1)  # -> (B,4*outputs,H/2,W/2)
        b, _, h, w = y.shape
        y = y.permute(0, 2, 3, 1).reshape(b, h, w, 2, 2, outputs)  # -> (B,H/2,W/2,2,2,outputs)
        y = y.transpose(2, 3)  # -> (B,H/2,2,W/2,2,outputs)
        y = y.reshape(b, 2 * h, 2 * w, outputs).permute(0, 3, 1, 2)  # -> (B,outputs,H,W)
        for part, other in zip(skip, others, strict=True):
            y = y + F.conv2d(part, other, padding=1)
        return y


def doubled(kernel: torch.Tensor, dim: int) -> torch.Tensor:
    """Return what a kernel's line (a,b,c) along `dim` does before doubling: (...) -> (2,...).

    The first of two equal pixels has itself behind it, the second itself before it: (a,b+c,0) and (0,a+b,c).
    """
    a, b, c = kernel.unbind(dim)
    zero = torch.zeros_like(a)
    return torch.stack([torch.stack([a, b + c, zero], dim), torch.stack([zero, a + b, c], dim)])


class Dropout(nn.Module):
    """Dropout with its own generator, so that runs side by side cannot disturb each other.

    Set `generator` before training (None is PyTorch's global one); an identity in eval mode or at p = 0.
    """

    def __init__(self, p: float):
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"dropout probability {p} is not in [0, 1)")
        self.p = p
        self.generator: torch.Generator | None = None

    def forward(self, x):
        if not self.training or self.p == 0:
            return x
        keep = torch.empty_like(x).bernoulli_(1 - self.p, generator=self.generator)
        return x * keep / (1 - self.p)

    def extra_repr(self):
        return f"p={self.p}"


class AnySize(nn.Module):
    """A network for sides that are multiples of `multiple`, padded and cropped for any size.

    Subclasses write `denoise(x)`. Padding repeats the border, at the bottom and right: (B,3,H,W) ->
    (B,3,H,W).
    """

    multiple = 32

    def forward(self, x):
        height, width = x.shape[-2:]
        bottom, right = -height % self.multiple, -width % self.multiple
        if not bottom and not right:
            return self.denoise(x)
        y = self.denoise(F.pad(x, (0, right, 0, bottom), mode="replicate"))
        return y[..., :height, :width]
