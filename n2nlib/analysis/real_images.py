"""Levels on the authors' own images: eleven public pairs, their TNet, and a calibration.

Thirteen groups of the course published a checkpoint and its PSNR on the authors' validation set. Their
checkpoints on the eleven pairs relate the one to the other, so the PSNR of any network on the pairs predicts
its PSNR on the whole set.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import stats as sps

from n2nlib import experiments, paper
from n2nlib.analysis import measurements
from n2nlib.analysis.intervals import FEWEST, Interval, MeanSD, seem_exchanged, student
from n2nlib.analysis.measurements import measurement
from n2nlib.data import Pairs, authors, measure
from n2nlib.data.authors import COUNT, PublicPairs
from n2nlib.errors import DatasetError
from n2nlib.evaluation import metrics
from n2nlib.models import build
from n2nlib.runs.store import Run

if TYPE_CHECKING:
    from n2nlib.study import Study

#: A level further outside the calibrated range than this many widths of the range is not predicted.
REACH = 2
#: Draws of as many rebuilt images as there are pairs, for the ranges beside the pairs' noise.
DRAWS = 400


class Released:
    """The authors' released TNet; like a run it has an `id` and a `model`."""

    @property
    def id(self) -> str:
        return authors.fingerprint("checkpoint")

    def model(self):
        """Return the network in eval mode, its weights loaded in layer order."""
        network = build("TNet")
        state = authors.checkpoint()["model"]
        network.load_state_dict(dict(zip(network.state_dict(), state.values(), strict=True)))
        return network.eval()


@measurement("released checkpoint")
def checkpoint_record(*, dataset: Released) -> dict[str, Any]:
    """What the authors' checkpoint records of its training.

    `losses` per epoch (published scale), `steps` of the optimiser, and `lr`.
    """
    saved = authors.checkpoint()
    steps = max(int(state["step"]) for state in saved["optimizer"]["state"].values())
    return {"losses": [float(loss) for loss in saved["losses"]], "steps": steps, "lr": float(saved["lr"])}


@measurement("noise of a few images")
def noise_of_a_few(*, dataset, images: int, draws: int, seed: int) -> dict[str, Any]:
    """The noise of `images` validation images, drawn `draws` times without replacement.

    Returns arrays (draws,) by statistic. Where the dataset has just as many, every draw is the whole of
    it.
    """
    val, rng = dataset.val, np.random.default_rng(seed)
    picked = [rng.permutation(len(val))[:images] for _ in range(draws)]
    found = pd.DataFrame([_statistics(_taken(val, index)) for index in picked])
    return {"arrays": {name: found[name].to_numpy() for name in found}}


def _taken(val: Pairs, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    index = np.sort(index)
    return val.a[index], val.clean[index]


def _statistics(images: tuple[np.ndarray, np.ndarray]) -> dict[str, float]:
    """Return what describes the noise of some images: PSNR in dB, error in grey levels."""
    noisy, clean = images
    error = measure.errors(noisy, clean)
    square, detail = (error**2).mean(axis=1).ravel(), measure.neighbour_difference(clean).ravel()
    flattest, *_, finest = np.array_split(square[np.argsort(detail, kind="stable")], 12)
    between = list(measure.channel_correlations(error).values())
    return {
        "psnr": float(metrics.psnr(clean, noisy, data_range=255).mean()),
        "mean_error": measure.mean_error(error)[0],
        "channels_low": min(between),
        "channels_high": max(between),
        "neighbours": measure.neighbour_correlation(error)[0],
        "kurtosis": measure.kurtosis(error),
        "sd_flattest": float(np.sqrt(flattest.mean())),
        "sd_finest": float(np.sqrt(finest.mean())),
        "per_detail": float(np.sqrt(square.mean() / (detail**2).mean())),
    }


@dataclass(frozen=True)
class Noise:
    """The noise of the eleven pairs beside that of rebuilt images; false without the pairs.

    pairs, rebuilt: summaries as `measurements.noise` returns them; statistics: name -> value on the pairs,
    and the 2.5, 50 and 97.5 % quantiles over draws of rebuilt images; reason: why there is nothing.
    """

    pairs: Mapping[str, Any] = field(default_factory=dict)
    rebuilt: Mapping[str, Any] = field(default_factory=dict)
    statistics: Mapping[str, tuple[float, np.ndarray]] = field(default_factory=dict)
    reason: str = ""

    def __bool__(self) -> bool:
        return bool(self.statistics)

    @property
    def outside(self) -> list[str]:
        """Names of the statistics whose value on the pairs is outside the middle 95 % of the draws."""
        return [name for name, (value, q) in self.statistics.items() if not q[0] <= value <= q[2]]


def noise(study: Study, rebuilt: Mapping[str, Any]) -> Noise:
    """Measure the noise of the eleven pairs, and of draws of as many rebuilt validation images."""
    few = {"images": COUNT, "seed": 0}
    try:
        pairs = study.measure(measurements.noise, dataset=PublicPairs())
        real = study.measure(noise_of_a_few, dataset=PublicPairs(), draws=1, **few)["arrays"]
    except DatasetError as error:
        return Noise(reason=str(error))
    if rebuilt["kurtosis"] is None or rebuilt["images"] < COUNT:
        return Noise(reason="The dataset has no noise, or fewer images than there are pairs.")
    drawn = study.measure(noise_of_a_few, draws=DRAWS, **few)["arrays"]
    quantiles = {name: np.quantile(values, [0.025, 0.5, 0.975]) for name, values in drawn.items()}
    return Noise(pairs, rebuilt, {name: (float(real[name][0]), q) for name, q in quantiles.items()})


@dataclass(frozen=True)
class Calibration:
    """How PSNR (dB) on the eleven pairs predicts PSNR on the authors' validation set.

    offset, spread: mean and standard deviation over groups of the reported PSNR minus that on the pairs;
    slope_error: standard error of the slope of the one against the other; low, high, centre: PSNRs of the
    groups' checkpoints on the pairs; n groups.
    """

    offset: float
    spread: float
    slope_error: float
    low: float
    high: float
    centre: float
    n: int

    @classmethod
    def of(cls, groups: pd.DataFrame) -> Calibration:
        """Take the columns `reported` and `on_pairs` of `data.authors.groups`."""
        on_pairs, apart = groups["on_pairs"], groups["reported"] - groups["on_pairs"]
        slope_error = sps.linregress(on_pairs, groups["reported"]).stderr
        places = on_pairs.min(), on_pairs.max(), on_pairs.mean()
        return cls(apart.mean(), apart.std(ddof=1), slope_error, *places, len(groups))

    def outside(self, on_pairs: float) -> float:
        """Return how far (dB) a PSNR is below (negative) or above the calibrated range; 0 within."""
        return min(on_pairs - self.low, 0.0) + max(on_pairs - self.high, 0.0)

    def predict(self, seeds: Sequence[float], pair_sd: float, images: int) -> Interval | None:
        """Predict the mean PSNR (dB) of five seeds on the authors' validation set.

        With a 95 % prediction interval. seeds: mean PSNR of each of our seeds on the pairs; pair_sd:
        standard deviation over `images` images of what sets the network apart from the reference network. The
        variance sums that of the calibration (spread and slope), of the choice of the pairs, and of both sets
        of seeds. None beyond the reach of the calibration; without an interval for fewer than three seeds.
        """
        x = float(np.mean(seeds))
        if abs(self.outside(x)) > REACH * (self.high - self.low):
            return None
        n, value = len(seeds), x + self.offset
        if n < FEWEST:
            return Interval(value, None, None, n, "calibrated")
        of_seeds = np.var(seeds, ddof=1) * (1 / n + 1 / paper.value("training.seeds"))
        terms = [
            (self.spread**2 * (1 + 1 / self.n), self.n - 1),
            ((self.slope_error * (x - self.centre)) ** 2, self.n - 2),
            (pair_sd**2 / COUNT, images - 1),
            (of_seeds, n - 1),
        ]
        variance = sum(v for v, _ in terms)
        se, df = np.sqrt(variance), variance**2 / sum(v**2 / d for v, d in terms)
        return student(value, se, df, n, "calibrated, prediction")


@dataclass(frozen=True)
class Level:
    """A row of Table 1 or 2 on the eleven pairs and, predicted, on the authors' set; PSNR in dB.

    outside: how far `on_pairs` is from the calibrated range, 0 within it; predicted: None beyond its reach.
    """

    on_pairs: MeanSD
    predicted: Interval | None
    printed: MeanSD
    outside: float

    @property
    def compatible(self) -> bool | None:
        """Whether the printed level is in the prediction interval; None without one."""
        return self.predicted.holds(self.printed.mean) if self.predicted else None

    def to_dict(self) -> dict[str, Any] | None:
        """Return the prediction as `Interval.to_dict` and `in_range`; None where nothing is predicted."""
        in_range = {"in_range": self.outside == 0}
        return None if self.predicted is None else self.predicted.to_dict() | in_range


@dataclass(frozen=True)
class Levels:
    """Rows of Tables 1 and 2 by label, and the authors' released TNet; false without any.

    released: where -> PSNR (dB) of each image, for the released network; ours: the same for our TNet,
    (seeds, images); record: `checkpoint_record`; reason: why there is nothing.
    """

    rows: Mapping[str, Level] = field(default_factory=dict)
    released: Mapping[str, np.ndarray] = field(default_factory=dict)
    ours: Mapping[str, np.ndarray] = field(default_factory=dict)
    record: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""

    def __bool__(self) -> bool:
        return bool(self.rows)

    @property
    def numbers(self) -> dict[str, dict[str, Any] | None]:
        """Label -> what the ledger reads of a row."""
        return {label: level.to_dict() for label, level in self.rows.items()}

    @property
    def exchanged(self) -> list[tuple[str, str]]:
        """Pairs of rows that contradict their own printed levels and fit each other's."""
        judged = [(label, level) for label, level in self.rows.items() if level.predicted]
        return [
            (a, b)
            for (a, x), (b, y) in combinations(judged, 2)
            if seem_exchanged(x.predicted, y.predicted, (x.printed.mean, y.printed.mean))
        ]


def levels(study: Study) -> Levels:
    """Judge the stored rows of Tables 1 and 2 on the eleven pairs, and the released TNet on ours.

    Only at the paper's size: the calibration is of trained networks.
    """
    if study.spec().images < paper.images():
        return Levels(reason="Levels on the authors' images are compared at the paper's size only.")
    table2 = study.compare(experiments.table2, reference="TNet")
    if table2.reference is None:
        return Levels(reason="No run of TNet is stored.")
    runs = study.compare(experiments.learning_rates).rows | table2.rows
    try:
        on_pairs = {label: _psnr(study, row, PublicPairs()) for label, row in runs.items()}
        released = {
            "pairs": _psnr(study, [Released()], PublicPairs())[0],
            "validation": _psnr(study, [Released()], study.dataset)[0],
        }
        record = study.measure(checkpoint_record, dataset=Released())
    except DatasetError as error:
        return Levels(reason=str(error))
    ours = {"pairs": on_pairs["TNet"], "validation": np.stack([run.psnr for run in runs["TNet"]])}
    calibration, reference = Calibration.of(authors.groups()), ours["validation"].mean(axis=0)
    rows = {label: _level(printed, on_pairs[label], row, reference, calibration)
            for label, row in runs.items() if (printed := printed_level(label))}  # fmt: skip
    return Levels(rows, released, ours, record)


def _psnr(study: Study, runs: Sequence[Run | Released], where) -> np.ndarray:
    """Return the PSNR (dB) of some networks on the images of a dataset: (networks, images)."""
    return study.measure(measurements.transferred, runs=list(runs), **{"judged on": where})["arrays"]["psnr"]


def _level(printed: MeanSD, on_pairs, runs: Sequence[Run], reference, calibration: Calibration) -> Level:
    seeds = on_pairs.mean(axis=1)
    apart = np.stack([run.psnr for run in runs]).mean(axis=0) - reference
    predicted = calibration.predict(seeds, float(apart.std(ddof=1)), len(apart))
    return Level(MeanSD.of(seeds), predicted, printed, calibration.outside(float(seeds.mean())))


def printed_level(label: str) -> MeanSD | None:
    """Return the paper's PSNR (dB) of a row of Table 1 or 2; both readings of UNet have the same one."""
    printed = pd.concat([paper.table1(), paper.table2()])
    name = label.removesuffix(" (shared decoder)")
    if name not in printed.index:
        return None
    return MeanSD(*printed.loc[name, ["psnr", "psnr_sd"]], paper.value("training.seeds"))
