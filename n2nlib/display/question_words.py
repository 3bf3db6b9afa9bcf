"""Sentences of chapter 07 on its six questions; each is tested in all its branches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from n2nlib import paper
from n2nlib.analysis import claims
from n2nlib.analysis.claims import CONTRADICTED, DIRECTION, NOT_REPRODUCED, REPRODUCED, Judged
from n2nlib.analysis.comparison import Comparison
from n2nlib.analysis.intervals import Interval, seem_exchanged
from n2nlib.analysis.ledger import Ledger
from n2nlib.display.words import MORE


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
        at_size = "" if found.full_size else " at this size"
        reading = f"Both fit the published row, so these runs cannot tell the two apart{at_size}."
    elif stuck:
        reading = "The published row fits a trained BaseNet; the doubt is not supported."
    else:
        reading = "Neither fits the published row; its origin stays open."
    if not (found.full_size or stuck):
        reading += (f" The trained networks saw only {found.evidence.images:,} images, and moved that far "
                    "already.")  # fmt: skip
    spans = [_span(rows.values(label)) for label in BASENETS]
    return (
        f"Trained, BaseNet reaches {spans[0]}; never updated, {spans[1]}; the paper prints "
        f"{paper.value('table2.BaseNet.psnr'):.2f} dB. A black image has {zero:.2f} dB here and about "
        f"{paper.value('basenet.zero_image_psnr'):g} dB on the authors' images. {reading}"
    )


def _span(levels: Sequence[float]) -> str:
    if len(levels) == 1:
        return f"{levels[0]:.2f} dB in one seed"
    return f"{min(levels):.2f} to {max(levels):.2f} dB in {len(levels)} seeds"


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


class Exchange(NamedTuple):
    """How +L1 and +BN on the authors' public pairs fit their printed levels and each other's, in dB."""

    predicted: list[Interval]  # with 95 % prediction intervals
    printed: list[float]

    @property
    def as_printed(self) -> list[bool]:
        return [x.holds(value) for x, value in zip(self.predicted, self.printed, strict=True)]

    @property
    def other(self) -> list[bool]:
        return Exchange(self.predicted, self.printed[::-1]).as_printed

    @property
    def exchanged(self) -> bool:
        return seem_exchanged(*self.predicted, self.printed)


EXCHANGED = ("TNet+L1", "TNet+BN")


def exchange(found: Ledger) -> Exchange | None:
    """Return how +L1 and +BN fit Table 2; None before three seeds of both were measured on the pairs."""
    predicted = [found.number(f"authors.level.{label}") for label in EXCHANGED]
    if not all(predicted):
        return None
    return Exchange(predicted, [paper.value(f"table2.{label}.psnr") for label in EXCHANGED])


def exchanged(found: Ledger) -> str:
    """Whether the printed levels of +L1 and +BN fit the rows as printed or exchanged.

    Nothing before three seeds of both rows were measured on the authors' public pairs.
    """
    fits = exchange(found)
    if not fits:
        return ""
    l1, bn = fits.predicted
    facts = (f"On the authors' public pairs, our runs predict {l1:.2f} dB for TNet+L1 and {bn:.2f} dB for "
             f"TNet+BN (95 % prediction intervals); Table 2 prints {fits.printed[0]:.2f} and "
             f"{fits.printed[1]:.2f} dB.")  # fmt: skip
    numbers = found.evidence.numbers
    outside = [row for row in EXCHANGED if not numbers[f"authors.level.{row}"]["in_range"]]
    if outside:
        facts += (f" On these pairs {' and '.join(outside)} is outside the calibrated range, so its interval "
                  "is wider.")  # fmt: skip
    if fits.exchanged:
        reading = ("Both printed values fit the other row and neither fits its own: the two rows seem to be "
                   "exchanged. This rests on few pairs and on our training; only the authors' records can "
                   "confirm it.")  # fmt: skip
    elif all(fits.as_printed) and not any(fits.other):
        reading = "Both printed values fit their own row; nothing points to an exchange."
    elif all(fits.as_printed):
        reading = "The intervals are too wide to tell the two readings apart."
    else:
        reading = "The printed values fit neither reading in full, so the question stays open."
    return f"{facts} {reading}"


def rate_verdicts(found: Ledger) -> str:
    """The verdicts on the two differences between learning rates."""
    low, high = (found[f"lr-{end}-differs-little"].verdict for end in ("low", "high"))
    return f"The ledger on 1e-4 against 5e-4: {low}; on 9e-4 against 5e-4: {high}."


def early_rates() -> str:
    """How far apart the outer learning rates of Table 1 are early in training."""
    low, high = (paper.value(f"suspects.lr_{rate}_psnr") for rate in ("1e_4", "9e_4"))
    return (
        f"Early in training the rates differ clearly: after {paper.value('suspects.lr_images'):,} training "
        f"images on photographs like the authors', TNet has about {low:g} dB at 1e-4 and {high:g} dB at 9e-4."
    )


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


def own_numbers(judged: Sequence[Judged]) -> str:
    """What the rules of this report make of the paper's own numbers; judged: `published.judged()`."""
    levels = [j for j in judged if j.claim.kind == "level"]
    carried = sum(j.verdict == REPRODUCED for j in levels)
    open_ = [j for j in judged if j.verdict in (NOT_REPRODUCED, CONTRADICTED)]
    text = (
        "The margins can be checked on the paper itself: its own runs (where only mean and spread are "
        f"printed, five values that have these) go through the same rules. {carried} of {len(levels)} levels "
        "come out as reproduced."
    )
    if not open_:
        return f"{text} All sentences about them are carried by these numbers."
    lines = "\n".join(f"- *{j.claim.says}* {j.why}" for j in open_)
    return f"{text} These sentences are not carried by the paper's own numbers:\n\n{lines}"


def misprints(rows: Mapping[str, tuple[float, float]]) -> str:
    """Rows whose published runs average to another number than the table prints.

    rows: `published.misprinted()`.
    """
    return " ".join(
        f"The authors' five runs of {row} average {mean:.4f} dB, which rounds to {mean:.2f}; Table 2 prints "
        f"{printed:.2f}."
        for row, (mean, printed) in rows.items()
    )


def easier(found: Ledger) -> str:
    """What UNet costs against TNet up to a PSNR that both reach, and whether weights explain it."""
    told = why(found, *(f"easier-to-train-{metric}" for metric in ("macs", "images", "seconds")))
    timed = found["easier-to-train-seconds"].ours is not None
    note = " Seconds are those of runs that shared a machine, so they are rough." if timed else ""
    per_image = claims.work("UNet") / claims.work("TNet")
    return (
        f"UNet needs {per_image:.1f} times TNet's MACs per image. How easy a network is to train also "
        f"depends on how many images it needs. {told}{note} {why(found, 'fewer-hence-easier')}"
    )


def peers(rows: Comparison) -> str:
    """What other groups reached with the same UNet, and ours with augmentation where it was trained."""
    unets = paper.peers().query("network.str.contains('N2N U-Net')")
    labels = [f"{network}, {MORE}" for network in ("TNet", "UNet")]
    stored = set(labels) <= rows.rows.keys()
    ours = ("The runs with augmentation are not stored at this size." if not stored else
            f"With augmentation and a cosine schedule, both of ours differ by {rows.difference(*labels)} dB "
            "(TNet minus UNet).")  # fmt: skip
    return (
        f"Other groups trained a U-Net of the same {unets.parameters.iloc[0]:,} parameters to "
        f"{unets.psnr.min():.2f} and {unets.psnr.max():.2f} dB on the authors' data, with augmentation (one "
        "also with a decaying learning rate). UNet's PSNR therefore seems to depend on its training more "
        f"than Table 2 could show. {ours}"
    )


def why(found: Ledger, *ids: str) -> str:
    """The reasons for the verdicts on some claims, each once."""
    return " ".join(dict.fromkeys(found[id].why for id in ids))


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
    return why(found, "object-and-background", "background-weighs-more", "changes-noisy-pixels",
               "matches-surroundings", "loss-gradient-finds-noise", "noisy-pixels-weigh-little",
               "surroundings-weigh-more")  # fmt: skip
