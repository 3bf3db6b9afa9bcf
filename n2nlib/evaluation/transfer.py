"""Networks on data that they were not trained on: another dataset, another noise, whole photographs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import nn

from n2nlib.data import Dataset, Photograph
from n2nlib.data.sampling import box_mean, generator, subsample
from n2nlib.errors import DatasetError
from n2nlib.evaluation import classical
from n2nlib.evaluation.metrics import denoise, psnr

#: Sides of the cells, in pixels, that whole photographs are sampled with.
CELLS = (4, 8, 12)
#: Fewest cells a side that still make a picture (SSIM looks through windows of seven).
FEWEST_CELLS = 16


def label(dataset: str) -> str:
    """Return a dataset's name for tables and sentences: without its path, which may hold any character."""
    kind = dataset.partition(":")[0]
    return {"folder": "this folder", "epfl": "the authors' files"}.get(kind, kind)


def counterpart(dataset: str) -> str:
    """Return the name of the dataset that networks trained on this one are transferred to."""
    return "imagenet-sample" if dataset == "bundled" else "bundled"


def equal_noise(noisy_psnr: float) -> str:
    """Return the name of the Gaussian noise whose PSNR (dB) is that of some noisy images, before clipping."""
    return f"gaussian:{255 * 10 ** (-noisy_psnr / 20):.1f}"


def require(dataset: Dataset) -> None:
    """Raise DatasetError where photographs are missing: a comparison downloads nothing."""
    if not dataset.at_hand:
        raise DatasetError(
            f"the photographs of {dataset.name} are not on this machine. Set N2N_PHOTOS to a folder with "
            f"them or run `make report DATASET={dataset.name}`, which downloads them."
        )


def judge(networks: Sequence[nn.Module], dataset: Dataset) -> dict[str, np.ndarray]:
    """Judge networks on validation images: psnr (networks, N) and noisy (N,) in dB, and photo (N,).

    Raises DatasetError where its photographs are not on this machine.
    """
    require(dataset)
    val = dataset.val
    each = [psnr(val.clean, denoise(network, val.a), data_range=255) for network in networks]
    return {"psnr": np.stack(each), "noisy": psnr(val.clean, val.a, data_range=255), "photo": val.photo}


def whole(photograph: Photograph, cell: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Sample a whole photograph with cells of `cell` x `cell` pixels: noisy and clean.

    Each uint8 (1,3,H/cell,W/cell). The noise belongs to (photograph, cell). None where fewer than
    `FEWEST_CELLS` cells fit into a side.
    """
    image = photograph.load()
    cells = (image.shape[0] // cell, image.shape[1] // cell)
    if min(cells) < FEWEST_CELLS:
        return None
    rng = generator(0, f"whole/{photograph.sha256}/{cell}")
    return subsample(image, rng, cells)[None], box_mean(image, cells)[None]


def restored(
    noisy: np.ndarray, networks: Mapping[str, Sequence[nn.Module]], filters: Mapping[str, Mapping[str, Any]]
) -> dict[str, list[np.ndarray]]:
    """Return method -> outputs for one image (1,3,H,W) uint8: noisy, filters by title, then networks.

    networks: label -> seeds, each of which gives an output; filters: name -> parameters.
    """
    out = {"noisy": [noisy]}
    for name, chosen in filters.items():
        out[classical.find(name).title] = [classical.apply(name, noisy, **chosen)]
    for name, seeds in networks.items():
        if seeds:
            out[name] = [denoise(network, noisy) for network in seeds]
    return out
