"""Sentences of chapter 06 on gains beyond the paper, and where they end; tested in all their branches."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from n2nlib import paper
from n2nlib.analysis.comparison import Comparison
from n2nlib.analysis.generalisation import Transfer, WholePhotographs
from n2nlib.analysis.intervals import FEWEST
from n2nlib.display.words import MORE, listed, pair, plural


def below_noisy(rows: Comparison) -> str:
    """The PSNR of the images before denoising, and which rows end below it."""
    if not rows.rows:
        return ""
    below = [label for label in rows.labels if rows.level(label).mean < rows.noisy.mean()]
    told = "every row ends above that"
    if below:
        told = f"{listed(below)} {plural(len(below), 'ends', 'end')} below that"
    return f"The noisy images have {rows.noisy.mean():.2f} dB; {told}."


def gap(sizes: pd.DataFrame) -> str:
    """What clean targets are worth with few and with many training pairs: `beyond_tables.data_sizes`."""
    if sizes.empty:
        return ""
    few, many = (
        f"{pairs:,} pairs from {photographs:,} {plural(photographs, 'photograph', 'photographs')}"
        for pairs, photographs in sizes[["pairs", "photographs"]].iloc[[0, -1]].itertuples(index=False)
    )
    first, last = sizes["gap (dB)"].iloc[0], sizes["gap (dB)"].iloc[-1]
    text = f"With {few} the gap is {first} dB; with all {many} it is {last} dB."
    if not (first and last):
        return f"{text} There is no confidence interval, so nothing is said of a trend."
    most = f"{max(last.high, 0):.2f} dB"
    if last.low > 0:
        return f"{text} With the whole set, clean targets are significantly better, by {most} at most."
    return (f"{text} With the whole set, clean targets are not significantly better; the interval allows "
            f"{most}.")  # fmt: skip


def schedule_note(rows: Comparison) -> str:
    """That training which pays off late cannot be judged from short runs; nothing at the paper's size."""
    if not rows or rows.images >= paper.images():
        return ""
    return (
        f"These are effects after {rows.images:,} training images. A schedule that ends so early lowers the "
        "learning rate while the other rows still learn fast."
    )


def best_single(rows: Comparison, together: str) -> str:
    """Which single change gains most, beside the row `together`; nothing where no interval shows a gain."""
    found = rows.differences()
    single = {label: d for label, d in found.items() if label != together}
    if not single or together not in found or not all(found.values()):
        return ""
    best = max(single, key=lambda label: single[label].value)
    if single[best].low <= 0:
        return ""
    return (
        f"The largest significant gain of a single change is *{best}* with {single[best].value:+z.2f} dB; "
        f"the row *{together}* has {found[together].value:+z.2f} dB."
    )


def network_cost(sizes: Mapping[str, Mapping]) -> str:
    """Parameters of SmallNet and TNet, and the MACs of one in those of the other: `tables.network_sizes`."""
    if not {"SmallNet", "TNet"} <= sizes.keys():
        return ""
    small, tnet = sizes["SmallNet"], sizes["TNet"]
    return (
        f"SmallNet has {small['parameters']:,} parameters and TNet {tnet['parameters']:,}; an image costs "
        f"SmallNet {small['MACs (M)'] / tnet['MACs (M)']:.1f} times TNet's MACs."
    )


def small_network(rows: Comparison, steps: Mapping[str, tuple[str, str]]) -> str:
    """How SmallNet compares with rows other than the reference, and what each step towards it gains.

    steps: name -> (row with it, row without it); gains are given where all of these rows are there.
    """
    final, tnet = f"SmallNet, {MORE}", f"TNet, {MORE}"
    found = rows.versus({other: (final, other) for other in (tnet, "SmallNet")})
    told = [pair(final, other, d) for other, d in found.items() if d]
    if final in rows.rows and tnet not in rows.rows:
        told.append(f"{tnet} was not run at this size, so the training's share of that row's gain is "
                    "unknown.")  # fmt: skip
    gains = rows.versus(steps)
    if len(gains) == len(steps):
        told.append(f"Step by step: {'; '.join(f'{name} {d} dB' for name, d in gains.items())}.")
    return " ".join(told)


def peers() -> str:
    """How far the strongest network of others is from the paper's TNet, both on the authors' data."""
    others, tnet = paper.peers(), paper.value("table2.TNet.psnr")
    strongest = others.loc[others.psnr.idxmax()]
    return (
        "For scale: on the authors' data the best network that others trained, with "
        f"{strongest.parameters:,} parameters, is {strongest.psnr - tnet:+z.2f} dB from the paper's TNet. "
        "Gains on other photographs need not be the same."
    )


def search(tried: pd.DataFrame, best: pd.DataFrame, shared: Mapping[str, object]) -> str:
    """How many trials a search made, what the best share, and how good the first is.

    shared: `beyond_tables.shared_options`.
    """
    if tried.empty:
        return ""
    states, last = tried["state"].value_counts(), tried.columns[-1]
    told = [
        f"{len(tried)} trials: {states.get('complete', 0)} trained to the end, {states.get('pruned', 0)} "
        f"stopped early, {states.get('too large', 0)} not trained because they have more parameters than "
        "TNet."
    ]
    if shared:
        options = listed([f"{name} = {value}" for name, value in shared.items()])
        told.append(f"All of the best have {options}.")
    if tried["state"].iloc[0] == "complete":
        told.append(
            f"The first trial is SmallNet as it stands, {tried[last].iloc[0] - best[last].iloc[0]:+z.2f} dB "
            "from the best. With one seed per trial, the order of the first few is chance."
        )
    else:
        told.append("The first trial is SmallNet as it stands; it was stopped early.")
    return " ".join(told)


def transfer(found: Transfer) -> str:
    """Where networks lose on data that they were not trained on, and where they do harm."""
    if not found:
        return ""
    lost = [f"trained on {a}, judged on {b} ({d} dB)" for (a, b), d in found.losses.items()
            if d and d.high < 0]  # fmt: skip
    worse = [f"{source} on {target}" for target, rows in found.targets.items() for source in rows.others
             if rows.level(source).mean < rows.noisy.mean()]  # fmt: skip
    if lost:
        told = f"Significant losses in transfer: {'; '.join(lost)}."
    elif all(found.losses.values()):
        told = "No loss in transfer is significant."
    else:
        told = (f"Fewer than {FEWEST} seeds or photographs give no confidence interval, so no loss is called "
                "one.")  # fmt: skip
    if worse:
        return f"{told} Below the noisy image itself: {listed(worse)}."
    return f"{told} Everywhere the output is better than the noisy image."


def equal_noise(noise: str, found: Transfer) -> str:
    """Which standard deviation gives Gaussian noise the PSNR of the noisy images: `transfer.equal_noise`."""
    if not found:
        return ""
    return (
        f"Gaussian noise with a standard deviation of {noise.partition(':')[2]} grey levels has "
        "the PSNR of the sub-pixel noise, before both are quantised to 8 bits."
    )


def whole_photographs(whole: WholePhotographs) -> str:
    """The ranking of all methods at each size of cell, and TNet minus the Gaussian: a paragraph for each."""
    told = []
    for cell in whole.cells:
        ranked = sorted(whole.methods, key=lambda method: -whole.level(cell, method).mean)
        text = f"Cells of {cell} pixels, from the best PSNR to the worst: {'; '.join(ranked)}."
        if "TNet" in whole.networks:
            d = whole.gain(cell, "TNet", over="Gaussian")
            text += f" TNet minus Gaussian: {d} dB{'' if d else ' (no confidence interval)'}."
        told.append(text)
    return "\n\n".join(told)
