"""Images of every kind as arrays of pixels, and back: paths, Pillow images, NumPy arrays and tensors."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from n2nlib.data.decoding import upright
from n2nlib.errors import ReportError
from n2nlib.text import visible

#: Modes of Pillow that are used as they are; others become RGB, or RGBA where they hold transparency.
MODES = ("L", "LA", "RGB", "RGBA")
SHAPES = "(H,W), (H,W,C), (C,H,W), or a batch (N,H,W,C) or (N,C,H,W), with C = 1, 3 or 4"

Back = Callable[[np.ndarray], Any]


def pixels_of(image) -> tuple[np.ndarray, Back]:
    """Return an image as an array (N,H,W,C), and the way back to the same kind of image.

    C: 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA; values: uint8, 0 to 255, or floating point, 0 to 1. An
    array's channels are taken to be its last axis if that has 1, 3 or 4 entries, a tensor's its third from
    last. A path is read as `read_image` does. Raises ReportError for another type, shape or range.
    """
    if isinstance(image, (str, os.PathLike)):
        image, _ = read_image(image)
    if isinstance(image, Image.Image):
        return _of_pillow(image)
    if isinstance(image, torch.Tensor):
        return _of_tensor(image)
    if isinstance(image, np.ndarray):
        return _of_array(image, image.dtype, (-1, -3))
    raise ReportError(
        f"{type(image).__name__} is not an image: expected a path, a Pillow image, a NumPy array or a tensor."
    )


def read_image(path: str | os.PathLike) -> tuple[Image.Image, list[str]]:
    """Read an image file's first frame, upright, 8 bits per channel; return it and a sentence per loss.

    Raises ReportError where it cannot be read.
    """
    name = visible(os.fspath(path))
    try:
        return upright(Path(path).read_bytes(), name)
    except (OSError, ValueError) as error:
        raise ReportError(f"{name} cannot be read: {getattr(error, 'strerror', None) or error}.") from error


def _of_pillow(image: Image.Image) -> tuple[np.ndarray, Back]:
    if image.mode[:1] in "IF":
        raise ReportError(
            f"a Pillow image of mode {image.mode} has no fixed range: convert it to mode L (8 bits)."
        )
    stale = {"transparency", "icc_profile"} if image.mode in ("CMYK", "LAB") else {"transparency"}
    if image.mode not in MODES or image.mode == "RGB" and image.has_transparency_data:
        image = image.convert("RGBA" if image.has_transparency_data else "L" if image.mode == "1" else "RGB")
    info = {key: value for key, value in image.info.items() if key not in stale}
    pixels, array_back = _of_array(np.asarray(image), np.dtype(np.uint8), (-1,), channels=(1, 2, 3, 4))

    def back(out: np.ndarray) -> Image.Image:
        made = Image.fromarray(array_back(out))
        made.info = info
        return made

    return pixels, back


def _of_tensor(tensor: torch.Tensor) -> tuple[np.ndarray, Back]:
    pixels, array_back = _of_array(array_of(tensor), tensor.dtype, (-3, -1))
    return pixels, lambda out: torch.from_numpy(array_back(out)).to(tensor.device, tensor.dtype)


def array_of(tensor: torch.Tensor) -> np.ndarray:
    """Return a tensor's values on the CPU, without gradients; bfloat16 becomes float32.

    Raises ReportError for a sparse tensor, and for a type that NumPy lacks.
    """
    if tensor.dtype == torch.bfloat16:
        tensor = tensor.float()
    try:
        return tensor.numpy(force=True)
    except (RuntimeError, TypeError) as error:
        raise ReportError(
            f"a {tensor.layout} tensor of {tensor.dtype} on {tensor.device} has no array: expected a dense "
            "one of numbers."
        ) from error


def _of_array(array: np.ndarray, dtype, axes, channels=(1, 3, 4)) -> tuple[np.ndarray, Back]:
    """Return an array's view (N,H,W,C), and the way back; `axes`: where channels may be, likeliest first."""
    axis = next((a for a in axes if array.ndim in (3, 4) and array.shape[a] in channels), None)
    if not array.size or array.ndim != 2 and axis is None:
        raise ReportError(f"an image of shape {array.shape}: expected {SHAPES}, and at least one pixel.")
    if array.dtype != np.uint8:
        _check_range(array, dtype)
    pixels = array[..., None] if axis is None else np.moveaxis(array, axis, -1)
    single = pixels.ndim == 3

    def back(out: np.ndarray) -> np.ndarray:
        out = out[0] if single else out
        out = out[..., 0] if axis is None else np.moveaxis(out, -1, axis)
        return np.ascontiguousarray(out, array.dtype)

    return pixels[None] if single else pixels, back


def _check_range(array: np.ndarray, dtype) -> None:
    if not np.issubdtype(array.dtype, np.floating):
        raise ReportError(
            f"an image of type {dtype}: expected uint8 (0 to 255) or floating point (0 to 1); convert it."
        )
    low, high = float(array.min()), float(array.max())
    if not (low >= 0 and high <= 1):  # NaN is neither
        hint = "divide by 255" if 0 <= low and high <= 255 else "scale or clip it"
        raise ReportError(
            f"a floating-point image with values from {low:g} to {high:g}: expected 0 to 1; {hint}."
        )
