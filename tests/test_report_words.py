"""The sentences of chapter 07, in all their branches: each follows its verdicts, runs and size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from test_comparison import comparison, runs

from n2nlib import paper
from n2nlib.analysis.claims import (
    CONTRADICTED,
    DIRECTION,
    NO_DATA,
    NOT_REPRODUCED,
    REPRODUCED,
    TOO_SMALL,
    VERDICTS,
    Evidence,
    Judged,
)  # fmt: skip
from n2nlib.analysis.ledger import Ledger
from n2nlib.analysis.stats import Interval
from n2nlib.display import report_words
from n2nlib.profiles import PROFILES

WHOLE, SMALL = paper.images(), 80_000
CLAIMS = {claim.id: claim for claim in paper.claims()}


def ledger(images=WHOLE, numbers=None, ours=None, why="A reason.", **verdicts):
    """A ledger whose claims are all too small to test but those named (with _ for -)."""
    given = {name.replace("_", "-"): verdict for name, verdict in verdicts.items()}
    assert given.keys() <= CLAIMS.keys()
    judged = [Judged(claim, ours, None, given.get(id, TOO_SMALL), why) for id, claim in CLAIMS.items()]
    return Ledger(judged, Evidence({}, numbers or {}, np.zeros(1), np.zeros(1), images))


def interval(value, low=None, high=None):
    return {"value": value, "low": low, "high": high, "n": 3, "method": "t"}


@pytest.mark.parametrize(
    "verdict, text",
    [
        (REPRODUCED, "TNet ends above UNet by about the published amount"),
        (DIRECTION, "TNet ends above UNet, though not by the published amount"),
        (NOT_REPRODUCED, "the runs do not decide whether TNet or UNet ends higher"),
        (CONTRADICTED, "UNet ends above TNet, unlike in the paper"),
        (TOO_SMALL, "whether TNet outperforms UNet is not tested at this size"),
        (NO_DATA, "whether TNet outperforms UNet is not tested at this size"),
    ],
)
def test_the_abstract_follows_the_verdict_on_unet(verdict, text):
    found = ledger(tnet_outperforms_unet=verdict)
    assert report_words.against_unet(found) == f"With each network at the paper's learning rate, {text}."


def test_the_abstract_says_how_tnet_was_trained():
    rows = comparison({"TNet": runs((25.0, 25.1, 25.2))})
    whole, part = PROFILES["paper"], PROFILES["overnight"]
    assert report_words.tnet(ledger(), rows, whole) == (
        "TNet, trained from 3 seeds on 50,000 noisy pairs for 50 epochs, reaches 25.10 ± 0.10 dB; its noisy "
        "input has 20.70 dB."
    )
    small = report_words.tnet(ledger(SMALL), comparison({"TNet": runs((25.0,))}), part)
    assert "from 1 seed on 8,000 noisy pairs for 10 epochs (3.2 % of the training images that each" in small
    assert report_words.tnet(ledger(), comparison({}), whole) == "No run of TNet is stored at this size."


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
    counts = ledger(parameters_tnet=REPRODUCED, l1_costs=CONTRADICTED)
    text = report_words.verdict_counts(counts)
    assert text.startswith(
        f"Of {len(CLAIMS)} claims of the paper: 1 reproduced, 0 in direction, 0 not reproduced, "
        "1 contradicted, "
    )
    assert "Only counts of parameters and operations are reproduced in full." in text
    assert text.endswith("Verdicts on PSNR rest on confidence intervals over seeds crossed with photographs.")
    assert "Only counts" not in report_words.verdict_counts(ledger(denoises=REPRODUCED))
    small = report_words.verdict_counts(ledger(SMALL, parameters_tnet=REPRODUCED))
    assert small.endswith("they do not show where full training ends.")


def test_precision_is_told_where_it_is_below_fp32():
    rows = comparison({"TNet": runs((25.0,))})
    assert report_words.arithmetic_in_brief(rows) == ""
    assert "arithmetic" not in report_words.limitations(ledger(), rows)
    for run, name in zip(rows.rows["TNet"], ("bf16",), strict=True):
        run.arithmetic = name
    brief = report_words.arithmetic_in_brief(rows)
    assert brief == "Networks were trained in bf16; chapter 04 compares them with fp32."
    assert "Networks were trained in bf16 and evaluated in fp32." in report_words.limitations(ledger(), rows)


def test_the_abstract_is_one_paragraph():
    rows = comparison({"TNet": runs((25.0, 25.1, 25.2))})
    text = report_words.abstract(ledger(), rows, PROFILES["paper"], "a-dataset")
    assert "43,064 parameters" in text and "a-dataset" in text and "\n" not in text and "  " not in text


def test_in_short_names_claims_that_have_a_verdict():
    found = ledger(parameters_tnet=REPRODUCED, l1_costs=NOT_REPRODUCED, psnr_tnet=NO_DATA)
    text = report_words.in_short(found)
    lines = text.split("\n")
    assert len(lines) == len(VERDICTS)
    assert lines[0] == "- **Reproduced** (1): TNet has 43,064 parameters."
    assert lines[1] == "- **Reproduced in direction** (0)."
    assert lines[2].startswith("- **Not reproduced** (1; the runs decide neither way): an L1 loss")
    assert lines[4] == f"- **{TOO_SMALL.capitalize()}** ({len(CLAIMS) - 3})."
    assert lines[5] == "- **Not testable without the authors' data** (1)."


def test_small_runs_are_told_from_the_papers():
    assert report_words.small_runs(ledger()) == ""
    text = report_words.small_runs(ledger(SMALL))
    assert "80,000 training images; a run of the paper saw 2,500,000" in text


def test_the_setting_names_the_validation_images():
    rows = comparison({"TNet": runs((25.0,))})
    text = report_words.setting(rows, PROFILES["overnight"])
    assert "batches of 32, a learning rate of 0.0005 (0.001 for UNet), 8,000 pairs for 10 epochs" in text
    assert "10 validation images of 5 photographs that no network was trained on" in text


ZERO = 6.2
LOW, HIGH = (6.8, 6.9, 7.0), (15.0, 15.1, 15.2)


@pytest.mark.parametrize(
    "trained, never, images, text, suspect",
    [
        (HIGH, LOW, WHOLE, "The published row lies near networks that were never updated", True),
        (HIGH, LOW, SMALL, "The trained networks saw only 80,000 images, and moved that far already.", True),
        ((6.9, 15.0, 15.2), LOW, WHOLE, "1 of 3 trained networks ended as low as the published row", False),
        (LOW, LOW, WHOLE, "Both fit the published row, so these runs cannot tell the two apart.", False),
        (LOW, LOW, SMALL, "cannot tell the two apart at this size.", False),
        (LOW, HIGH, WHOLE, "The published row fits a trained BaseNet; the doubt is not supported.", False),
        (HIGH, HIGH, WHOLE, "Neither fits the published row; its origin stays open.", False),
        (HIGH, (6.9, 15.0, 6.9), WHOLE, "Neither fits the published row; its origin stays open.", False),
    ],
)
def test_basenet_in_all_its_readings(trained, never, images, text, suspect):
    rows = comparison({"BaseNet": runs(trained), "BaseNet, never updated": runs(never)})
    told = report_words.basenet(ledger(images), rows, ZERO)
    assert text in told and f"Trained, BaseNet reaches {min(trained):.2f} to {max(trained):.2f} dB;" in told
    assert ("moved that far already" in told) == (images == SMALL and trained is HIGH)
    assert report_words.never_updated(rows, ZERO) is suspect


def test_basenet_is_compared_by_its_distance_to_a_black_image():
    rows = comparison({"BaseNet": runs((9.0,))})
    assert report_words.like_published(rows, "BaseNet", ZERO) == [False]
    assert report_words.like_published(rows, "BaseNet", 8.2) == [True]  # darker photographs


def test_basenet_without_its_runs():
    rows = comparison({"BaseNet": runs(HIGH)})
    told = report_words.basenet(ledger(), rows, ZERO)
    assert told == "The runs that answer this question are not stored at this size."
    assert not report_words.never_updated(rows, ZERO)


@pytest.mark.parametrize(
    "verdict, images, text",
    [
        (REPRODUCED, WHOLE, "A reason. The rows stand as printed."),
        (DIRECTION, WHOLE, "A reason. The order of the rows is as printed, its size is not."),
        (NOT_REPRODUCED, WHOLE, "A reason. These runs do not settle it."),
        (TOO_SMALL, WHOLE, "A reason."),
    ],
)
def test_l1_and_bn_follow_the_verdict(verdict, images, text):
    assert report_words.l1_and_bn(ledger(images, l1_above_bn=verdict)) == text


def test_l1_and_bn_exchanged_or_early():
    exchanged = report_words.l1_and_bn(ledger(l1_above_bn=CONTRADICTED))
    assert "An exchange of the two rows would explain it" in exchanged
    assert "neither supports nor removes the doubt" in report_words.l1_and_bn(ledger(SMALL))


def test_rates_and_the_published_notebook():
    found = ledger(lr_low_differs_little=REPRODUCED)
    text = report_words.rate_verdicts(found)
    assert text == f"The ledger on 1e-4 against 5e-4: reproduced; on 9e-4 against 5e-4: {TOO_SMALL}."
    assert "BaseNet's row looks like that" in report_words.published_notebook(True)
    assert "BaseNet" not in report_words.published_notebook(False)
    assert ". The rows of UNet" in report_words.published_notebook(False)


def test_parameters_are_counted_on_the_networks():
    text = report_words.parameter_counts()
    assert "991,203 weights, 23.0 times TNet's 43,064" in text
    assert "576,099, 13.4 times as many" in text and '"20x fewer"' in text


def test_the_authors_runs_do_not_carry_outperforms():
    assert "TNet − UNet = +0.08 [-0.02, +0.18] dB" in report_words.authors_runs()
    assert 'not yet "outperforms"' in report_words.authors_runs()
    above = Interval(0.1, 0.02, 0.18, 5, "t").signed()
    assert report_words.authors_interval(above).endswith(": an interval above zero.")


def test_peers_stand_beside_our_augmented_runs():
    rows = comparison({"TNet": runs((25.0,)), "TNet, augmented + cosine": runs((25.0, 25.1, 25.2)),
                       "UNet, augmented + cosine": runs((25.5, 25.6, 25.7), network="UNet")})  # fmt: skip
    text = report_words.peers(rows)
    assert "991,203 parameters to 25.77 and 25.81 dB" in text and "both of ours differ by -0.50" in text
    text = report_words.peers(comparison({}))
    assert text.endswith("The runs with augmentation are left out at this size.")


def test_filters_follow_their_verdicts_and_the_size():
    measured = {"filters.tnet_minus_gaussian": interval(0.5, 0.4, 0.6)}
    assert report_words.filters(ledger(numbers=measured)) == "A reason. A reason. A reason."
    small = report_words.filters(ledger(SMALL, measured))
    enough = paper.value("calibration.gaussian_passed_at")
    assert small.endswith(f"TNet passes it only after about {enough:,} training images; here it saw 80,000.")
    assert report_words.filters(ledger(enough, measured)).endswith(f"about {enough:,} training images.")
    assert report_words.filters(ledger()) == ""


def test_edges_follow_their_verdicts():
    found = ledger(numbers={"smoothgrad.same_side.TNet": interval(1.3)})
    assert report_words.edges(found) == " ".join(["A reason."] * 5)
    assert report_words.edges(ledger()) == ""


def test_reasons_stand_by_verdict_and_are_shared_where_nothing_was_tested():
    text = report_words.reasons(ledger(parameters_tnet=REPRODUCED, l1_costs=CONTRADICTED, psnr_tnet=NO_DATA))
    assert text.startswith("**Reproduced**\n\n- *TNet has 43,064 parameters.* (")
    assert "\n\n**Contradicted**\n\n- *" in text
    assert NO_DATA.capitalize() not in text and "**Not reproduced**" not in text
    assert text.endswith(f"- {len(CLAIMS) - 3} claims: A reason.")
    found = ledger(**{id.replace("-", "_"): NO_DATA for id in CLAIMS})
    assert report_words.reasons(found) == ""
    why = "TNet is 1 after 8 training images; this claim is judged from 9 on."
    alone = replace(found.judged[0], verdict=TOO_SMALL, why=why)
    text = report_words.reasons(Ledger([alone], found.evidence))
    says = alone.claim.says.removesuffix(".")
    assert text.endswith(f"- *{says}*: After 8 training images; this claim is judged from 9 on.")


def test_claims_without_a_verdict_are_counted():
    text = report_words.not_tested(ledger(psnr_tnet=NO_DATA))
    assert "**Levels in decibels** (1)." in text
    assert "TNet reaches 25.32 dB. With the authors' two files" in text
    assert "**Measured, not judged** (0): the runs are too small, or too few for an interval." in text
    assert f"**Not measured** ({len(CLAIMS) - 1})" in text
    measured = report_words.not_tested(ledger(ours=Interval(1.0, None, None, 1, "t")))
    assert f"**Measured, not judged** ({len(CLAIMS)})" in measured and "Levels" not in measured
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
