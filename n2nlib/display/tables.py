"""The paper's tables beside ours: rows made from finished runs, and the sentences that go with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from torch import nn

from n2nlib import paper
from n2nlib.analysis import stats
from n2nlib.analysis.comparison import Comparison
from n2nlib.analysis.filters import Filters
from n2nlib.analysis.generalisation import Transfer, WholePhotographs
from n2nlib.analysis.image_statistics import ImageStatistics
from n2nlib.analysis.stats import Interval, MeanSD, MeanSE, PValue
from n2nlib.analysis.verdicts import ALPHA
from n2nlib.evaluation import classical
from n2nlib.models import build
from n2nlib.models.summary import multiply_adds, trace
from n2nlib.runs.store import RunStore
from n2nlib.spec import RunSpec

#: Rows that stand for the same row of the paper.
PAPER_ROW = {"UNet (shared decoder)": "UNet"}


def table1(rates: Comparison) -> pd.DataFrame:
    """Table 1 as the paper prints it, a column for each learning rate, with our rows beneath the paper's.

    The published loss is mean squared error x 1563/32 at every size.
    """
    published, factor = paper.table1().loc[rates.labels], paper.loss_factor()
    n = paper.value("table1.initialisations")
    lines = {
        ("PSNR (dB)", "paper"): [MeanSD(row.psnr, row.psnr_sd, n) for row in published.itertuples()],
        ("PSNR (dB)", "ours"): [rates.level(label) for label in rates.labels],
        ("Loss (L2)", "paper"): [MeanSD(row.loss, row.loss_sd, n, digits=5) for row in published.itertuples()],
        ("Loss (L2)", "ours"): [rates.level(label, "published_loss").to(5) for label in rates.labels],
        ("MSE against the noisy target", "paper, converted"): [
            MeanSD(row.loss / factor, row.loss_sd / factor, n, digits=6) for row in published.itertuples()],
        ("MSE against the noisy target", "ours"): [rates.level(label, "loss").to(6) for label in rates.labels],
        ("seeds", "paper"): [n] * len(published),
        ("seeds", "ours"): [len(runs) for runs in rates.rows.values()],
    }  # fmt: skip
    columns = [f"lr {label}" for label in rates.labels]
    return pd.DataFrame(
        [
            {"": what, "from": whose, **dict(zip(columns, cells, strict=True))}
            for (what, whose), cells in lines.items()
        ]
    )


def learning_rate_differences(rates: Comparison) -> pd.DataFrame:
    """Each learning rate minus the reference rate: PSNR (dB) and published loss, the paper's and ours."""
    published = paper.table1()
    loss = rates.differences("published_loss")
    return pd.DataFrame([
        {
            "learning rates": f"{label} minus {rates.reference}",
            "PSNR, paper (dB)": stats.printed(published.psnr[label] - published.psnr[rates.reference]),
            "PSNR, ours (dB)": difference,
            "loss, paper": stats.printed(published.loss[label] - published.loss[rates.reference], 5),
            "loss, ours": loss[label].signed(5),
        }
        for label, difference in rates.differences().items()
    ])  # fmt: skip


def column_ranges(*trios: tuple[str, Comparison]) -> pd.DataFrame:
    """How far the three columns of Table 1 lie apart: the paper's, and those of each comparison that has all three.

    p: one-way analysis of variance, from the printed means and deviations for the paper.
    """
    published, positions = paper.table1(), ("left", "middle", "right")
    n = paper.value("table1.initialisations")
    lines = [{"columns": "the paper", **dict(zip(positions, map(MeanSD, published.psnr, published.psnr_sd), strict=True)),
              "range (dB)": float(np.ptp(published.psnr)), "range of the loss": float(np.ptp(published.loss)),
              "p, equal means": stats.equal_means(published.psnr, published.psnr_sd, n)}]  # fmt: skip
    for name, trio in trios:
        if len(trio.rows) != len(published):
            continue
        levels = [trio.level(label) for label in trio.labels]
        losses = [trio.level(label, "published_loss").mean for label in trio.labels]
        p = (
            stats.equal_means([x.mean for x in levels], [x.sd for x in levels], levels[0].n)
            if levels[0].sd is not None
            else None
        )
        lines.append({"columns": name, **dict(zip(positions, levels, strict=True)), "range (dB)": float(np.ptp([x.mean for x in levels])),
                      "range of the loss": float(np.ptp(losses)), "p, equal means": p})  # fmt: skip
    return pd.DataFrame(lines, dtype=object)  # a column of floats would lose how a p value is printed


def has_skips(network: nn.Module) -> bool:
    """Say whether anything bypasses a layer of the network: some step takes more than one earlier result."""
    return any(len(step.inputs) > 1 for step in trace(network))


Effect = tuple[RunSpec, str, Interval]


def precision_effects(store: RunStore, precisions: Sequence[str] = ("bf16",)) -> list[Effect]:
    """Return (kind of run, precision, PSNR in dB minus that in fp32) wherever three pairs of runs are stored.

    Pairs share dataset, size and seed; intervals are at 90 %. Without precisions the store is not read.
    """
    kinds: dict[RunSpec, dict[int, dict[str, float]]] = {}
    for run in store.all() if precisions else []:
        kind = run.spec.replace(seed=0, precision="fp32")
        kinds.setdefault(kind, {}).setdefault(run.spec.seed, {})[run.arithmetic] = run.metrics["psnr"]
    out = []
    for kind in sorted(kinds, key=lambda kind: (kind.images, described(kind))):
        for precision in precisions:
            both = [found for found in kinds[kind].values() if {"fp32", precision} <= set(found)]
            if len(both) >= stats.FEWEST:
                out.append(
                    (
                        kind,
                        precision,
                        stats.paired([b[precision] for b in both], [b["fp32"] for b in both], confidence=0.9),
                    )
                )
    return out


def described(spec: RunSpec) -> str:
    """Return a run's network and what in its training is not the paper's TNet's, as words."""
    told = {
        k: v
        for k, v in spec.to_dict().items()
        if k not in ("corpus", "n_train", "epochs", "network", "seed", "precision")
    }
    options = told.pop("options", {})
    return ", ".join([spec.network, *(f"{k} {v}" for k, v in {**options, **told}.items())])


# --- chapter 04 ---


def networks(built: Mapping[str, nn.Module], reference: str = "TNet") -> pd.DataFrame:
    """Trainable parameters and multiply-adds (MACs) of one 32×32 image, and their ratios to the reference's.

    "counted at each use": parameters as a listing has them that counts a layer whenever it is called.
    """
    steps = {label: trace(network) for label, network in built.items()}
    parameters = {label: sum(step.parameters for step in taken) for label, taken in steps.items()}
    macs = {label: sum(step.multiply_adds for step in taken) for label, taken in steps.items()}
    own = {label: {step.name: step.parameters for step in taken if not step.again}
           for label, taken in steps.items()}  # fmt: skip
    return pd.DataFrame([
        {
            "network": label,
            "parameters": parameters[label],
            "counted at each use": sum(own[label][step.name] for step in steps[label]),
            f"times {reference}'s": parameters[label] / parameters[reference],
            "MACs per image": macs[label],
            f"times {reference}'s MACs": macs[label] / macs[reference],
        }
        for label in built
    ])  # fmt: skip


def table2(rows: Comparison) -> pd.DataFrame:
    """Table 2 as the paper prints it, ours beside it: what it says of a network is read from the network.

    #P: thousands of trainable parameters. The paper's columns are empty for a row that it does not have; its
    one UNet row stands beside both of ours.
    """
    published, n = paper.table2(), paper.value("table2.initialisations")
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


# --- chapter 06 ---


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


def versus(
    rows: Comparison, pairs: Mapping[str, tuple[str, str]], a: str = "TNet", b: str = "UNet"
) -> pd.DataFrame:
    """Two networks trained in several ways: PSNR (dB) and difference. `pairs`: name -> two labels."""
    return pd.DataFrame([
        {
            "training": name,
            f"{a} (dB)": rows.level(pairs[name][0]),
            f"{b} (dB)": rows.level(pairs[name][1]),
            f"n, {a}": len(rows.rows[pairs[name][0]]),
            f"n, {b}": len(rows.rows[pairs[name][1]]),
            f"{a} minus {b} (dB)": difference,
        }
        for name, difference in rows.versus(pairs).items()
    ])  # fmt: skip


def equivalences(effects: Iterable[Effect]) -> pd.DataFrame:
    """Whether runs in fp32 and in a lower precision end alike, for each kind of run in `precision_effects`.

    p: TOST on the mean difference in PSNR within `paper.margin`, by the rules of `analysis.verdicts`: adjusted by
    Holm's method over the table. The order of rounding errors is chaotic, so only the outcomes can be compared.
    """
    effects = list(effects)
    margins = [paper.margin(kind.network, kind.network) for kind, _, _ in effects]
    p_values = [stats.equivalence(d, margin) for (_, _, d), margin in zip(effects, margins, strict=True)]
    lines = []
    for (kind, precision, difference), margin, p in zip(effects, margins, stats.holm(p_values), strict=True):
        lines.append({
            "run": described(kind),
            "training images": kind.images,
            "precision": precision,
            "minus fp32 (dB)": difference.signed(3),
            "n": difference.n,
            "margin (dB)": margin,
            "within the margin": "yes" if p < ALPHA else "not significant",
            "p, adjusted": PValue(p),
        })  # fmt: skip
    return pd.DataFrame(lines, dtype=object)  # a column of floats would lose how a p value is printed


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
    first = {label: runs[0] for label, runs in rows.rows.items()}
    return {
        label: {"parameters": run.metrics["parameters"],
                "MACs (M)": multiply_adds(build(run.spec.network, **run.spec.options)) / 1e6}
        for label, run in first.items()
    }  # fmt: skip


def data_sizes(noisy: Comparison, clean: Comparison, photo: np.ndarray) -> pd.DataFrame:
    """Noise2Noise and Noise2Clean on training sets of several sizes, and the gap between them in dB.

    noisy, clean: rows named by their number of training pairs; photo: the photograph of each training pair of
    the whole set. Empty with fewer than two sizes that have both: one size alone shows no growth.
    """
    columns = ["pairs", "photographs", "Noise2Noise (dB)", "Noise2Clean (dB)", "gap (dB)", "n"]
    both = [label for label in noisy.labels if label in clean.rows]
    lines = [
        {
            "pairs": int(label),
            "photographs": len(np.unique(np.sort(photo)[: int(label)])),
            "Noise2Noise (dB)": noisy.level(label),
            "Noise2Clean (dB)": clean.level(label),
            "gap (dB)": stats.psnr_difference(clean.rows[label], noisy.rows[label], noisy.photo).signed(),
            "n": len(noisy.rows[label]),
        }
        for label in (both if len(both) > 1 else ())
    ]
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
    """Each method on whole photographs at each size of cell: PSNR (dB), SSIM, and gains over the noisy image.

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


# --- chapter 01 ---


def dataset(corpus) -> pd.DataFrame:
    """What a dataset's pairs are cut from; None where its files do not say it. Window sides are fractions of the photograph's."""
    recipe = corpus.recipe
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
                "noise": corpus.noise,
            }
            for split, label in (("train", "training"), ("val", "validation"))
        ],
        dtype=object,
    )


def windows() -> pd.DataFrame:
    """Noise and the authors' TNet for several sizes of windows of imagenet-sample, and in the authors' validation set."""
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
    """`measurements.noise` beside what is known of the authors' noise; errors in grey levels, ± one standard error."""
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
    """Noises around the same clean images, before and after they are stored: `measurements.noise` and `other_noises`.

    labels: name of each noise -> how the table calls it. Correlations are means over the three pairs of channels.
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


# --- chapter 02 ---


def tuned_parameters(filters: Filters) -> pd.DataFrame:
    """The parameters that tuning chose, the range that it tried, and what the filter is where the best value is a limit."""
    lines = []
    for name, found in filters.found.items():
        curve = filters.curve(name)
        for p in classical.FILTERS[name].grid:
            lines.append(
                {
                    "filter": filters.title(name),
                    "parameter": p,
                    "chosen": found["parameters"][p],
                    "lowest tried": curve[p].min().item(),
                    "highest tried": curve[p].max().item(),
                    "at a limit": found["at_limit"].get(p),
                }
            )
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

    untrained: label -> `measurements.untrained_network` of each seed; speeds: label -> `measurements.trained_network` of each run.
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
        lines.append(
            {
                "method": label,
                "PSNR (dB)": stats.crossed(per_image, photo=networks.photo),
                "over seeds (dB)": MeanSD.of(per_image.mean(axis=1)),
                "global PSNR (dB)": float(np.mean([one["global"] for one in seeds])),
                "images": per_image.shape[1],
            }
        )
    for label in networks.labels:
        lines.append(
            {
                "method": label,
                "PSNR (dB)": networks.mean(label),
                "over seeds (dB)": networks.level(label),
                "global PSNR (dB)": networks.level(label, "psnr_global").mean,
                "images": len(networks.photo),
                "ms/image": float(np.median([one["ms"] for one in speeds[label]])),
            }
        )
    return pd.DataFrame(lines, dtype=object)


def basenet(networks: Comparison, untrained: Sequence[Mapping], outputs: Sequence[Mapping]) -> pd.DataFrame:
    """BaseNet before and after training, a line per seed: PSNR and dead outputs; None for a seed without run.

    untrained: `measurements.untrained_network` of each seed; outputs: `measurements.trained_network` of each run.
    """
    trained = {
        run.spec.seed: {
            "trained (dB)": float(run.psnr.mean()),
            "dead channels of 3": out["dead_channels"],
            "same output for every image": "yes" if out["same"] else "no",
        }
        for run, out in zip(networks.rows.get("BaseNet", []), outputs, strict=True)
    }
    columns = ("trained (dB)", "dead channels of 3", "same output for every image")
    return pd.DataFrame(
        [
            {
                "seed": seed,
                "untrained (dB)": float(one["arrays"]["psnr"].mean()),
                **(trained.get(seed) or dict.fromkeys(columns)),
            }
            for seed, one in enumerate(untrained)
        ],
        dtype=object,
    )


def ahead(label: str, d: Interval, judged: bool = True) -> str:
    """On which side of another method a row ends, as a table cell; `judged`: whether the runs allow saying so."""
    if not judged:
        return "not tested at this size"
    if not d:
        return "too few seeds or photographs for an interval"
    if d.low > 0:
        return f"{label} is ahead"
    return f"{label} is behind" if d.high < 0 else "no significant difference"


def gains_over_filters(filters: Filters, networks: Comparison) -> pd.DataFrame:
    """PSNR of TNet minus that of each filter, with each seed, and what the interval shows; empty without TNet."""
    lines = []
    for name, d in filters.gains(networks).items():
        seeds = {
            f"seed {run.spec.seed} (dB)": float((run.psnr - filters.psnr(name)).mean())
            for run in networks.rows["TNet"]
        }
        judged = name == "noisy" or networks.images >= paper.value("calibration.gaussian_passed_at")
        lines.append(
            {
                "TNet minus": filters.title(name),
                "difference (dB)": d,
                **seeds,
                "result": ahead("TNet", d, judged),
            }
        )
    return pd.DataFrame(lines)


# --- chapter 05 ---

#: What the paper's section 3 says, and the statistic that measures it.
SECTION3 = {
    "change_auc": ("the network mainly changes the noisy pixels", "AUC with which the change finds them"),
    "loss_gradient_auc": ("the loss gradient is high there", "AUC with which it finds them"),
    "output_gradient_ratio": (
        "the output gradient is low there",
        "ratio to that at quiet pixels of equal detail",
    ),
    "ring_ratio": ("and high around them", "the same ratio for the eight neighbours"),
    "same_side": ("object and background are distinguished", "weight on the own side over the other"),
}


def noise_found(found: ImageStatistics) -> pd.DataFrame:
    """How well the change and the loss gradient of each subject find the noisy pixels (AUC)."""
    return _averages(
        found, {"AUC of the change": "change_auc", "AUC of the loss gradient": "loss_gradient_auc"}
    )


def output_gradients(found: ImageStatistics) -> pd.DataFrame:
    """The output gradient at noisy pixels and around them over that at quiet ones, if it is there."""
    ratios = {
        "noisy / quiet pixel": "output_gradient_ratio",
        "around noisy / around quiet": "ring_ratio",
        "pixel to ring": "pixel_to_ring",
    }
    with_gradient = {label: arrays for label, arrays in found.found.items() if "pixel" in arrays}
    return _averages(ImageStatistics(with_gradient), ratios)


def changes(found: ImageStatistics) -> pd.DataFrame:
    """Which share of each subject's change falls on the noisy pixels, and how many of these it moves inwards."""
    columns = {"share of the change": "change_share", "moved towards the neighbours": "towards_surroundings"}
    return _averages(found, columns)


def background(found: ImageStatistics) -> pd.DataFrame:
    """The output gradient on the side of the background over that of the object, beside edges."""
    return _averages(found, {"background / object": "background_ratio"})


def _averages(found: ImageStatistics, columns: Mapping[str, str]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "": label,
                **{title: found.average(label, name) for title, name in columns.items()},
                "images": found.images(label),
            }
            for label in found.labels
        ]
    )


def smoothgrad_sensitivity(
    found: Mapping[tuple[int, float], ImageStatistics], label: str = "TNet"
) -> pd.DataFrame:
    """The statements about gradients at several (samples, sigma) of SmoothGrad."""
    columns = {
        "AUC of the loss gradient": "loss_gradient_auc",
        "noisy / quiet pixel": "output_gradient_ratio",
        "around noisy / around quiet": "ring_ratio",
    }
    return pd.DataFrame(
        [
            {
                "σ": sigma,
                "samples": samples,
                **{title: each.average(label, name) for title, name in columns.items()},
            }
            for (samples, sigma), each in found.items()
            if label in each.labels
        ]
    )


def own_side(sides: ImageStatistics, filters: Mapping[str, Sequence] | None = None) -> pd.DataFrame:
    """Weight on the own side of an edge over that on the other, with what each of the filters is tuned to."""
    settings = {
        label: ", ".join(f"{k} {v:.3g}" for k, v in f.parameters.items())
        for label, (f, *_) in (filters or {}).items()
    }
    return pd.DataFrame(
        [
            {
                "": label,
                "tuned to": settings.get(label),
                "own side / other side": sides.average(label, "same_side"),
                "images": sides.images(label, "same_side"),
                "edge pixels": int(arrays["edges"][0].sum()),
            }
            for label, arrays in sides.found.items()
        ]
    )


def section3(
    found: ImageStatistics,
    sides: ImageStatistics,
    labels: Sequence[str] = ("TNet", "Gaussian", "TNet, untrained"),
) -> pd.DataFrame:
    """Each sentence of section 3 beside what was measured of some subjects; empty without the first."""
    return pd.DataFrame(
        [
            {
                "the paper": sentence,
                "measured": measured,
                **{label: (sides if name == "same_side" else found).average(label, name) for label in labels},
            }
            for name, (sentence, measured) in SECTION3.items()
            if labels[0] in found.labels
        ]
    )


# --- chapter 07 ---


def published_difference(label: str, reference: str = "TNet") -> Interval | None:
    """Table 2's PSNR (dB) of one row minus that of another; None for rows that it does not have."""
    psnr = paper.table2().psnr
    a, b = (PAPER_ROW.get(name, name) for name in (label, reference))
    return stats.printed(psnr[a] - psnr[b]) if {a, b} <= set(psnr.index) and label != reference else None


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
