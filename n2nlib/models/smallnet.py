"""SmallNet, the better small network of chapter 06: a three-level U-Net that predicts a correction to its input."""

from __future__ import annotations

import torch
from torch import nn

from .layers import AnySize, Upsample

ACTIVATIONS = {"leaky": lambda: nn.LeakyReLU(0.1), "relu": nn.ReLU, "silu": nn.SiLU}
DOWNS = ("max", "average", "stride")
UPS = ("nearest", "bilinear", "transposed")


class SmallNet(AnySize):
    """A small U-Net of two widths: (B,3,H,W) -> (B,3,H,W) in [0, 1].

    The named space that `n2nlib.search` looks through: `width` channels at full size and `deep` below it, `levels` of
    halved size, `convs` convolutions a level on the way down and again on the way up, `activation`, how the size is
    halved (`down`) and doubled (`up`), and whether the network predicts the image or, with `correction`, what to add to
    its input.
    """

    def __init__(
        self,
        width: int = 16,
        deep: int = 20,
        levels: int = 3,
        convs: int = 2,
        activation: str = "leaky",
        down: str = "max",
        up: str = "nearest",
        correction: bool = True,
    ):
        super().__init__()
        for kind, name, known in (("activation", activation, ACTIVATIONS), ("down", down, DOWNS), ("up", up, UPS)):
            if name not in known:
                raise ValueError(f"unknown {kind} {name!r}, choose one of {', '.join(known)}")
        self.multiple = 2 ** (levels - 1)
        self.correction = correction
        channels = [width] + [deep] * (levels - 1)

        def block(inputs, outputs):
            layers = []
            for _ in range(convs):
                layers += [nn.Conv2d(inputs, outputs, 3, padding=1), ACTIVATIONS[activation]()]
                inputs = outputs
            return nn.Sequential(*layers)

        def shrink(c):
            if down == "stride":
                return nn.Conv2d(c, c, 2, stride=2, groups=c)
            return nn.MaxPool2d(2) if down == "max" else nn.AvgPool2d(2)

        def grow(c):
            if up == "transposed":
                return nn.ConvTranspose2d(c, c, 2, stride=2, groups=c)
            return Upsample(2) if up == "nearest" else nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)

        self.encode = nn.ModuleList(block(i, o) for i, o in zip([3, *channels], channels, strict=False))
        self.shrink = nn.ModuleList(shrink(c) for c in channels[:-1])
        self.grow = nn.ModuleList(grow(c) for c in channels[1:])
        self.decode = nn.ModuleList(block(below + c, c) for below, c in zip(channels[1:], channels, strict=False))
        self.last = nn.Conv2d(width, 3, 3, padding=1)

    def denoise(self, x):
        y, skips = self.encode[0](x), []  # (B,3,H,W) -> (B,width,H,W)
        for shrink, encode in zip(self.shrink, self.encode[1:], strict=True):
            skips.append(y)
            y = encode(shrink(y))  # -> (B,deep,H/2,W/2) -> (B,deep,H/4,W/4)
        for grow, decode in zip(reversed(self.grow), reversed(self.decode), strict=True):
            y = decode(torch.cat([grow(y), skips.pop()], dim=1))  # -> (B,deep,H/2,W/2) -> (B,width,H,W)
        y = self.last(y)  # -> (B,3,H,W)
        return x + y if self.correction else y
