"""Verdicts on synthetic runs whose truth is known: each verdict is driven from both sides."""

import json
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
import pytest

from n2nlib import paper, paths
from n2nlib.analysis import claims, ledger
from n2nlib.analysis.claims import (
    CONTRADICTED,
    DIRECTION,
    NO_DATA,
    NOT_REPRODUCED,
    REPRODUCED,
    TOO_SMALL,
    Evidence,
    judge,
)
from n2nlib.errors import ReportError
from n2nlib.spec import RunSpec
from n2nlib.text import cell, flat

PHOTO = np.repeat(np.arange(40), 5)
LEVEL = np.random.default_rng(0).normal(25, 3, len(PHOTO))  # how hard each image is, shared by every network
PAPER = {"n_train": 50_000, "epochs": 50}
QUICK = {"n_train": 3_000, "epochs": 4}


@dataclass
class FakeRun:
    spec: RunSpec
    psnr: np.ndarray
    metrics: dict = field(default_factory=dict)


def runs(shift, n=5, sd=0.01, size=PAPER, image_sd=0.02, seed=1, **metrics):
    """Runs whose PSNR is `shift` dB above the level, with a spread of `sd` over initialisations."""
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
    assert found.spread == pytest.approx(0.014, abs=0.01)


def test_a_larger_difference_is_reproduced_in_direction():
    found = verdict("tnet-outperforms-unet", {"TNet": runs(0.5), "UNet": runs(0.0)})
    assert found.verdict == DIRECTION and "further than 0.1 away" in found.why


def test_the_other_order_contradicts():
    found = verdict("tnet-outperforms-unet", {"TNet": runs(0.0), "UNet": runs(0.3)})
    assert found.verdict == CONTRADICTED and "not above 0" in found.why


def test_a_wide_interval_decides_nothing():
    found = verdict("tnet-outperforms-unet", {"TNet": runs(0.05, sd=0.3), "UNet": runs(0.0, sd=0.3)})
    assert found.verdict == NOT_REPRODUCED and "does not decide" in found.why


def test_small_runs_say_nothing_of_trained_networks():
    found = verdict("tnet-outperforms-unet", {"TNet": runs(0.0, size=QUICK), "UNet": runs(0.3, size=QUICK)})
    assert (
        found.verdict == TOO_SMALL
        and "after 12,000 training images; this claim is judged from 2,500,000 on" in found.why
        and found.p is None
    )


def test_missing_runs_are_named():
    found = verdict("tnet-outperforms-unet", {"TNet": runs(0.1)})
    assert found.verdict == TOO_SMALL and "UNet" in found.why and found.ours is None


@pytest.mark.parametrize("shift, expected", [(-3.0, DIRECTION), (-5.0, TOO_SMALL)])
def test_an_order_alone_may_be_read_from_small_runs(shift, expected):
    """Noisy images lie 4 dB below the level: two small runs above them give the order, two below give nothing."""
    found = verdict("denoises", {"TNet": runs(shift, n=2, size=QUICK)})
    assert found.verdict == expected and found.ours.low is None


def test_small_runs_with_an_interval_give_no_more_than_the_order():
    assert verdict("denoises", {"TNet": runs(-3.0, size=QUICK)}).verdict == DIRECTION
    assert verdict("denoises", {"TNet": runs(-5.0, size=QUICK)}).verdict == TOO_SMALL
    assert verdict("denoises", {"TNet": runs(-3.0)}).verdict == REPRODUCED
    assert verdict("denoises", {"TNet": runs(-5.0)}).verdict == CONTRADICTED


def test_two_initialisations_of_paper_size_make_no_interval():
    found = verdict("tnet-outperforms-unet", {"TNet": runs(0.1, n=2), "UNet": runs(0.0, n=2)})
    assert found.verdict == TOO_SMALL and "too few for an interval" in found.why


@pytest.mark.parametrize("shift, expected", [(0.0, REPRODUCED), (0.1, CONTRADICTED), (0.03, NOT_REPRODUCED)])
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


def test_absolute_levels_belong_to_the_authors_data():
    rows = {"TNet": runs(25.32 - LEVEL.mean())}
    assert verdict("psnr-tnet", rows).verdict == NO_DATA
    claim = next(c for c in paper.claims() if c.id == "psnr-tnet")
    for shift, expected in [(0.0, REPRODUCED), (1.0, CONTRADICTED)]:
        evidence = Evidence(
            {"TNet": runs(25.32 - LEVEL.mean() + shift)}, {}, LEVEL - 4, PHOTO, 2_500_000, authors_data=True
        )
        assert judge(evidence, [claim])[0].verdict == expected


def test_parameter_counts_and_their_ratio():
    assert verdict("parameters-tnet").verdict == REPRODUCED
    assert verdict("parameters-unet").verdict == REPRODUCED
    assert verdict("twenty-times-fewer").ours.value == pytest.approx(991_203 / 43_064)
    assert verdict("twenty-times-fewer-cited").verdict == CONTRADICTED


def interval(value, half, n=40):
    return {"value": value, "low": value - half, "high": value + half, "n": n}


@pytest.mark.parametrize(
    "value, half, expected", [(0.9, 0.05, REPRODUCED), (0.3, 0.05, CONTRADICTED), (0.52, 0.1, NOT_REPRODUCED)]
)
def test_numbers_that_chapters_measured(value, half, expected):
    numbers = {
        "smoothgrad.change_auc": interval(value, half),
        "smoothgrad.change_auc_minus_gaussian": interval(0.1, 0.01),
    }
    assert verdict("changes-noisy-pixels", numbers=numbers).verdict == expected


def test_a_number_without_interval_or_from_small_runs_is_not_judged():
    assert verdict("changes-noisy-pixels", numbers={"smoothgrad.change_auc": 0.9}).verdict == TOO_SMALL
    small = verdict(
        "changes-noisy-pixels", numbers={"smoothgrad.change_auc": interval(0.9, 0.01)}, images=12_000
    )
    assert small.verdict == TOO_SMALL and small.ours.value == 0.9
    assert "has not run" in verdict("changes-noisy-pixels").why


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
    judged = verdict("easier-to-train")
    assert judged.verdict == REPRODUCED and judged.ours.value == claims.work("UNet") / by_hand


def test_an_amount_is_the_printed_difference_within_its_tolerance():
    """Batch normalisation costs 0.87 dB in print, give or take 0.2: the sign alone is another claim."""
    tnet = runs(0.0, seed=2)
    assert verdict("bn-costs", {"TNet+BN": runs(-0.9), "TNet": tnet}).verdict == REPRODUCED
    assert verdict("bn-costs", {"TNet+BN": runs(-0.05), "TNet": tnet}).verdict == CONTRADICTED
    assert verdict("bn-does-not-help", {"TNet+BN": runs(-0.9), "TNet": tnet}).verdict == REPRODUCED


def test_an_undecided_number_says_when_the_words_have_no_room():
    number = {"smoothgrad.output_gradient_ratio": interval(0.98, 0.04)}
    assert "leaves no room for the 0.9" in verdict("noisy-pixels-weigh-little", numbers=number).why
    number = {"smoothgrad.output_gradient_ratio": interval(0.95, 0.2)}
    assert "leaves no room" not in verdict("noisy-pixels-weigh-little", numbers=number).why


def test_holm_over_the_family_is_stricter_than_one_test():
    """A difference that just passes alone does not pass among 30 tests of other claims."""
    claim = next(c for c in paper.claims() if c.id == "changes-noisy-pixels")
    numbers = {
        "smoothgrad.change_auc": interval(0.6, 0.095),
        "smoothgrad.change_auc_minus_gaussian": interval(0.1, 0.01),
    }
    evidence = Evidence({}, numbers, LEVEL, PHOTO, 2_500_000)
    alone = judge(evidence, [claim])[0]
    among = judge(evidence, [replace(claim, id=f"c{i}") for i in range(30)])[0]
    assert alone.verdict == REPRODUCED
    assert among.verdict == NOT_REPRODUCED and "among 30 tests" in among.why
    assert among.p == pytest.approx(min(1, 30 * alone.p))


def test_an_empty_store_claims_nothing_but_counts():
    judged = judge(Evidence({}, {}, LEVEL, PHOTO, 12_000))
    assert {j.verdict for j in judged if j.claim.kind not in ("count", "ratio")} == {TOO_SMALL, NO_DATA}
    assert all(j.why.endswith(".") for j in judged)


def test_the_paper_s_own_initialisations_leave_tnet_over_unet_open():
    """The published runs alone: 0.08 dB with an interval that reaches below 0."""
    from n2nlib.analysis.stats import welch

    own = welch(paper.value("initialisations.TNet"), paper.value("initialisations.UNet"))
    assert own.low < 0 < own.high


# --- the list of claims ---------------------------------------------------------------------------------------------


def test_claims_are_well_formed():
    from n2nlib import experiments
    from n2nlib.profiles import PROFILES

    listed = paper.claims()
    assert len({c.id for c in listed}) == len(listed) >= 20
    tables = (
        experiments.learning_rates,
        experiments.table2,
        experiments.extras,
        experiments.architecture,
        experiments.suspects,
        experiments.schemes,
        experiments.training_tricks,
    )
    rows = (
        {label for t in tables for label in t(PROFILES["paper"], "c")}
        | set(experiments.networks())
        | {"noisy"}
    )
    for c in listed:
        assert {c.a, c.b} - {""} <= rows, c.id
        assert c.kind in ("difference", "amount", "absolute", "number", "count", "ratio", "unrun"), c.id
        assert c.size == "paper" or 0 <= c.size < paper.images(), c.id
        assert c.quantity or c.kind != "number", c.id
        assert c.place and c.says.endswith(".") and c.shown, c.id
        assert (c.published is None) == (c.tolerance is None) or c.kind == "ratio", c.id
        assert c.tolerance is None or c.reason, c.id
        if c.kind in ("difference", "number"):
            assert c.above is not None or c.below is not None, c.id


@pytest.mark.parametrize("chapter", sorted({c.shown.partition("#")[0] for c in paper.claims()}))
def test_claims_point_at_tables_and_figures_that_exist(chapter):
    source = (paths.notebooks() / f"{chapter}.ipynb").read_text(encoding="utf-8")
    for c in paper.claims():
        where, _, anchor = c.shown.partition("#")
        name = anchor.partition("-")[2]
        assert where != chapter or f'\\"{name}\\"' in source or not name, (
            f"{c.id}: {chapter} shows no {name!r}"
        )


@pytest.mark.parametrize(
    "claim",
    [c for c in paper.claims() if c.published is not None and c.kind == "difference"],
    ids=lambda c: c.id,
)
def test_published_values_agree_with_the_paper_s_own_claim(claim):
    """The bounds are set so that the paper's printed means satisfy them."""
    assert claim.above is None or claim.published > claim.above
    assert claim.below is None or claim.published < claim.below


# --- on disk --------------------------------------------------------------------------------------------------------


@dataclass
class FakeCorpus:
    name: str = "bundled"
    fingerprint: str = "c"
    warnings: tuple = ()


def test_claims_json_and_its_review(tmp_path, monkeypatch):
    from n2nlib.profiles import PROFILES

    judged = judge(Evidence({"TNet": runs(-3.0, n=2, size=QUICK)}, {}, LEVEL - 4, PHOTO, 12_000))
    folder = tmp_path / "bundled-quick"
    file = ledger.write(judged, folder, FakeCorpus(), PROFILES["quick"])
    values = json.loads(file.read_text())
    assert values["schema"] == ledger.SCHEMA and len(values["claims"]) == len(judged)
    assert [p.name for p in folder.iterdir()] == ["claims.json"]
    monkeypatch.setattr(ledger.paths, "root", lambda: tmp_path)
    reviewed = json.loads(ledger.accept(folder).read_text())
    assert reviewed["verdicts"]["denoises"] == DIRECTION
    table = ledger.table(judged)
    assert isinstance(table, pd.DataFrame) and len(table) == len(judged)
    counted = table.set_index(table.claim.str.partition(" (")[0])
    assert cell(counted.loc["TNet has 43,064 parameters.", "ours"], 2) == "43,064"
    assert cell(counted.loc["UNet has 991 thousand parameters.", "ours"], 2) == "991.2"
    assert counted.loc["UNet has 991 thousand parameters.", ["paper", "unit"]].map(str).tolist() == [
        "991.00",
        "thousand",
    ]
    assert flat(table)["ours"].map(lambda value: value is None or isinstance(value, int | float)).all()


def test_a_ledger_finds_claims_by_verdict_topic_and_name():
    evidence = Evidence(
        {"TNet": runs(-3.0, n=2, size=QUICK)}, {"known": 0.5, "null": None}, LEVEL - 4, PHOTO, 12_000
    )
    found = ledger.Ledger(judge(evidence), evidence)
    assert found["denoises"].verdict == DIRECTION and found["denoises"] in found.of(DIRECTION)
    assert sum(len(found.of(v)) for v in claims.VERDICTS) == len(found.judged) == len(paper.claims())
    assert {j.claim.topic for j in found.about("levels")} == {"levels"} and not found.about("nothing")
    assert found.number("known").value == 0.5 and found.number("null") is None is found.number("unknown")
    assert not found.full_size and found.tests == sum(j.p is not None for j in found.judged)


def test_rows_are_named_in_words():
    assert claims.row_name("1e-4") == "TNet at 1e-4" and claims.row_name("UNet at 5e-4") == "UNet at 5e-4"


def test_unreadable_ledgers_are_a_sentence(tmp_path, capsys):
    with pytest.raises(ReportError, match="make that report first"):
        ledger.read(tmp_path)
    (tmp_path / "claims.json").write_text('{"schema": 0}')
    with pytest.raises(ReportError, match="has schema 0"):
        ledger.read(tmp_path)
    assert ledger.main([str(tmp_path)]) == 2 and "error:" in capsys.readouterr().err


@pytest.mark.parametrize("value, expected", [(0.8, REPRODUCED), (0.97, DIRECTION), (1.2, CONTRADICTED)])
def test_an_effect_smaller_than_the_words_stand_for_is_a_direction(value, expected):
    found = verdict(
        "noisy-pixels-weigh-little", numbers={"smoothgrad.output_gradient_ratio": interval(value, 0.01)}
    )
    assert found.verdict == expected and (
        "by less than the 0.9 that we take the words to stand for" in found.why
    ) == (expected == DIRECTION)


@pytest.mark.parametrize(
    "more, expected", [(0.05, REPRODUCED), (0.0, DIRECTION), (-0.05, DIRECTION), (None, DIRECTION)]
)
def test_what_a_blind_filter_does_as_well_is_a_direction(more, expected):
    """So is what was not compared with it."""
    numbers = {
        "smoothgrad.change_auc": interval(0.9, 0.01),
        "smoothgrad.change_auc_minus_gaussian": more and interval(more, 0.01),
    }
    found = verdict("changes-noisy-pixels", numbers=numbers)
    assert found.verdict == expected and ("knows nothing of the picture" in found.why) == (
        expected == DIRECTION
    )
