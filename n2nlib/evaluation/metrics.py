"""PSNR and SSIM against the clean image, after the authors' quantisation to 8 bits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

from n2nlib.errors import ReportError

#: Keeps the PSNR of a perfect image finite (80 dB).
MSE_FLOOR = 1e-8


def mse(clean, image, data_range: float) -> np.ndarray:
    """Mean squared error of each image on a [0, 1] scale: (N,3,H,W), (N,3,H,W) -> (N,) float64.

    Raises ReportError where the shapes differ or are not those of a batch of images.
    """
    clean, image = _comparable(clean, image)
    error = (clean.astype(np.float64) - image.astype(np.float64)) / data_range
    return (error**2).reshape(len(error), -1).mean(axis=1)


def _comparable(clean, image) -> tuple[np.ndarray, np.ndarray]:
    clean, image = np.asarray(clean), np.asarray(image)
    if clean.shape != image.shape or clean.ndim != 4:
        raise ReportError(
            f"images of shapes {clean.shape} and {image.shape} cannot be compared: "
            "expected two arrays (N, 3, H, W)."
        )
    return clean, image


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

    Wang et al. (2004), with scikit-image's 7x7 window.
    """
    from skimage.metrics import structural_similarity

    pairs = zip(*_comparable(clean, image), strict=True)
    return np.array([structural_similarity(c, i, channel_axis=0, data_range=data_range) for c, i in pairs])


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
