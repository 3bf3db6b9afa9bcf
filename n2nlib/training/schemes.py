"""Schemes of training: input and target images (`Samples`) and the loss (`objective`).

Every random choice comes from counter-based words keyed by (seed, purpose, epoch, place in the stored
order), so it does not depend on device, chunk size, other runs or where a run was resumed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache

import numpy as np
import torch

from n2nlib.errors import TrainingError
from n2nlib.spec import RunSpec
from n2nlib.training.losses import l2, loss

#: Noise2Void hides one pixel in 16 and shows a random other one from its 5x5 neighbourhood in its place.
HIDDEN_OUT_OF_256 = 16
_NEIGHBOURS = [(dy, dx) for dy in range(-2, 3) for dx in range(-2, 3) if (dy, dx) != (0, 0)]
#: Neighbor2Neighbor: the eight ordered pairs of adjacent pixels in a 2x2 cell whose pixels are numbered 0
#: 1 / 2 3.
_ADJACENT = [(0, 1), (1, 0), (0, 2), (2, 0), (1, 3), (3, 1), (2, 3), (3, 2)]


def words(seed: int, purpose: str, epoch: int, first: int, count: int, each: int) -> np.ndarray:
    """Return `each` random 64-bit words for each of `count` places from `first`: (count, each).

    `each` is a multiple of 4: Philox counts in steps of 4.
    """
    if each % 4:
        raise ValueError(f"{each} words a place: Philox counts in steps of 4")
    key = hashlib.sha256(f"{seed}/{purpose}/{epoch}".encode()).digest()[:16]
    bits = np.random.Philox(key=np.frombuffer(key, dtype=np.uint64))
    bits.advance(first * each // 4)
    return bits.random_raw(count * each).reshape(count, each)


class Samples:
    """The training images of one run, resident on the device as uint8 (N,H,W,3).

    Raises TrainingError where the dataset lacks what the scheme needs.
    """

    def __init__(self, spec: RunSpec, pairs, device: torch.device, resident: dict):
        pairs = pairs.subset(spec.n_train, spec.n_photos)
        second = "clean" if spec.scheme == "noise2clean" else "b"
        if getattr(pairs, second) is None:
            raise TrainingError(
                f"scheme {spec.scheme} needs the {second} images, which this dataset does not have."
            )
        self.spec, self.device = spec, device
        self.a, self.b = (self._load(pairs, name, resident) for name in ("a", second))
        self.order: tuple[int, torch.Tensor] | None = None

    def _load(self, pairs, name, resident):
        """Return one array on the device; runs that train side by side share it through `resident`."""
        key = self.spec.dataset, self.spec.n_train, self.spec.n_photos, name
        if key not in resident:
            images = np.array(getattr(pairs, name))  # a writable copy: the dataset may be memory-mapped
            resident[key] = torch.from_numpy(images).to(self.device).permute(0, 2, 3, 1).contiguous()
        return resident[key]

    def chunk(self, epoch: int, start: int, stop: int) -> tuple[torch.Tensor, ...]:
        """Return what `objective` takes for places start..stop of an epoch's order: uint8 tensors
        (n,H,W,C).
        """
        x, target = self.a, self.b
        chosen = slice(start, stop)
        if "shuffle" in self.spec.augment:
            chosen = self._permutation(epoch)[chosen]
        x, target = x[chosen], target[chosen]
        for name in ("swap", "mix", "flip", "rotate"):
            if name in self.spec.augment:
                x, target = getattr(self, f"_{name}")(x, target, epoch, start)
        if self.spec.scheme == "noise2void":
            return self._hide(x, epoch, start)
        if self.spec.scheme == "neighbor2neighbor":
            height, width = x.shape[1] // 2, x.shape[2] // 2
            codes = self._random_bytes("neighbours", epoch, start, len(x), height * width) % len(_ADJACENT)
            return x, codes.view(-1, height, width, 1)
        return x, target

    def _random_bytes(self, purpose, epoch, start, count, each):
        """Return `each` random bytes for each place: (count, each) uint8."""
        values = words(self.spec.seed, purpose, epoch, start, count, -(-each // 32) * 4)
        little_endian = values.astype("<u8").view(np.uint8)  # (count, words) -> (count, 8*words)
        return torch.from_numpy(little_endian).to(self.device)[:, :each]

    def _permutation(self, epoch):
        """Return the shuffled order of an epoch."""
        if self.order is None or self.order[0] != epoch:
            keys = words(self.spec.seed, "shuffle", epoch, 0, len(self.a), 4)[:, 0]
            self.order = epoch, torch.from_numpy(np.argsort(keys, kind="stable")).to(self.device)
        return self.order[1]

    def _swap(self, x, target, epoch, start):
        """Exchange input and target of every other pair, at random."""
        swapped = (self._random_bytes("swap", epoch, start, len(x), 1) < 128).view(-1, 1, 1, 1)
        return torch.where(swapped, target, x), torch.where(swapped, x, target)

    def _mix(self, x, target, epoch, start):
        """Exchange input and target pixel by pixel: valid where the noise is independent from pixel to
        pixel.
        """
        pixels = x.shape[1] * x.shape[2]
        packed = self._random_bytes("mix", epoch, start, len(x), -(-pixels // 8))
        bits = packed[..., None] >> torch.arange(8, dtype=torch.uint8, device=self.device) & 1
        mixed = bits.reshape(len(x), -1)[:, :pixels].bool().view(*x.shape[:3], 1)
        return torch.where(mixed, target, x), torch.where(mixed, x, target)

    def _flip(self, x, target, epoch, start):
        """Mirror half of the pairs left to right."""
        mirrored = (self._random_bytes("flip", epoch, start, len(x), 1) < 128).view(-1, 1, 1, 1)
        return torch.where(mirrored, x.flip(2), x), torch.where(mirrored, target.flip(2), target)

    def _rotate(self, x, target, epoch, start):
        """Turn each pair by a random number of quarter turns."""
        turns = self._random_bytes("rotate", epoch, start, len(x), 1)[:, 0] % 4
        out = []
        for images in (x, target):
            turned = torch.stack([images.rot90(k, (1, 2)) for k in range(4)])
            out.append(turned[turns.long(), torch.arange(len(images), device=self.device)])
        return tuple(out)

    def _hide(self, x, epoch, start):
        """Replace random pixels by neighbours (Krull et al. 2019): input, target, and where."""
        n, height, width = x.shape[:3]
        random = self._random_bytes("hide", epoch, start, n, 2 * height * width)
        random = random.view(n, height, width, 2).long()
        hidden = random[..., :1] < HIDDEN_OUT_OF_256
        neighbours = torch.tensor(_NEIGHBOURS, device=self.device)
        offsets = neighbours[random[..., 1] * len(_NEIGHBOURS) >> 8]  # (n,H,W,2)

        def moved(size, shape, by):
            """Return the neighbour's place; an offset that leaves the image is turned round."""
            place = torch.arange(size, device=self.device).view(shape)
            there = place + by
            return torch.where((there < 0) | (there >= size), place - by, there)

        rows, columns = moved(height, (-1, 1), offsets[..., 0]), moved(width, (1, -1), offsets[..., 1])
        other = x[torch.arange(n, device=self.device)[:, None, None], rows, columns]
        return torch.where(hidden, other, x), x, hidden.to(torch.uint8)


def scale(images: torch.Tensor) -> torch.Tensor:
    """uint8 (B,H,W,C) -> float32 (B,C,H,W) in [0, 1], channels last."""
    return images.permute(0, 3, 1, 2).float().div(255)


def objective(spec: RunSpec) -> Callable[..., torch.Tensor]:
    """Return the function (network, *uint8 tensors of a batch) -> loss that the run minimises.

    Raises ReportError for an unknown loss, and for a loss that the scheme is not defined with.
    """
    if spec.scheme in ("noise2noise", "noise2clean"):
        value = loss(spec.loss)
        return lambda network, x, target: value(network(scale(x)), scale(target))
    if spec.loss != "L2":
        raise TrainingError(f"scheme {spec.scheme} is defined with loss L2, not {spec.loss}.")
    return {"noise2void": _noise2void, "neighbor2neighbor": _neighbor2neighbor}[spec.scheme]


def _noise2void(network, x, target, hidden):
    """Squared error where the network could not see the pixel (Krull et al. 2019)."""
    hidden = hidden.permute(0, 3, 1, 2).float()
    error = (network(scale(x)) - scale(target)) ** 2 * hidden
    return error.sum() / (hidden.sum().clamp(min=1) * x.shape[-1])


@cache
def _adjacent(device: torch.device) -> torch.Tensor:
    """Return the pairs on the device, made once: a CUDA graph cannot hold a copy from the host."""
    return torch.tensor(_ADJACENT, device=device)


def _neighbor2neighbor(network, y, codes):
    """Squared error between neighbours plus its regulariser, weight 1 (Huang et al. 2021, equation 6)."""
    y = scale(y)
    table = _adjacent(y.device)[codes[..., 0].long()]  # (B,H/2,W/2,2)

    def halves(images):
        """Return the two sub-sampled images: (B,C,H,W) -> twice (B,C,H/2,W/2)."""
        b, c, h, w = images.shape
        cells = images.reshape(b, c, h // 2, 2, w // 2, 2).permute(0, 1, 2, 4, 3, 5)
        cells = cells.reshape(b, c, h // 2, w // 2, 4)
        picks = (table[:, None, :, :, k, None].expand(b, c, -1, -1, 1) for k in (0, 1))
        return (cells.gather(4, pick)[..., 0] for pick in picks)

    g1, g2 = halves(y)
    with torch.no_grad():
        d1, d2 = halves(network(y))
    prediction = network(g1)
    return l2(prediction, g2) + ((prediction - g2 - (d1 - d2)) ** 2).mean()
