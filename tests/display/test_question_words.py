"""The sentences of chapter 07 on its six questions, in all their branches."""

from __future__ import annotations

from dataclasses import replace

import pytest
from test_comparison import comparison, runs
from test_report_words import SMALL, WHOLE, interval, ledger

from n2nlib import paper
from n2nlib.analysis import published
from n2nlib.analysis.claims import CONTRADICTED, DIRECTION, NOT_REPRODUCED, REPRODUCED, TOO_SMALL
from n2nlib.analysis.intervals import Interval
from n2nlib.display import question_words

ZERO = 6.2
LOW, HIGH = (6.8, 6.9, 7.0), (15.0, 15.1, 15.2)


@pytest.mark.parametrize(
    "trained, never, images, text, suspect",
    [
        (HIGH, LOW, WHOLE, "The published row lies near networks that were never updated", True),
        ((15.0,), LOW, WHOLE, "The published row lies near networks that were never updated", True),
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
    told = question_words.basenet(ledger(images), rows, ZERO)
    assert text in told and "Trained, BaseNet reaches" in told
    span = f"{min(trained):.2f} to {max(trained):.2f} dB in {len(trained)} seeds;"
    assert (span if len(trained) > 1 else f"{trained[0]:.2f} dB in one seed;") in told
    assert ("moved that far already" in told) == (images == SMALL and trained is HIGH)
    assert question_words.never_updated(rows, ZERO) is suspect


def test_basenet_is_compared_by_its_distance_to_a_black_image():
    rows = comparison({"BaseNet": runs((9.0,))})
    assert question_words.like_published(rows, "BaseNet", ZERO) == [False]
    assert question_words.like_published(rows, "BaseNet", 8.2) == [True]  # darker photographs


def test_basenet_without_its_runs():
    rows = comparison({"BaseNet": runs(HIGH)})
    told = question_words.basenet(ledger(), rows, ZERO)
    assert told == "The runs that answer this question are not stored at this size."
    assert not question_words.never_updated(rows, ZERO)


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
    assert question_words.l1_and_bn(ledger(images, l1_above_bn=verdict)) == text


def test_l1_and_bn_exchanged_or_early():
    exchanged = question_words.l1_and_bn(ledger(l1_above_bn=CONTRADICTED))
    assert "An exchange of the two rows would explain it" in exchanged
    assert "neither supports nor removes the doubt" in question_words.l1_and_bn(ledger(SMALL))


def test_rates_and_the_published_notebook():
    found = ledger(lr_low_differs_little=REPRODUCED)
    text = question_words.rate_verdicts(found)
    assert text == f"The ledger on 1e-4 against 5e-4: reproduced; on 9e-4 against 5e-4: {TOO_SMALL}."
    assert "BaseNet's row looks like that" in question_words.published_notebook(True)
    assert "BaseNet" not in question_words.published_notebook(False)
    assert ". The rows of UNet" in question_words.published_notebook(False)


def test_parameters_are_counted_on_the_networks():
    text = question_words.parameter_counts()
    assert "991,203 weights, 23.0 times TNet's 43,064" in text
    assert "576,099, 13.4 times as many" in text and '"20x fewer"' in text


def test_the_papers_own_numbers_carry_its_levels_and_not_every_sentence():
    text = question_words.own_numbers(published.judged())
    assert "11 of 11 levels come out as reproduced. These sentences are not carried" in text
    assert "\n- *TNet outperforms UNet (each with the paper's learning rate).* TNet − UNet is +0.08 [" in text
    whole = [replace(j, verdict=REPRODUCED) for j in published.judged()]
    assert question_words.own_numbers(whole).endswith(
        "All sentences about them are carried by these numbers."
    )


def test_a_row_that_is_printed_otherwise_than_its_runs_average_is_told():
    assert question_words.misprints({"TNet+L1": (25.2988, 25.29)}) == (
        "The authors' five runs of TNet+L1 average 25.2988 dB, which rounds to 25.30; Table 2 prints 25.29."
    )
    assert question_words.misprints({}) == ""


def level(value, half=0.1, in_range=True):
    return {"value": value, "low": value - half, "high": value + half, "n": 5, "in_range": in_range}


@pytest.mark.parametrize(
    "l1, bn, text",
    [
        (
            level(24.5),
            level(25.3),
            "Both printed values fit the other row and neither fits its own: the two rows seem",
        ),
        (level(25.3), level(24.5), "Both printed values fit their own row; nothing points to an exchange."),
        (level(24.9, 0.6), level(24.9, 0.6), "The intervals are too wide to tell the two readings apart."),
        (
            level(24.5),
            level(24.5),
            "The printed values fit neither reading in full, so the question stays open.",
        ),
    ],
)
def test_an_exchange_needs_both_rows_to_fit_the_other_and_neither_its_own(l1, bn, text):
    found = ledger(numbers={"authors.level.TNet+L1": l1, "authors.level.TNet+BN": bn})
    told = question_words.exchanged(found)
    assert (
        text in told
        and f"predict {l1['value']:.2f} [" in told
        and "Table 2 prints 25.29 and 24.45 dB." in told
    )


def test_a_row_outside_the_calibrated_range_is_named():
    numbers = {
        "authors.level.TNet+L1": level(24.5, 0.4, in_range=False),
        "authors.level.TNet+BN": level(25.3),
    }
    told = question_words.exchanged(ledger(numbers=numbers))
    assert "On these pairs TNet+L1 is outside the calibrated range, so its interval is wider." in told
    assert "the two rows seem to be exchanged" in told


def test_nothing_is_said_of_an_exchange_without_both_predictions():
    assert question_words.exchanged(ledger()) == ""
    one = {"authors.level.TNet+L1": level(24.5)}
    assert question_words.exchanged(ledger(numbers=one)) == ""
    assert question_words.exchanged(ledger(numbers=one | {"authors.level.TNet+BN": None})) == ""
    few = one | {"authors.level.TNet+BN": {"value": 25.3, "n": 2, "in_range": True}}
    assert question_words.exchanged(ledger(numbers=few)) == ""


def test_early_rates_are_those_of_others():
    assert question_words.early_rates() == (
        "Early in training the rates differ clearly: after 40,000 training images on photographs like the "
        "authors', TNet has about 21 dB at 1e-4 and 24.4 dB at 9e-4."
    )


def test_easier_follows_its_verdicts():
    text = question_words.easier(ledger())
    assert text.startswith("UNet needs 32.5 times TNet's MACs per image.") and text.count("A reason.") == 2
    assert "rough" not in text
    assert "they are rough" in question_words.easier(ledger(ours=Interval(1.0, None, None, 3, "t")))


def test_peers_stand_beside_our_augmented_runs():
    rows = comparison({"TNet": runs((25.0,)), "TNet, augmented + cosine": runs((25.0, 25.1, 25.2)),
                       "UNet, augmented + cosine": runs((25.5, 25.6, 25.7), network="UNet")})  # fmt: skip
    text = question_words.peers(rows)
    assert "991,203 parameters to 25.77 and 25.81 dB" in text and "both of ours differ by -0.50" in text
    text = question_words.peers(comparison({}))
    assert text.endswith("The runs with augmentation are not stored at this size.")


def test_filters_follow_their_verdicts_and_the_size():
    measured = {"filters.tnet_minus_gaussian": interval(0.5, 0.4, 0.6)}
    assert question_words.filters(ledger(numbers=measured)) == "A reason."
    small = question_words.filters(ledger(SMALL, measured))
    enough = paper.value("calibration.gaussian_passed_at")
    assert small.endswith(f"TNet passes it only after about {enough:,} training images; here it saw 80,000.")
    assert question_words.filters(ledger(enough, measured)).endswith(f"about {enough:,} training images.")
    assert question_words.filters(ledger()) == ""


def test_edges_follow_their_verdicts():
    found = ledger(numbers={"smoothgrad.same_side.TNet": interval(1.3)})
    assert question_words.edges(found) == "A reason."
    assert question_words.edges(ledger()) == ""
