"""Sentences of chapter 07, made from verdicts and comparisons; each is tested in all its branches."""

from __future__ import annotations

import re

import numpy as np

from n2nlib import paper
from n2nlib.analysis import claims, stats
from n2nlib.analysis.claims import (
    CONTRADICTED,
    DIRECTION,
    NO_DATA,
    NOT_REPRODUCED,
    REPRODUCED,
    TOO_SMALL,
    VERDICTS,
    Judged,
)
from n2nlib.analysis.comparison import Comparison
from n2nlib.analysis.ledger import Ledger, reason
from n2nlib.display.words import MORE, listed, plural
from n2nlib.profiles import Profile

#: Fewer photographs than this give wide intervals.
FEW_PHOTOGRAPHS = 30


def abstract(found: Ledger, rows: Comparison, profile: Profile, dataset: str) -> str:
    """The abstract of the report: what was trained, what came out, and how the claims fared."""
    return " ".join(filter(None, [
        "We reproduce a student report that presents TNet, a Noise2Noise denoiser of "
        f"{paper.value('abstract.parameters'):,} parameters for 32×32 images. The authors' images are not "
        f"public; ours come from the dataset {dataset}, with noise made as theirs seems to have been, by "
        "sampling one pixel from each cell of a photograph.",
        tnet(found, rows, profile),
        against_unet(found),
        findings(found, rows),
        verdict_counts(found),
        arithmetic_in_brief(rows),
    ]))  # fmt: skip


def tnet(found: Ledger, rows: Comparison, profile: Profile) -> str:
    """How TNet was trained, and the PSNR that it reaches."""
    if "TNet" not in rows.rows:
        return "No run of TNet is stored at this size."
    level, share = rows.level("TNet"), 100 * found.evidence.images / paper.images()
    part = f" ({share:.2g} % of the training images that each of the paper's runs saw)"
    part = "" if found.full_size else part
    return (
        f"TNet, trained from {level.n} {plural(level.n, 'seed', 'seeds')} on {profile.n_train:,} noisy pairs "
        f"for {profile.epochs} epochs{part}, reaches {level} dB; its noisy input has {rows.noisy.mean():.2f} "
        "dB."
    )


def against_unet(found: Ledger) -> str:
    """Whether TNet outperforms UNet, by the verdict on that claim."""
    outcome = {
        REPRODUCED: "TNet ends above UNet by about the published amount",
        DIRECTION: "TNet ends above UNet, though not by the published amount",
        NOT_REPRODUCED: "the runs do not decide whether TNet or UNet ends higher",
        CONTRADICTED: "UNet ends above TNet, unlike in the paper",
    }.get(found["tnet-outperforms-unet"].verdict, "whether TNet outperforms UNet is not tested at this size")
    return f"With each network at the paper's learning rate, {outcome}."


def findings(found: Ledger, rows: Comparison) -> str:
    """The main differences at the paper's size; nothing from smaller runs."""
    if not found.full_size:
        return ""
    changes, told = ("TNet+L1", "TNet+BN"), []
    if {"TNet", *changes} <= rows.rows.keys():
        l1, bn = (rows.difference(label, "TNet") for label in changes)
        printed = [paper.value(f"table2.{label}.psnr") - paper.value("table2.TNet.psnr") for label in changes]
        told += [f"An L1 loss moves TNet by {l1} dB, batch normalisation by {bn} dB; the paper prints "
                 f"{printed[0]:+.2f} and {printed[1]:+.2f}."]  # fmt: skip
    if gain := found.number("filters.tnet_minus_gaussian"):
        told += [f"Against a tuned Gaussian filter TNet gains {gain.signed()} dB."]
    ways = {f"SmallNet, {MORE}": ", trained with augmentation and a cosine schedule,", "SmallNet": ""}
    measured = {how: found.number(f"beyond.small.{label}.difference") for label, how in ways.items()}
    gains = {how: gain for how, gain in measured.items() if gain}
    told += [f"Beyond the paper, a network of no more parameters (SmallNet){how} ends {gain.signed()} dB "
             "from TNet."
             for how, gain in list(gains.items())[:1]]  # fmt: skip
    return " ".join(told)


def verdict_counts(found: Ledger) -> str:
    """How many claims got each verdict, and what that means."""
    n = {verdict: len(found.of(verdict)) for verdict in VERDICTS}
    text = (
        f"Of {len(found.judged)} claims of the paper: {n[REPRODUCED]} reproduced, {n[DIRECTION]} in "
        f"direction, {n[NOT_REPRODUCED]} not reproduced, {n[CONTRADICTED]} contradicted, {n[TOO_SMALL]} not "
        f"tested by these runs, {n[NO_DATA]} not testable without the authors' data."
    )
    if all(j.claim.kind in ("count", "ratio") for j in found.of(REPRODUCED)):
        text += " Only counts of parameters and operations are reproduced in full."
    if found.full_size:
        return f"{text} Verdicts on PSNR rest on confidence intervals over seeds crossed with photographs."
    return (f"{text} Runs this small show that the whole chain works and which way a few comparisons lean; "
            "they do not show where full training ends.")  # fmt: skip


def lower_precision(rows: Comparison) -> str:
    """The precisions below fp32 in which rows were trained, as words."""
    return listed(sorted(rows.arithmetic - {"fp32"}))


def arithmetic_in_brief(rows: Comparison) -> str:
    """In which precision networks were trained; nothing where all were in fp32."""
    lower = lower_precision(rows)
    return f"Networks were trained in {lower}; chapter 04 compares them with fp32." if lower else ""


def in_short(found: Ledger) -> str:
    """The claims by verdict, as a list; those without a verdict are only counted."""
    lines = []
    for verdict in VERDICTS:
        judged = found.of(verdict)
        note = "; the runs decide neither way" if verdict == NOT_REPRODUCED else ""
        named = "; ".join(map(clause, judged)) if verdict not in (TOO_SMALL, NO_DATA) else ""
        lines.append(f"- **{verdict.capitalize()}** ({len(judged)}{note}){f': {named}' if named else ''}.")
    return "\n".join(lines)


def clause(judged: Judged) -> str:
    """A claim's sentence as a part of a list: without its full stop, its article in lower case."""
    says = judged.claim.says.removesuffix(".")
    return re.sub("^(The|An?) ", lambda article: article[0].lower(), says)


def small_runs(found: Ledger) -> str:
    """What the ledger reads from runs below the paper's size; nothing at it."""
    if found.full_size:
        return ""
    return (
        f"A run here sees {found.evidence.images:,} training images; a run of the paper saw "
        f"{paper.images():,}. Claims about trained networks are judged at the paper's size only. From "
        "smaller runs the ledger reads orders, and only where the claim allows it."
    )


def setting(rows: Comparison, profile: Profile) -> str:
    """The numbers of this report's training and validation, and where what is said of others comes from."""
    return (
        f"Here: batches of {paper.value('training.batch')}, a learning rate of "
        f"{paper.value('training.lr'):g} ({paper.value('training.lr_unet'):g} for UNet), {profile.n_train:,} "
        f"pairs for {profile.epochs} epochs, {rows.validation} that no network was trained on. Statements "
        "about the authors' code and single runs come from their public notebooks, those about other groups "
        "from public reports on the same data."
    )


def like_published(rows: Comparison, label: str, zero: float) -> list[bool]:
    """Whether each seed of a row is as far above a black image (`zero`, dB) as the published BaseNet.

    Dark photographs lift every level, so the distance to a black image is compared; 1 dB is about three
    published standard deviations.
    """
    published, sd = paper.value("table2.BaseNet.psnr"), paper.value("table2.BaseNet.psnr_sd")
    above = published - paper.value("basenet.zero_image_psnr")
    return [abs(value - zero - above) < max(3 * sd, 1.0) for value in rows.values(label)]


BASENETS = ("BaseNet", "BaseNet, never updated")


def never_updated(rows: Comparison, zero: float) -> bool:
    """Whether the published BaseNet is like every network that was never updated and like no trained one."""
    if not set(BASENETS) <= rows.rows.keys():
        return False
    trained, still = (like_published(rows, label, zero) for label in BASENETS)
    return all(still) and not any(trained)


def basenet(found: Ledger, rows: Comparison, zero: float) -> str:
    """Whether the published BaseNet is like ours after or before training; zero: PSNR (dB) of black."""
    if not set(BASENETS) <= rows.rows.keys():
        return "The runs that answer this question are not stored at this size."
    fits, still = (like_published(rows, label, zero) for label in BASENETS)
    stuck = sum(fits)
    if never_updated(rows, zero):
        reading = ("The published row lies near networks that were never updated, and far from every "
                   "trained one of ours. We cannot see what happened; an optimiser that held the parameters "
                   "of another network would do this.")  # fmt: skip
    elif 0 < stuck < len(fits):
        reading = (f"{stuck} of {len(fits)} trained networks ended as low as the published row, the others "
                   "above it: training can stall like this, so a trained BaseNet is not ruled "
                   "out.")  # fmt: skip
    elif stuck and all(still):
        reading = ("Both fit the published row, so these runs cannot tell the two apart"
                   f"{'' if found.full_size else ' at this size'}.")  # fmt: skip
    elif stuck:
        reading = "The published row fits a trained BaseNet; the doubt is not supported."
    else:
        reading = "Neither fits the published row; its origin stays open."
    if not (found.full_size or stuck):
        reading += (f" The trained networks saw only {found.evidence.images:,} images, and moved that far "
                    "already.")  # fmt: skip
    spans = [f"{min(x):.2f} to {max(x):.2f} dB" for x in (rows.values(label) for label in BASENETS)]
    return (
        f"Trained, BaseNet reaches {spans[0]}; never updated, {spans[1]}; the paper prints "
        f"{paper.value('table2.BaseNet.psnr'):.2f} dB. A black image has {zero:.2f} dB here and about "
        f"{paper.value('basenet.zero_image_psnr'):g} dB on the authors' images. {reading}"
    )


def l1_and_bn(found: Ledger) -> str:
    """Whether the rows TNet+L1 and TNet+BN stand as printed, by the verdict on their order."""
    order = found["l1-above-bn"]
    early = ("" if found.full_size else
             "Early in training the two differ for other reasons (batch normalisation changes how fast TNet "
             "starts), so this neither supports nor removes the doubt.")  # fmt: skip
    reading = {
        REPRODUCED: "The rows stand as printed.",
        DIRECTION: "The order of the rows is as printed, its size is not.",
        CONTRADICTED: "Table 2 has the other order. An exchange of the two rows would explain it; only the "
                      "authors' records could say.",
        NOT_REPRODUCED: "These runs do not settle it.",
    }.get(order.verdict, early)  # fmt: skip
    return f"{order.why} {reading}".strip()


def rate_verdicts(found: Ledger) -> str:
    """The verdicts on the two differences between learning rates."""
    low, high = (found[f"lr-{end}-differs-little"].verdict for end in ("low", "high"))
    return f"The ledger on 1e-4 against 5e-4: {low}; on 9e-4 against 5e-4: {high}."


def published_notebook(stuck: bool) -> str:
    """What the published notebook cannot have made; stuck: the published BaseNet looks never updated."""
    basenet = "BaseNet's row looks like that (first question). The" if stuck else "The"
    return (
        "Taken literally, the published notebook would also leave every network after the first without an "
        f"update, and no row but one could come near the {paper.value('table2.TNet.psnr'):.0f} dB of a "
        f"trained TNet. {basenet} rows of UNet and of TNet's variants are nevertheless those of trained "
        "networks, and UNet's own learning rate could only have had an effect if its Adam was built for it. "
        "The tables were therefore not made with exactly the published notebook."
    )


def parameter_counts() -> str:
    """How the paper's "20x fewer parameters" is counted."""
    tnet, own, shared = (claims.count(label) for label in ("TNet", "UNet", "UNet (shared decoder)"))
    return (
        f"UNet with a decoder block of its own at each level has {own:,} weights, {own / tnet:.1f} times "
        f"TNet's {tnet:,}. With the shared block it trains {shared:,}, {shared / tnet:.1f} times as many as "
        f'TNet. The paper\'s "{paper.value("abstract.times_fewer")}x fewer" is the first count; the cited '
        "implementation trains the second."
    )


def authors_runs() -> str:
    """What the authors' own runs of TNet and UNet carry."""
    d = stats.welch(paper.value("initialisations.TNet"), paper.value("initialisations.UNet")).signed()
    return authors_interval(d)


def authors_interval(d: stats.Interval) -> str:
    """What an interval of TNet minus UNet (dB) over the authors' runs carries."""
    carries = ("an interval above zero" if d.low > 0 else
               "an interval that reaches below zero, so their numbers carry \"comparable\" and not yet "
               "\"outperforms\"")  # fmt: skip
    return (
        f"The authors' own {d.n} runs of each give TNet − UNet = {d} dB (Welch, over seeds only): {carries}."
    )


def peers(rows: Comparison) -> str:
    """What other groups reached with the same UNet, and ours with augmentation where it was trained."""
    unets = paper.peers().query("network.str.contains('N2N U-Net')")
    labels = [f"{network}, {MORE}" for network in ("TNet", "UNet")]
    stored = set(labels) <= rows.rows.keys()
    ours = ("The runs with augmentation are left out at this size." if not stored else
            f"With augmentation and a cosine schedule, both of ours differ by {rows.difference(*labels)} dB "
            "(TNet minus UNet).")  # fmt: skip
    return (
        f"Other groups trained a U-Net of the same {unets.parameters.iloc[0]:,} parameters to "
        f"{unets.psnr.min():.2f} and {unets.psnr.max():.2f} dB on the authors' data, with augmentation (one "
        "also with a decaying learning rate). UNet's PSNR therefore seems to depend on its training more "
        f"than Table 2 could show. {ours}"
    )


def why(found: Ledger, *ids: str) -> str:
    """The reasons for the verdicts on some claims."""
    return " ".join(found[id].why for id in ids)


def filters(found: Ledger) -> str:
    """How TNet compares with tuned filters, by the verdicts; nothing before chapter 02 has measured it."""
    if found.number("filters.tnet_minus_gaussian") is None:
        return ""
    told = why(found, "filters-gaussian", "filters-mean", "gain-at-detail")
    if found.full_size:
        return told
    enough, images = paper.value("calibration.gaussian_passed_at"), found.evidence.images
    seen = f"; here it saw {images:,}" if images < enough else ""
    return (f"{told} A tuned Gaussian is a strong baseline: on photographs like the authors', TNet passes it "
            f"only after about {enough:,} training images{seen}.")  # fmt: skip


def edges(found: Ledger) -> str:
    """Reasons of the verdicts on objects and noise; nothing before chapter 05 has measured them."""
    if not any(key.startswith("smoothgrad.same_side.") for key in found.evidence.numbers):
        return ""
    return why(found, "object-and-background", "changes-noisy-pixels", "loss-gradient-finds-noise",
               "noisy-pixels-weigh-little", "surroundings-weigh-more")  # fmt: skip


def reasons(found: Ledger) -> str:
    """Every claim with the reason for its verdict; claims that these runs cannot test share theirs."""
    parts = []
    for verdict in (v for v in VERDICTS if v not in (NO_DATA, TOO_SMALL) and found.of(v)):
        lines = "\n".join(f"- {reason(j)}" for j in found.of(verdict))
        parts.append(f"**{verdict.capitalize()}**\n\n{lines}")
    shared: dict[str, list[str]] = {}  # one reason, then the claims that it holds for
    for j in found.of(TOO_SMALL):
        short = re.sub(r"^.*? after (?=[\d,]+ training images; this claim)", "After ", j.why)
        shared.setdefault(short, []).append(j.claim.says.removesuffix("."))
    if shared:
        lines = "\n".join(f"- {f'{len(says)} claims' if len(says) > 1 else f'*{says[0]}*'}: {text}"
                          for text, says in shared.items())  # fmt: skip
        parts.append(f"**{TOO_SMALL.capitalize()}** (the tables above have the values)\n\n{lines}")
    return "\n\n".join(parts)


def not_tested(found: Ledger) -> str:
    """Which claims have no verdict, for want of the authors' data or of runs."""
    levels, others = found.of(NO_DATA), found.of(TOO_SMALL)
    small = [j for j in others if j.ours is not None]
    told = []
    if levels:
        told.append(
            f"**Levels in decibels** ({len(levels)}). The authors' images are not public. Our photographs "
            "and windows can be chosen so that the noisy images look as theirs did, but then an agreement "
            "of levels would be our choice and no evidence. Not judged for that reason: "
            f"{' '.join(j.claim.says for j in levels)} With the authors' two files, `DATASET=epfl:PATH` "
            "judges these claims."
        )
    if others:
        told.append(
            f"**Measured, not judged** ({len(small)}): the runs are too small, or too few for an interval. "
            f"**Not measured** ({len(others) - len(small)}): the runs were not made. Each is named above, "
            "with its reason."
        )
    return "\n\n".join(told)


def limitations(found: Ledger, rows: Comparison) -> str:
    """How many photographs and runs the ledger rests on, and in which precision they were trained."""
    images, count = found.evidence.images, len(np.unique(rows.photo))
    runs = len({run.spec for row in rows.rows.values() for run in row})
    sample = (
        "It is unknown which validation images come from one photograph. Intervals take images as "
        "independent and are too narrow by an unknown factor."
        if not rows.photos_known
        else f"Here the validation images come from {count} {plural(count, 'photograph', 'photographs')}"
        + (", so few that intervals over photographs are wide and assume that photographs are alike."
           if count < FEW_PHOTOGRAPHS else ".")
    )  # fmt: skip
    size = (f"each of {images:,} training images." if found.full_size else
            f"each of {images:,} training images, too few to judge trained networks.")  # fmt: skip
    lower = lower_precision(rows)
    precision = (f" Networks were trained in {lower} and evaluated in fp32. Chapter 04 shows which of them "
                 "were compared "
                 "with training in fp32.") if lower else ""  # fmt: skip
    return f"{sample} The ledger rests on {runs} {plural(runs, 'run', 'runs')}, {size}{precision}"
