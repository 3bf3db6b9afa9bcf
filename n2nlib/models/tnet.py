"""TNet, the paper's Thin-Net (Figure 1, section 2.2)."""

from __future__ import annotations

import torch
from torch import nn

from n2nlib.models.layers import AnySize, ConvAfterDoubling, Dropout, at_least_one, one_of

POOLS = ("max", "average", "stride")
ACTIVATIONS = {"leaky": lambda: nn.LeakyReLU(0.1), "relu": nn.ReLU}


class TNet(AnySize):
    """A denoising autoencoder of 43,064 parameters: (B,3,H,W) -> (B,3,H,W) in [0, 1].

    With batch normalisation it has 43,486.

    `batch_norm`: the +BN row of Table 2. `dropout`: probability behind each of x1..x5. `embedding`:
    channels of the latent vector (32 in the paper). For the ablation of section 2.2: `skips=False` leaves
    the concatenations out, `pool` replaces max pooling by an average or by a depthwise strided convolution
    (kernel = stride, so that the number of parameters grows by less than 3 %), `activation="relu"` replaces
    LeakyReLU(0.1).
    """

    def __init__(
        self,
        batch_norm: bool = False,
        dropout: float = 0.0,
        embedding: int = 32,
        skips: bool = True,
        pool: str = "max",
        activation: str = "leaky",
    ):
        super().__init__()
        one_of(POOLS, pool=pool)
        one_of(ACTIVATIONS, activation=activation)
        at_least_one(embedding=embedding)
        self.skips = skips
        self.textbook = False
        #: The activation never decreases, so it commutes with the maximum: pooled first, it works on 4 to
        #: 16 times fewer values and gives the same numbers.
        self.pool_first = pool == "max"
        skip = 1 if skips else 0

        def norm(channels):
            return nn.BatchNorm2d(channels) if batch_norm else nn.Identity()

        def pooling(channels, factor):
            if pool == "max":
                return nn.MaxPool2d(factor)
            if pool == "average":
                return nn.AvgPool2d(factor)
            return nn.Conv2d(channels, channels, factor, stride=factor, groups=channels)

        self.sigma = ACTIVATIONS[activation]()
        self.drop = Dropout(dropout)
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1)
        self.norm1 = norm(16)
        self.pool1 = pooling(16, 2)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.norm2 = norm(32)
        self.pool2 = pooling(32, 4)
        self.conv3 = nn.Conv2d(32, embedding, 3, padding=1)
        self.norm3 = norm(embedding)
        self.pool3 = pooling(embedding, 4)
        self.up3 = nn.Upsample(scale_factor=4)  # nearest-neighbour
        self.norm4 = norm(embedding * (1 + skip))
        self.conv4 = nn.Conv2d(embedding * (1 + skip), 32, 3, padding=1)
        self.up2 = nn.Upsample(scale_factor=4)
        self.norm5 = norm(32 * (1 + skip))
        self.conv5 = nn.Conv2d(32 * (1 + skip), 16, 3, padding=1)
        self.up1 = nn.Upsample(scale_factor=2)
        self.conv6 = ConvAfterDoubling(16 * (1 + skip), 3)
        self.norm6 = norm(3)
        self.conv7 = nn.Conv2d(3 * (1 + skip), 3, 3, padding=1)

    def denoise(self, x):
        sigma, drop = self.sigma, self.drop
        x1 = drop(self.norm1(sigma(self.conv1(sigma(x)))))  # (B,3,32,32) -> (B,16,32,32)
        x2 = drop(self.norm2(sigma(self.conv2(self.down(self.pool1, x1)))))  # -> (B,32,16,16)
        x3 = drop(self.norm3(sigma(self.conv3(self.down(self.pool2, x2)))))  # -> (B,32,4,4)
        z = sigma(self.down(self.pool3, x3))  # the embedding: -> (B,32,1,1)
        x4 = drop(self.norm4(self.join(self.up3(z), x3)))  # -> (B,64,4,4)
        x5 = drop(self.norm5(self.join(self.up2(sigma(self.conv4(sigma(x4)))), x2)))  # -> (B,64,16,16)
        h = sigma(self.conv5(sigma(x5)))  # -> (B,16,16,16)
        x6 = sigma(self.conv6.after(self.up1, h, *([x1] if self.skips else [])))  # -> (B,3,32,32)
        x7 = self.norm6(x6)
        return sigma(self.conv7(self.join(x7, x)))  # -> (B,3,32,32)

    def down(self, pool, x):
        """Return pool(sigma(x)): (B,C,H,W) -> (B,C,H/factor,W/factor)."""
        return self.sigma(pool(x)) if self.pool_first and not self.textbook else pool(self.sigma(x))

    def join(self, x, skip):
        """Return x with the skip connection's channels behind its own, or x alone without them."""
        return torch.cat([x, skip], dim=1) if self.skips else x
