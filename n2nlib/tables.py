"""The paper's tables beside ours: rows made from finished runs, and the sentences that go with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from torch import nn

from . import claims, paper, stats
from .comparison import Comparison
from .image_statistics import ImageStatistics
from .models import build
from .models.summary import trace
from .runs import Run
from .spec import Profile, RunSpec
from .stats import Interval, MeanSD

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
