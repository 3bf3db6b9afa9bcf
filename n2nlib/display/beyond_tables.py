"""Tables of chapter 06: sizes of the training set, network search, transfer and whole photographs."""

from __future__ import annotations

import numpy as np
import pandas as pd

from n2nlib.analysis.comparison import Comparison, difference_of
from n2nlib.analysis.generalisation import Transfer, WholePhotographs


def data_sizes(noisy: Comparison, clean: Comparison, photo: np.ndarray) -> pd.DataFrame:
    """Noise2Noise and Noise2Clean on training sets of several sizes, and the gap between them in dB.

    noisy, clean: rows named by their number of training pairs; photo: the photograph of each training pair of
    the whole set. Empty with fewer than two sizes that have both: one size alone shows no growth.
    """
    columns = ["pairs", "photographs", "Noise2Noise (dB)", "Noise2Clean (dB)", "gap (dB)", "n"]
    both = [label for label in noisy.labels if label in clean.rows]
    lines = []
    for label in both if len(both) > 1 else ():
        gap = difference_of(clean.rows[label], noisy.rows[label], noisy.photo).signed()
        photographs = len(np.unique(np.sort(photo)[: int(label)]))
        levels = noisy.level(label), clean.level(label)
        lines.append((int(label), photographs, *levels, gap, len(noisy.rows[label])))
    return pd.DataFrame(lines, columns=columns)


def trials(tried: pd.DataFrame, best: pd.DataFrame) -> pd.DataFrame:
    """The best trials of a search: options that differ between them, and PSNR (dB) at the end.

    tried, best: `search.trials` and `search.best` of them.
    """
    *rungs, last = [column for column in tried if column.startswith("psnr@")]
    return best.drop(columns=["state", *rungs, *shared_options(best)]).rename(columns={last: "PSNR (dB)"})


def shared_options(best: pd.DataFrame) -> dict[str, object]:
    """Options that several trials of a search have in common, with their value."""
    options = [c for c in best if c not in ("state", "parameters") and not c.startswith("psnr@")]
    return {c: best[c].iloc[0] for c in options if len(best) > 1 and best[c].nunique() == 1}


def transfer(found: Transfer) -> pd.DataFrame:
    """Networks judged on the data that they were trained on and on other data, in dB."""
    return pd.DataFrame([
        {
            "trained on": source,
            "judged on": target,
            "noisy (dB)": float(rows.noisy.mean()),
            "PSNR (dB)": rows.level(source),
            "minus trained there (dB)": found.losses.get((source, target)),
            "n": len(runs),
        }
        for target, rows in found.targets.items() for source, runs in rows.rows.items()
    ], dtype=object)  # fmt: skip


def whole_photographs(whole: WholePhotographs) -> pd.DataFrame:
    """Methods on whole photographs by cell size: PSNR (dB), SSIM, gain over the noisy image.

    height, width: medians of the sampled images in pixels.
    """
    lines = []
    for cell in whole.cells:
        height, width = np.median(whole.shapes[cell], axis=0)
        for method in whole.methods:
            above = method != "noisy"
            lines.append({
                "cell": cell,
                "height": float(height),
                "width": float(width),
                "photographs": len(whole.shapes[cell]),
                "method": method,
                "PSNR (dB)": whole.level(cell, method),
                "minus noisy (dB)": whole.gain(cell, method) if above else None,
                "SSIM": float(whole.values(cell, method, "ssim").mean()),
                "SSIM minus noisy": whole.gain(cell, method, measure="ssim").signed(3) if above else None,
                "n": len(whole.values(cell, method)) if method in whole.networks else None,
            })  # fmt: skip
    return pd.DataFrame(lines, dtype=object)
