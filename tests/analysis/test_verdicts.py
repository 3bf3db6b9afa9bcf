"""Verdicts on synthetic runs whose truth is known: each verdict is driven from both sides."""

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
import pytest

from n2nlib import paper
from n2nlib.analysis import claims
from n2nlib.analysis.claims import (
    COMPATIBLE,
    CONTRADICTED,
    DIRECTION,
    INCOMPATIBLE,
    LISTED,
    NO_DATA,
    NO_RUN,
    NOT_REPRODUCED,
    REPRODUCED,
    TOO_FEW,
    TOO_SMALL,
    Evidence,
)
from n2nlib.analysis.verdicts import judge
from n2nlib.spec import RunSpec

PHOTO = np.repeat(np.arange(40), 5)
LEVEL = np.random.default_rng(0).normal(25, 3, len(PHOTO))  # how hard each image is, shared by every network
PAPER = {"n_train": 50_000, "epochs": 50}
QUICK = {"n_train": 3_000, "epochs": 4}


@dataclass
class FakeRun:
    spec: RunSpec
    psnr: np.ndarray
    metrics: dict = field(default_factory=dict)
    history: pd.DataFrame | None = None


def runs(shift, n=5, sd=0.01, size=PAPER, image_sd=0.02, seed=1, **metrics):
    """Runs whose PSNR is `shift` dB above the level, with a spread of `sd` over seeds."""
    generator = np.random.default_rng([seed, round(1000 * abs(shift)), n])
    return [
        FakeRun(
            RunSpec("c", **size, network=f"net{shift}", seed=s),
            LEVEL + shift + generator.normal(0, sd) + generator.normal(0, image_sd, len(PHOTO)),
            {k: v * (1 + 0.01 * s) for k, v in metrics.items()},
        )
        for s in range(n)
    ]


def verdict(claim_id, rows=None, numbers=None, images=2_500_000, **changes):
    claim = replace(next(c for c in paper.claims() if c.id == claim_id), **changes)
    evidence = Evidence(rows or {}, numbers or {}, LEVEL - 4, PHOTO, images)
    return judge(evidence, [claim])[0]


def test_a_difference_is_reproduced_with_its_size():
    """TNet 0.08 dB above UNet, as published."""
    found = verdict("tnet-outperforms-unet", {"TNet": runs(0.08), "UNet": runs(0.0)})
    assert found.verdict == REPRODUCED
    assert found.ours.low < 0.08 < found.ours.high and found.p < 0.001
    assert found.spread == pytest.approx(0.014, abs=0.01) and "within the margin of 0.29" in found.why


def test_a_larger_difference_is_reproduced_in_direction():
    found = verdict("tnet-outperforms-unet", {"TNet": runs(0.5), "UNet": runs(0.0)})
    assert found.verdict == DIRECTION and "further away than the margin of 0.29" in found.why


def test_the_other_order_contradicts():
    found = verdict("tnet-outperforms-unet", {"TNet": runs(0.0), "UNet": runs(0.3)})
    assert found.verdict == CONTRADICTED and "not above 0" in found.why


def test_a_wide_interval_decides_nothing():
    found = verdict("tnet-outperforms-unet", {"TNet": runs(0.05, sd=0.3), "UNet": runs(0.0, sd=0.3)})
    assert found.verdict == NOT_REPRODUCED and "inconclusive on whether it is above 0" in found.why


def test_small_runs_say_nothing_of_trained_networks():
    found = verdict("tnet-outperforms-unet", {"TNet": runs(0.0, size=QUICK), "UNet": runs(0.3, size=QUICK)})
    assert (
        found.verdict == TOO_SMALL
        and "after 12,000 training images; this claim is judged from 2,500,000 on" in found.why
        and found.p is None
    )


def test_missing_runs_are_named():
    found = verdict("tnet-outperforms-unet", {"TNet": runs(0.1)})
    assert found.verdict == NO_RUN and found.why == "The runs of UNet are not in the store."
    assert found.ours is None


@pytest.mark.parametrize("shift, expected", [(-3.0, DIRECTION), (-5.0, TOO_FEW)])
def test_an_order_alone_may_be_read_from_small_runs(shift, expected):
    """Noisy images lie 4 dB below the level: two small runs above them give the order, two below give nothing."""
    found = verdict("denoises", {"TNet": runs(shift, n=2, size=QUICK)})
    assert found.verdict == expected and found.ours.low is None


def test_small_runs_with_an_interval_give_no_more_than_the_order():
    assert verdict("denoises", {"TNet": runs(-3.0, size=QUICK)}).verdict == DIRECTION
    assert verdict("denoises", {"TNet": runs(-5.0, size=QUICK)}).verdict == TOO_SMALL
    assert verdict("denoises", {"TNet": runs(-3.0)}).verdict == REPRODUCED
    assert verdict("denoises", {"TNet": runs(-5.0)}).verdict == CONTRADICTED


def test_two_seeds_of_the_papers_size_make_no_interval():
    found = verdict("tnet-outperforms-unet", {"TNet": runs(0.1, n=2), "UNet": runs(0.0, n=2)})
    assert found.verdict == TOO_FEW and "too few for an interval" in found.why


@pytest.mark.parametrize("shift, expected", [(0.0, REPRODUCED), (0.3, CONTRADICTED), (0.12, NOT_REPRODUCED)])
def test_equivalence_needs_the_whole_interval_inside_the_margin(shift, expected):
    found = verdict(
        "lr-low-differs-little",
        {"1e-4": runs(shift, sd=0.005), "5e-4": runs(0.0, sd=0.005, seed=2)},
        published=None,
    )
    assert found.verdict == expected


@pytest.mark.parametrize("shift, expected", [(-0.03, REPRODUCED), (-0.6, REPRODUCED), (0.2, CONTRADICTED)])
def test_does_not_help(shift, expected):
    assert (
        verdict("l1-does-not-help", {"TNet+L1": runs(shift), "TNet": runs(0.0, seed=2)}).verdict == expected
    )


def level(shift=0.0, numbers=None, authors_data=False, claim_id="psnr-tnet", size=PAPER):
    claim = next(c for c in paper.claims() if c.id == claim_id)
    rows = {claim.a: runs(25.32 - LEVEL.mean() + shift, size=size, published_loss=0.7)}
    evidence = Evidence(rows, numbers or {}, LEVEL - 4, PHOTO, 2_500_000, authors_data=authors_data)
    return judge(evidence, [claim])[0]


@pytest.mark.parametrize("shift, expected", [(0.0, REPRODUCED), (1.0, CONTRADICTED)])
def test_levels_are_tested_on_the_authors_data(shift, expected):
    assert level(shift, authors_data=True).verdict == expected


def predicted(value, in_range=True):
    return {
        "authors.level.TNet": {"value": value, "low": value - 0.1, "high": value + 0.1, "in_range": in_range}
    }


@pytest.mark.parametrize(
    "numbers, expected, text",
    [
        (predicted(25.3), COMPATIBLE, "25.30 [25.20, 25.40] dB (95 % prediction interval); the paper's 25.32 dB is inside."),
        (predicted(24.5), INCOMPATIBLE, "the paper's 25.32 dB is outside."),
        (predicted(25.3, in_range=False), COMPATIBLE, "the row is outside the calibrated range); the paper's 25.32 dB is inside."),
        ({"authors.level.TNet": None}, NO_DATA, "too far outside the calibrated range to predict its level."),
        ({"authors.level.TNet": {"value": 25.3, "in_range": True}}, TOO_FEW, "too few for an interval."),
        ({}, NO_DATA, "The level was not predicted for the authors' images."),
    ],
)  # fmt: skip
def test_elsewhere_a_level_is_judged_by_what_the_runs_would_reach_on_the_authors_images(
    numbers, expected, text
):
    found = level(numbers=numbers)
    assert found.verdict == expected and found.why.endswith(text) and found.p is None
    assert (found.ours.value == 25.3) == (expected in (COMPATIBLE, TOO_FEW))


def test_a_level_without_runs_or_of_small_ones_says_so():
    assert verdict("psnr-tnet").verdict == NO_RUN
    assert level(numbers=predicted(25.3), size=QUICK).verdict == TOO_SMALL
    assert level(claim_id="loss-tnet").verdict == NO_DATA


def test_parameter_counts_and_their_ratio():
    assert verdict("parameters-tnet").verdict == REPRODUCED
    assert verdict("parameters-unet").verdict == REPRODUCED
    assert verdict("twenty-times-fewer").ours.value == pytest.approx(991_203 / 43_064)
    assert verdict("twenty-times-fewer-cited").verdict == CONTRADICTED


def test_batch_normalisation_is_counted_to_the_printed_decimal():
    """TNet without it has 43.064 thousand weights, which is not the printed 43.5."""
    assert verdict("parameters-tnet-bn").verdict == REPRODUCED
    assert verdict("parameters-tnet-bn", a="TNet").verdict == CONTRADICTED


@pytest.mark.parametrize(
    "claim_id, value, expected",
    [
        ("basenet-convolutions", 6, REPRODUCED),
        ("basenet-embedding", 8, REPRODUCED),
        ("unet-max-pooling", 5, REPRODUCED),
        ("unet-deeper", 18 / 7, REPRODUCED),
        ("fewer-hence-easier", 1, CONTRADICTED),
        ("adam-defaults", 0.5, CONTRADICTED),
        ("adam-factor", 0.1 / 0.001**0.5, CONTRADICTED),
    ],
)
def test_what_is_countable_is_counted(claim_id, value, expected):
    found = verdict(claim_id)
    assert found.verdict == expected and found.ours.value == pytest.approx(value) and found.p is None


def interval(value, half, n=40):
    return {"value": value, "low": value - half, "high": value + half, "n": n}


def share(value, half):
    return {"smoothgrad.change_share": interval(value, half)}


@pytest.mark.parametrize(
    "value, half, expected",
    [
        (0.6, 0.05, REPRODUCED),
        (0.19, 0.01, DIRECTION),
        (0.01, 0.01, CONTRADICTED),
        (0.06, 0.05, NOT_REPRODUCED),
    ],
)
def test_mainly_is_a_share_of_the_change(value, half, expected):
    assert verdict("changes-noisy-pixels", numbers=share(value, half)).verdict == expected


def test_a_number_without_interval_or_from_small_runs_is_not_judged():
    assert verdict("changes-noisy-pixels", numbers={"smoothgrad.change_share": 0.01}).verdict == TOO_FEW
    small = verdict("changes-noisy-pixels", numbers=share(0.9, 0.01), images=12_000)
    assert small.verdict == TOO_SMALL and small.ours.value == 0.9
    assert "has not run" in verdict("changes-noisy-pixels").why


@pytest.mark.parametrize(
    "at_detail, expected", [(0.7, REPRODUCED), (-0.09, CONTRADICTED), (0.01, NOT_REPRODUCED), (None, NO_RUN)]
)
def test_a_gain_where_there_is_detail_is_not_harm_in_flat_areas(at_detail, expected):
    """A network that loses everywhere, and least at detail, does not gain there."""
    numbers = {"filters.gain_detail_minus_flat": interval(3.6, 0.6)}
    numbers["filters.gain_detail"] = at_detail and interval(at_detail, 0.06)
    assert verdict("gain-at-detail", numbers=numbers).verdict == expected


@pytest.mark.parametrize(
    "ends, expected",
    [((1.5, 1.2, 1.9), REPRODUCED), ((0.5, 0.4, 0.6), CONTRADICTED), ((1.1, 0.8, 1.5), NOT_REPRODUCED)],
)
def test_ratios_are_judged_on_their_logarithm(ends, expected):
    number = dict(zip(("value", "low", "high"), ends, strict=True)) | {"n": 40}
    numbers = {"smoothgrad.same_side.TNet": number, "smoothgrad.same_side_over_untrained": interval(0.2, 0.1)}
    assert verdict("object-and-background", numbers=numbers).verdict == expected


def test_work_and_weights_are_counted_on_the_networks():
    """Multiply-adds by hand: TNet's nine convolutions, each places x inputs x 9 x outputs."""
    by_hand = 9 * (
        1024 * 3 * 16
        + 256 * 16 * 32
        + 16 * 32 * 32
        + 16 * 64 * 32
        + 256 * 64 * 16
        + 1024 * 32 * 3
        + 1024 * 6 * 3
    )
    assert claims.work("TNet") == by_hand


def history(reached):
    """A run that gains 1 dB per epoch of 1,000 images and 10 s, and has 20 dB after the one called `reached`."""
    epochs = np.arange(1, 6)
    psnr = np.where(epochs == 3, np.nan, 20.0 + epochs - reached)  # not every epoch is validated
    return pd.DataFrame({"images": 1000 * epochs, "psnr": psnr, "seconds": 10.0 * epochs})


def reaching(*epochs):
    made = runs(0.0, n=len(epochs), seed=len(epochs))
    return [replace(run, history=history(epoch)) for run, epoch in zip(made, epochs, strict=True)]


def test_easier_is_the_cost_to_a_given_psnr():
    """All runs end with 20 dB or more: slow ones after 5 epochs, fast ones after 1 to 3; the third by interpolation."""
    rows = {"TNet": reaching(5, 5, 5), "UNet": reaching(1, 2, 3)}
    images = verdict("easier-to-train-images", rows)
    assert images.ours.value == pytest.approx(6 ** (1 / 3) / 5) and images.verdict in (
        CONTRADICTED,
        NOT_REPRODUCED,
    )
    seconds = verdict("easier-to-train-seconds", rows)
    assert seconds.ours.value == pytest.approx(images.ours.value)
    macs = verdict("easier-to-train-macs", rows)
    assert macs.ours.value == pytest.approx(images.ours.value * claims.work("UNet") / claims.work("TNet"))
    assert macs.verdict == REPRODUCED and verdict("easier-to-train-macs").verdict == NO_RUN


def test_the_best_row_is_above_every_other():
    rows = {"TNet": runs(0.5), "TNet+L1": runs(0.0), "TNet+BN": runs(-0.3), "BaseNet": runs(-9.0)}
    assert verdict("tnet-best", rows).verdict == NO_RUN  # UNet could be higher
    assert verdict("tnet-best", rows | {"UNet": runs(0.1)}).verdict == REPRODUCED
    wide = verdict("tnet-best", rows | {"UNet": runs(0.1, sd=1.0)})
    assert wide.verdict == NOT_REPRODUCED and "TNet − UNet, the row that decides," in wide.why
    assert verdict("tnet-best", rows | {"TNet+BN": runs(0.9)}).verdict == CONTRADICTED  # whatever UNet does


def test_spreads_are_compared_by_their_f_ratio():
    steady, wild = runs(0.0, sd=0.005, image_sd=0), runs(0.3, sd=0.2, image_sd=0)
    found = verdict("tnet-steadier", {"TNet": steady, "UNet": wild})
    assert found.verdict == REPRODUCED and found.ours.low < found.ours.value < found.ours.high < 1
    assert verdict("tnet-steadier", {"TNet": wild, "UNet": steady}).verdict == CONTRADICTED
    assert verdict("tnet-steadier", {"TNet": steady[:2], "UNet": wild}).verdict == TOO_FEW
    assert verdict("tnet-steadier", {"TNet": steady[:1], "UNet": wild}).verdict == NO_RUN


def test_statements_without_a_test_are_listed_with_the_reason():
    found = verdict("unet-original")
    assert found.verdict == LISTED and found.why.startswith("Cited from Lehtinen et al. (2018)")


def test_an_amount_is_the_printed_difference_within_its_tolerance():
    """Batch normalisation costs 0.87 dB in print, give or take 0.2: the sign alone is another claim."""
    tnet = runs(0.0, seed=2)
    assert verdict("bn-costs", {"TNet+BN": runs(-0.9), "TNet": tnet}).verdict == REPRODUCED
    assert verdict("bn-costs", {"TNet+BN": runs(-0.05), "TNet": tnet}).verdict == CONTRADICTED
    assert verdict("bn-does-not-help", {"TNet+BN": runs(-0.9), "TNet": tnet}).verdict == REPRODUCED


def test_an_undecided_number_says_when_the_words_have_no_room():
    number = {"smoothgrad.output_gradient_ratio": interval(0.98, 0.04)}
    assert "the interval excludes the 0.9" in verdict("noisy-pixels-weigh-little", numbers=number).why
    number = {"smoothgrad.output_gradient_ratio": interval(0.95, 0.2)}
    assert "excludes" not in verdict("noisy-pixels-weigh-little", numbers=number).why


def test_holm_over_the_family_is_stricter_than_one_test():
    """A difference that just passes alone does not pass among 30 tests of other claims."""
    claim = next(c for c in paper.claims() if c.id == "changes-noisy-pixels")
    evidence = Evidence({}, share(0.15, 0.095), LEVEL, PHOTO, 2_500_000)
    alone = judge(evidence, [claim])[0]
    among = judge(evidence, [replace(claim, id=f"c{i}") for i in range(30)])[0]
    assert alone.verdict == DIRECTION
    assert among.verdict == NOT_REPRODUCED and "for 30 tests" in among.why
    assert among.p == pytest.approx(min(1, 30 * alone.p))


def test_tests_without_a_possible_verdict_are_not_in_the_family():
    """A level on other photographs is not tested, so it costs no other claim a part of its 5 %."""
    both = [c for c in paper.claims() if c.id in ("psnr-tnet", "denoises")]
    judged = {
        j.claim.id: j for j in judge(Evidence({"TNet": runs(-3.0)}, {}, LEVEL - 4, PHOTO, 2_500_000), both)
    }
    alone = verdict("denoises", {"TNet": runs(-3.0)})
    assert judged["psnr-tnet"].p is None and judged["denoises"].p == alone.p


@pytest.mark.parametrize("df, fragile", [(3.42, True), (3.0, False), (60.0, False)])
def test_a_verdict_that_depends_on_degrees_of_freedom_says_so(df, fragile):
    """3.07 standard errors decide with 3.42 degrees of freedom and not with n - 1 = 3."""
    number = {"value": 0.19, "low": 0.0, "high": 0.0, "se": 0.045, "df": df, "n": 4, "method": "crossed"}
    found = verdict("changes-noisy-pixels", numbers={"smoothgrad.change_share": number}, above=0.052)
    assert ("so the verdict depends on these" in found.why) == fragile


def test_an_equality_is_one_rule_for_the_paper_and_for_us():
    """TOST: the larger of two one-sided p values, not doubled, as `intervals.equivalence` has it for bf16 against fp32."""
    from n2nlib.analysis.comparison import difference_of
    from n2nlib.analysis.intervals import equivalence

    rows = {"1e-4": runs(0.05, sd=0.03), "5e-4": runs(0.0, sd=0.03, seed=2)}
    found = verdict("lr-low-differs-little", rows)
    d = difference_of(rows["1e-4"], rows["5e-4"], PHOTO)
    assert found.p == pytest.approx(equivalence(d, paper.margin("1e-4", "5e-4")))


def test_an_empty_store_claims_nothing_but_counts():
    judged = judge(Evidence({}, {}, LEVEL, PHOTO, 12_000))
    assert {j.verdict for j in judged if j.claim.kind != "count"} == {NO_RUN, NO_DATA, LISTED}
    assert all(j.why.endswith(".") for j in judged)


@pytest.mark.parametrize("value, expected", [(0.8, REPRODUCED), (0.97, DIRECTION), (1.2, CONTRADICTED)])
def test_an_effect_smaller_than_the_words_stand_for_is_a_direction(value, expected):
    found = verdict(
        "noisy-pixels-weigh-little", numbers={"smoothgrad.output_gradient_ratio": interval(value, 0.01)}
    )
    assert found.verdict == expected and (
        "but not below 0.9, which the words are taken to mean" in found.why
    ) == (expected == DIRECTION)


@pytest.mark.parametrize(
    "more, expected", [(0.05, REPRODUCED), (0.0, DIRECTION), (-0.05, DIRECTION), (None, DIRECTION)]
)
def test_what_has_learnt_nothing_and_does_as_well_is_a_direction(more, expected):
    """So is what was not compared with it."""
    numbers = {
        "smoothgrad.loss_gradient_auc": interval(0.9, 0.01),
        "smoothgrad.loss_gradient_auc_minus_shuffled": more and interval(more, 0.01),
    }
    found = verdict("loss-gradient-finds-noise", numbers=numbers)
    assert found.verdict == expected and ("with shuffled weights" in found.why) == (expected == DIRECTION)
