"""PSNR and SSIM against the clean image, after the authors' quantisation to 8 bits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

from n2nlib.errors import ReportError
from n2nlib.images import array_of

#: Keeps the PSNR of a perfect image finite (80 dB).
MSE_FLOOR = 1e-8


def mse(clean, image, data_range: float) -> np.ndarray:
    """Mean squared error of each image on a [0, 1] scale: (N,3,H,W), (N,3,H,W) -> (N,) float64.

    data_range: the difference of the largest and the least possible value, 255 for uint8. Raises ReportError
    for shapes that differ or are not those of a batch of images, for NaN, and where `data_range` cannot be
    that of the images. An estimate may leave the range.
    """
    clean, image, data_range = _comparable(clean, image, data_range)
    error = (clean.astype(np.float64) - image.astype(np.float64)) / data_range
    return _finite((error**2).reshape(len(error), -1).mean(axis=1))


def _comparable(clean, image, data_range) -> tuple[np.ndarray, np.ndarray, float]:
    clean, image = (array_of(x) if isinstance(x, torch.Tensor) else np.asarray(x) for x in (clean, image))
    if clean.shape != image.shape or clean.ndim != 4 or not clean.size:
        raise ReportError(
            f"images of shapes {clean.shape} and {image.shape} cannot be compared: expected two arrays (N, "
            "3, H, W)."
        )
    if not {clean.dtype.kind, image.dtype.kind} <= set("buif"):
        raise ReportError(
            f"images of {clean.dtype} and {image.dtype} cannot be compared: expected real numbers."
        )
    try:
        scale = 0.0 if isinstance(data_range, (bool, str)) else float(data_range)
    except (TypeError, ValueError):
        scale = 0.0
    if not 0 < scale < np.inf:
        raise ReportError(f"data_range is {data_range!r}: expected a number above 0, such as 255 for uint8.")
    _check_scale(clean, image, scale)
    return clean, image, scale


def _check_scale(clean: np.ndarray, image: np.ndarray, data_range: float) -> None:
    """Raise ReportError where a data range is certainly not that of the images."""
    highs = float(clean.max()), float(image.max())
    black = any(x.dtype.kind != "f" and high <= 1 for x, high in zip((clean, image), highs, strict=True))
    for name, x, high in zip(("clean", "image"), (clean, image), highs, strict=True):
        if x.dtype.kind == "f":
            wrong = data_range >= 255 and 0 < high <= 1 and not black
            wrong |= x is clean and high - float(x.min()) > 1.01 * data_range  # 1 %: the rounding of bfloat16
        else:
            wrong = high > data_range
        if wrong:
            raise ReportError(
                f"{name} holds {x.dtype} values up to {high:g}, which does not fit "
                f"data_range={data_range:g}: bring both images to one scale, and name it (255 for uint8)."
            )


def _finite(values: np.ndarray) -> np.ndarray:
    if not np.isfinite(values).all():
        raise ReportError(
            f"{(~np.isfinite(values)).sum()} of {len(values)} images hold NaN or infinite values."
        )
    return values


def psnr(clean, image, data_range: float) -> np.ndarray:
    """Peak signal-to-noise ratio of each image in dB: (N,3,H,W), (N,3,H,W) -> (N,) float64.

    The paper's PSNR (Tables 1 and 2) is the mean of these over the validation images.
    """
    return -10 * np.log10(np.maximum(mse(clean, image, data_range), MSE_FLOOR))


def global_psnr(clean, image, data_range: float) -> float:
    """PSNR in dB of the squared error averaged over all images.

    Lower than the mean of `psnr`, and never mixed with it.
    """
    return float(-10 * np.log10(max(mse(clean, image, data_range).mean(), MSE_FLOOR)))


def ssim(clean, image, data_range: float) -> np.ndarray:
    """Structural similarity of each image: (N,3,H,W) twice -> (N,).

    Wang et al. (2004), with scikit-image's 7x7 window. Raises ReportError as `mse` does, and for smaller
    images.
    """
    from skimage.metrics import structural_similarity

    clean, image, data_range = _comparable(clean, image, data_range)
    if min(clean.shape[2:]) < 7:
        raise ReportError(f"images of shape {clean.shape}: expected (N, 3, H, W) of at least 7x7 pixels.")
    pairs = zip(clean, image, strict=True)
    return _finite(
        np.array([structural_similarity(c, i, channel_axis=0, data_range=data_range) for c, i in pairs])
    )


def to_uint8(prediction) -> np.ndarray:
    """Quantise predictions in [0, 1] to 8 bits as the authors do: clipped and truncated."""
    if isinstance(prediction, torch.Tensor):
        return (prediction.detach().float() * 255).clamp(0, 255).to(torch.uint8).cpu().numpy()
    return np.clip(np.asarray(prediction, dtype=np.float64) * 255, 0, 255).astype(np.uint8)


@contextmanager
def judging(network: nn.Module) -> Iterator[torch.device]:
    """Hold a network in eval mode and fp32, without gradients; yield its device."""
    device = next((p.device for p in network.parameters()), torch.device("cpu"))
    was_training = network.training
    network.eval()
    try:
        with (
            torch.no_grad(),
            torch.backends.cudnn.flags(enabled=True, allow_tf32=False),
            torch.autocast(device.type, enabled=False),
        ):
            yield device
    finally:
        network.train(was_training)


def denoise(network: nn.Module, noisy, batch: int = 250) -> np.ndarray:
    """Denoise windows with a network, for measuring: (N,3,H,W) uint8 -> (N,3,H,W) uint8.

    Always in fp32 and eval mode, on the network's device. Raises ReportError for anything but such images;
    `n2nlib.denoise` takes images of other kinds and sizes.
    """
    if noisy.ndim != 4 or noisy.shape[1] != 3 or str(noisy.dtype).removeprefix("torch.") != "uint8":
        raise ReportError(
            f"denoise() got {noisy.dtype} {tuple(noisy.shape)}: expected uint8 images (N, 3, H, W), 0 to 255."
        )
    out = []
    with judging(network) as device:
        for start in range(0, len(noisy), batch):
            x = torch.from_numpy(np.array(noisy[start : start + batch]))  # a copy: memory maps are read-only
            x = x.to(device).float().div(255).contiguous(memory_format=torch.channels_last)
            out.append(to_uint8(network(x)))
    return np.concatenate(out) if out else np.empty_like(noisy)
