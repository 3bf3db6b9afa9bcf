"""BaseNet, the paper's baseline autoencoder (section 2.1)."""

from __future__ import annotations

from torch import nn


class BaseNet(nn.Module):
    """Six convolutions to 8 numbers and six back: (B,3,32,32) -> (B,3,32,32) in [0, 1].

    166,923 parameters. ReLU follows every layer, the last included, so that an output may die at zero. The
    size is fixed: other heights and widths raise ValueError.
    """

    side = 32

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(3, 32, 5), nn.ReLU(),  # (B,3,32,32) -> (B,32,28,28)
            nn.Conv2d(32, 32, 5), nn.ReLU(),  # -> (B,32,24,24)
            nn.Conv2d(32, 32, 5), nn.ReLU(),  # -> (B,32,20,20)
            nn.Conv2d(32, 32, 4, stride=2), nn.ReLU(),  # -> (B,32,9,9)
            nn.Conv2d(32, 32, 3, stride=2), nn.ReLU(),  # -> (B,32,4,4)
            nn.Conv2d(32, 8, 4), nn.ReLU(),  # -> (B,8,1,1)
        )  # fmt: skip
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(8, 32, 4), nn.ReLU(),  # -> (B,32,4,4)
            nn.ConvTranspose2d(32, 32, 3, stride=2), nn.ReLU(),  # -> (B,32,9,9)
            nn.ConvTranspose2d(32, 32, 4, stride=2), nn.ReLU(),  # -> (B,32,20,20)
            nn.ConvTranspose2d(32, 32, 5), nn.ReLU(),  # -> (B,32,24,24)
            nn.ConvTranspose2d(32, 32, 5), nn.ReLU(),  # -> (B,32,28,28)
            nn.ConvTranspose2d(32, 3, 5), nn.ReLU(),  # -> (B,3,32,32)
        )  # fmt: skip

    def forward(self, x):
        if x.shape[-2:] != (self.side, self.side):
            raise ValueError(
                f"BaseNet takes images of 32x32 pixels, not {tuple(x.shape[-2:])}: use TNet or UNet"
            )
        return self.decoder(self.encoder(x))
