"""The paper's own numbers as evidence: what the rules of this report make of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from n2nlib import paper
from n2nlib.analysis.claims import Evidence, Judged
from n2nlib.analysis.intervals import MeanSD
from n2nlib.analysis.verdicts import judge
from n2nlib.spec import RunSpec


@dataclass(frozen=True)
class PublishedRun:
    """One of the authors' runs: its mean PSNR (dB) for every image, and its loss in the unit of Table 1."""

    spec: RunSpec
    psnr: np.ndarray
    metrics: dict = field(default_factory=dict)


#: Images and photographs that the published means stand for: they are not random here.
IMAGES = 6


def evidence() -> Evidence:
    """Return the authors' runs of Tables 1 and 2 as evidence.

    Where only mean and sd are printed, runs that have these.
    """
    rows = {row: _runs(row, psnr) for row, psnr in _psnr().items()}
    for row, values in paper.table1().iterrows():
        rows[row] = _runs(row, _spread(values.psnr, values.psnr_sd), _spread(values.loss, values.loss_sd))
    noisy = np.full(IMAGES, paper.value("noise.noisy_psnr"))
    return Evidence(rows, {}, noisy, np.arange(IMAGES), paper.images(), authors_data=True)


def judged() -> list[Judged]:
    """Return the claims that the paper's tables can test, judged on the paper's own numbers."""
    kinds = (*paper.OF_RUNS, "best", "spread")
    claims = [claim for claim in paper.claims() if claim.kind in kinds and not claim.own]
    return [j for j in judge(evidence(), claims) if j.p is not None]


def misprinted() -> dict[str, tuple[float, float]]:
    """Return the rows whose runs average to another number than Table 2 prints: mean (dB), printed."""
    means = {row: float(np.mean(values)) for row, values in _psnr().items()}
    printed = paper.table2().psnr
    return {row: (mean, printed[row]) for row, mean in means.items()
            if abs(round(mean, 2) - printed[row]) > 0.001}  # fmt: skip


def _psnr() -> dict[str, Sequence[float]]:
    known = {row: paper.value(f"seeds.{row}") for row in ("UNet", "TNet", "TNet+L1", "TNet+BN")}
    table = paper.table2()
    return {row: _spread(table.psnr[row], table.psnr_sd[row]) for row in table.index} | known


def _spread(mean: float, sd: float) -> list[float]:
    """Return five values of that mean and sample standard deviation."""
    steps = np.arange(paper.value("training.seeds")) - 2.0
    return list(mean + sd * steps / MeanSD.of(steps).sd)


def _runs(row: str, psnr: Sequence[float], loss: Sequence[float] = ()) -> list[PublishedRun]:
    size = {"n_train": paper.value("training.pairs"), "epochs": paper.value("training.epochs")}
    # The row stands for the network: which of the authors' runs share their first weights is not known.
    return [
        PublishedRun(RunSpec("published", network=row, seed=seed, **size), np.full(IMAGES, value),
                     {"published_loss": loss[seed]} if len(loss) else {})
        for seed, value in enumerate(psnr)
    ]  # fmt: skip
