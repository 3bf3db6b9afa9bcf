"""Rows of runs against a reference row: the noun of chapters 03, 04, 06 and of the ledger."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, lru_cache

import numpy as np
import pandas as pd

from n2nlib.analysis import intervals
from n2nlib.analysis.intervals import Interval, MeanSD, crossed, paired, welch
from n2nlib.models import build
from n2nlib.runs.store import Run


class Comparison:
    """Rows of finished runs that saw equally many training images, judged on the same validation images.

    A row is a list of runs that differ in their seed only. One row may be the `reference`, from which the
    others' differences are taken. `photo` (N,) numbers the photograph of each validation image, `noisy` (N,)
    is the PSNR in dB of the images before denoising. A comparison without any row is false, and its tables
    are empty. `absent` are the labels of rows that were asked for and have no run.
    """

    def __init__(self, rows: Mapping[str, Sequence[Run]], reference: str | None, photo, noisy, *,
                 photos_known: bool = True, absent: Sequence[str] = ()):  # fmt: skip
        self.rows = {label: list(runs) for label, runs in rows.items() if runs}
        self.reference = reference if reference in self.rows else None
        self.photo, self.noisy, self.photos_known = np.asarray(photo), np.asarray(noisy), photos_known
        self.absent = list(absent)

    def __bool__(self) -> bool:
        return bool(self.others if self.reference else self.rows)

    def __repr__(self) -> str:
        rows = ", ".join(f"{label} (n = {len(runs)})" for label, runs in self.rows.items())
        return f"<Comparison with {self.reference}: {rows}>"

    @property
    def labels(self) -> list[str]:
        """Labels of all rows, in their order."""
        return list(self.rows)

    @property
    def others(self) -> list[str]:
        """Labels of all rows but the reference."""
        return [label for label in self.rows if label != self.reference]

    def _of(self, rows: Mapping[str, Sequence[Run]], reference: str | None, absent: Sequence[str]):
        return Comparison(rows, reference, self.photo, self.noisy, photos_known=self.photos_known,
                          absent=absent)  # fmt: skip

    def select(self, *labels: str) -> Comparison:
        """Return the comparison of some of the rows, in that order."""
        rows = {label: self.rows[label] for label in labels if label in self.rows}
        return self._of(rows, self.reference, [label for label in labels if label in self.absent])

    @property
    def whole(self) -> Comparison:
        """This comparison, or one without rows where a row that was asked for has no run."""
        return self._of({} if self.absent else self.rows, self.reference, self.absent)

    def values(self, label: str, metric: str = "psnr") -> list[float]:
        """Return a metric of each seed of a row: `psnr` in dB, or another key of `Run.metrics`."""
        return [value_of(run, metric) for run in self.rows[label]]

    def level(self, label: str, metric: str = "psnr") -> MeanSD:
        """Return mean and sample standard deviation over the seeds of a row."""
        return MeanSD.of(self.values(label, metric))

    def mean(self, label: str) -> Interval:
        """Return a row's mean PSNR (dB) with its interval over seeds and photographs."""
        return intervals.crossed(np.stack([run.psnr for run in self.rows[label]]), photo=self.photo)

    def difference(self, label: str, other: str | None = None, metric: str = "psnr") -> Interval:
        """Return a metric of one row minus that of another (the reference unless given), with its interval.

        PSNR: over seeds and photographs, a loss: over seeds. Seeds are paired as `partners` says.
        """
        a, b = self.rows[label], self.rows[other or self.reference]
        return difference_of(a, b, self.photo, metric).signed()

    def differences(self, metric: str = "psnr") -> dict[str, Interval]:
        """Return label -> difference to the reference for every other row; empty without a reference."""
        labels = self.others if self.reference else []
        return {label: self.difference(label, metric=metric) for label in labels}

    def among(self, pairs: Mapping[str, tuple[str, str]]) -> Comparison:
        """Return the comparison of the rows of some named pairs, without a reference: see `versus`."""
        rows = {label: self.rows[label] for pair in pairs.values() for label in pair if label in self.rows}
        return self._of(rows, None, [])

    def versus(self, pairs: Mapping[str, tuple[str, str]]) -> dict[str, Interval]:
        """Return name -> first row minus second in PSNR (dB), for each named pair of rows that are there."""
        there = {name: pair for name, pair in pairs.items() if set(pair) <= self.rows.keys()}
        return {name: self.difference(a, b) for name, (a, b) in there.items()}

    def firsts(self, *labels: str) -> list[Run]:
        """Return the first seed's run of each of these rows that is there, in that order."""
        return [self.rows[label][0] for label in labels if label in self.rows]

    def first(self, label: str) -> Run | None:
        """Return the first seed's run of a row; None where the row has none."""
        return next(iter(self.firsts(label)), None)

    @cached_property
    def frame(self) -> pd.DataFrame:
        """One line a run, as seaborn wants it: row, seed, network, psnr, minus reference (dB)."""
        zero = self.level(self.reference).mean if self.reference else np.nan
        return pd.DataFrame([
            {"row": label, "seed": run.spec.seed, "network": run.spec.network, "psnr": value,
             "minus reference": value - zero}
            for label, runs in self.rows.items() for run, value in zip(runs, self.values(label), strict=True)
        ])  # fmt: skip

    def history(self) -> pd.DataFrame:
        """One line an epoch of a run: row, seed, images, loss, published_loss and psnr (dB)."""
        columns = ["images", "loss", "published_loss", "psnr"]
        parts = [run.history[columns].assign(row=label, seed=run.spec.seed)
                 for label, runs in self.rows.items() for run in runs]  # fmt: skip
        if not parts:
            return pd.DataFrame(columns=[*columns, "row", "seed"])
        return pd.concat(parts, ignore_index=True)

    @property
    def images(self) -> int:
        """Training images that every run saw; the most, where they differ by less than an epoch."""
        return max((run.spec.images for runs in self.rows.values() for run in runs), default=0)

    @property
    def arithmetic(self) -> set[str]:
        """The precisions in which the rows were trained."""
        return {run.arithmetic for runs in self.rows.values() for run in runs}

    @property
    def sample(self) -> str:
        """What was measured on what, for a caption.

        Training images, validation images and photographs, seeds.
        """
        if not self.rows:
            return ""
        counts = sorted({len(runs) for runs in self.rows.values()})
        n = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        seeds = "seed" if counts[-1] == 1 else "seeds"
        return f"After {self.images:,} training images, on {self.validation}; n = {n} {seeds}."

    @property
    def validation(self) -> str:
        """How many validation images there are, and of how many photographs."""
        return validation_sample(self.photo, self.photos_known)

    @property
    def pairing(self) -> str:
        """Which rows are compared with a part of the reference's seeds only, and its mean over these."""
        groups: dict[tuple[int, str], list[str]] = {}
        for label in self.others if self.reference else []:
            _, same, together = partners(self.rows[label], self.rows[self.reference])
            if len(same) < len(self.rows[self.reference]):
                key = len(same), f"{MeanSD.of([run.psnr.mean() for run in same]).mean:.2f}"
                groups.setdefault(key, []).append(label)
        return " ".join(
            f"{', '.join(labels)}: compared with the same {n} seed{'s' * (n > 1)} of {self.reference}, "
            f"whose mean is {level} dB."
            for (n, level), labels in groups.items()
        )

    @property
    def runs(self) -> list[Run]:
        """All runs, row by row."""
        return [run for runs in self.rows.values() for run in runs]


def validation_sample(photo: np.ndarray, photos_known: bool = True) -> str:
    """How many validation images there are, and of how many photographs.

    `photo` (N,) numbers each image's photograph.
    """
    n = len(np.unique(photo))
    photographs = (f"of {n:,} photograph{'' if n == 1 else 's'}" if photos_known else
                   "(photographs unknown: intervals take images as independent)")  # fmt: skip
    return f"{len(photo):,} validation images {photographs}"


Rows = Mapping[str, Sequence] | Callable[..., Mapping[str, Sequence]]


def same_start(a, b) -> bool:
    """Return whether two RunSpecs start from the same weights, so that their results may be paired.

    Decided by the tensors, not by the names of options: TNet with batch normalisation, dropout, average
    pooling or ReLU draws the same weights as TNet without. What one of the two has alone (the scale of a
    normalisation) must start as a constant.
    """
    if a.network != b.network or a.seed != b.seed:
        return False
    return a.options == b.options or _same_weights(a.network, a.options, b.options, a.seed)


@lru_cache(maxsize=1024)
def _same_weights(network: str, options_a, options_b, seed: int) -> bool:
    a, b = (build(network, seed=seed, **options).state_dict() for options in (options_a, options_b))
    alone = [t for k, t in (*a.items(), *b.items()) if (k in a) != (k in b)]
    constant = all(t.numel() == 0 or bool((t == t.flatten()[0]).all()) for t in alone)
    return constant and all(
        a[k].shape == b[k].shape and bool((a[k] == b[k]).all()) for k in a.keys() & b.keys()
    )


def value_of(run, metric: str = "psnr") -> float:
    """Return a metric of a run: mean PSNR (dB), or another key of `Run.metrics`."""
    return float(run.psnr.mean()) if metric == "psnr" else run.metrics[metric]


def difference_of(runs_a: Sequence, runs_b: Sequence, photo, metric: str = "psnr") -> Interval:
    """Return the difference in a metric of two lists of runs judged on the same validation images.

    That in mean PSNR (dB) is over seeds and photographs (`photo` (N,) numbers each image's), that in a loss
    over seeds only. `partners` says which runs are compared and whether they are paired.
    """
    runs_a, runs_b, together = partners(runs_a, runs_b)
    if metric == "psnr":
        a, b = (np.stack([run.psnr for run in runs]) for runs in (runs_a, runs_b))
        return crossed(a, b, photo=photo, paired=together)
    a, b = ([run.metrics[metric] for run in runs] for runs in (runs_a, runs_b))
    return (paired if together else welch)(a, b)


def partners(runs_a: Sequence, runs_b: Sequence) -> tuple[Sequence, Sequence, bool]:
    """Return the runs to compare, and whether they are paired.

    Runs that start from the same weights stand side by side, and what has no partner is left out: TNet's runs
    at two learning rates, or with L1 and L2, correlate by 0.8 to 0.9 over seeds. Where none do, equal sets of
    seeds are compared; where the two have no seed in common, all runs.
    """
    pairs = [(a, b) for a in runs_a for b in runs_b if same_start(a.spec, b.spec)]
    if pairs:
        return (*zip(*pairs, strict=True), True)
    shared = {a.spec.seed for a in runs_a} & {b.spec.seed for b in runs_b}
    if shared:
        runs_a, runs_b = ([run for run in runs if run.spec.seed in shared] for runs in (runs_a, runs_b))
    return runs_a, runs_b, False
