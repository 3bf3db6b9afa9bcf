"""UNet, the network of Lehtinen et al. (2018), section 2.3.2 of the paper."""

from __future__ import annotations

import torch
from torch import nn

from n2nlib.models.layers import AnySize, ConvAfterDoubling


def conv(inputs: int, outputs: int) -> nn.Sequential:
    """A 3x3 convolution and LeakyReLU(0.01), at unchanged height and width."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), nn.LeakyReLU(0.01))


class UNet(AnySize):
    """Five levels of 48 channels down, 96 up: (B,3,H,W) -> (B,3,H,W) in [0, 1].

    991,203 parameters when each decoder block has its own weights. `shared_decoder=True` calls one block
    three times, as the implementation does that the paper cites (Tsinghua University 2020): 576,099
    parameters, although a summary that counts a layer at each use also prints 991,203.
    """

    def __init__(self, shared_decoder: bool = False):
        super().__init__()
        self.shared_decoder = shared_decoder
        self.encode1 = nn.Sequential(conv(3, 48), conv(48, 48), nn.MaxPool2d(2))
        self.encode2 = nn.Sequential(conv(48, 48), nn.MaxPool2d(2))
        self.encode3 = nn.Sequential(conv(48, 48), nn.MaxPool2d(2))
        self.encode4 = nn.Sequential(conv(48, 48), nn.MaxPool2d(2))
        self.encode5 = nn.Sequential(conv(48, 48), nn.MaxPool2d(2))
        self.bottom = nn.Sequential(conv(48, 48))
        self.decode4 = nn.Sequential(conv(96, 96), conv(96, 96))

        def block():
            return nn.Sequential(conv(144, 96), conv(96, 96))

        self.decode3 = block()
        if not shared_decoder:
            self.decode2 = block()
            self.decode1 = block()
        self.up = nn.Upsample(scale_factor=2)  # nearest-neighbour
        self.last = nn.Sequential(
            nn.Sequential(ConvAfterDoubling(99, 64), nn.LeakyReLU(0.01)), conv(64, 32), conv(32, 3)
        )

    def denoise(self, x):
        pool1 = self.encode1(x)  # (B,3,32,32) -> (B,48,16,16)
        pool2 = self.encode2(pool1)  # -> (B,48,8,8)
        pool3 = self.encode3(pool2)  # -> (B,48,4,4)
        pool4 = self.encode4(pool3)  # -> (B,48,2,2)
        pool5 = self.encode5(pool4)  # -> (B,48,1,1)
        y = self.up(self.bottom(pool5))  # -> (B,48,2,2)
        y = self.up(self.decode4(torch.cat([y, pool4], dim=1)))  # -> (B,96,4,4)
        y = self.up(self.decode3(torch.cat([y, pool3], dim=1)))  # -> (B,96,8,8)
        y = self.up(self.decode_again(2)(torch.cat([y, pool2], dim=1)))  # -> (B,96,16,16)
        y = self.decode_again(1)(torch.cat([y, pool1], dim=1))  # -> (B,96,16,16)
        (conv, sigma), *others = self.last
        y = sigma(conv.after(self.up, y, x))  # -> (B,64,32,32)
        for layer in others:
            y = layer(y)  # -> (B,32,32,32) -> (B,3,32,32)
        return y

    def decode_again(self, level: int) -> nn.Module:
        """Return the decoder block of level 2 or 1: its own, or the shared one."""
        return self.decode3 if self.shared_decoder else getattr(self, f"decode{level}")
