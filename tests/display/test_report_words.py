"""The sentences of chapter 07, in all their branches: each follows its verdicts, runs and size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import stats as sps
from test_comparison import comparison, runs

from n2nlib import paper
from n2nlib.analysis.claims import (
    COMPATIBLE,
    CONTRADICTED,
    INCOMPATIBLE,
    LISTED,
    NO_DATA,
    NO_RUN,
    REPRODUCED,
    TOO_FEW,
    TOO_SMALL,
    Evidence,
    Judged,
)  # fmt: skip
from n2nlib.analysis.ledger import Ledger
from n2nlib.display import report_words
from n2nlib.profiles import PROFILES

WHOLE, SMALL = paper.images(), 80_000
CLAIMS = {claim.id: claim for claim in paper.claims()}
TESTED = [id for id, claim in CLAIMS.items() if not claim.own and claim.kind != "statement"]


def ledger(images=WHOLE, numbers=None, ours=None, why="A reason.", **verdicts):
    """A ledger whose claims are all too small to test but those named (with _ for -) and those listed only."""
    given = {name.replace("_", "-"): verdict for name, verdict in verdicts.items()}
    assert given.keys() <= CLAIMS.keys()
    plain = {id: LISTED if claim.kind == "statement" else TOO_SMALL for id, claim in CLAIMS.items()}
    judged = [Judged(claim, ours, None, given.get(id, plain[id]), why) for id, claim in CLAIMS.items()]
    return Ledger(judged, Evidence({}, numbers or {}, np.zeros(1), np.zeros(1), images))


def interval(value, low=None, high=None):
    return {"value": value, "low": low, "high": high, "n": 3, "method": "t"}


def test_findings_are_of_the_papers_size_and_need_intervals():
    rows = comparison({"TNet": runs((25.0, 25.1, 25.2)), "TNet+L1": runs((24.5, 24.6, 24.7)),
                       "TNet+BN": runs((25.1, 25.2, 25.3))})  # fmt: skip
    small = "beyond.small.SmallNet"
    numbers = {"filters.tnet_minus_gaussian": interval(0.55, 0.5, 0.6),
               f"{small}.difference": interval(0.2, 0.1, 0.3)}  # fmt: skip
    text = report_words.findings(ledger(numbers=numbers), rows)
    assert "An L1 loss moves TNet by -0.50 [-0.50, -0.50] dB, batch normalisation by +0.10" in text
    assert "the paper prints -0.03 and -0.87." in text
    assert "Against a tuned Gaussian filter TNet gains +0.55 [+0.50, +0.60] dB." in text
    assert text.endswith("a network of no more parameters (SmallNet) ends +0.20 [+0.10, +0.30] dB from TNet.")
    better = numbers | {f"{small}, augmented + cosine.difference": interval(0.4, 0.3, 0.5)}
    text = report_words.findings(ledger(numbers=better), rows)
    assert "(SmallNet), trained with augmentation and a cosine schedule, ends" in text
    assert text.endswith("ends +0.40 [+0.30, +0.50] dB from TNet.")
    assert report_words.findings(ledger(SMALL, numbers), rows) == ""
    without = {"filters.tnet_minus_gaussian": interval(0.55), f"{small}.difference": None}
    assert report_words.findings(ledger(numbers=without), comparison({"TNet": runs((25.0,))})) == ""


def test_the_abstract_counts_verdicts():
    counts = ledger(parameters_tnet=REPRODUCED, l1_costs=CONTRADICTED, psnr_tnet=COMPATIBLE,
                    psnr_l1=INCOMPATIBLE, psnr_unet=NO_RUN, max_beats_stride=REPRODUCED)  # fmt: skip
    text = report_words.verdict_counts(counts)
    assert text.startswith(
        f"Of {len(TESTED)} claims of the paper: 1 reproduced, 1 compatible on the authors' images, "
        f"1 contradicted, 1 not compatible there, {len(TESTED) - 5} not tested at this size, 1 without a run. "
    )
    assert "Only exact counts are reproduced in full." in text
    assert text.endswith("Verdicts on PSNR rest on confidence intervals over seeds crossed with photographs.")
    assert "Only exact" not in report_words.verdict_counts(ledger(denoises=REPRODUCED))
    small = report_words.verdict_counts(ledger(SMALL, parameters_tnet=REPRODUCED))
    assert small.endswith("they do not show where full training ends.")


def test_precision_is_told_where_it_is_below_fp32():
    rows = comparison({"TNet": runs((25.0,))})
    assert "trained in" not in report_words.limitations(ledger(), rows)
    for run, name in zip(rows.rows["TNet"], ("bf16",), strict=True):
        run.arithmetic = name
    assert "Networks were trained in bf16 and evaluated in fp32." in report_words.limitations(ledger(), rows)


def test_small_runs_are_told_from_the_papers():
    assert report_words.small_runs(ledger()) == ""
    text = report_words.small_runs(ledger(SMALL))
    assert "80,000 training images; a run of the paper saw 2,500,000" in text


def test_the_setting_names_the_validation_images():
    rows = comparison({"TNet": runs((25.0,))})
    text = report_words.setting(rows, PROFILES["overnight"])
    assert "batches of 32, a learning rate of 0.0005 (0.001 for UNet), 8,000 pairs for 10 epochs" in text
    assert "10 validation images of 5 photographs that no network was trained on" in text


def test_the_margins_are_those_of_the_rule():
    text = report_words.margins()
    assert "0.05 dB (about 1 % of the squared error) plus 3 published standard deviations" in text
    assert (
        "what 5 seeds can resolve in about 40 tests" in text
    )  # Student's quantile at 0.05 / 40, 4 degrees of freedom
    assert round(sps.t.isf(0.05 / 40, 4) / 5**0.5, 1) == 3.0
    assert "0.08 dB for TNet's level, 0.29 dB for UNet's and 0.29 dB for their difference." in text


def test_reasons_stand_by_verdict_and_are_shared_where_nothing_was_tested():
    found = ledger(
        parameters_tnet=REPRODUCED, l1_costs=CONTRADICTED, psnr_tnet=NO_DATA, max_beats_stride=REPRODUCED
    )
    text = report_words.reasons(found)
    assert text.startswith("**Reproduced**\n\n- *TNet has 43,064 parameters.* (")
    assert "\n\n**Contradicted**\n\n- *" in text and "pooling ends above" not in text
    assert "**Not reproduced**" not in text and "**Listed only**" not in text
    assert f"**{TOO_SMALL.capitalize()}**\n\n- {len(TESTED) - 3} claims: A reason." in text
    assert text.endswith("**Not testable without the authors' data**\n\n- *TNet reaches 25.32 dB*: A reason.")
    why = "TNet is 1 after 8 training images; this claim is judged from 9 on."
    alone = replace(found.judged[0], verdict=TOO_SMALL, why=why)
    text = report_words.reasons(Ledger([alone], found.evidence))
    says = alone.claim.says.removesuffix(".")
    assert text.endswith(f"- *{says}*: After 8 training images; this claim is judged from 9 on.")


def test_claims_without_a_verdict_are_counted():
    text = report_words.not_tested(ledger(psnr_tnet=NO_DATA, psnr_unet=NO_RUN, denoises=TOO_FEW))
    assert "**Levels** (1)." in text and "DATASET=epfl:PATH" in text
    assert f"**Size** ({len(TESTED) - 3})." in text
    assert "**Runs** (1 without any, 1 with fewer than three seeds)." in text
    some = report_words.not_tested(ledger())
    assert some.startswith("**Size**") and "**Runs**" not in some
    judged = [replace(j, verdict=REPRODUCED) for j in ledger().judged]
    assert report_words.not_tested(Ledger(judged, ledger().evidence)) == ""


def test_limitations_follow_photographs_and_size():
    rows = {"TNet": runs((25.0, 25.1)), "5e-4": runs((25.0, 25.1))}  # the same two runs under two names
    few = report_words.limitations(ledger(), comparison(rows))
    assert few.startswith("Here the validation images come from 5 photographs, so few that intervals")
    assert few.endswith("The ledger rests on 2 runs, each of 2,500,000 training images.")
    assert "too few to judge trained networks" in report_words.limitations(ledger(SMALL), comparison(rows))
    many = comparison(rows)
    many.photo = np.arange(report_words.FEW_PHOTOGRAPHS)
    text = report_words.limitations(ledger(), many)
    assert text.startswith("Here the validation images come from 30 photographs. The")
    unknown = report_words.limitations(ledger(), comparison(rows, photos_known=False))
    assert unknown.startswith("It is unknown which validation images come from one photograph.")
