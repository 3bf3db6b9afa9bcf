"""One picture in explore: noisy, denoised by two methods, error maps, a Jacobian row."""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from matplotlib import colormaps
from PIL import Image, ImageDraw
from torch import nn

from n2nlib.data import noise as noises
from n2nlib.data import sampling
from n2nlib.data.photos import bundled
from n2nlib.errors import ReportError
from n2nlib.evaluation import classical, metrics, saliency, smoothgrad
from n2nlib.pretrained import load_pretrained

#: Sides of the picture in pixels: multiples of the networks' 32, in which BaseNet's tiles fit.
SIDES = (32, 64, 96, 128)
NETWORKS = ("TNet", "UNet", "SmallNet", "BaseNet")
#: Title -> name of the filters that take less than a second; the two that filter nothing are left out.
FILTERS = {
    f.title: name for name, f in classical.FILTERS.items() if not f.slow and name not in ("zero", "noisy")
}
METHODS = (*NETWORKS, *FILTERS)
#: How far, in pixels, a filter's row of the Jacobian is computed, and how far any row is drawn.
REACH, NEAR = 3, 8
#: Filters are tuned on a square of this side in the middle: their few parameters need no more pixels.
TUNING = 48


@dataclass(frozen=True)
class Noise:
    """A kind of noise with the bounds, first value and step of its strength, as a slider needs them."""

    title: str
    strength: str = ""
    low: float = 0.0
    high: float = 1.0
    value: float = 0.0
    step: float = 0.01


#: The networks were trained on the first; the others show where they fail.
NOISES = {
    "subpixel": Noise("sub-pixel sampling"),
    "gaussian": Noise("Gaussian", "standard deviation (grey levels)", 0, 100, 25, 1),
    "poisson": Noise("Poisson", "photons at white", 1, 200, 30, 1),
    "bernoulli": Noise("Bernoulli", "share of pixels kept", 0.05, 1, 0.9, 0.01),
    "impulse": Noise("impulse", "share of pixels replaced", 0, 1, 0.1, 0.01),
}


@dataclass(frozen=True)
class Window:
    """A square window of `side` x `side` cells of `cell` x `cell` pixels.

    `down`, `across`: its place, 0 to 1.
    """

    side: int = 64
    cell: int = 6
    down: float = 0.5
    across: float = 0.5

    def corner(self, photo: np.ndarray) -> tuple[int, int]:
        """Return top and left in a photograph (H,W,3); raises ReportError where the window does not fit."""
        height, width = photo.shape[:2]
        length = self.side * self.cell
        if length > min(height, width):
            raise ReportError(
                f"A window of {self.side} cells of {self.cell} pixels needs {length} pixels, and the "
                f"photograph has {width} x {height}: choose smaller cells or a smaller picture."
            )
        return round(self.down * (height - length)), round(self.across * (width - length))

    def of(self, photo: np.ndarray) -> np.ndarray:
        """Return the window's pixels, uint8 (side*cell, side*cell, 3)."""
        top, left = self.corner(photo)
        length = self.side * self.cell
        return photo[top : top + length, left : left + length]


@dataclass(frozen=True)
class Scene:
    """Two noisy copies `a` and `b` of a clean picture, each uint8 (1,3,S,S).

    What a Noise2Noise pair is made of.
    """

    a: np.ndarray
    b: np.ndarray
    clean: np.ndarray

    def middle(self, side: int) -> Scene:
        """Return the square of at most `side` pixels in its middle."""
        start = max(0, (self.a.shape[-1] - side) // 2)
        part = slice(start, start + side)
        return Scene(*(image[..., part, part] for image in (self.a, self.b, self.clean)))


def photographs() -> dict[str, Callable[[], np.ndarray]]:
    """Return name -> function that loads a bundled photograph, uint8 (H,W,3); held-out ones first."""
    source = bundled()
    return {p.name.partition(".")[0].replace("_", " "): p.load for p in (*source.val, *source.train)}


def scene(
    photo: np.ndarray, window: Window, kind: str = "subpixel", strength: float = 0.0, seed: int = 0
) -> Scene:
    """Cut a window out of a photograph, uint8 (H,W,3), and make two noisy copies of its cell means.

    kind, strength: of `NOISES`; sub-pixel sampling takes its strength from the cells. Raises ReportError
    where the window does not fit, and DatasetError for an unknown noise or a strength out of range.
    """
    pixels, cells = window.of(photo), (window.side, window.side)
    clean = sampling.box_mean(pixels, cells)
    draws = [sampling.generator(seed, "explore", copy) for copy in (0, 1)]
    if kind == "subpixel":
        noisy = [sampling.subsample(pixels, rng, cells) for rng in draws]
    else:
        noises.parse(f"{kind}:{strength}")
        function = noises.NOISES[kind][0]
        noisy = [noises.to_uint8_clipped(function(clean, rng, strength)) for rng in draws]
    return Scene(*(image[None] for image in (*noisy, clean)))


class Tiles(nn.Module):
    """A network of a fixed size on larger images, tile by tile.

    (B,3,H,W) -> (B,3,H,W), H and W multiples of `side`.
    """

    def __init__(self, network: nn.Module, side: int = 32):
        super().__init__()
        self.network, self.side = network, side

    def forward(self, x):
        b, c, h, w = x.shape
        rows, columns = h // self.side, w // self.side
        tiles = x.reshape(b, c, rows, self.side, columns, self.side).permute(0, 2, 4, 1, 3, 5)
        y = self.network(tiles.reshape(-1, c, self.side, self.side))  # (B*rows*columns,3,32,32)
        y = y.reshape(b, rows, columns, c, self.side, self.side).permute(0, 3, 1, 4, 2, 5)
        return y.reshape(b, c, h, w)


@cache
def network(name: str) -> nn.Module:
    """Return a trained network of `NETWORKS` for pictures of all `SIDES`."""
    loaded = load_pretrained(name.lower())
    return Tiles(loaded) if name == "BaseNet" else loaded


def denoised(method: str, shown: Scene) -> np.ndarray:
    """Denoise a scene's copy `a` with one of `METHODS`: uint8 (1,3,S,S).

    A filter is tuned on the scene's two noisy copies, as Noise2Noise must: it never sees the clean picture.
    """
    if method in NETWORKS:
        return metrics.denoise(network(method), shown.a)
    return classical.apply(FILTERS[method], shown.a, **_tuned(method, shown))


def jacobian_row(method: str, shown: Scene, pixel: tuple[int, int]) -> Iterator[np.ndarray]:
    """Yield the derivative of one output pixel's grey value by each input pixel's, (S,S), as it is known.

    A network gives its row at once. A filter has no derivative: its row comes from central differences, line
    by line, and reaches `REACH` pixels far.
    """
    if method in NETWORKS:
        yield smoothgrad.jacobian_rows(network(method), shown.a[0], [pixel])[0].numpy()
        return
    image, (row, column) = shown.a[0] / 255, pixel
    found = np.zeros(image.shape[1:])
    columns = np.arange(max(column - REACH, 0), min(column + REACH + 1, image.shape[2]))
    for y in range(max(row - REACH, 0), min(row + REACH + 1, image.shape[1])):
        moved = np.repeat(image[None], 2 * len(columns), axis=0)  # one input pixel up, in the other half down
        for n, x in enumerate(columns):
            moved[n, :, y, x] += saliency.STEP
            moved[n + len(columns), :, y, x] -= saliency.STEP
        out = classical.filter_float(FILTERS[method], moved, **_tuned(method, shown))
        out = out[..., row, column].mean(1)
        found[y, columns] = (out[: len(columns)] - out[len(columns) :]) / (2 * saliency.STEP)
        yield found


def smoothed_gradient(
    name: str, shown: Scene, of: str, sigma: float, samples: int, seed: int = 0
) -> Iterator[np.ndarray]:
    """Yield SmoothGrad of the loss or output (`of`) after 1, 2, ... samples: mean over channels, (S,S)."""
    generator = torch.Generator().manual_seed(seed)
    options = {"samples": 1, "sigma": sigma, "generator": generator}
    total = np.zeros(shown.clean.shape[2:])
    for count in range(1, (samples if sigma else 1) + 1):
        if of == "loss":
            gradient = smoothgrad.loss_gradient(network(name), shown.a, shown.clean, **options)
        else:
            gradient = smoothgrad.output_gradient(network(name), shown.a, **options)
        total += gradient[0].mean(0).numpy()
        yield total / count


_TUNED: OrderedDict[tuple, dict] = OrderedDict()


def _tuned(title: str, shown: Scene) -> dict:
    """Return a filter's parameters for a scene, remembering the last ones.

    Tuning takes longer than filtering.
    """
    key = (title, shown.a.tobytes(), shown.b.tobytes())
    if key not in _TUNED:
        _TUNED[key] = classical.tune(FILTERS[title], shown.middle(TUNING), 1).parameters
        while len(_TUNED) > 8:
            _TUNED.popitem(last=False)
    return _TUNED[key]


# --- pictures for the screen ----------------------------------------------------------------------


def png(image: np.ndarray) -> bytes:
    """Return an image, uint8 (3,H,W) or (H,W,3 or 4), as the bytes of a PNG file."""
    image = np.moveaxis(image, 0, -1) if image.shape[0] == 3 else image
    content = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(content, "PNG", compress_level=1)
    return content.getvalue()


def error(image: np.ndarray, shown: Scene) -> np.ndarray:
    """Return the absolute error of each pixel in grey levels, the mean over channels.

    uint8 (1,3,S,S) -> (S,S).
    """
    return saliency.error_map(image, shown.clean)[0] * 255


def dark_to_bright(values: np.ndarray, limit: float) -> bytes:
    """Draw values (H,W), black at 0 and brightest at `limit`, as PNG."""
    return png(colormaps["magma"](np.clip(values / limit, 0, 1), bytes=True)[..., :3])


def blue_to_red(values: np.ndarray, limit: float) -> bytes:
    """Draw values (H,W), blue at -limit, white at 0 and red at `limit`, as PNG."""
    return png(colormaps["RdBu_r"](np.clip(values / limit / 2 + 0.5, 0, 1), bytes=True)[..., :3])


def surroundings(row: np.ndarray, pixel: tuple[int, int]) -> np.ndarray:
    """Return the pixels of a row (S,S) up to `NEAR` away from its pixel, 0 beyond the border: (17,17)."""
    y, x = pixel
    return np.pad(row, NEAR)[y : y + 2 * NEAR + 1, x : x + 2 * NEAR + 1]


def thumbnail(photo: np.ndarray, window: Window, side: int = 144) -> bytes:
    """Draw a photograph, uint8 (H,W,3), with its window framed, as PNG.

    It is at most `side` pixels wide and high.
    """
    step = -(-max(photo.shape[:2]) // side)
    small = Image.fromarray(np.ascontiguousarray(photo[::step, ::step]))
    top, left = window.corner(photo)
    length = window.side * window.cell
    frame = np.array([left, top, left + length - step, top + length - step]) // step
    draw = ImageDraw.Draw(small)
    draw.rectangle(frame.tolist(), outline="white")  # white beside black shows on every photograph
    draw.rectangle((frame + [1, 1, -1, -1]).tolist(), outline="black")
    return png(np.asarray(small))
