"""Tables of chapter 07 on its six questions."""

from __future__ import annotations

import pandas as pd

from n2nlib import paper
from n2nlib.analysis import intervals, quantities
from n2nlib.analysis.comparison import Comparison
from n2nlib.analysis.image_statistics import LEDGER_NAMES
from n2nlib.analysis.intervals import MeanSD
from n2nlib.analysis.ledger import Ledger
from n2nlib.display.tables import by_seed, published_difference


def basenet_trained_or_not(rows: Comparison, zero: float) -> pd.DataFrame:
    """BaseNet's PSNR (dB): published, trained and never updated, and above a black image.

    zero: PSNR (dB) of black images, here; the paper's is known too. Levels depend on how dark photographs
    are.
    """
    names = {"BaseNet": "trained", "BaseNet, never updated": "never updated"}
    theirs = MeanSD(paper.value("table2.BaseNet.psnr"), paper.value("table2.BaseNet.psnr_sd"))
    above = theirs.mean - paper.value("basenet.zero_image_psnr")
    lines = [{"BaseNet": "the paper", "PSNR (dB)": theirs, "minus a black image (dB)": above}]
    ours = rows.select(*names)
    for label, seeds in by_seed(ours).items():
        level = ours.level(label)
        of_ours = {"PSNR (dB)": level, "minus a black image (dB)": level.mean - zero}
        lines.append({"BaseNet": names[label], **of_ours, **seeds})
    return pd.DataFrame(lines)


def l1_and_bn(rows: Comparison) -> pd.DataFrame:
    """TNet+L1 and TNet+BN minus TNet (dB): printed, with the rows exchanged, by other groups, and ours."""
    labels = ("TNet+L1", "TNet+BN")
    l1, bn = (published_difference(label) for label in labels)
    others = [intervals.printed(-paper.value(f"suspects.l1_cost_{end}")) for end in ("low", "high")]
    ours = rows.differences()
    lines = {
        "the paper, as printed": (l1, bn),
        "the paper, rows exchanged": (bn, l1),
        "other groups, smallest cost": (others[0], None),
        "other groups, largest cost": (others[1], None),
        "ours": tuple(ours.get(label) for label in labels),
    }
    cells = [{"minus TNet (dB)": who, "+L1": a, "+BN": b} for who, (a, b) in lines.items()]
    return pd.DataFrame(cells, dtype=object)


def peers() -> pd.DataFrame:
    """What other groups and the paper reached on the authors' data."""
    return paper.peers().rename(columns={"psnr": "PSNR (dB)", "helped": "what helped"})


#: Filters of chapter 02 that TNet is set against: name of the number -> name in a table.
RIVALS = {"mean": "mean", "gaussian": "Gaussian", "linear": "5×5 linear, fitted"}


def filters_question(found: Ledger) -> pd.DataFrame:
    """PSNR (dB) of tuned filters, and TNet minus each, as chapter 02 measured them."""
    lines = []
    for name, title in RIVALS.items():
        level, gain = (found.number(f"filters.{key}") for key in (f"{name}.psnr", f"tnet_minus_{name}"))
        if level is not None and gain is not None:
            lines.append((title, level.value, gain.signed()))
    return pd.DataFrame(lines, columns=["filter", "filter (dB)", "TNet minus filter (dB)"])


def edges_question(found: Ledger) -> pd.DataFrame:
    """Weight on a pixel's own side of an edge over that on the other side, as chapter 05 measured it."""
    prefix, numbers = "smoothgrad.same_side.", found.evidence.numbers
    called = {name: label for label, name in LEDGER_NAMES.items()}
    kept = [key.removeprefix(prefix) for key, value in numbers.items()
            if key.startswith(prefix) and value is not None]  # fmt: skip
    return pd.DataFrame([
        {
            "method": called.get(name, name),
            "own side over other side": found.number(prefix + name),
            "images": numbers[prefix + name]["images"],
        }
        for name in kept
    ])  # fmt: skip


def authors_levels(found: Ledger) -> pd.DataFrame:
    """Each printed PSNR (dB) beside the level predicted for our runs on the authors' images."""
    levels = [j for j in found.about("levels") if j.claim.kind == "level" and j.claim.metric == "psnr"]
    numbers = found.evidence.numbers
    lines = [
        {
            "row": quantities.row_name(j.claim.a),
            "printed (dB)": j.claim.published,
            "predicted (dB)": found.number(name),
            "calibrated": "yes" if numbers[name]["in_range"] else "no",
            "verdict": j.verdict,
        }
        for j in levels
        if numbers.get(name := f"authors.level.{j.claim.a}") is not None
    ]
    return pd.DataFrame(lines)


def cost(rows: Comparison) -> pd.DataFrame:
    """What UNet and TNet needed to the highest PSNR that all their runs reach: images, MACs, seconds.

    Empty without both.
    """
    both = {row: rows.rows[row] for row in ("UNet", "TNet") if row in rows.rows}
    if len(both) < 2:
        return pd.DataFrame()
    units = {
        "training images": ("images", 1, 0),
        "MACs (10^12)": ("macs", 1e12, 2),
        "seconds": ("seconds", 1, 0),
    }
    frame = pd.DataFrame({"network": list(both), "to (dB)": quantities.common_level(both)})
    for name, (metric, unit, digits) in units.items():
        needed = quantities.cost(both, metric)
        frame[name] = [MeanSD.of([x / unit for x in needed[row]]).to(digits) for row in both]
    return frame.assign(n=[len(runs) for runs in both.values()])
