"""Trained networks away from where they learnt: on another corpus, under another noise, on whole photographs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .corpus import Corpus, Photograph
from .corpus.sampling import box_mean, generator, subsample
from .errors import CorpusError
from .metrics import denoise, psnr
from .runs import Run

#: Sides of the cells, in pixels, that whole photographs are sampled with.
CELLS = (4, 8, 12)
#: Fewest cells a side that still make a picture (SSIM looks through windows of seven).
FEWEST_CELLS = 16


def equal_noise(noisy_psnr: float) -> str:
    """Return the name of the Gaussian noise whose PSNR (dB) is that of some noisy images, before clipping."""
    return f"gaussian:{255 * 10 ** (-noisy_psnr / 20):.1f}"


def judge(runs: Sequence[Run], corpus: Corpus) -> dict:
    """Judge runs on another corpus's validation images: arrays psnr (runs, N), noisy (N,) in dB and photo (N,).

    Raises CorpusError where its photographs are not on this machine: nothing is downloaded for a comparison.
    """
    if not corpus.at_hand:
        raise CorpusError(f"the photographs of {corpus.name} are not on this machine.")
    val = corpus.val
    each = [psnr(val.clean, denoise(run.model(), val.a), data_range=255) for run in runs]
    return {"arrays": {"psnr": np.stack(each), "noisy": psnr(val.clean, val.a, data_range=255), "photo": val.photo}}


def whole(photograph: Photograph, cell: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Sample a whole photograph with cells of `cell` x `cell` pixels: noisy and clean, each uint8 (1,3,H/cell,W/cell).

    The noise belongs to (photograph, cell). None where fewer than `FEWEST_CELLS` cells fit into a side.
    """
    image = photograph.load()
    cells = (image.shape[0] // cell, image.shape[1] // cell)
    if min(cells) < FEWEST_CELLS:
        return None
    rng = generator(0, f"whole/{photograph.sha256}/{cell}")
    return subsample(image, rng, cells)[None], box_mean(image, cells)[None]
