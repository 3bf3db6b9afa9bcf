"""Sentences of chapter 02 on classical filters; each is tested in all its branches."""

from __future__ import annotations

import numpy as np
import pandas as pd

from n2nlib import paper
from n2nlib.analysis import detail
from n2nlib.analysis.comparison import Comparison
from n2nlib.analysis.detail import ErrorByDetail
from n2nlib.analysis.filters import Filters
from n2nlib.display.filter_tables import ahead
from n2nlib.display.words import plural, side


def tuning(filters: Filters) -> str:
    """Whether the tuned parameters have their optimum inside the range that was tried."""
    tuned = [(name, p) for name in filters.fast for p in filters.curve(name).columns if p != "mse"]
    limits = [
        f"{filters.title(name)}, {p} = {filters.found[name]['parameters'][p]:g}: {what}"
        for name in filters.fast
        for p, what in filters.found[name]["at_limit"].items()
    ]
    text = (
        f"Of {len(tuned)} parameters, {len(tuned) - len(limits)} have their optimum strictly inside "
        "the range that was tried"
    )
    text += f". At a limit, where the filter becomes another one: {'; '.join(limits)}." if limits else "."
    weights = np.array(filters.found["linear"]["parameters"]["weights"])
    return (
        f"{text} The fitted kernel has {weights[2, 2]:.2f} at its centre, and its weights sum to "
        f"{weights.sum():.3f}."
    )


def slow_filters(filters: Filters) -> str:
    """What filters that were run on a sample reach there, and which ones could not be run."""
    told = []
    for name in filters.slow:
        psnr, seconds = filters.psnr(name), filters.found[name]["ms"] / 1000
        gaussian = filters.psnr("gaussian")[: len(psnr)]
        told.append(
            f"{filters.title(name)} takes about {seconds:.1f} s per image and was run on {len(psnr)} of "
            f"them: {psnr.mean():.2f} dB, where the Gaussian reaches {gaussian.mean():.2f} dB on the same "
            "images. Its licence allows non-commercial use only."
        )
    return " ".join([*told, *filters.absent.values()])


def basenet(lines: pd.DataFrame, zero: float, noisy: float) -> str:
    """What BaseNet reaches before and after training, and which the paper's number is nearer to.

    lines: `filter_tables.basenet`; zero, noisy: PSNR (dB) of a black image and of the noisy images.
    """
    lines = lines.dropna(subset=["trained (dB)"])
    if lines.empty:
        return ""
    published, sd = paper.value("table2.BaseNet.psnr"), paper.value("table2.BaseNet.psnr_sd")
    before, after = lines["untrained (dB)"], lines["trained (dB)"]
    dead = int((lines["dead channels of 3"] > 0).sum())
    stuck = int((after < after.max() - 3).sum())  # 3 dB: half the error, no spread between seeds that learn
    nearer = abs(before.mean() - published) < abs(after.mean() - published)
    near = "an untrained BaseNet" if nearer else "a trained BaseNet"
    below = f", and {stuck} stayed more than 3 dB below the best" if stuck else ""
    return (
        f"BaseNet reaches {after.min():.2f} to {after.max():.2f} dB here after training, and "
        f"{before.min():.2f} to {before.max():.2f} dB before. A black image has {zero:.2f} dB, the noisy "
        f"image {noisy:.2f} dB. {dead} of {len(lines)} seeds {plural(dead, 'has', 'have')} a dead output "
        f"channel{below}. The paper prints {published:.2f} ± {sd:.2f} dB, which is nearer to {near}. These "
        "are other photographs, so this is a hint and no proof; chapter 07 has the runs that test it."
    )


def gain_over_filters(filters: Filters, networks: Comparison) -> str:
    """How far TNet is from the mean, the Gaussian and the best filter, where size allows judging."""
    gains, enough = filters.gains(networks), paper.value("calibration.gaussian_passed_at")
    if not gains:
        return ""
    best = filters.ranking[0]
    facts = (
        f"TNet minus the mean filter: {gains['mean']} dB; minus the Gaussian: {gains['gaussian']} dB; "
        f"minus the best filter here ({filters.title(best)}): {gains[best]} dB."
    )
    if networks.images < enough:
        return (
            f"**Not tested at this size.** {facts} TNet has seen {networks.images:,} training images "
            "here; on photographs like the paper's it passes a tuned Gaussian only after about "
            f"{enough:,}. These numbers speak neither for nor against the paper's sentence."
        )
    return (
        f"{facts} Against the Gaussian: **{ahead('TNet', gains['gaussian'])}**. Against the mean: "
        f"**{ahead('TNet', gains['mean'])}**."
    )


def gain_by_detail(errors: ErrorByDetail, networks: Comparison) -> str:
    """Where in the image TNet gains over the Gaussian filter, and whether detail makes the difference."""
    if not errors:
        return ""
    in_detail, in_flat = (errors.gain("gaussian", part) for part in (detail.DETAILED, detail.FLAT))
    contrast, share = errors.contrast("gaussian"), errors.share("gaussian", detail.DETAILED)
    carried = "none" if np.isnan(share) else f"{100 * share:.0f} %"
    text = (
        f"The most detailed fifth of the pixels carries {carried} of the Gaussian's squared error. TNet's "
        f"gain over the Gaussian is {in_detail} dB there and {in_flat} dB in the flattest fifth; the "
        f"difference is {contrast} dB."
    )
    if networks.images < paper.value("calibration.gaussian_passed_at"):
        return f"{text} TNet is early in its training: **not tested at this size**."
    if not contrast:
        return f"{text} There is no confidence interval, so nothing is concluded."
    if contrast.low > 0 and in_detail.low > 0:
        return f"{text} TNet gains where there is detail, and more than where the image is flat."
    only = "The gain is larger where there is detail only because TNet loses where the image is flat."
    flat = "The gain is larger where the image is flat."
    return f"{text} {side(contrast, 0, only, flat, 'The two gains do not differ significantly.')}"


def ranking(filters: Filters) -> str:
    """The order of the filters, and what a fitted kernel and the best filter add."""
    best = filters.ranking[0]
    return (
        f"From the best to the worst filter: {', '.join(filters.title(name) for name in filters.ranking)}. "
        f"The fitted kernel is {filters.difference('linear', 'gaussian')} dB from the one-parameter "
        f"Gaussian, and the best filter {filters.psnr(best).mean() - filters.psnr('noisy').mean():+z.2f} dB "
        "from the noisy image."
    )
