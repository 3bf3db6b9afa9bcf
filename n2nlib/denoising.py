"""Denoise an image of any kind and size with a trained network, and make noisy pairs to try it on.

The networks remove the aliasing of sub-sampled pictures (one pixel kept out of each cell), not every noise.

A large picture is processed fully convolutionally, not as 32x32 windows: that leaves no seams, and on
sub-sampled photographs its PSNR is higher. Tiles bound the memory. They start at multiples of 32 pixels,
where pooling to 1x1 starts its cells, and overlap by the network's reach, so that the result is that of the
whole picture up to the rounding of floating-point sums. BaseNet takes 32x32 pixels only: it sees
overlapping windows and keeps the middle of each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from n2nlib.data.sampling import box_mean, generator, subsample
from n2nlib.errors import ReportError, whole_number
from n2nlib.evaluation.metrics import judging, to_uint8
from n2nlib.images import pixels_of
from n2nlib.pretrained import load_pretrained

#: The side of a tile without its overlap, in pixels, and at least `FEWEST` overlaps, or most work would be
#: done twice. Small tiles are faster than large ones, because they fit into the processor's cache.
TILE, FEWEST = 256, 3
#: Where the cells of the deepest pooling start: multiples of so many pixels.
GRID = 32
#: The farthest that is looked for a network's reach, in pixels; one that sees more has inexact tiles.
FARTHEST = 256


class Span(NamedTuple):
    """A tile along one axis: the network sees start..stop, of which keep..end counts."""

    start: int
    stop: int
    keep: int
    end: int


class NoisyPair(NamedTuple):
    """Two independent noisy images of one scene, and the clean image that both are drawn around."""

    a: object
    b: object
    clean: object


def denoise(image, network: str | nn.Module = "tnet"):
    """Return an image without the aliasing of sub-sampling, in the kind it was given.

    The networks remove no other noise.

    image: a path (returns a Pillow image), a Pillow image, a NumPy array or a tensor; uint8 or floating
    point from 0 to 1; grey, RGB or RGBA (alpha is kept); any height and width, or a batch. network: a name
    as in `load_pretrained`, or a module from (N,3,H,W) to the same in [0, 1]. uint8 results are quantised
    as the report's are, by cutting. Raises ReportError for another type, shape or range.

    >>> import numpy as np
    >>> denoise(np.zeros((40, 50, 3), np.uint8)).shape
    (40, 50, 3)
    """
    pixels, back = pixels_of(image)
    return back(denoise_pixels(pixels, network_of(network)))


def network_of(network: str | nn.Module) -> nn.Module:
    """Return the network of that name, or a module as it is; raises ReportError for anything else."""
    if isinstance(network, str):
        return load_pretrained(network)
    if not isinstance(network, nn.Module):
        raise ReportError(f"network is {network!r}: expected a name such as 'tnet', or a torch module.")
    return network


def denoise_pixels(
    pixels: np.ndarray, network: nn.Module, advance: Callable[[float], object] = lambda share: None
) -> np.ndarray:
    """Denoise images as `images.pixels_of` returns them: (N,H,W,C) -> (N,H,W,C) of the same type.

    advance: called with the share of the work that was done since its last call.
    """
    n, height, width, channels = pixels.shape
    colours = 3 if channels >= 3 else 1
    out = np.empty(pixels.shape, pixels.dtype)
    out[..., colours:] = pixels[..., colours:]  # alpha
    with judging(network) as device:
        rows, columns = spans((height, width), network)
        several = max(1, TILE**2 // (height * width))
        for first in range(0, n, several):
            part = slice(first, first + several)
            for row in rows:
                for column in columns:
                    tile = pixels[part, row.start : row.stop, column.start : column.stop, :colours]
                    clean = _denoise_tile(tile, network, device)
                    inside = clean[
                        :, row.keep - row.start : row.end - row.start,
                        column.keep - column.start : column.end - column.start,
                    ]  # fmt: skip
                    out[part, row.keep : row.end, column.keep : column.end, :colours] = inside
                    advance(len(tile) / (n * len(rows) * len(columns)))
    return out


def _denoise_tile(tile: np.ndarray, network: nn.Module, device: torch.device) -> np.ndarray:
    side = getattr(network, "side", 0)
    height, width = tile.shape[1:3]
    kind = np.uint8 if tile.dtype == np.uint8 else np.float32  # PyTorch lacks some, such as big-endian ones
    x = torch.from_numpy(np.array(tile, kind)).to(device)
    x = x.permute(0, 3, 1, 2).float()  # (N,H,W,C) -> (N,C,H,W), channels last in memory
    if tile.dtype == np.uint8:
        x = x.div(255)
    grey = x.shape[1] == 1
    if grey:
        x = x.expand(-1, 3, -1, -1)  # -> (N,3,H,W)
    if height < side or width < side:
        below, right = max(side - height, 0), max(side - width, 0)
        x = nn.functional.pad(x, (0, right, 0, below), mode="replicate")
    y = _run(network, x.contiguous(memory_format=torch.channels_last))[..., :height, :width]
    if grey:
        y = y.mean(dim=1, keepdim=True)  # -> (N,1,H,W)
    y = to_uint8(y) if tile.dtype == np.uint8 else y.clamp(0, 1).cpu().numpy()
    return y.transpose(0, 2, 3, 1)


def _run(network: nn.Module, x: torch.Tensor) -> torch.Tensor:
    try:
        y = network(x)
    except (RuntimeError, ValueError) as error:
        raise ReportError(
            f"{type(network).__name__} cannot process images of shape {tuple(x.shape)}: {error}."
        ) from error
    if not isinstance(y, torch.Tensor) or y.shape != x.shape:
        found = tuple(y.shape) if isinstance(y, torch.Tensor) else type(y).__name__
        raise ReportError(
            f"{type(network).__name__} turns images of shape {tuple(x.shape)} into {found}: "
            "expected one shape."
        )
    return y


def spans(size: tuple[int, int], network: nn.Module) -> tuple[list[Span], list[Span]]:
    """Return the tiles of an image of that (height, width) along its two axes."""
    if side := getattr(network, "side", 0):
        return tuple(list(_windows(length, side)) for length in size)
    margin = reach(network) if max(size) > TILE else 0
    return tuple(list(_tiles(length, margin)) for length in size)


def _tiles(length: int, margin: int) -> Iterator[Span]:
    count = -(-length // max(TILE, FEWEST * margin))
    core = -(-length // count // GRID) * GRID if count > 1 else length
    for keep in range(0, length, core):
        end = min(keep + core, length)
        yield Span(max(keep - margin, 0), min(end + margin, length), keep, end)


def _windows(length: int, side: int) -> Iterator[Span]:
    if length <= side:
        yield Span(0, length, 0, length)
        return
    for keep in range(0, length, side // 2):
        start = min(max(keep - side // 4, 0), length - side)
        yield Span(start, start + side, keep, min(keep + side // 2, length))


def reach(network: nn.Module) -> int:
    """Return how far a pixel acts, at most, as a multiple of 32 pixels: the receptive field's radius.

    Measured, so that it holds for every network: a column of NaN goes in, and the columns of NaN that come
    out are counted. Height and width are taken to be alike.
    """
    with judging(network) as device:
        x = torch.zeros(1, 3, GRID, 2 * FARTHEST + GRID, device=device)
        x[..., FARTHEST : FARTHEST + GRID] = torch.nan
        touched = _run(network, x).isnan().any(dim=2).any(dim=1)[0].nonzero()  # numbers of columns
    if not len(touched):
        return FARTHEST
    farthest = max(FARTHEST - int(touched.min()), int(touched.max()) - (FARTHEST + GRID - 1))
    return -(-farthest // GRID) * GRID


def noisy_pair(photo, cell: int = 8, seed: int = 0) -> NoisyPair:
    """Sub-sample a photograph twice: two noisy images and the clean one, each `cell` times smaller.

    photo: a path, Pillow image, NumPy array or tensor of 8 bits without alpha. A noisy image keeps one
    pixel, drawn uniformly, of each cell of about cell x cell pixels; the clean image is the mean of each
    cell. The three are returned in the photograph's kind. Raises ReportError for another kind of
    photograph, or one smaller than a cell.

    >>> import numpy as np
    >>> noisy_pair(np.zeros((320, 480, 3), np.uint8), cell=10).clean.shape
    (32, 48, 3)
    """
    pixels, back = pixels_of(photo)
    if pixels.dtype != np.uint8 or len(pixels) != 1 or pixels.shape[-1] not in (1, 3):
        raise ReportError(
            "a photograph of 8 bits (uint8), grey or RGB without alpha, is expected: convert it."
        )
    height, width = pixels.shape[1:3]
    cell, seed = whole_number("cell", cell, 1), whole_number("seed", seed, 0)
    if cell > min(height, width):
        raise ReportError(f"cell is {cell}: expected at most the shorter side, {min(height, width)} pixels.")
    cells = (height // cell, width // cell)
    drawn = [subsample(pixels[0], generator(seed, "noisy pair", i), cells) for i in range(2)]
    made = (*drawn, box_mean(pixels[0], cells))
    return NoisyPair(*(back(image.transpose(1, 2, 0)[None]) for image in made))
