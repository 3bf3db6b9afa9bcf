"""Tables of chapter 02: classical filters, how they were tuned, and networks beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from n2nlib import paper
from n2nlib.analysis import intervals
from n2nlib.analysis.comparison import Comparison
from n2nlib.analysis.filters import Filters
from n2nlib.analysis.intervals import Interval, MeanSD
from n2nlib.display.words import side
from n2nlib.evaluation import classical


def tuned_parameters(filters: Filters) -> pd.DataFrame:
    """The parameters that tuning chose, the range tried, and what the filter is at a limit of it."""
    lines = []
    for name, found in filters.found.items():
        curve = filters.curve(name)
        for p in classical.FILTERS[name].grid:
            lines.append({
                "filter": filters.title(name),
                "parameter": p,
                "chosen": found["parameters"][p],
                "lowest tried": curve[p].min().item(),
                "highest tried": curve[p].max().item(),
                "at a limit": found["at_limit"].get(p),
            })  # fmt: skip
    return pd.DataFrame(lines, dtype=object)  # sizes and distances stay whole numbers


def linear_kernel(filters: Filters) -> pd.DataFrame:
    """The fitted 5x5 kernel in hundredths: rows and columns are vertical and horizontal offsets in pixels."""
    offsets = [f"{d:+d}" if d else "0" for d in range(-2, 3)]
    kernel = pd.DataFrame(100 * np.array(filters.found["linear"]["parameters"]["weights"]), columns=offsets)
    kernel.insert(0, "", offsets)
    return kernel


def baselines(
    filters: Filters,
    networks: Comparison,
    untrained: Mapping[str, Sequence[Mapping]],
    speeds: Mapping[str, Sequence[Mapping]],
) -> pd.DataFrame:
    """Classical filters, untrained networks and trained ones in one table.

    untrained: label -> `measurements.untrained_network` of each seed; speeds: label ->
    `measurements.trained_network` of each run.
    """
    lines = [
        {
            "method": filters.title(name),
            "PSNR (dB)": filters.mean(name),
            "over seeds (dB)": None,
            "global PSNR (dB)": found["global"],
            "images": len(filters.psnr(name)),
            "ms/image": found["ms"],
        }
        for name, found in filters.found.items()
    ]
    lines += [{"method": filters.title(name)} for name in filters.absent]
    for label, seeds in untrained.items():
        per_image = np.stack([one["arrays"]["psnr"] for one in seeds])
        lines.append({
            "method": label,
            "PSNR (dB)": intervals.crossed(per_image, photo=networks.photo),
            "over seeds (dB)": MeanSD.of(per_image.mean(axis=1)),
            "global PSNR (dB)": float(np.mean([one["global"] for one in seeds])),
            "images": per_image.shape[1],
        })  # fmt: skip
    lines += [
        {
            "method": label,
            "PSNR (dB)": networks.mean(label),
            "over seeds (dB)": networks.level(label),
            "global PSNR (dB)": networks.level(label, "psnr_global").mean,
            "images": len(networks.photo),
            "ms/image": float(np.median([one["ms"] for one in speeds[label]])),
        }
        for label in networks.labels
    ]
    return pd.DataFrame(lines, dtype=object)


def basenet(networks: Comparison, untrained: Sequence[Mapping], outputs: Sequence[Mapping]) -> pd.DataFrame:
    """BaseNet before and after training, a line per seed: PSNR and dead outputs.

    untrained: `measurements.untrained_network` of each seed; outputs: `measurements.trained_network` of each
    run.
    """
    trained = {
        run.spec.seed: {
            "trained (dB)": float(run.psnr.mean()),
            "dead channels of 3": out["dead_channels"],
            "same output for every image": "yes" if out["same"] else "no",
        }
        for run, out in zip(networks.rows.get("BaseNet", []), outputs, strict=True)
    }
    none = dict.fromkeys(("trained (dB)", "dead channels of 3", "same output for every image"))
    lines = [
        {"seed": seed, "untrained (dB)": float(one["arrays"]["psnr"].mean()), **trained.get(seed, none)}
        for seed, one in enumerate(untrained)
    ]
    return pd.DataFrame(lines, dtype=object)


def gains_over_filters(filters: Filters, networks: Comparison) -> pd.DataFrame:
    """PSNR of TNet minus that of each filter, with each seed, and what the interval shows.

    Empty without TNet.
    """
    enough, lines = paper.value("calibration.gaussian_passed_at"), []
    for name, d in filters.gains(networks).items():
        seeds = {f"seed {run.spec.seed} (dB)": float((run.psnr - filters.psnr(name)).mean())
                 for run in networks.rows["TNet"]}  # fmt: skip
        result = ahead("TNet", d, judged=name == "noisy" or networks.images >= enough)
        lines.append({"TNet minus": filters.title(name), "difference (dB)": d, **seeds, "result": result})
    return pd.DataFrame(lines)


def ahead(label: str, d: Interval, judged: bool = True) -> str:
    """On which side of another method a row ends, as a table cell.

    `judged`: whether the runs allow saying so.
    """
    if not judged:
        return "not tested at this size"
    if not d:
        return "too few seeds or photographs for an interval"
    ahead, behind = f"{label} is ahead", f"{label} is behind"
    return side(d, 0, ahead, behind, "no significant difference")
