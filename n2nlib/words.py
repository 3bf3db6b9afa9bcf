"""Sentences that depend on results, each tested in all its branches.

They call something a difference only where a 95 % confidence interval shows one, and say nothing where nothing was
measured: a comparison without rows gives an empty text.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from . import detail, paper, stats
from .comparison import Comparison
from .detail import ErrorByDetail
from .filters import Filters
from .spec import Profile
from .stats import FEWEST, Interval


def listed(items) -> str:
    """Return items as words: "a, b and c"; nothing for none."""
    *head, last = items or [""]
    return f"{', '.join(head)} and {last}" if head else last


def outcome(rows: Comparison) -> str:
    """Which rows end above or below the reference row, as far as their intervals show it."""
    groups: dict[str, list[str]] = {"below": [], "above": [], "not significantly different from": []}
    for label, d in rows.differences().items():
        if d:
            side = "above" if d.low > 0 else "below" if d.high < 0 else "not significantly different from"
            groups[side].append(f"{label} ({d} dB)")
    told = [f"{'Ends' if len(labels) == 1 else 'End'} {side} {rows.reference}: {listed(labels)}." for side, labels in groups.items() if labels]
    if rows and not told:
        return f"No row has {FEWEST} seeds, so there is no confidence interval and no difference is called one."
    return " ".join(told)


def pair(a: str, b: str, d: Interval) -> str:
    """How two rows compare in PSNR (dB): d is a minus b."""
    if not d:
        return f"There is no confidence interval, so nothing is said of {a} and {b}."
    if d.low <= 0 <= d.high:
        return f"{a} and {b} do not differ significantly ({d} dB)."
    return f"{a} ends {'above' if d.value > 0 else 'below'} {b} ({d} dB)."


def size_note(profile: Profile) -> str:
    """What a report of this size cannot say; nothing at the paper's size."""
    images, enough, whole = profile.n_train * profile.epochs, paper.value("calibration.gaussian_passed_at"), paper.images()
    told = []
    if images < enough:
        told.append(
            f"**The paper's claims are not tested at this size.** Each run sees {images:,} training images; TNet passes a tuned Gaussian "
            f"filter only after about {enough:,}. The numbers compare networks early in training and say nothing about trained ones."
        )
    elif images < whole:
        told.append(f"Each run sees {images:,} training images, {100 * images / whole:.2g} % of the paper's: rankings may still change.")
    if profile.seeds < FEWEST:
        told.append(f"With at most {profile.seeds} seeds there is no confidence interval, and no difference is called one.")
    return " ".join(told)


def best_rate(rates: Comparison) -> str:
    """Which learning rate ends best in PSNR and in training loss, and how far the means lie apart."""
    if len(rates.rows) < 2:
        return ""
    psnr = {label: rates.level(label).mean for label in rates.labels}
    loss = {label: rates.level(label, "published_loss").mean for label in rates.labels}
    best, least = max(psnr, key=psnr.get), min(loss, key=loss.get)
    first = (f"{best} ends best in PSNR and in training loss" if best == least else
             f"{best} ends highest in PSNR and {least} lowest in training loss")  # fmt: skip
    return (f"Here {first}. The means lie within {np.ptp(list(psnr.values())):.2f} dB of one another; the paper's within "
            f"{np.ptp(paper.table1().psnr):.2f} dB.")  # fmt: skip


def last_gain(rows: Comparison) -> str:
    """By how much the mean PSNR still moved between the last two points of the learning curves."""
    gains, share = [], None
    for label in rows.labels:
        curve = rows.history().query("row == @label").dropna(subset=["psnr"]).groupby("images")["psnr"].mean()
        if len(curve) > 1:
            gains.append(f"{curve.iloc[-1] - curve.iloc[-2]:+z.2f} dB at {label}")
            share = 1 - curve.index[-2] / curve.index[-1]
    if not gains:
        return ""
    return (f"Over the last {100 * share:.0f} % of the training images the mean PSNR moved by {listed(gains)}. While a curve still "
            "climbs, a table of end points shows how far each row has come, not where it will end.")  # fmt: skip


def printed_columns() -> str:
    """Whether the printed columns of Table 1 differ by more than repetitions of one experiment would."""
    published, n = paper.table1(), paper.value("table1.initialisations")
    p_psnr = stats.equal_means(published.psnr, published.psnr_sd, n)
    p_loss = stats.equal_means(published.loss, published.loss_sd, n)
    twice = [paper.value(f"{key}.psnr") for key in ("table1.5e-4", "table2.TNet")]
    return (
        f"On the printed means and deviations (n = {n} each) one-way analysis of variance gives p = {p_psnr:.2f} for PSNR and p = {p_loss:.2f} "
        "for the loss. PSNR is printed to 0.01 dB, as coarse as its spread, so the loss is the better witness. "
        f"The printed columns {'do not differ' if p_loss > 0.05 else 'differ'} by more than repetitions of one experiment would. "
        f"The paper reports one setting, TNet at 5e-4, twice: {twice[0]:.2f} dB in Table 1 and {twice[1]:.2f} dB in Table 2. These two are "
        f"{abs(twice[0] - twice[1]):.2f} dB apart, the columns of Table 1 at most {np.ptp(published.psnr):.2f} dB."
    )


def nearest_range(ranges: pd.DataFrame, whole: bool) -> str:
    """Which of our experiments spreads its columns most like the published table: `tables.column_ranges`.

    whole: whether the runs have the paper's size.
    """
    theirs, *ours = ranges[["columns", "range (dB)"]].itertuples(index=False, name=None)
    if not ours:
        return ""
    text = f"The means of the paper's columns lie within {theirs[1]:.2f} dB; ours within {listed([f'{x:.2f} dB for {name}' for name, x in ours])}."
    if not whole:
        return f"{text} After so few images a low rate has not caught up, so **this does not yet test how the published table was made**."
    if len(ours) < 2:
        return text
    nearest = min(ours, key=lambda row: abs(np.log(max(row[1], 1e-3) / theirs[1])))
    return f"{text} Of our experiments, **{nearest[0]}** comes nearest to the published table; only its authors can say how it was made."


# --- chapter 01 ---


def noise(found: Mapping) -> str:
    """Whether the noise is biased, how it follows detail, and its tails: `measurements.noise`."""
    if found["kurtosis"] is None:
        return "These images have no noise: all pixels of a cell are equal, so each noisy image is the clean one."
    (bias, se), (flat, *_, detailed) = found["mean_error"], found["by_detail"]["sd"]
    contrast = (
        f"{detailed / flat:.0f} times that in the flattest"
        if flat
        else f"{detailed:.1f} grey levels (standard deviation) and absent from the flattest"
    )
    tails = "heavier" if found["kurtosis"] > 3 else "no heavier"
    return (
        f"The mean error of {found['images']:,} validation images is {abs(bias) / se:.1f} standard errors from zero. The noise in the most detailed twelfth of the pixels is "
        f"{contrast}. Its tails are {tails} than a Gaussian's: most pixels are nearly right and a few are far off."
    )


def authors_noise(found: Mapping, own: bool) -> str:
    """How the noise compares with the authors'; nothing without noise, or where the dataset is the authors' `own`."""
    if found["kurtosis"] is None or own:
        return ""
    between = [r for r in found["channels"].values() if r is not None]
    low, high, kurtosis = (
        paper.value(f"noise.{key}")
        for key in ("channel_correlation_low", "channel_correlation_high", "kurtosis")
    )
    gap, spread = (
        found["psnr"] - paper.value("noise.noisy_psnr"),
        paper.value("calibration.spread_between_splits"),
    )
    return (
        f"Correlation between channels is {min(between):.2f} to {max(between):.2f} here and {low:.2f} to {high:.2f} in the authors' pairs; "
        f"kurtosis is {found['kurtosis']:.0f} here and about {kurtosis} there. Neither has a bias or a correlation between neighbouring "
        "pixels. Sub-pixel sampling is therefore a likely source of their noise, but not a proven one.\n\n"
        f"The noisy images are {abs(gap):.2f} dB {'better' if gap > 0 else 'worse'} than the authors'. This depends on the photographs: "
        f"between two random sets of a hundred photographs it varies by about {spread:.2f} dB. So compare PSNR on this dataset with PSNR "
        "on this dataset, and with the paper compare differences only."
    )


def sampling(draws: pd.DataFrame, same: Mapping[str, float], found: Mapping) -> str:
    """What averaging noisy images shows: `averaged_draws` and `same_pixel` of `corpus.measure`, and `measurements.noise`."""
    last, off = draws.iloc[-1], abs(same["share"] - same["expected"]) / same["se"]
    text = (
        f"After {last['draws']:,.0f} draws the mean is {last['error']:.2f} grey levels from the exact cell means, where unbiased and "
        f"independent draws give {last['expected']:.2f}; the worst pixel is {last['worst_z']:.1f} of its own standard errors off. Both "
        f"copies took the same pixel in {100 * same['share']:.2f} % of the cells, {off:.1f} standard errors from the "
        f"{100 * same['expected']:.2f} % of independent uniform draws."
    )
    if not found["pair_correlation"]:
        return text
    r, se = found["pair_correlation"]
    return (
        f"{text} The errors of the two copies correlate with {r:+z.3f} ± {se:.3f} over the validation images."
    )


def other_noises(others: Mapping[str, Mapping], labels: Mapping[str, str]) -> str:
    """Which other noises have a mean error, before and after they are clipped: `measurements.other_noises`."""
    kind = {name: f"{labels[name].split(',')[0]} noise" for name in others}
    off = [kind[name] for name, one in others.items() if abs(one["mean_error"][0]) > 4 * one["mean_error"][1]]
    moved = {name: one["clipped_mean_error"][0] for name, one in others.items() if one["zero_mean"]}
    worst = max(moved, key=lambda name: abs(moved[name]))
    return (
        f"Before clipping, {'the mean error of ' + listed(off) + ' is' if off else 'no mean error is'} more than four standard errors from "
        f"zero. Clipping moves {kind[worst]} most, by {moved[worst]:+z.1f} grey levels on average: a network trained on such pairs learns "
        "that bias with the image. Only noises that act on whole pixels are shared by the channels."
    )


# --- chapter 02 ---


def side(label: str, d: Interval, judged: bool = True) -> str:
    """On which side of another method a row ends, as a table cell; `judged`: whether the runs are large enough to say so."""
    if not judged:
        return "not tested at this size"
    if not d:
        return "too few seeds or photographs for an interval"
    return (
        f"{label} is ahead"
        if d.low > 0
        else f"{label} is behind"
        if d.high < 0
        else "no significant difference"
    )


def tuning(filters: Filters) -> str:
    """Whether the parameters that were tuned on the same pairs have their optimum inside the range that was tried."""
    tuned = [(name, p) for name in filters.fast for p in filters.curve(name).columns if p != "mse"]
    limits = [
        f"{filters.title(name)}, {p} = {filters.found[name]['parameters'][p]:g}: {what}"
        for name in filters.fast
        for p, what in filters.found[name]["at_limit"].items()
    ]
    text = f"Of {len(tuned)} parameters, {len(tuned) - len(limits)} have their optimum strictly inside the range that was tried"
    text += f". At a limit, where the filter becomes another one: {'; '.join(limits)}." if limits else "."
    weights = np.array(filters.found["linear"]["parameters"]["weights"])
    return f"{text} The fitted kernel has {weights[2, 2]:.2f} at its centre, and its weights sum to {weights.sum():.3f}."


def slow_filters(filters: Filters) -> str:
    """What filters that were run on a sample reach there, and which ones could not be run."""
    told = []
    for name in filters.slow:
        n = len(filters.psnr(name))
        told.append(
            f"{filters.title(name)} takes about {filters.found[name]['ms'] / 1000:.1f} s per image and was run on {n} of them: "
            f"{filters.psnr(name).mean():.2f} dB, where the Gaussian reaches {filters.psnr('gaussian')[:n].mean():.2f} dB on the same "
            "images. Its licence allows non-commercial use only."
        )
    return " ".join([*told, *filters.absent.values()])


def basenet(lines: pd.DataFrame, zero: float, noisy: float) -> str:
    """What BaseNet reaches before and after training, and which of the two the paper's number is nearer to: `tables.basenet`.

    zero, noisy: PSNR (dB) of a black image and of the noisy images.
    """
    lines = lines.dropna(subset=["trained (dB)"])
    if lines.empty:
        return ""
    published, sd = paper.value("table2.BaseNet.psnr"), paper.value("table2.BaseNet.psnr_sd")
    before, after = lines["untrained (dB)"], lines["trained (dB)"]
    dead = int((lines["dead channels of 3"] > 0).sum())
    stuck = int((after < after.max() - 3).sum())  # 3 dB: half the error, no spread between seeds that learn
    near = (
        "an untrained BaseNet"
        if abs(before.mean() - published) < abs(after.mean() - published)
        else "a trained BaseNet"
    )
    return (
        f"BaseNet reaches {after.min():.2f} to {after.max():.2f} dB here after training, and {before.min():.2f} to {before.max():.2f} dB "
        f"before. A black image has {zero:.2f} dB, the noisy image {noisy:.2f} dB. {dead} of {len(lines)} seeds "
        f"{'has' if dead == 1 else 'have'} a dead output channel{f', and {stuck} stayed more than 3 dB below the best' if stuck else ''}. "
        f"The paper prints {published:.2f} ± {sd:.2f} dB, which is nearer to {near}. These are other photographs, so this is a hint and no "
        "proof; chapter 07 has the runs that test it."
    )


def gain_over_filters(filters: Filters, networks: Comparison) -> str:
    """How far TNet is from the mean, the Gaussian and the best filter, and whether that can be judged at this size."""
    gains, enough = filters.gains(networks), paper.value("calibration.gaussian_passed_at")
    if not gains:
        return ""
    best = filters.ranking[0]
    facts = (
        f"TNet minus the mean filter: {gains['mean']} dB; minus the Gaussian: {gains['gaussian']} dB; minus the best filter here "
        f"({filters.title(best)}): {gains[best]} dB."
    )
    if networks.images < enough:
        return (
            f"**Not tested at this size.** {facts} TNet has seen {networks.images:,} training images here; on photographs like the paper's "
            f"it passes a tuned Gaussian only after about {enough:,}. These numbers speak neither for nor against the paper's sentence."
        )
    return f"{facts} Against the Gaussian: **{side('TNet', gains['gaussian'])}**. Against the mean: **{side('TNet', gains['mean'])}**."


def gain_by_detail(errors: ErrorByDetail, networks: Comparison) -> str:
    """Where in the image TNet gains over the Gaussian filter, and whether detail makes the difference."""
    if not errors:
        return ""
    in_detail, in_flat, contrast = (
        errors.gain("gaussian", detail.DETAILED),
        errors.gain("gaussian", detail.FLAT),
        errors.contrast("gaussian"),
    )
    share = errors.share("gaussian", detail.DETAILED)
    text = (
        f"The most detailed fifth of the pixels carries {'none' if np.isnan(share) else f'{100 * share:.0f} %'} of the Gaussian's squared error. "
        f"TNet's gain over the Gaussian is {in_detail} dB there and {in_flat} dB in the flattest fifth; the difference is {contrast} dB."
    )
    if networks.images < paper.value("calibration.gaussian_passed_at"):
        return f"{text} TNet is early in its training: **not tested at this size**."
    if not contrast:
        return f"{text} There is no confidence interval, so nothing is concluded."
    if contrast.low > 0 and in_detail.low > 0:
        return f"{text} TNet gains where there is detail, and more than where the image is flat."
    if contrast.low > 0:
        return f"{text} The gain is larger where there is detail only because TNet loses where the image is flat."
    if contrast.high < 0:
        return f"{text} The gain is larger where the image is flat."
    return f"{text} The two gains do not differ significantly."


def ranking(filters: Filters) -> str:
    """The order of the filters, and what a fitted kernel and the best filter add."""
    best = filters.ranking[0]
    return (
        f"From the best to the worst filter: {', '.join(filters.title(name) for name in filters.ranking)}. The fitted kernel is "
        f"{filters.difference('linear', 'gaussian')} dB from the one-parameter Gaussian, and the best filter "
        f"{filters.psnr(best).mean() - filters.psnr('noisy').mean():+z.2f} dB from the noisy image."
    )
