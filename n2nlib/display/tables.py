"""Tables of networks and of comparisons, the paper's beside ours: Tables 1 and 2, ablations, cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from torch import nn

from n2nlib import paper
from n2nlib.analysis import intervals
from n2nlib.analysis.comparison import Comparison
from n2nlib.analysis.intervals import Interval, MeanSD, PValue
from n2nlib.analysis.precision import Effect, described
from n2nlib.analysis.verdicts import ALPHA
from n2nlib.models import build
from n2nlib.models.summary import multiply_adds, trace

#: Rows that stand for the same row of the paper.
PAPER_ROW = {"UNet (shared decoder)": "UNet"}


def table1(rates: Comparison) -> pd.DataFrame:
    """Table 1 as the paper prints it, a column for each learning rate, with our rows beneath the paper's.

    The published loss is mean squared error x 1563/32 at every size.
    """
    published, factor, n = paper.table1().loc[rates.labels], paper.loss_factor(), paper.value("table1.seeds")
    theirs = list(published.itertuples())
    psnr, loss, mse = "PSNR (dB)", "Loss (L2)", "MSE against the noisy target"
    lines = [
        (psnr, "paper", *(MeanSD(row.psnr, row.psnr_sd, n) for row in theirs)),
        (psnr, "ours", *(rates.level(label) for label in rates.labels)),
        (loss, "paper", *(MeanSD(row.loss, row.loss_sd, n, 5) for row in theirs)),
        (loss, "ours", *(rates.level(label, "published_loss").to(5) for label in rates.labels)),
        (mse, "paper, converted", *(MeanSD(row.loss / factor, row.loss_sd / factor, n, 6) for row in theirs)),
        (mse, "ours", *(rates.level(label, "loss").to(6) for label in rates.labels)),
        ("seeds", "paper", *[n] * len(theirs)),
        ("seeds", "ours", *(len(runs) for runs in rates.rows.values())),
    ]
    return pd.DataFrame(lines, columns=["", "from", *(f"lr {label}" for label in rates.labels)])


def learning_rate_differences(rates: Comparison) -> pd.DataFrame:
    """Each learning rate minus the reference rate: PSNR (dB) and published loss, the paper's and ours."""
    published = paper.table1()
    loss = rates.differences("published_loss")
    return pd.DataFrame([
        {
            "learning rates": f"{label} minus {rates.reference}",
            "PSNR, paper (dB)": intervals.printed(published.psnr[label] - published.psnr[rates.reference]),
            "PSNR, ours (dB)": difference,
            "loss, paper": intervals.printed(published.loss[label] - published.loss[rates.reference], 5),
            "loss, ours": loss[label].signed(5),
        }
        for label, difference in rates.differences().items()
    ])  # fmt: skip


def column_ranges(*trios: tuple[str, Comparison]) -> pd.DataFrame:
    """How far the three columns of Table 1 lie apart.

    The paper's, and those of each comparison that has all three.

    p: one-way analysis of variance, from the printed means and deviations for the paper.
    """
    published, n = paper.table1(), paper.value("table1.seeds")
    names = ["columns", "left", "middle", "right", "range (dB)", "range of the loss", "p, equal means"]
    p = intervals.equal_means(published.psnr, published.psnr_sd, n)
    lines = [("the paper", *map(MeanSD, published.psnr, published.psnr_sd), float(np.ptp(published.psnr)),
              float(np.ptp(published.loss)), p)]  # fmt: skip
    for name, trio in trios:
        if len(trio.rows) != len(published):
            continue
        levels = [trio.level(label) for label in trio.labels]
        losses = [trio.level(label, "published_loss").mean for label in trio.labels]
        means, sds, seeds = zip(*((x.mean, x.sd, x.n) for x in levels), strict=True)
        p = None if None in sds else intervals.equal_means(means, sds, seeds)
        lines.append((name, *levels, float(np.ptp(means)), float(np.ptp(losses)), p))
    # A column of floats would lose how a p value is printed.
    return pd.DataFrame(lines, columns=names, dtype=object)


def table2(rows: Comparison) -> pd.DataFrame:
    """Table 2 as the paper prints it, ours beside it: what it says of a network is read from the network.

    #P: thousands of trainable parameters. The paper's columns are empty for a row that it does not have; its
    one UNet row stands beside both of ours.
    """
    published, n = paper.table2(), paper.value("table2.seeds")
    lines = []
    for label, runs in rows.rows.items():
        network = build(runs[0].spec.network, **runs[0].spec.options)
        name = PAPER_ROW.get(label, label)
        theirs = published.loc[name] if name in published.index else None
        lines.append({
            "model": label,
            "#P, paper": None if theirs is None else float(theirs.parameters_thousand),
            "#P, ours": runs[0].metrics["parameters"] / 1000,
            "Res": "Yes" if has_skips(network) else "No",
            "Loss": runs[0].spec.loss,
            "BN": "Yes" if any(isinstance(m, nn.BatchNorm2d) for m in network.modules()) else "No",
            "PSNR, paper": None if theirs is None else MeanSD(theirs.psnr, theirs.psnr_sd, n).to(2),
            "PSNR, ours": rows.level(label).to(2),
            "n": len(runs),
        })  # fmt: skip
    return pd.DataFrame(lines)


def has_skips(network: nn.Module) -> bool:
    """Say whether anything bypasses a layer of the network: some step takes more than one earlier result."""
    return any(len(step.inputs) > 1 for step in trace(network))


def table2_differences(rows: Comparison) -> pd.DataFrame:
    """Each row of Table 2 minus the reference row in dB, the paper's and ours, and PSNR (dB) of each seed."""
    seeds = by_seed(rows)
    return pd.DataFrame([
        {
            f"minus {rows.reference}": label,
            "paper (dB)": published_difference(label, rows.reference),
            "ours (dB)": difference,
            **seeds[label],
        }
        for label, difference in rows.differences().items()
    ])  # fmt: skip


def ablation(rows: Comparison) -> pd.DataFrame:
    """Rows without published numbers beside the reference row: size, PSNR (dB), difference, and each seed.

    #P: thousands of trainable parameters. Without any row but the reference the table is empty.
    """
    found, seeds = rows.differences(), by_seed(rows)
    return pd.DataFrame([
        {
            "model": label,
            "#P": runs[0].metrics["parameters"] / 1000,
            "PSNR (dB)": rows.level(label),
            "n": len(runs),
            f"minus {rows.reference} (dB)": found.get(label),
            **seeds[label],
        }
        for label, runs in (rows.rows if found else {}).items()
    ])  # fmt: skip


def versus(rows: Comparison, pairs: Mapping[str, tuple[str, str]]) -> pd.DataFrame:
    """TNet and UNet trained in several ways: PSNR (dB) and difference. `pairs`: name -> two labels."""
    return pd.DataFrame([
        {
            "training": name,
            "TNet (dB)": rows.level(pairs[name][0]),
            "UNet (dB)": rows.level(pairs[name][1]),
            "n, TNet": len(rows.rows[pairs[name][0]]),
            "n, UNet": len(rows.rows[pairs[name][1]]),
            "TNet minus UNet (dB)": difference,
        }
        for name, difference in rows.versus(pairs).items()
    ])  # fmt: skip


def headline(rows: Comparison) -> pd.DataFrame:
    """Table 2: differences to the reference row first, then PSNR, and thousands of parameters (#P)."""
    if not rows.rows:
        return pd.DataFrame()
    reference, found, both = rows.reference or "TNet", rows.differences(), table2(rows)
    return pd.DataFrame({
        "model": both["model"],
        f"paper, minus {reference} (dB)": [published_difference(label, reference) for label in rows.labels],
        f"ours, minus {reference} (dB)": [found.get(label) for label in rows.labels],
        "PSNR, paper (dB)": both["PSNR, paper"],
        "PSNR, ours (dB)": both["PSNR, ours"],
        "n": both["n"],
        "#P, paper (thousand)": both["#P, paper"],
        "#P, ours (thousand)": both["#P, ours"],
    })  # fmt: skip


def published_difference(label: str, reference: str = "TNet") -> Interval | None:
    """Table 2's PSNR (dB) of one row minus that of another; None for rows that it does not have."""
    psnr = paper.table2().psnr
    a, b = (PAPER_ROW.get(name, name) for name in (label, reference))
    return intervals.printed(psnr[a] - psnr[b]) if {a, b} <= set(psnr.index) and label != reference else None


Cells = Mapping[str, Mapping[str, object]]


def against_reference(
    rows: Comparison, name: str, before: Cells | None = None, after: Cells | None = None
) -> pd.DataFrame:
    """Each row of a comparison: PSNR (dB), difference to the reference row, and number of seeds.

    name: heading of the labels; before, after: label -> further cells at the left and at the right of these.
    Empty where there is nothing to compare.
    """
    found = rows.differences()
    return pd.DataFrame([
        {
            name: label,
            **(before or {}).get(label, {}),
            "PSNR (dB)": rows.level(label),
            f"minus {rows.reference} (dB)": found.get(label),
            "n": len(runs),
            **(after or {}).get(label, {}),
        }
        for label, runs in (rows.rows if rows else {}).items()
    ], dtype=object)  # fmt: skip


def by_seed(rows: Comparison) -> dict[str, dict[str, float | None]]:
    """PSNR (dB) of each seed of each row, a column for every seed of any row; None where a row lacks it."""
    seeds = sorted(set(rows.frame.get("seed", [])))
    found = {label: {run.spec.seed: value for run, value in zip(runs, rows.values(label), strict=True)}
             for label, runs in rows.rows.items()}  # fmt: skip
    return {label: {f"seed {seed}": values.get(seed) for seed in seeds} for label, values in found.items()}


def equivalences(effects: Iterable[Effect]) -> pd.DataFrame:
    """Whether runs in fp32 and in a lower precision end alike, per kind of run.

    p: TOST on the mean difference in PSNR within `paper.margin`, by the rules of `analysis.verdicts`:
    adjusted by Holm's method over the table. The order of rounding errors is chaotic, so only the outcomes
    can be compared.
    """
    effects = list(effects)
    margins = [paper.margin(kind.network, kind.network) for kind, _, _ in effects]
    p_values = [intervals.equivalence(d, margin) for (_, _, d), margin in zip(effects, margins, strict=True)]
    adjusted = intervals.holm(p_values)
    return pd.DataFrame([
        {
            "run": described(kind),
            "training images": kind.images,
            "precision": precision,
            "minus fp32 (dB)": difference.signed(3),
            "n": difference.n,
            "margin (dB)": margin,
            "within the margin": "yes" if p < ALPHA else "not significant",
            "p, adjusted": PValue(p),
        }
        for (kind, precision, difference), margin, p in zip(effects, margins, adjusted, strict=True)
    ], dtype=object)  # fmt: skip


def networks(built: Mapping[str, nn.Module]) -> pd.DataFrame:
    """Trainable parameters and MACs of one 32×32 image, and their ratios to TNet's.

    "counted at each use": parameters as a listing has them that counts a layer whenever it is called.
    """
    steps = {label: trace(network) for label, network in built.items()}
    parameters = {label: sum(step.parameters for step in taken) for label, taken in steps.items()}
    macs = {label: sum(step.multiply_adds for step in taken) for label, taken in steps.items()}

    def at_each_use(taken) -> int:
        own = {step.name: step.parameters for step in taken if not step.again}
        return sum(own[step.name] for step in taken)

    return pd.DataFrame([
        {
            "network": label,
            "parameters": parameters[label],
            "counted at each use": at_each_use(steps[label]),
            "times TNet's": parameters[label] / parameters["TNet"],
            "MACs per image": macs[label],
            "times TNet's MACs": macs[label] / macs["TNet"],
        }
        for label in built
    ])  # fmt: skip


def effort(sizes: pd.DataFrame, record: Mapping | None) -> pd.DataFrame:
    """Work and time of training on one image: MACs from `networks`, time from a record of `make bench`."""
    timed = (record or {}).get("training", [])
    alone = ("engine", 1, "fp32")
    rate = {r["network"]: r["images/s"] for r in timed if (r["loop"], r["runs"], r["precision"]) == alone}
    return pd.DataFrame([
        {
            "network": label,
            "MACs, times TNet's": macs,
            "images per second": round(rate[label]) if label in rate else None,
            "time per image, times TNet's": rate["TNet"] / rate[label] if label in rate else None,
        }
        for label, macs in zip(sizes["network"], sizes["times TNet's MACs"], strict=True)
    ], dtype=object)  # fmt: skip


def network_sizes(rows: Comparison) -> dict[str, dict[str, int | float]]:
    """Trainable parameters of each row's network, and millions of MACs for one image of 32x32 pixels."""
    sizes = {}
    for label, (run, *_) in rows.rows.items():
        macs = multiply_adds(build(run.spec.network, **run.spec.options))
        sizes[label] = {"parameters": run.metrics["parameters"], "MACs (M)": macs / 1e6}
    return sizes
