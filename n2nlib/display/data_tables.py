"""Tables of chapter 01: where the pairs come from, and their noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from n2nlib import paper
from n2nlib.analysis.intervals import MeanSE


def sizes(dataset) -> pd.DataFrame:
    """What a dataset's pairs are cut from; None where its files do not say it.

    Window sides are fractions of the photograph's.
    """
    recipe = dataset.recipe
    small, large = recipe.get("windows", (None, None))
    lines = [
        {
            "part": label,
            "photographs": len({group for _, _, group in recipe.get(split, [])}) or None,
            "files": len(recipe.get(split, [])) or None,
            "pairs": recipe[f"n_{split}"],
            "smallest window side": small,
            "largest window side": large,
            "noise": dataset.noise,
        }
        for split, label in (("train", "training"), ("val", "validation"))
    ]
    return pd.DataFrame(lines, dtype=object)


def windows() -> pd.DataFrame:
    """Noise and the authors' TNet by window size, and in the authors' validation set."""
    columns = ["windows", "smallest side", "largest side", "noisy images (dB)", "authors' TNet (dB)"]
    tried = paper.calibration()[["low", "high", "noisy_psnr", "tnet_psnr"]].itertuples(index=False)
    chosen = (paper.value(f"calibration.standin_{key}") for key in ("low", "high", "noisy_psnr"))
    authors = paper.value("noise.noisy_psnr"), paper.value("table2.TNet.psnr")
    lines = [
        *(("tried", *row) for row in tried),
        ("chosen", *chosen, None),
        ("the authors' validation set", None, None, *authors),
    ]
    return pd.DataFrame(lines, columns=columns)


def noise_numbers(found: Mapping) -> dict[str, float | None]:
    """What the ledger keeps of `measurements.noise`; None for what images without noise do not have."""
    between = [r for r in found["channels"].values() if r is not None]
    return {
        "noisy_psnr": found["psnr"],
        "noisy_psnr_global": found["psnr_global"],
        "mean_error": found["mean_error"][0],
        "mean_error_se": found["mean_error"][1],
        "kurtosis": found["kurtosis"],
        "channel_correlation_low": min(between, default=None),
        "channel_correlation_high": max(between, default=None),
        "neighbour_correlation": found["neighbours"] and found["neighbours"][0],
    }


def noise(found: Mapping) -> pd.DataFrame:
    """`measurements.noise` beside what is known of the authors' noise.

    Errors in grey levels, ± one standard error.
    """
    low, high = (f"channel_correlation_{end}" for end in ("low", "high"))
    numbers, sd = noise_numbers(found), found["by_detail"]["sd"]
    theirs = {key: paper.value(f"noise.{key}") for key in ("noisy_psnr", "global_gap", low, high, "kurtosis")}
    of_all = theirs["noisy_psnr"] - theirs["global_gap"]
    lines = [  # of the noise, this dataset, the authors' data: a value or text, and its digits
        ("PSNR, mean over images (dB)", found["psnr"], 2, theirs["noisy_psnr"], 2),
        ("PSNR of the squared error over all images (dB)", found["psnr_global"], 2, of_all, 1),
        ("PSNR, standard deviation over images (dB)", found["psnr_sd"], 2, None, 0),
        ("mean error", found["mean_error"], 2, "none seen", 0),
        ("correlation between channels, lowest", numbers[low], 2, theirs[low], 2),
        ("correlation between channels, highest", numbers[high], 2, theirs[high], 2),
        ("correlation with the neighbouring pixel", found["neighbours"], 3, "none seen", 0),
        ("kurtosis (Gaussian: 3)", found["kurtosis"], 1, theirs["kurtosis"], 0),
        ("standard deviation, flattest twelfth of the pixels", sd[0], 1, "none in flat areas", 0),
        ("standard deviation, most detailed twelfth", sd[-1], 1, "largest in fine detail", 0),
        ("correlation between the two copies' errors", found["pair_correlation"], 3, None, 0),
    ]
    cells = [(what, measured(ours, digits), other if isinstance(other, str) else measured(other, places))
             for what, ours, digits, other, places in lines]  # fmt: skip
    return pd.DataFrame(cells, columns=["of the noise", "this dataset", "the authors' data"], dtype=object)


def other_noises(subpixel: Mapping, others: Mapping[str, Mapping], labels: Mapping[str, str]) -> pd.DataFrame:
    """Noises around the same clean images, before and after they are stored.

    `measurements.noise` and `other_noises`.

    labels: name of each noise -> how the table calls it. Correlations are means over the three pairs of
    channels.
    """
    own = {"zero_mean": True, "clipped_mean_error": subpixel["mean_error"]}
    stored = {"sub-pixel sampling": subpixel | own} | {label: others[name] for name, label in labels.items()}
    lines = []
    for label, one in stored.items():
        between = [r for r in one["channels"].values() if r is not None]
        lines.append({
            "noise": label,
            "meant to be zero-mean": "yes" if one["zero_mean"] else "no",
            "mean error": measured(one["mean_error"], 2),
            "stored in 8 bits": measured(one["clipped_mean_error"], 2),
            "between channels": measured(np.mean(between), 2) if between else None,
            "kurtosis": one["kurtosis"],
            "PSNR (dB)": one["psnr"],
        })  # fmt: skip
    return pd.DataFrame(lines)


def measured(value: float | Sequence[float] | None, digits: int) -> MeanSE | None:
    """Return a cell with its own digits: a value, or (value, standard error); None stays None."""
    if value is None:
        return None
    return MeanSE(*map(float, value), digits) if np.ndim(value) else MeanSE(float(value), None, digits)
