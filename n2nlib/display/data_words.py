"""Sentences of chapter 01 on the noise of the pairs; each is tested in all its branches."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from n2nlib import paper
from n2nlib.display.words import listed


def noise(found: Mapping) -> str:
    """Whether the noise is biased, how it follows detail, and its tails: `measurements.noise`."""
    if found["kurtosis"] is None:
        return (
            "These images have no noise: all pixels of a cell are equal, so each noisy image is the "
            "clean one."
        )
    (bias, se), (flat, *_, detailed) = found["mean_error"], found["by_detail"]["sd"]
    contrast = f"{detailed:.1f} grey levels (standard deviation) and absent from the flattest"
    if flat:
        contrast = f"{detailed / flat:.0f} times that in the flattest"
    tails = "heavier" if found["kurtosis"] > 3 else "no heavier"
    return (
        f"The mean error of {found['images']:,} validation images is {abs(bias) / se:.1f} standard "
        f"errors from zero. The noise in the most detailed twelfth of the pixels is {contrast}. Its "
        f"tails are {tails} than a Gaussian's: most pixels are nearly right and a few are far off."
    )


def authors_noise(found: Mapping, own: bool) -> str:
    """How the noise compares with the authors'.

    Nothing without noise, or where the dataset is the authors' `own`.
    """
    if found["kurtosis"] is None or own:
        return ""
    between = [r for r in found["channels"].values() if r is not None]
    low, high, kurtosis, psnr = (
        paper.value(f"noise.{key}")
        for key in ("channel_correlation_low", "channel_correlation_high", "kurtosis", "noisy_psnr")
    )
    gap, spread = found["psnr"] - psnr, paper.value("calibration.spread_between_splits")
    return (
        f"Correlation between channels is {min(between):.2f} to {max(between):.2f} here and {low:.2f} to "
        f"{high:.2f} in the authors' pairs; kurtosis is {found['kurtosis']:.0f} here and about "
        f"{kurtosis} there. Neither has a bias or a correlation between neighbouring pixels. Sub-pixel "
        "sampling is therefore a likely source of their noise, but not a proven one.\n\nThe noisy "
        f"images are {abs(gap):.2f} dB {'better' if gap > 0 else 'worse'} than the authors'. This "
        "depends on the photographs: between two random sets of a hundred photographs it varies by "
        f"about {spread:.2f} dB. So compare PSNR on this dataset with PSNR on this dataset, and with the "
        "paper compare differences only."
    )


def sampling(draws: pd.DataFrame, same: Mapping[str, float], found: Mapping) -> str:
    """What averaging noisy images shows.

    `averaged_draws` and `same_pixel` of `data.measure`, and `measurements.noise`.
    """
    last, off = draws.iloc[-1], abs(same["share"] - same["expected"]) / same["se"]
    text = (
        f"After {last['draws']:,.0f} draws the mean is {last['error']:.2f} grey levels from the exact "
        f"cell means, where unbiased and independent draws give {last['expected']:.2f}; the worst pixel "
        f"is {last['worst_z']:.1f} of its own standard errors off. Both copies took the same pixel in "
        f"{100 * same['share']:.2f} % of the cells, {off:.1f} standard errors from the "
        f"{100 * same['expected']:.2f} % of independent uniform draws."
    )
    if not found["pair_correlation"]:
        return text
    r, se = found["pair_correlation"]
    return (
        f"{text} The errors of the two copies correlate with {r:+z.3f} ± {se:.3f} over the validation images."
    )


def other_noises(others: Mapping[str, Mapping], labels: Mapping[str, str]) -> str:
    """Which other noises have a mean error before and after clipping: `measurements.other_noises`."""
    kind = {name: f"{labels[name].split(',')[0]} noise" for name in others}
    off = [kind[name] for name, one in others.items() if abs(one["mean_error"][0]) > 4 * one["mean_error"][1]]
    moved = {name: one["clipped_mean_error"][0] for name, one in others.items() if one["zero_mean"]}
    worst = max(moved, key=lambda name: abs(moved[name]))
    return (
        f"Before clipping, {'the mean error of ' + listed(off) + ' is' if off else 'no mean error is'} "
        f"more than four standard errors from zero. Clipping moves {kind[worst]} most, by "
        f"{moved[worst]:+z.1f} grey levels on average: a network trained on such pairs learns that bias "
        "with the image. Only noises that act on whole pixels are shared by the channels."
    )
