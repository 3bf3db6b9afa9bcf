"""Pieces that more than one network uses."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


class Upsample(nn.Module):
    """Nearest-neighbour upsampling by a whole factor: (B,C,H,W) -> (B,C,factor*H,factor*W)."""

    def __init__(self, factor: int):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return F.interpolate(x, scale_factor=float(self.factor), mode="nearest")

    def extra_repr(self):
        return f"factor={self.factor}"


class Dropout(nn.Module):
    """Dropout whose masks come from its own generator, so that runs side by side cannot disturb each other.

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
    """A network for images whose sides are multiples of `multiple`, opened to every size by padding and cropping.

    Subclasses write `denoise(x)`. Padding repeats the border, at the bottom and right: (B,3,H,W) -> (B,3,H,W).
    """

    multiple = 32

    def forward(self, x):
        height, width = x.shape[-2:]
        bottom, right = -height % self.multiple, -width % self.multiple
        if not bottom and not right:
            return self.denoise(x)
        y = self.denoise(F.pad(x, (0, right, 0, bottom), mode="replicate"))
        return y[..., :height, :width]
