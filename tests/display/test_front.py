"""The front page: sentences that follow the verdicts, and claims on one standardised axis."""

from __future__ import annotations

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from test_comparison import comparison, runs
from test_report_words import CLAIMS, SMALL, ledger

from n2nlib.analysis.claims import (
    COMPATIBLE,
    CONTRADICTED,
    DIRECTION,
    NO_DATA,
    NOT_REPRODUCED,
    REPRODUCED,
    TOO_FEW,
    Judged,
)
from n2nlib.analysis.intervals import Interval
from n2nlib.display import alternatives, front
from n2nlib.profiles import PROFILES


def judged(id: str, value: float, low=None, high=None, verdict=REPRODUCED, **changes) -> Judged:
    claim = replace(CLAIMS[id], **changes)
    return Judged(claim, Interval(value, low, high, 5, "t"), None, verdict, "")


@pytest.mark.parametrize(
    "verdict, text",
    [
        (REPRODUCED, "TNet ends above UNet by about the published amount."),
        (DIRECTION, "TNet ends above UNet, though not by the published amount."),
        (NOT_REPRODUCED, "Our runs do not decide whether TNet or UNet ends higher."),
        (CONTRADICTED, "UNet ends above TNet, unlike in the paper."),
        (NO_DATA, "TNet and UNet are not yet compared at this size."),
    ],
)
def test_the_abstract_follows_the_verdict_on_unet(verdict, text):
    assert text in front.abstract(ledger(tnet_outperforms_unet=verdict), "a-dataset")


@pytest.mark.parametrize(
    "apart, n, text",
    [
        (0.051, 1, "With 1 seed of UNet, too few for a verdict, TNet ends 0.05 dB above it."),
        (-0.3, 2, "With 2 seeds of UNet, too few for a verdict, TNet ends 0.30 dB below it."),
    ],
)
def test_the_abstract_gives_the_difference_of_too_few_seeds_without_a_verdict(apart, n, text):
    found = ledger()
    few = judged("tnet-outperforms-unet", apart, verdict=TOO_FEW)
    few = replace(few, ours=replace(few.ours, n=n))
    found = replace(found, judged=[few if j.claim.id == few.claim.id else j for j in found.judged])
    assert text in front.abstract(found, "a-dataset")


def test_the_abstract_is_short_and_counts_verdicts():
    found = ledger(parameters_tnet=REPRODUCED, l1_costs=CONTRADICTED, l1_above_bn=CONTRADICTED,
                   tnet_outperforms_unet=DIRECTION, filters_gaussian=DIRECTION, psnr_tnet=COMPATIBLE)  # fmt: skip
    text = front.abstract(found, "a-dataset")
    assert len(text.split()) <= 120 and "\n" not in text and "  " not in text
    others = len(found.paper) - 5
    assert (
        f"Of {len(found.paper)} claims, 1 are reproduced and 2 in direction only, 2 contradicted, 0 not reproduced; "
        f"the other {others} are levels that depend on the images, or lack runs." in text
    )
    assert "An L1 loss costs more than batch normalisation" in text
    assert "L1" not in front.abstract(ledger(SMALL), "a-dataset")


def test_the_abstract_tells_of_rows_that_seem_exchanged_in_a_few_words():
    def level(value):
        return {"value": value, "low": value - 0.1, "high": value + 0.1, "n": 3, "in_range": True}

    rows = {"authors.level.TNet+L1": level(24.5), "authors.level.TNet+BN": level(25.3)}
    verdicts = {"l1_above_bn": CONTRADICTED, "filters_gaussian": REPRODUCED}
    text = front.abstract(ledger(numbers=rows, **verdicts), "a-dataset")
    assert "predict 24.50 [24.40, 24.60] dB for TNet+L1 and 25.30 [25.20, 25.40] dB for TNet+BN" in text
    assert "these two rows of Table 2 seem to be exchanged." in text and len(text.split()) <= 120
    rows["authors.level.TNet+BN"] = level(24.5)
    text = front.abstract(ledger(numbers=rows, **verdicts), "a-dataset")
    assert "exchanged" not in text and "An L1 loss costs more" in text


def test_the_methodology_names_size_images_and_precision():
    rows = comparison({"TNet": runs((25.0,))})
    text = front.methodology(rows, PROFILES["paper"], "a-dataset")
    assert "50,000 noisy pairs of the dataset a-dataset for 50 epochs" in text and "trained in" not in text
    for run in rows.rows["TNet"]:
        run.arithmetic = "bf16"
    assert front.methodology(rows, PROFILES["paper"], "a-dataset").endswith(
        "Networks were trained in bf16; chapter 04 compares them with fp32."
    )


def test_an_order_is_at_zero_at_its_bound_and_at_one_at_the_printed_value():
    row = front.standardised(judged("tnet-outperforms-unet", 0.04, -0.04, 0.12))
    assert np.allclose((row.value, row.low, row.high, row.claimed), (0.5, -0.5, 1.5, 1.0))
    against = front.standardised(
        judged("tnet-outperforms-unet", 0.04, above=None, below=0.0, published=-0.08)
    )
    assert np.isclose(against.value, -0.5) and np.isclose(against.claimed, 1.0)


def test_an_equality_is_at_one_in_its_middle_and_its_interval_contains_that():
    row = front.standardised(judged("tnet-outperforms-unet", 0.05, -0.02, 0.15, above=-0.1, below=0.1))
    assert np.allclose((row.value, row.low, row.high, row.claimed), (0.5, -0.5, 1.0, 0.2))


def test_a_ratio_is_placed_on_its_logarithm_and_a_count_is_exact():
    row = front.standardised(judged("object-and-background", 1.1**2, above=1.0, least=1.1, published=None))
    assert np.isclose(row.value, 2.0) and row.claimed is None
    assert front.standardised(judged("parameters-tnet", 43_064.0)).value == 1.0
    assert front.standardised(judged("parameters-tnet", 43_064.0, verdict=NO_DATA)) is None
    assert front.standardised(replace(judged("denoises", 1.0), ours=None)) is None


def test_the_graphic_has_a_row_per_measured_claim_and_its_alternative_text_counts_them():
    found = ledger(ours=Interval(0.5, 0.4, 0.6, 5, "t"), denoises=REPRODUCED, l1_above_bn=CONTRADICTED)
    found = replace(
        found, judged=[j for j in found.judged if j.claim.id in ("denoises", "l1-above-bn", "bn-costs")]
    )
    fig = front.overview(found)
    names = [label.get_text() for ax in fig.axes for label in ax.get_yticklabels()]
    assert len(names) == 3 and names[0].startswith("TNet, trained on noisy targets only")
    text = front.overview_alt(found)
    assert text.startswith(
        "A forest plot of 3 claims: 1 reproduced, 1 of them right of the bound; 1 contradicted"
    )
    assert front.overview(replace(found, judged=[])) is None
    plt.close(fig)


def test_the_picture_shows_noisy_tnet_and_clean():
    arrays = {name: np.zeros((6, 3, 32, 32), np.uint8) for name in ("noisy", "UNet", "TNet", "clean")}
    fig = front.picture({"names": list("abcdef"), "arrays": arrays})
    assert [ax.get_title(loc="center") for ax in fig.axes[:3]] == ["noisy", "TNet", "clean"]
    assert alternatives.describe(fig).startswith(
        "Pictures in 2 rows and 3 columns. Columns: noisy, TNet, clean."
    )
    assert front.picture({}) is None
    plt.close(fig)


def test_a_plot_is_described_by_its_axes_and_curves():
    fig, (left, right) = plt.subplots(1, 2)
    left.plot([0, 10], [21.0, 25.3], color="#0072B2", label="TNet")
    left.set(xlabel="epoch", ylabel="PSNR (dB)", title="Training", xlim=(0, 10), ylim=(20, 26))
    left.legend()
    right.plot([1.5, 2.5], [0, 0], "o")
    right.set_yticks([0], ["TNet"])
    right.set(xlabel="gain (dB)", xlim=(0, 3))
    assert alternatives.describe(fig) == (
        "Panel 1 (Training): PSNR (dB) from 20 to 26, against epoch from 0 to 10; TNet from 21 to 25.3. "
        "Panel 2: gain (dB) from 0 to 3; rows: TNet at 1.5 to 2.5."
    )
    plt.close(fig)


def test_labels_of_the_graphic_differ_and_keep_a_number_with_its_unit():
    labels = front.short({name: claim.says for name, claim in CLAIMS.items()})
    assert len(set(labels.values())) == len(CLAIMS)
    assert labels["easier-to-train-macs"].startswith("UNet needs at least twice the MACs")
    assert labels["psnr-unet"] == "UNet reaches 25.24\u00a0dB"
    assert all(
        len(lines) <= 2 and max(map(len, lines)) <= 46 for lines in map(str.splitlines, labels.values())
    )
