"""Tables of chapter 07 on its six questions."""

from __future__ import annotations

import pandas as pd

from n2nlib import paper
from n2nlib.analysis import intervals, quantities
from n2nlib.analysis.comparison import Comparison
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
    lines = {"the paper": (theirs, theirs.mean - paper.value("basenet.zero_image_psnr"), {})}
    ours, seeds = rows.select(*names), by_seed(rows.select(*names))
    for label in ours.labels:
        level = ours.level(label)
        lines[names[label]] = level, level.mean - zero, seeds[label]
    return pd.DataFrame([
        {"BaseNet": name, "PSNR (dB)": level, "minus a black image (dB)": above, **each}
        for name, (level, above, each) in lines.items()
    ])  # fmt: skip


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
    numbers = {name: (found.number(f"filters.{name}.psnr"), found.number(f"filters.tnet_minus_{name}"))
               for name in RIVALS}  # fmt: skip
    return pd.DataFrame([
        {"filter": RIVALS[name], "filter (dB)": level.value, "TNet minus filter (dB)": gain.signed()}
        for name, (level, gain) in numbers.items() if level is not None and gain is not None
    ])  # fmt: skip


def edges_question(found: Ledger) -> pd.DataFrame:
    """Weight on a pixel's own side of an edge over that on the other side, as chapter 05 measured it."""
    prefix, numbers = "smoothgrad.same_side.", found.evidence.numbers
    called = {"untrained": "TNet, untrained", "shuffled": "TNet, shuffled weights", "mean": "mean, 3x3",
              "gaussian": "Gaussian",
              "nlm": "non-local means"}  # fmt: skip
    kept = [key for key, value in numbers.items() if key.startswith(prefix) and value is not None]
    return pd.DataFrame([
        {
            "method": called.get(key.removeprefix(prefix), key.removeprefix(prefix)),
            "own side over other side": found.number(key),
            "images": numbers[key]["images"],
        }
        for key in kept
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


def cost(rows: Comparison, a: str = "UNet", b: str = "TNet") -> pd.DataFrame:
    """What two rows needed to the highest PSNR that all their runs reach: images, MACs, seconds.

    Empty without both.
    """
    both = {row: rows.rows[row] for row in (a, b) if row in rows.rows}
    if len(both) < 2:
        return pd.DataFrame()
    level = quantities.common_level(both)
    columns = {
        "training images": ("images", 1, 0),
        "MACs (10^12)": ("macs", 1e12, 2),
        "seconds": ("seconds", 1, 0),
    }
    needed = {
        name: (quantities.cost(both, metric), unit, digits)
        for name, (metric, unit, digits) in columns.items()
    }
    return pd.DataFrame([
        {"network": row, "to (dB)": level}
        | {name: MeanSD.of([x / unit for x in found[row]]).to(digits) for name,
           (found, unit, digits) in needed.items()}
        | {"n": len(both[row])}
        for row in both
    ])  # fmt: skip
