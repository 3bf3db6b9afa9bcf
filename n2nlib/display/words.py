"""Sentences that depend on results, each tested in all its branches.

They call something a difference only where a 95 % confidence interval shows one, and say nothing where nothing was
measured: a comparison without rows gives an empty text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from n2nlib import paper
from n2nlib.analysis import detail, stats
from n2nlib.analysis.comparison import Comparison
from n2nlib.analysis.detail import ErrorByDetail
from n2nlib.analysis.filters import Filters
from n2nlib.analysis.generalisation import Transfer, WholePhotographs
from n2nlib.analysis.image_statistics import ImageStatistics
from n2nlib.analysis.stats import FEWEST, Interval
from n2nlib.display import tables
from n2nlib.evaluation import metrics
from n2nlib.profiles import Profile


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
    told = [
        f"{'Ends' if len(labels) == 1 else 'End'} {side} {rows.reference}: {listed(labels)}."
        for side, labels in groups.items()
        if labels
    ]
    if rows and not told:
        return (f"There is no confidence interval, which takes {FEWEST} seeds and {FEWEST} photographs, so "
                "no difference is called one.")  # fmt: skip
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
    images, enough, whole = (
        profile.n_train * profile.epochs,
        paper.value("calibration.gaussian_passed_at"),
        paper.images(),
    )
    told = []
    if images < enough:
        told.append(
            f"**The paper's claims are not tested at this size.** Each run sees {images:,} training images; TNet passes a tuned Gaussian "
            f"filter only after about {enough:,}. The numbers compare networks early in training and say nothing about trained ones."
        )
    elif images < whole:
        told.append(
            f"Each run sees {images:,} training images, {100 * images / whole:.2g} % of the paper's: rankings may still change."
        )
    if profile.seeds < FEWEST:
        told.append(
            f"With at most {profile.seeds} seeds there is no confidence interval, and no difference is called one."
        )
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


# --- chapter 04 ---


def absent(rows: Comparison) -> str:
    """Which rows were asked for and have no run."""
    return f"Rows without stored runs are omitted: {'; '.join(rows.absent)}." if rows.absent else ""


def noisy_level(rows: Comparison) -> str:
    """The mean PSNR of the validation images before denoising."""
    return f"The noisy images have {rows.noisy.mean():.2f} dB on average." if rows.rows else ""


def parameter_ratio(sizes: pd.DataFrame, rows: Comparison) -> str:
    """How the paper's "20x fewer parameters" is counted, and which UNets were trained."""
    both = ("UNet", "UNet (shared decoder)")
    ratio, cited = sizes.set_index("network").loc[list(both), "times TNet's"]
    weights = sizes.set_index("network").loc[both[1], "parameters"]
    trained = [label for label in both if label in rows.rows]
    told = (
        "At this size no run of either is stored.",
        f"At this size only runs of {listed(trained)} are stored.",
        "Both are trained below, under separate names.",
    )
    return (
        f"The paper's \"{paper.value('abstract.times_fewer')}x fewer parameters\" counts UNet's decoder "
        f"block at each use: {ratio:.1f} times TNet's. The cited implementation trains {weights:,} weights, "
        f"{cited:.1f} times TNet's. {told[len(trained)]}"
    )


def precision_note(effects: Iterable[tables.Effect], rows: Comparison) -> str:
    """How far lower precision may have shifted rows, from `tables.precision_effects`; nothing in fp32."""
    if rows.arithmetic <= {"fp32"}:
        return ""
    own = {(run.spec.corpus, run.spec.images) for runs in rows.rows.values() for run in runs}
    here = {tables.described(kind): d for kind, _, d in effects if (kind.corpus, kind.images) in own}
    if not here:
        return ("At this report's own size no row is stored both in fp32 and in lower precision, so small "
                "differences are not secure, however narrow their interval.")  # fmt: skip
    shift = max(max(-d.low, d.high) for d in here.values())
    return (f"At this report's own size this was measured for {listed(here)}. Shifts of {shift:.2f} dB "
            "cannot be excluded, so differences of that size are not secure, however narrow their "
            "interval.")  # fmt: skip


def equal_training(found: Mapping[str, Interval], profile: Profile) -> str:
    """How TNet and UNet compare in each way of training; `found`: name -> TNet minus UNet (dB)."""
    told = [f"{name[0].upper()}{name[1:]}: {pair('TNet', 'UNet', d)}" for name, d in found.items() if d]
    if profile.seeds < FEWEST:
        told.append("Equal learning rates and augmentation are **not tested at this size**: "
                    f"{profile.seeds} seeds give no confidence interval.")  # fmt: skip
    return " ".join(told)


def timed(record: Mapping[str, Any] | None) -> str:
    """On which machine `make bench` timed training; `record`: one of `bench.records()`."""
    if not record:
        return "`make bench` has not been run, so there are no times."
    return f"Times: one run in fp32 on one core of {record['machine']}, measured by `make bench`."


def examples(pictures: Mapping[str, Any], rows: Comparison) -> str:
    """In how many of Figure 2's windows TNet is above UNet, and the means over all validation images.

    pictures: `measurements.examples`. Nothing where one of the two networks is missing.
    """
    images = pictures.get("arrays", {})
    if not {"TNet", "UNet"} <= images.keys() & rows.rows.keys():
        return ""
    tnet, unet = (metrics.psnr(images["clean"], images[label], 255) for label in ("TNet", "UNet"))
    better = int((tnet > unet).sum())
    return (
        f"TNet is above UNet in {better or 'none'} of these {len(tnet)} windows. Single windows say little: "
        f"over all validation images of the dataset the means are {rows.level('TNet').mean:.2f} dB for "
        f"TNet and {rows.level('UNet').mean:.2f} dB for UNet; the noisy images have "
        f"{rows.noisy.mean():.2f} dB."
    )


# --- chapter 06 ---

#: Both networks are trained so in the rows of this name.
MORE = "augmented + cosine"


def below_noisy(rows: Comparison) -> str:
    """The PSNR of the images before denoising, and which rows end below it."""
    if not rows.rows:
        return ""
    below = [label for label in rows.labels if rows.level(label).mean < rows.noisy.mean()]
    told = (
        f"{listed(below)} {plural(len(below), 'ends', 'end')} below that"
        if below
        else "every row ends above that"
    )
    return f"The noisy images have {rows.noisy.mean():.2f} dB; {told}."


def plural(n: int, one: str, several: str) -> str:
    """Return the word that goes with a number of items."""
    return one if n == 1 else several


def gap(sizes: pd.DataFrame) -> str:
    """What clean targets are worth with few and with many training pairs: `tables.data_sizes`."""
    if sizes.empty:
        return ""
    few, many = (
        f"{pairs:,} pairs from {photographs:,} {plural(photographs, 'photograph', 'photographs')}"
        for pairs, photographs in sizes[["pairs", "photographs"]].iloc[[0, -1]].itertuples(index=False)
    )
    first, last = sizes["gap (dB)"].iloc[0], sizes["gap (dB)"].iloc[-1]
    text = f"With {few} the gap is {first} dB; with all {many} it is {last} dB."
    if not (first and last):
        return f"{text} There is no confidence interval, so nothing is said of a trend."
    most = f"{max(last.high, 0):.2f} dB"
    if last.low > 0:
        return f"{text} With the whole set, clean targets are significantly better, by {most} at most."
    return (
        f"{text} With the whole set, clean targets are not significantly better; the interval allows {most}."
    )


def schedule_note(rows: Comparison) -> str:
    """That training which pays off late cannot be judged from short runs; nothing at the paper's size."""
    if not rows or rows.images >= paper.images():
        return ""
    return (
        f"These are effects after {rows.images:,} training images. A schedule that ends so early lowers the "
        "learning rate while the other rows still learn fast."
    )


def best_single(rows: Comparison, together: str) -> str:
    """Which single change gains most, beside the row `together`; nothing where no interval shows a gain."""
    found = rows.differences()
    single = {label: d for label, d in found.items() if label != together}
    if not single or together not in found or not all(found.values()):
        return ""
    best = max(single, key=lambda label: single[label].value)
    if single[best].low <= 0:
        return ""
    return (
        f"The largest significant gain of a single change is *{best}* with {single[best].value:+z.2f} dB; "
        f"the row *{together}* has {found[together].value:+z.2f} dB."
    )


def network_cost(sizes: Mapping[str, Mapping], network: str = "SmallNet", reference: str = "TNet") -> str:
    """Parameters of two networks, and the MACs of one in those of the other: `tables.network_sizes`."""
    if not {network, reference} <= sizes.keys():
        return ""
    one, other = sizes[network], sizes[reference]
    return (
        f"{network} has {one['parameters']:,} parameters and {reference} {other['parameters']:,}; an image "
        f"costs {network} {one['MACs (M)'] / other['MACs (M)']:.1f} times {reference}'s MACs."
    )


def small_network(rows: Comparison, steps: Mapping[str, tuple[str, str]]) -> str:
    """How SmallNet compares with rows other than the reference, and what each step towards it gains.

    steps: name -> (row with it, row without it); gains are given where all of these rows are there.
    """
    final, tnet = f"SmallNet, {MORE}", f"TNet, {MORE}"
    found = rows.versus({other: (final, other) for other in (tnet, "SmallNet")})
    told = [pair(final, other, d) for other, d in found.items() if d]
    if final in rows.rows and tnet not in rows.rows:
        told.append(
            f"{tnet} was not run at this size, so the training's share of that row's gain is unknown."
        )
    gains = rows.versus(steps)
    if len(gains) == len(steps):
        told.append(f"Step by step: {'; '.join(f'{name} {d} dB' for name, d in gains.items())}.")
    return " ".join(told)


def peers() -> str:
    """How far the strongest network of others is from the paper's TNet, both on the authors' data."""
    others, tnet = paper.peers(), paper.value("table2.TNet.psnr")
    strongest = others.loc[others.psnr.idxmax()]
    return (
        "For scale: on the authors' data the best network that others trained, with "
        f"{strongest.parameters:,} parameters, is {strongest.psnr - tnet:+z.2f} dB from the paper's TNet. "
        "Gains on other photographs need not be the same."
    )


def search(tried: pd.DataFrame, best: pd.DataFrame, shared: Mapping[str, object]) -> str:
    """How many trials a search made, what the best share (`tables.shared_options`), how good the first is."""
    if tried.empty:
        return ""
    states, last = tried["state"].value_counts(), tried.columns[-1]
    told = [
        f"{len(tried)} trials: {states.get('complete', 0)} trained to the end, "
        f"{states.get('pruned', 0)} stopped early, "
        f"{states.get('too large', 0)} not trained because they have more parameters than TNet."
    ]
    if shared:
        told.append(
            f"All of the best have {listed([f'{name} = {value}' for name, value in shared.items()])}."
        )
    if tried["state"].iloc[0] == "complete":
        told.append(
            "The first trial is SmallNet as it stands, "
            f"{tried[last].iloc[0] - best[last].iloc[0]:+z.2f} dB from the best. "
            "With one seed per trial, the order of the first few is chance."
        )
    else:
        told.append("The first trial is SmallNet as it stands; it was stopped early.")
    return " ".join(told)


def transfer(found: Transfer) -> str:
    """Where networks lose on data that they were not trained on, and where they do harm."""
    if not found:
        return ""
    lost = [
        f"trained on {a}, judged on {b} ({d} dB)" for (a, b), d in found.losses.items() if d and d.high < 0
    ]
    worse = [
        f"{source} on {target}"
        for target, rows in found.targets.items()
        for source in rows.others
        if rows.level(source).mean < rows.noisy.mean()
    ]
    if lost:
        told = f"Significant losses in transfer: {'; '.join(lost)}."
    elif all(found.losses.values()):
        told = "No loss in transfer is significant."
    else:
        told = (
            f"Fewer than {FEWEST} seeds or photographs give no confidence interval, so no loss is called one."
        )
    if worse:
        return f"{told} Below the noisy image itself: {listed(worse)}."
    return f"{told} Everywhere the output is better than the noisy image."


def equal_noise(noise: str, found: Transfer) -> str:
    """Which standard deviation gives Gaussian noise the PSNR of the noisy images: `transfer.equal_noise`."""
    if not found:
        return ""
    return (
        f"Gaussian noise with a standard deviation of {noise.partition(':')[2]} grey levels has "
        "the PSNR of the sub-pixel noise, before both are quantised to 8 bits."
    )


def whole_photographs(whole: WholePhotographs, network: str = "TNet", reference: str = "Gaussian") -> str:
    """The ranking of all methods at each size of cell, and a network minus a filter: a paragraph for each."""
    told = []
    for cell in whole.cells:
        ranked = sorted(whole.methods, key=lambda method: -whole.level(cell, method).mean)
        text = f"Cells of {cell} pixels, from the best PSNR to the worst: {'; '.join(ranked)}."
        if network in whole.networks:
            d = whole.gain(cell, network, over=reference)
            text += f" {network} minus {reference}: {d} dB{'' if d else ' (no confidence interval)'}."
        told.append(text)
    return "\n\n".join(told)


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
    return f"{facts} Against the Gaussian: **{tables.ahead('TNet', gains['gaussian'])}**. Against the mean: **{tables.ahead('TNet', gains['mean'])}**."


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


# --- chapter 05 ---


def looked_at(runs: Comparison) -> str:
    """Which networks are looked at: TNet's seeds and, if there is one, a run of UNet."""
    if "TNet" not in runs.rows:
        return ""
    seeds, level = len(runs.rows["TNet"]), runs.values("TNet")[0]
    unet = (
        f"and UNet ({runs.values('UNet')[0]:.2f} dB)"
        if "UNet" in runs.rows
        else "(no run of UNet is stored at this size)"
    )
    return (
        f"Networks: TNet ({seeds} seed{'s' * (seeds > 1)}, {level:.2f} dB for the first) {unet}, "
        f"after {runs.images:,} training images. Pictures show the first TNet."
    )


def side(d: Interval | None, reference: float, above: str, below: str, neither: str) -> str:
    """Choose among three phrases by where an interval lies; say so where there is no interval or no value."""
    if d is None or np.isnan(d.value):
        return "no image qualifies, so nothing can be said"
    if not d:
        return "too few photographs for a confidence interval"
    return above if d.low > reference else below if d.high < reference else neither


def noisy_pixels(found: ImageStatistics) -> str:
    """The first three statements of section 3 for TNet: change, loss gradient, output gradient."""
    if "TNet" not in found.labels:
        return ""
    change, loss = (
        found.difference("TNet", "Gaussian", name) for name in ("change_auc", "loss_gradient_auc")
    )
    pixel, ring = (found.average("TNet", name) for name in ("output_gradient_ratio", "ring_ratio"))
    if np.isnan([x.value for x in (change, pixel)]).all():
        return "No image has noisy pixels to look at: **not tested on these photographs**."
    pixel_off, ring_off = (f"by {100 * abs(x.value - 1):.1f} %" for x in (pixel, ring))
    nothing = found.average("noisy image", "loss_gradient_auc")
    better = side(
        change,
        0,
        "TNet finds the noisy pixels better",
        "TNet finds the noisy pixels worse",
        "the two do not differ significantly",
    )
    at_pixel = side(
        pixel,
        1,
        f"higher, {pixel_off}",
        f"lower, as the paper says, {pixel_off}",
        "not significantly different from 1",
    )
    at_ring = side(
        ring,
        1,
        f"higher, as the paper says, {ring_off}",
        f"lower, {ring_off}",
        "not significantly different from 1",
    )
    return "\n\n".join(
        [
            "**Change.** TNet's AUC minus that of the Gaussian filter, which ignores the content of the "
            f"picture, is {change:.3f}: {better}.",
            f"**Loss gradient.** TNet's AUC minus that of the Gaussian filter is {loss:.3f}. The noisy "
            f"image itself reaches {_value(nothing)} by construction, so a high value does not show that "
            "anything was learnt.",
            f"**Output gradient.** Ratio to quiet pixels of equal detail: at noisy pixels {pixel:.3f} "
            f"({at_pixel}), around them {ring:.3f} ({at_ring}).",
        ]
    )


def learnt(correlation: np.ndarray | None, found: ImageStatistics) -> str:
    """What cascading randomisation leaves of the maps, and shuffled weights of the loss gradient's AUC.

    correlation: (layers + 1,2) for the maps of loss and output.
    """
    if correlation is None:
        return ""
    loss, output = (f"{x:z.2f}" if np.isfinite(x) else "undefined" for x in correlation[-1])
    rest = (
        "A correlation that remains without learnt weights comes from how a map is made: the error f(x) - c "
        "is a factor of the gradient of the loss whatever the weights are."
        if correlation[-1].max() > 0.1
        else "As a whole the maps depend on the learnt weights."
    )
    shuffled, trained = (
        found.average(label, "loss_gradient_auc") for label in ("TNet, shuffled weights", "TNet")
    )
    use = side(
        shuffled,
        0.5,
        "still above chance, so this use of the map is no evidence of learning",
        "below chance",
        "not significantly above chance",
    )
    return (
        f"With all layers randomised the rank correlation with the trained map is {loss} for the loss and "
        f"{output} for the output. {rest} With weights shuffled within each layer, the loss gradient finds "
        f"the noise with an AUC of {shuffled:.3f} (trained: {trained:.3f}): {use}."
    )


def content_awareness(sides: ImageStatistics) -> str:
    """Whether TNet weighs an edge pixel's own side more than filters do, and than before training."""
    tnet, untrained = (sides.average(label, "same_side") for label in ("TNet", "TNet, untrained"))
    if tnet is None:
        return ""
    if np.isnan(tnet.value):
        return (
            "No image has edges at which to measure content-awareness: **not tested on these photographs**."
        )
    trained = sides.difference("TNet", "TNet, untrained", "same_side")
    here = side(
        tnet,
        1,
        "TNet is above the 1 of a mean or Gaussian filter",
        "TNet is below the 1 of a mean or Gaussian filter",
        "TNet does not differ significantly from the 1 of a mean or Gaussian filter",
    )
    control = (
        "a value above 1 alone does not show that anything was learnt"
        if untrained.value >= tnet.value
        else side(
            trained,
            0,
            "training increased it",
            "training decreased it",
            "no significant effect of training is seen",
        )
    )
    adaptive = " and ".join(
        f"{label} is {_at(sides.average(label, 'same_side'))}" for label in ("bilateral", "non-local means")
    )
    return (
        f"Content-awareness at this size: {here}. TNet before training (the same seeds, which have "
        f"learnt nothing) is {_at(untrained)}, so {control}. Of the filters that were designed for it, {adaptive}. "
        "(Tuned for PSNR, the bilateral filter is almost a Gaussian where its σ in colour is large.) To see "
        "whether content-awareness makes a denoiser powerful, compare these numbers with the PSNR of chapter "
        "02: the two rankings need not agree."
    )


def _value(x: Interval | None) -> str:
    return "–" if x is None or np.isnan(x.value) else f"{x.value:.3f}"


def _at(x: Interval | None) -> str:
    """Where a value lies, or why there is none."""
    return (
        "without a value (no image has an edge, or the pixel itself has all the weight)"
        if _value(x) == "–"
        else f"at {x.value:.3f}"
    )
