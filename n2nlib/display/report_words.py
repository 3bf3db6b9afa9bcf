"""Sentences of chapter 07, made from verdicts and comparisons; each is tested in all its branches."""

from __future__ import annotations

import re

import numpy as np

from n2nlib import paper
from n2nlib.analysis import claims
from n2nlib.analysis.comparison import Comparison
from n2nlib.analysis.ledger import Ledger, reason
from n2nlib.display.question_words import exchanged
from n2nlib.display.tables import published_difference
from n2nlib.display.words import MORE, listed, plural
from n2nlib.profiles import Profile

#: Fewer photographs than this give wide intervals.
FEW_PHOTOGRAPHS = 30


def findings(found: Ledger, rows: Comparison) -> str:
    """The main differences at the paper's size; nothing from smaller runs."""
    if not found.full_size:
        return ""
    changes, told = ("TNet+L1", "TNet+BN"), []
    if {"TNet", *changes} <= rows.rows.keys():
        l1, bn = (rows.difference(label, "TNet") for label in changes)
        l1_printed, bn_printed = (published_difference(label) for label in changes)
        told.append(f"An L1 loss moves TNet by {l1} dB, batch normalisation by {bn} dB; the paper prints "
                    f"{l1_printed} and {bn_printed}.")  # fmt: skip
    told.append(exchanged(found))
    if gain := found.number("filters.tnet_minus_gaussian"):
        told.append(f"Against a tuned Gaussian filter TNet gains {gain.signed()} dB.")
    ways = {f"SmallNet, {MORE}": ", trained with augmentation and a cosine schedule,", "SmallNet": ""}
    for label, how in ways.items():
        if gain := found.number(f"beyond.small.{label}.difference"):
            told.append(f"Beyond the paper, a network of no more parameters (SmallNet){how} ends "
                        f"{gain.signed()} dB from TNet.")  # fmt: skip
            break
    return " ".join(filter(None, told))


def verdict_counts(found: Ledger) -> str:
    """How many claims got each verdict, and what that means."""
    n = {verdict: len(found.of(verdict)) for verdict in claims.VERDICTS}
    short = {claims.DIRECTION: "in direction", claims.COMPATIBLE: "compatible on the authors' images",
             claims.INCOMPATIBLE: "not compatible there", claims.NO_RUN: "without a run",
             claims.TOO_FEW: "with too few runs"}  # fmt: skip
    counts = [f"{n[v]} {short.get(v, v)}" for v in claims.VERDICTS if v != claims.LISTED and n[v]]
    text = f"Of {len(found.paper)} claims of the paper: {', '.join(counts)}."
    if all(j.claim.kind == "count" for j in found.of(claims.REPRODUCED)):
        text += " Only exact counts are reproduced in full."
    if found.full_size:
        return f"{text} Verdicts on PSNR rest on confidence intervals over seeds crossed with photographs."
    return (f"{text} Runs this small show that the whole chain works and which way a few comparisons lean; "
            "they do not show where full training ends.")  # fmt: skip


def lower_precision(rows: Comparison) -> str:
    """The precisions below fp32 in which rows were trained, as words."""
    return listed(sorted(rows.arithmetic - {"fp32"}))


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


def margins() -> str:
    """How far two values may be apart and count as equal."""
    size, sds = paper.value("margins.psnr"), paper.value("margins.sds")
    seeds = paper.value("training.seeds")
    return (
        f"**Margins.** What counts as equal is one rule for all: a practical size of {size:g} dB (about "
        f"{100 * (10 ** (size / 10) - 1):.0f} % of the squared error) plus {sds} published standard "
        f"deviations, which is what {seeds} seeds can resolve in about 40 tests. That is "
        f"{paper.margin('TNet'):g} dB for TNet's level, {paper.margin('UNet'):g} dB for UNet's and "
        f"{paper.margin('TNet', 'UNet'):g} dB for their difference."
    )


def reasons(found: Ledger) -> str:
    """Every claim that was tested with the reason for its verdict; those that were not share theirs."""
    parts = []
    for verdict in claims.VERDICTS:
        judged = found.of(verdict)
        if not judged or verdict == claims.LISTED:
            continue
        if verdict in claims.UNTESTED:
            shared: dict[str, list[str]] = {}  # one reason, then the claims that it holds for
            for j in judged:
                short = re.sub(r"^.*? after (?=[\d,]+ training images; this claim)", "After ", j.why)
                shared.setdefault(short, []).append(j.claim.says.removesuffix("."))
            lines = [f"- {f'{len(says)} claims' if len(says) > 1 else f'*{says[0]}*'}: {text}"
                     for text, says in shared.items()]  # fmt: skip
        else:
            lines = [f"- {reason(j)}" for j in judged]
        parts.append("\n".join([f"**{verdict.capitalize()}**\n", *lines]))
    return "\n\n".join(parts)


def not_tested(found: Ledger) -> str:
    """How many claims have no verdict, and what would give them one."""
    small, few, none, levels, _ = (len(found.of(verdict)) for verdict in claims.UNTESTED)
    told = []
    if levels:
        told.append(
            f"**Levels** ({levels}). PSNR and loss depend on the images, and the authors' images are not "
            "public. A dataset can be chosen so that its noise level agrees with theirs; an agreement of "
            "levels would then be our choice and no evidence. With the authors' two files, "
            "`DATASET=epfl:PATH` tests these claims."
        )
    if small:
        told.append(
            f"**Size** ({small}). The runs saw too few training images; `PROFILE=paper` trains them in full."
        )
    if few or none:
        told.append(
            f"**Runs** ({none} without any, {few} with fewer than three seeds). The reasons above name them; "
            "`train = True` in a chapter trains what is missing."
        )
    return "\n\n".join(told)


def limitations(found: Ledger, rows: Comparison) -> str:
    """How many photographs and runs the ledger rests on, and in which precision they were trained."""
    images, count = found.evidence.images, len(np.unique(rows.photo))
    runs = len({run.spec for run in rows.runs})
    if not rows.photos_known:
        sample = ("It is unknown which validation images come from one photograph. Intervals take images as "
                  "independent and are too narrow by an unknown factor.")  # fmt: skip
    else:
        few = (", so few that intervals over photographs are wide and assume that photographs are alike"
               if count < FEW_PHOTOGRAPHS else "")  # fmt: skip
        photographs = plural(count, "photograph", "photographs")
        sample = f"Here the validation images come from {count} {photographs}{few}."
    early = "" if found.full_size else ", too few to judge trained networks"
    lower = lower_precision(rows)
    precision = (f" Networks were trained in {lower} and evaluated in fp32. Chapter 04 shows which of them "
                 "were compared with training in fp32.") if lower else ""  # fmt: skip
    return (
        f"{sample} The ledger rests on {runs} {plural(runs, 'run', 'runs')}, each of {images:,} training "
        f"images{early}.{precision}"
    )
