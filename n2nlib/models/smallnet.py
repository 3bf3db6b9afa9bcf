"""SmallNet, the better small network of chapter 06: a three-level U-Net that corrects its input."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from n2nlib.models.layers import AnySize, at_least_one, one_of

ACTIVATIONS = {"leaky": lambda: nn.LeakyReLU(0.1), "relu": nn.ReLU, "silu": nn.SiLU}
DOWNS = ("max", "average", "stride")
UPS = ("nearest", "bilinear", "transposed")


class SmallNet(AnySize):
    """A U-Net of 41,607 parameters that says how to correct its input: (B,3,H,W) -> (B,3,H,W) in [0, 1].

    Its options are the named space that `n2nlib.tools.search` looks through. `width`: channels at full
    size, `deep`: below it; `levels` of halved size; `convs`: convolutions a level, on the way down and
    again on the way up; `activation`; `down`, `up`: how the size is halved and doubled. `correction`: the
    output is added to the input. `kernel`: beside three channels to add, predict for each pixel how far to
    move towards each of its `kernel` x `kernel` neighbours (kernel prediction: Mildenhall et al. 2018, here
    of differences, so that flat areas stay as they are); 0 is none.
    """

    def __init__(
        self,
        width: int = 16,
        deep: int = 22,
        levels: int = 3,
        convs: int = 2,
        activation: str = "leaky",
        down: str = "max",
        up: str = "nearest",
        correction: bool = True,
        kernel: int = 3,
    ):
        super().__init__()
        one_of(ACTIVATIONS, activation=activation)
        one_of(DOWNS, down=down)
        one_of(UPS, up=up)
        at_least_one(width=width, deep=deep, levels=levels, convs=convs)
        if kernel != 0 and (kernel < 3 or kernel % 2 == 0):
            raise ValueError(f"kernel {kernel} has no pixel in its middle, choose 3, 5, ... or 0 for none")
        self.multiple = 2 ** (levels - 1)
        self.correction, self.kernel = correction, kernel
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
            return nn.Upsample(scale_factor=2, mode=up)

        self.encode = nn.ModuleList(block(i, o) for i, o in zip([3, *channels], channels, strict=False))
        self.shrink = nn.ModuleList(shrink(c) for c in channels[:-1])
        self.grow = nn.ModuleList(grow(c) for c in reversed(channels[1:]))
        below = list(reversed(channels))
        self.decode = nn.ModuleList(block(b + c, c) for b, c in zip(below, below[1:], strict=False))
        self.last = nn.Conv2d(width, 3 + max(kernel**2 - 1, 0), 3, padding=1)

    def denoise(self, x):
        y, skips = self.encode[0](x), []  # (B,3,H,W) -> (B,width,H,W)
        for shrink, encode in zip(self.shrink, self.encode[1:], strict=True):
            skips.append(y)
            y = encode(shrink(y))  # -> (B,deep,H/2,W/2) -> (B,deep,H/4,W/4)
        for grow, decode in zip(self.grow, self.decode, strict=True):
            y = decode(torch.cat([grow(y), skips.pop()], dim=1))  # -> (B,deep,H/2,W/2) -> (B,width,H,W)
        y = self.last(y)  # -> (B,3+8,H,W): a colour, and a weight for each neighbour
        if self.kernel:
            y = y[:, :3] + self.towards_neighbours(x, y[:, 3:])  # -> (B,3,H,W)
        return x + y if self.correction else y

    def towards_neighbours(self, x, weights):
        """Return each pixel's weighted differences to its neighbours: (B,3,H,W), (B,k*k-1,H,W) -> (B,3,H,W).

        The three channels share a weight, as they share the noise.
        """
        height, width = x.shape[-2:]
        k, r = self.kernel, self.kernel // 2
        padded = F.pad(x, (r, r, r, r), mode="replicate")
        places = [(i, j) for i in range(k) for j in range(k) if (i, j) != (r, r)]
        return sum(
            w * (padded[..., i : i + height, j : j + width] - x)
            for w, (i, j) in zip(weights.split(1, dim=1), places, strict=True)
        )
