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
    return pd.DataFrame(
        [
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
        ],
        dtype=object,
    )


def windows() -> pd.DataFrame:
    """Noise and the authors' TNet by window size, and in the authors' validation set."""
    sides, noisy, tnet = ("smallest side", "largest side"), "noisy images (dB)", "authors' TNet (dB)"
    tried = [
        {
            "windows": "tried",
            sides[0]: row.low,
            sides[1]: row.high,
            noisy: row.noisy_psnr,
            tnet: row.tnet_psnr,
        }
        for row in paper.calibration().itertuples()
    ]
    chosen = {
        "windows": "chosen",
        **{
            side: paper.value(f"calibration.standin_{end}")
            for side, end in zip(sides, ("low", "high"), strict=True)
        },
        noisy: paper.value("calibration.standin_noisy_psnr"),
    }
    authors = {
        "windows": "the authors' validation set",
        noisy: paper.value("noise.noisy_psnr"),
        tnet: paper.value("table2.TNet.psnr"),
    }
    return pd.DataFrame([*tried, chosen, authors])


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
    numbers, by_detail = noise_numbers(found), found["by_detail"]
    theirs = {
        key: paper.value(f"noise.{key}")
        for key in (
            "noisy_psnr",
            "global_gap",
            "channel_correlation_low",
            "channel_correlation_high",
            "kurtosis",
        )
    }
    lines = [
        ("PSNR, mean over images (dB)", measured(found["psnr"], 2), measured(theirs["noisy_psnr"], 2)),
        (
            "PSNR of the squared error over all images (dB)",
            measured(found["psnr_global"], 2),
            measured(theirs["noisy_psnr"] - theirs["global_gap"], 1),
        ),
        ("PSNR, standard deviation over images (dB)", measured(found["psnr_sd"], 2), None),
        ("mean error", measured(found["mean_error"], 2), "none seen"),
        (
            "correlation between channels, lowest",
            measured(numbers["channel_correlation_low"], 2),
            measured(theirs["channel_correlation_low"], 2),
        ),
        (
            "correlation between channels, highest",
            measured(numbers["channel_correlation_high"], 2),
            measured(theirs["channel_correlation_high"], 2),
        ),
        ("correlation with the neighbouring pixel", measured(found["neighbours"], 3), "none seen"),
        ("kurtosis (Gaussian: 3)", measured(found["kurtosis"], 1), measured(theirs["kurtosis"], 0)),
        (
            "standard deviation, flattest twelfth of the pixels",
            measured(by_detail["sd"][0], 1),
            "none in flat areas",
        ),
        (
            "standard deviation, most detailed twelfth",
            measured(by_detail["sd"][-1], 1),
            "largest in fine detail",
        ),
        ("correlation between the two copies' errors", measured(found["pair_correlation"], 3), None),
    ]
    return pd.DataFrame(lines, columns=["of the noise", "this dataset", "the authors' data"], dtype=object)


def other_noises(subpixel: Mapping, others: Mapping[str, Mapping], labels: Mapping[str, str]) -> pd.DataFrame:
    """Noises around the same clean images, before and after they are stored.

    `measurements.noise` and `other_noises`.

    labels: name of each noise -> how the table calls it. Correlations are means over the three pairs of
    channels.
    """
    stored = {
        "sub-pixel sampling": subpixel | {"zero_mean": True, "clipped_mean_error": subpixel["mean_error"]}
    }
    stored |= {label: others[name] for name, label in labels.items()}
    between = {label: [r for r in one["channels"].values() if r is not None] for label, one in stored.items()}
    return pd.DataFrame(
        [
            {
                "noise": label,
                "meant to be zero-mean": "yes" if one["zero_mean"] else "no",
                "mean error": measured(one["mean_error"], 2),
                "stored in 8 bits": measured(one["clipped_mean_error"], 2),
                "between channels": measured(np.mean(between[label]), 2) if between[label] else None,
                "kurtosis": one["kurtosis"],
                "PSNR (dB)": one["psnr"],
            }
            for label, one in stored.items()
        ]
    )


def measured(value: float | Sequence[float] | None, digits: int) -> MeanSE | None:
    """Return a cell with its own digits: a value, or (value, standard error); None stays None."""
    if value is None:
        return None
    return MeanSE(*map(float, value), digits) if np.ndim(value) else MeanSE(float(value), None, digits)
