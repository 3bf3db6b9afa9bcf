"""The paper's tables beside ours: rows made from finished runs, and the sentences that go with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from torch import nn

from . import claims, classical, paper, stats, words
from .comparison import Comparison
from .filters import Filters
from .models import build
from .models.summary import trace
from .runs import Run
from .spec import Profile, RunSpec
from .stats import Interval, MeanSD, MeanSE

Runs = Mapping[str, Sequence[Run]]

#: Half the width (dB) within which training in a lower precision counts as the same.
EQUIVALENCE_DB = 0.03

#: Rows that stand for the same row of the paper.
PAPER_ROW = {"UNet (shared decoder)": "UNet"}


def psnr(runs: Sequence[Run]) -> list[float]:
    """Mean PSNR (dB) of each initialisation."""
    return [float(run.psnr.mean()) for run in runs]


def mean_sd(values: Sequence[float], sd: Sequence[float] | float | None = None, digits: int = 2) -> str:
    """Return "mean ± sd" of values over initialisations; `sd` given: of one published value and its deviation."""
    return stats.mean_sd(values, digits) if sd is None else f"{values:.{digits}f} ± {sd:.{digits}f}"


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
    return pd.DataFrame([{"": what, "from": whose, **dict(zip(columns, cells, strict=True))} for (what, whose), cells in lines.items()])


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
        p = stats.equal_means([x.mean for x in levels], [x.sd for x in levels], levels[0].n) if levels[0].sd is not None else None
        lines.append({"columns": name, **dict(zip(positions, levels, strict=True)), "range (dB)": float(np.ptp([x.mean for x in levels])),
                      "range of the loss": float(np.ptp(losses)), "p, equal means": p})  # fmt: skip
    return pd.DataFrame(lines)


def table2(rows: Runs) -> pd.DataFrame:
    """Table 2 as the paper prints it, ours beside it: parameters, residual connections and batch norm from the network.

    A row that the paper does not have is dashed in its columns; its one UNet row stands beside both of ours.
    """
    published = paper.table2()
    out = []
    for label, runs in rows.items():
        network = build(runs[0].spec.network, **runs[0].spec.options)
        name = PAPER_ROW.get(label, label)
        theirs = published.loc[name] if name in published.index else None
        out.append(
            {
                "model": label,
                "#P, paper": "–" if theirs is None else f"{theirs.parameters_thousand:.1f}",
                "#P, ours": f"{runs[0].metrics['parameters'] / 1000:.1f}",
                "Res": "Yes" if has_skips(network) else "No",
                "Loss": runs[0].spec.loss,
                "BN": "Yes" if any(isinstance(m, nn.BatchNorm2d) for m in network.modules()) else "No",
                "PSNR, paper": "–" if theirs is None else mean_sd(theirs.psnr, theirs.psnr_sd),
                "PSNR, ours": mean_sd(psnr(runs)),
                "n": len(runs),
            }
        )
    return pd.DataFrame(out)


def has_skips(network: nn.Module) -> bool:
    """Say whether anything bypasses a layer of the network: some step takes more than one earlier result."""
    return any(len(step.inputs) > 1 for step in trace(network))


def differences(rows: Runs, reference: str, photo: np.ndarray) -> dict[str, Interval]:
    """PSNR (dB) of each row minus that of the reference row on the same images; `photo` numbers their photographs."""
    return {label: stats.psnr_difference(runs, rows[reference], photo) for label, runs in rows.items() if label != reference}


def pairing_note(rows: Runs, reference: str) -> str:
    """Return how differences to the reference row were taken, where they are not simply those of the printed means.

    A row of fewer initialisations than the reference is compared with its partners there, whose mean is given.
    """
    pairs = [stats.partners(runs, rows[reference]) for label, runs in rows.items() if label != reference]
    fewer = [others for _, others, together in pairs if together and len(others) < len(rows[reference])]
    levels = sorted({f"{np.mean(psnr(others)):.2f} dB (n = {len(others)})" for others in fewer})
    return f"A row of fewer initialisations is compared with the same ones of {reference}, there {listed(levels)}." if levels else ""


def difference_table(rows: Runs, reference: str, found: Mapping[str, Interval]) -> pd.DataFrame:
    """Show differences to a reference row, with each initialisation and the paper's difference where it has both."""
    published = paper.table2()
    out = []
    for label, interval in found.items():
        a, b = PAPER_ROW.get(label, label), PAPER_ROW.get(reference, reference)
        theirs = published.psnr[a] - published.psnr[b] if {a, b} <= set(published.index) else None
        out.append(
            {
                f"minus {reference}": label,
                "paper (dB)": "–" if theirs is None else f"{theirs:+z.2f}",
                "ours (dB)": f"{interval.value:+z.2f}",
                "95 % interval": brackets(interval),
                "PSNR of each initialisation (dB)": ", ".join(f"{x:.2f}" for x in psnr(rows[label])),
            }
        )
    return pd.DataFrame(out)


def ablation(rows: Runs, reference: str, found: Mapping[str, Interval]) -> pd.DataFrame:
    """Show rows that the paper gives no numbers for beside the reference row: size, PSNR and difference (dB)."""
    return pd.DataFrame(
        [
            {
                "model": label,
                "#P": f"{runs[0].metrics['parameters'] / 1000:.1f}",
                "PSNR (dB)": mean_sd(psnr(runs)),
                "n": len(runs),
                f"minus {reference} (dB)": f"{found[label].value:+z.2f}" if label in found else "–",
                "95 % interval": brackets(found[label]) if label in found else "–",
                "PSNR of each initialisation (dB)": ", ".join(f"{x:.2f}" for x in psnr(runs)),
            }
            for label, runs in rows.items()
        ]
    )


Effect = tuple[RunSpec, str, Interval]


def equivalences(effects: Iterable[Effect]) -> pd.DataFrame:
    """Show, for each kind of run that is there in fp32 and in a lower precision (`precision_effects`), whether the two end alike.

    The test is two one-sided t tests at 5 % on the mean difference in PSNR, with a margin of 0.03 dB. The order of
    rounding errors is chaos, so only the outcome can be compared.
    """
    rows = []
    for kind, precision, difference in effects:
        p = stats.equivalence(difference, EQUIVALENCE_DB)
        rows.append(
            {
                "run": described(kind),
                "training images": f"{kind.images:,}",
                "precision": precision,
                "minus fp32 (dB), 90 %": f"{difference:+z.3f}",
                "n": difference.n,
                f"within ±{EQUIVALENCE_DB} dB": f"{'shown' if p < 0.05 else 'not shown'} (p = {p:.2g})",
            }
        )
    return pd.DataFrame(rows)


def precision_effects(runs: Iterable[Run], precisions: Sequence[str] = ("tf32", "bf16")) -> list[Effect]:
    """Return (kind of run, precision, PSNR in dB minus that in fp32 with its 90 % interval) wherever three pairs are there.

    Pairs share corpus, size and initialisation.
    """
    kinds: dict[RunSpec, dict[int, dict[str, float]]] = {}
    for run in runs:
        kind = run.spec.replace(seed=0, precision="fp32")
        kinds.setdefault(kind, {}).setdefault(run.spec.seed, {})[run.arithmetic] = run.metrics["psnr"]
    out = []
    for kind in sorted(kinds, key=lambda kind: (kind.images, described(kind))):
        for precision in precisions:
            both = [found for found in kinds[kind].values() if {"fp32", precision} <= set(found)]
            if len(both) >= stats.FEWEST:
                out.append((kind, precision, stats.paired([b[precision] for b in both], [b["fp32"] for b in both], confidence=0.9)))
    return out


def described(spec: RunSpec) -> str:
    """Return a run's network and what in its training is not the paper's TNet's, as words."""
    told = {k: v for k, v in spec.to_dict().items() if k not in ("corpus", "n_train", "epochs", "network", "seed", "precision")}
    options = told.pop("options", {})
    return ", ".join([spec.network, *(f"{k} {v}" for k, v in {**options, **told}.items())])


def brackets(interval: Interval, spec: str = "+z.2f") -> str:
    """Return the two ends of an interval as text, a dash where there is none."""
    return f"[{interval.low:{spec}}, {interval.high:{spec}}]" if interval else "–"


def compared(a: str, b: str, found: Interval) -> str:
    """Return how two rows compare in PSNR, calling it a difference only where the interval (one test alone) shows one."""
    if not found:
        return f"no interval, so nothing is said of {a} and {b}"
    if found.low <= 0 <= found.high:
        return f"no difference between {a} and {b} is shown ({found:+z.2f} dB)"
    return f"{a} ends {'above' if found.value > 0 else 'below'} {b} ({found:+z.2f} dB)"


def outcome(reference: str, found: Mapping[str, Interval], profile: Profile) -> str:
    """Return which rows end above or below the reference, as far as intervals show it, and what the size leaves open."""
    groups: dict[str, list[str]] = {"below": [], "above": [], "neither": []}
    for label, interval in found.items():
        if interval:
            side = "above" if interval.low > 0 else "below" if interval.high < 0 else "neither"
            groups[side].append(f"{label} ({interval:+z.2f} dB)")
    texts = {"below": f"Shown below {reference}", "above": f"Shown above {reference}", "neither": f"No difference to {reference} is shown for"}
    return " ".join([*(f"{texts[side]}: {listed(labels)}." for side, labels in groups.items() if labels), verdict_note(profile)]).strip()


def verdict_note(profile: Profile) -> str:
    """Return the sentence that keeps a result at a small size from being read as a verdict on the paper; else nothing."""
    early = profile.n_train * profile.epochs < paper.value("calibration.gaussian_passed_at")
    return "**The paper's claims are not tested at this size**: these networks are early in their training." if early else ""


def listed(items: Sequence[str]) -> str:
    """Return items as words: "a, b and c"."""
    *head, last = items
    return f"{', '.join(head)} and {last}" if head else last


def size_note(profile: Profile) -> str:
    """Return what a report of this size cannot say, in one or two sentences; nothing at the paper's size."""
    seen, enough, whole = profile.n_train * profile.epochs, paper.value("calibration.gaussian_passed_at"), paper.images()
    text = ""
    if seen < enough:
        text = (
            f"Each run sees {seen:,} training images; on photographs like the paper's, TNet passes a tuned "
            f"Gaussian filter only near {enough:,}. The numbers compare networks in the first steps of their training and say "
            "nothing about the paper's, which were trained to the end. "
        )
    elif seen < whole:
        text = f"Each run sees {seen:,} training images, {100 * seen / whole:.2g} % of the paper's: orders may still change with more training. "
    if profile.seeds < stats.FEWEST:
        text += f"With {profile.seeds} initialisations at most there is no interval, and no difference is called one."
    return text.strip()


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
    """BaseNet before and after training, a line per seed: PSNR and dead outputs; None where a seed has no run.

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
                "result": words.side("TNet", d, judged),
            }
        )
    return pd.DataFrame(lines)
