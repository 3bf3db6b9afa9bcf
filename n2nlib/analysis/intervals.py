"""Intervals over seeds and photographs: how sure a difference in PSNR is.

Training is uncertain over seeds, the validation images over photographs (windows of one photograph
are not independent), and every seed is judged on the same photographs: the two are crossed, not
nested. No interval is made from fewer than three values. All intervals are two-sided, at 95 % unless told
otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats as sps

from n2nlib.errors import ReportError

#: Fewest values (seeds, photographs) that make an interval.
FEWEST = 3


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval.

    `low` and `high` are None when n < 3; then only `value` is printed.
    A value of NaN is printed as a dash: there was nothing to measure.

    `n` counts seeds (or clusters); `se` and `df` are the standard error and Student's degrees of
    freedom.
    """

    value: float
    low: float | None
    high: float | None
    n: int
    method: str
    se: float | None = None
    df: float | None = None
    plus: bool = False
    digits: int | None = None

    def signed(self, digits: int | None = None) -> Interval:
        """Return the same interval as one of a difference.

        A positive value is printed with its sign, perhaps with own digits.
        """
        return replace(self, plus=True, digits=digits)

    def __bool__(self) -> bool:
        """True when there is an interval, not only a value."""
        return self.low is not None

    def __format__(self, spec: str) -> str:
        spec = spec or ".2f"
        if self.plus and spec[0] not in "+-":
            spec = f"+z{spec}"
        if np.isnan(self.value):
            return "–"
        if self.low is None:
            return format(self.value, spec)
        return f"{self.value:{spec}} [{self.low:{spec}}, {self.high:{spec}}]"

    def __str__(self) -> str:
        return format(self)

    @property
    def whiskers(self) -> list[list[float]] | None:
        """The distances of both ends from the value, as matplotlib's `xerr` or `yerr`."""
        return [[self.value - self.low], [self.high - self.value]] if self else None

    def holds(self, x: float) -> bool:
        """Whether x is inside; false without an interval."""
        return self.low is not None and bool(self.low <= x <= self.high)

    def p_above(self, x: float) -> float | None:
        """Return the one-sided p value for "the truth is above x"; None without an interval."""
        return None if self.se is None else float(sps.t.cdf(_standardise(x - self.value, self.se), self.df))

    def p_below(self, x: float) -> float | None:
        """Return the one-sided p value for "the truth is below x"; None without an interval."""
        return None if self.se is None else float(sps.t.cdf(_standardise(self.value - x, self.se), self.df))

    def to_dict(self) -> dict:
        """Return plain JSON values, as `Evidence.number` reads them."""
        return {name: getattr(self, name) for name in ("value", "low", "high", "n", "method", "se", "df")}

    def mapped(self, function: Callable[[float], float]) -> Interval:
        """Return the interval of an increasing function of the quantity, without a standard error."""
        ends = [None if x is None else function(x) for x in (self.value, self.low, self.high)]
        return Interval(*ends, self.n, self.method, df=self.df)


@dataclass(frozen=True)
class MeanSD:
    """A mean over seeds and their sample standard deviation, None for fewer than three.

    Prints as "25.32 ± 0.01".
    """

    mean: float
    sd: float | None
    n: int | None = None
    digits: int | None = None

    def to(self, digits: int) -> MeanSD:
        """Return the same, printed with so many decimals wherever it stands."""
        return replace(self, digits=digits)

    @classmethod
    def of(cls, values: Sequence[float]) -> MeanSD:
        """Return mean and standard deviation of one value a seed."""
        x = _values(values)
        return cls(float(x.mean()), float(x.std(ddof=1)) if len(x) >= FEWEST else None, len(x))

    def __format__(self, spec: str) -> str:
        spec = spec or ".2f"
        return format(self.mean, spec) + ("" if self.sd is None else f" ± {self.sd:{spec}}")

    def __str__(self) -> str:
        return format(self)


@dataclass(frozen=True)
class MeanSE:
    """A measured value and its standard error, None where it has none.

    Prints as "0.05 ± 0.02" with digits of its own.
    """

    mean: float
    error: float | None
    digits: int

    def __format__(self, spec: str) -> str:
        spec = "z" + (spec or f".{self.digits}f")
        return format(self.mean, spec) + ("" if self.error is None else f" ± {self.error:{spec}}")

    def __str__(self) -> str:
        return format(self)


class PValue(float):
    """A p value; prints as "0.23", and as "< 0.001" where it is smaller."""

    def __format__(self, spec: str) -> str:
        return "< 0.001" if self < 0.001 else format(float(self), ".3f" if self < 0.1 else ".2f")


def printed(value: float, digits: int | None = None) -> Interval:
    """Return a published difference, which has no interval, so that it is printed like ours."""
    return Interval(float(value), None, None, 1, "printed", plus=True, digits=digits)


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """Return the mean of independent values (one per seed) with Student's t interval."""
    x = _values(values)
    if len(x) < FEWEST:
        return Interval(float(x.mean()), None, None, len(x), "mean")
    return student(x.mean(), x.std(ddof=1) / np.sqrt(len(x)), len(x) - 1, len(x), "Student t", confidence)


def welch(a: Sequence[float], b: Sequence[float]) -> Interval:
    """Return mean(a) - mean(b) with Welch's interval, for samples that are not paired."""
    a, b = _values(a), _values(b)
    n, value = min(len(a), len(b)), a.mean() - b.mean()
    if n < FEWEST:
        return Interval(float(value), None, None, n, "difference of means")
    va, vb = a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)
    df = _satterthwaite([(va, len(a) - 1), (vb, len(b) - 1)])
    return student(value, np.sqrt(va + vb), df, n, "Welch t")


def paired(a: Sequence[float], b: Sequence[float], confidence: float = 0.95) -> Interval:
    """Return mean(a - b) with the paired interval: same seed and same order of data, pair by pair.

    Raises ReportError when the lengths differ. `same_start` says whether two runs may be paired.
    """
    a, b = _values(a), _values(b)
    if len(a) != len(b):
        raise ReportError(f"paired() got {len(a)} and {len(b)} values: pair each seed with itself.")
    interval = mean_interval(a - b, confidence)
    return replace(interval, method="paired t" if interval else "mean difference")


def crossed(a, b=None, *, photo, paired: bool = False) -> Interval:
    """Return mean(a) - mean(b) over seeds crossed with photographs (b None: mean(a)).

    a (n_a, N) and b (n_b, N) hold PSNR (dB) per seed and image, `photo` (N,) the photograph of each image.
    The error variance is the two-way random-effects one, seeds + photographs - interaction, not less than
    either part, and Student's t has Satterthwaite's degrees of freedom. `paired`: row i of both shares seed
    and order of data. Simulated with 5 seeds and 100 photographs, the 95 % interval covers 94 to 97 % (98 %
    where only their interaction matters); with 3 it covers 93 % where seeds matter most.

    Without any image the value is NaN. Raises ReportError when shapes do not fit.
    """
    a = np.atleast_2d(np.asarray(a, float))
    arms = [a]
    if b is not None:
        b = np.atleast_2d(np.asarray(b, float))
        if paired and a.shape != b.shape:
            raise ReportError(
                f"crossed(paired=True) got shapes {a.shape} and {b.shape}: pair each seed with itself."
            )
        arms = [a - b] if paired else [a, b]
    photo = np.unique(np.asarray(photo), return_inverse=True)[1]
    if any(arm.shape[1] != len(photo) for arm in arms):
        raise ReportError(
            f"crossed() got {[arm.shape[1] for arm in arms]} images and {len(photo)} photograph numbers."
        )
    if not len(photo):
        return Interval(float("nan"), None, None, min(len(arm) for arm in arms), "no image")
    signs = (1, -1)[: len(arms)]
    value = sum(s * arm.mean() for s, arm in zip(signs, arms, strict=True))
    n, photos = min(len(arm) for arm in arms), photo.max() + 1
    if min(n, photos) < FEWEST:
        return Interval(float(value), None, None, n, "mean" if b is None else "difference of means")

    parts, by_photo, interaction = [], 0.0, 0.0
    for sign, arm in zip(signs, arms, strict=True):
        z = _photo_means(arm, photo)  # (n,N) -> (n,photos)
        rows, columns = z.mean(axis=1), z.mean(axis=0)
        parts.append((rows.var(ddof=1) / len(z), len(z) - 1))
        rest = z - rows[:, None] - columns + z.mean()
        interaction += (rest**2).sum() / ((len(z) - 1) * (photos - 1)) / z.size
        by_photo = by_photo + sign * columns
    over_photos = by_photo.var(ddof=1) / photos
    over_seeds = sum(v for v, _ in parts)
    variance = max(over_seeds + over_photos - interaction, over_seeds, over_photos)
    terms = [*parts, (over_photos, photos - 1), (interaction, (n - 1) * (photos - 1))]
    df = _satterthwaite(terms, variance, least=min(n, photos) - 1)
    return student(value, np.sqrt(variance), df, n, "crossed t, seeds x photographs")


def cluster_bootstrap(
    statistic: Callable[[np.ndarray], float], cluster, generator: np.random.Generator, draws: int = 1_000
) -> Interval:
    """Return `statistic(index)` on all data, with an interval from resampling whole clusters.

    `statistic` takes row numbers, so it may be a mean, a ratio or an AUC; `cluster` (N,) numbers the
    photograph of each row. The interval is the bootstrap standard error times Student's t with clusters - 1
    degrees of freedom: percentiles of so few clusters are too narrow.
    """
    cluster = np.unique(np.asarray(cluster), return_inverse=True)[1]
    members = np.split(np.argsort(cluster, kind="stable"), np.cumsum(np.bincount(cluster))[:-1])
    value = float(statistic(np.arange(len(cluster))))
    k = len(members)
    if k < FEWEST:
        return Interval(value, None, None, k, "value")
    resampled = [
        statistic(np.concatenate([members[i] for i in generator.integers(k, size=k)])) for _ in range(draws)
    ]
    # The bootstrap's variance of k clusters is short by (k - 1) / k.
    se = np.std(resampled, ddof=1) * np.sqrt(k / (k - 1))
    return student(value, se, k - 1, k, "cluster bootstrap over photographs")


def over_photographs(values: np.ndarray, photo: np.ndarray) -> Interval:
    """Return the mean of one value for each of the first images with its interval over photographs."""
    # The same draws for every row of a table, so that rows can be compared.
    generator = np.random.default_rng(0)
    return cluster_bootstrap(lambda index: values[index].mean(), photo[: len(values)], generator)


def equivalence(interval: Interval, margin: float) -> float | None:
    """Return the p value of two one-sided tests (TOST) for "the truth is within ±margin".

    None without an interval.
    """
    if interval.se is None:
        return None
    return max(interval.p_above(-margin), interval.p_below(margin))


def equal_means(means: Sequence[float], sds: Sequence[float], n: int | Sequence[int]) -> PValue:
    """Return the p value of one-way analysis of variance from means, sds and sizes of groups.

    Small: the groups differ by more than the values within them do.
    """
    k = len(means)  # SciPy's f_oneway wants the values themselves, and a paper prints their means
    n = np.broadcast_to(n, k)
    between = np.sum(n * np.square(means - np.average(means, weights=n))) / (k - 1)
    within = np.sum((n - 1) * np.square(sds)) / (n.sum() - k)
    return PValue(sps.f.sf(between / within, k - 1, n.sum() - k))


def seem_exchanged(a: Interval, b: Interval, printed: tuple[float, float]) -> bool:
    """Whether two intervals exclude the value printed for each, and hold that printed for the other."""
    of_a, of_b = printed
    own = a.holds(of_a) or b.holds(of_b)
    return not own and a.holds(of_b) and b.holds(of_a)


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Return p values adjusted by Holm's method.

    Any false finding in the whole family has the chance of one test.
    """
    p = np.asarray(p_values, float)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    # The smallest of m is multiplied by m, the next by m - 1; none may fall below one that came before it.
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1)
    return adjusted


@dataclass(frozen=True)
class SpreadRatio(Interval):
    """Ratio of two standard deviations of independent normal samples, by the F distribution."""

    dfs: tuple[int, int] = (1, 1)

    def p_below(self, x: float) -> float | None:
        return None if self.low is None else float(sps.f.cdf((self.value / x) ** 2, *self.dfs))

    def p_above(self, x: float) -> float | None:
        return None if self.low is None else float(sps.f.sf((self.value / x) ** 2, *self.dfs))


def spread_ratio(a: Sequence[float], b: Sequence[float]) -> SpreadRatio:
    """Return sd(a) / sd(b) of one value per seed, at least two of each."""
    a, b = _values(a), _values(b)
    n, value = min(len(a), len(b)), float(a.std(ddof=1) / b.std(ddof=1))
    if n < FEWEST:
        return SpreadRatio(value, None, None, n, "F")
    dfs = len(a) - 1, len(b) - 1
    low, high = value / np.sqrt(sps.f.ppf((0.975, 0.025), *dfs))
    return SpreadRatio(value, float(low), float(high), n, "F over seeds", dfs=dfs)


def _values(values: Sequence[float]) -> np.ndarray:
    x = np.asarray(values, float)
    if x.ndim != 1 or not len(x) or not np.isfinite(x).all():
        raise ReportError("an interval needs a list of at least one finite number, one for each seed.")
    return x


def student(value, se, df, n, method, confidence=0.95) -> Interval:
    """Return a value with Student's t interval from its standard error and degrees of freedom."""
    half = sps.t.ppf(0.5 + confidence / 2, df) * se
    value, low, high, se, df = map(float, (value, value - half, value + half, se, df))
    return Interval(value, low, high, int(n), method, se, df)


def _standardise(distance: float, se: float) -> float:
    """Return distance / se, also where equal values leave no spread."""
    return distance / se if se > 0 else float(np.sign(distance)) * np.inf if distance else 0.0


def _satterthwaite(terms, total: float | None = None, least: float = 1.0) -> float:
    """Return the degrees of freedom of a sum of variances [(variance, df), ...]."""
    total = sum(v for v, _ in terms) if total is None else total
    below = sum(v**2 / df for v, df in terms)
    return max(total**2 / below, least) if below > 0 else least


def _photo_means(arm: np.ndarray, photo: np.ndarray) -> np.ndarray:
    """Return the summed deviation of each photograph from its arm's mean: (n, photographs).

    Scaled so that rows average to the rows' mean deviation: a photograph with more images weighs more.
    """
    sums = np.stack([np.bincount(photo, weights=row - arm.mean()) for row in arm])
    return sums * sums.shape[1] / len(photo)
