"""Sentences made from results, in all their branches: none says more than its intervals and its size carry."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from test_comparison import comparison, runs

from n2nlib import paper, words
from n2nlib.image_statistics import ImageStatistics
from n2nlib.spec import PROFILES
from n2nlib.stats import Interval


@pytest.mark.parametrize("items, text", [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")])
def test_lists(items, text):
    assert words.listed(items) == text


def test_outcome_names_sides_only_where_intervals_show_them():
    rows = comparison({"TNet": runs((25.0, 25.1, 25.2)), "L1": runs((24.5, 24.6, 24.7)), "wide": runs((24.0, 25.1, 26.3)),
                       "BN": runs((24.3, 24.4, 24.5)), "up": runs((25.5, 25.6, 25.7))})  # fmt: skip
    assert words.outcome(rows) == (
        "End below TNet: L1 (-0.50 [-0.50, -0.50] dB) and BN (-0.70 [-0.70, -0.70] dB). Ends above TNet: up (+0.50 [+0.50, +0.50] dB). "
        "Ends not significantly different from TNet: wide (+0.03 [-2.58, +2.64] dB)."
    )
    assert "no confidence interval" in words.outcome(comparison({"TNet": runs((25.0, 25.1)), "L1": runs((24.5, 24.6))}))
    assert words.outcome(comparison({})) == ""


@pytest.mark.parametrize(
    "d, text",
    [
        (Interval(0.3, 0.1, 0.5, 3, "t"), "A ends above B (0.30 [0.10, 0.50] dB)."),
        (Interval(-0.3, -0.5, -0.1, 3, "t"), "A ends below B (-0.30 [-0.50, -0.10] dB)."),
        (Interval(0.3, -0.1, 0.5, 3, "t"), "A and B do not differ significantly (0.30 [-0.10, 0.50] dB)."),
        (Interval(0.3, None, None, 1, "t"), "There is no confidence interval, so nothing is said of A and B."),
    ],
)
def test_pairs(d, text):
    assert words.pair("A", "B", d) == text


def test_size_notes():
    small = words.size_note(PROFILES["smoke"])
    assert small.startswith("**The paper's claims are not tested at this size.**") and "at most 2 seeds" in small
    assert "512 training images" in small
    assert words.size_note(PROFILES["paper"]) == ""
    assert "not tested" in words.size_note(PROFILES["overnight"]) and "seeds" not in words.size_note(PROFILES["overnight"])


def test_best_rate():
    rates = comparison({"1e-4": runs((25.0, 25.1), loss=0.01), "5e-4": runs((25.3, 25.4), loss=0.02)}, "5e-4")
    assert words.best_rate(rates).startswith("Here 5e-4 ends highest in PSNR and 1e-4 lowest in training loss. The means lie within 0.30 dB")
    rates = comparison({"1e-4": runs((25.0, 25.1), loss=0.02), "5e-4": runs((25.3, 25.4), loss=0.01)}, "5e-4")
    assert words.best_rate(rates).startswith("Here 5e-4 ends best in PSNR and in training loss.")
    assert words.best_rate(comparison({"5e-4": runs((25.0,))}, "5e-4")) == ""


def test_last_gain():
    assert words.last_gain(comparison({"TNet": runs((25.0, 25.2))})).startswith("Over the last 50 % of the training images the mean PSNR moved by +1.00 dB at TNet.")
    assert words.last_gain(comparison({})) == ""


def test_printed_columns_follow_the_papers_numbers():
    text = words.printed_columns()
    assert "p = 0.23 for PSNR and p = 0.63 for the loss" in text and "do not differ by more than repetitions" in text
    assert f"{paper.value('table2.TNet.psnr'):.2f} dB in Table 2" in text


def test_nearest_range():
    def ranges(*rows):
        return pd.DataFrame([("the paper", 0.02), *rows], columns=["columns", "range (dB)"])

    rates, one = ("three rates", 0.5), ("one rate", 0.03)
    assert words.nearest_range(ranges(), whole=True) == ""
    assert "does not yet test how the published table was made" in words.nearest_range(ranges(rates, one), whole=False)
    assert "**one rate** comes nearest" in words.nearest_range(ranges(rates, one), whole=True)
    assert words.nearest_range(ranges(rates), whole=True).endswith("ours within 0.50 dB for three rates.")


# --- chapter 05 ---


def statistics(**subjects):
    """`ImageStatistics` of given intervals: label -> statistic -> Interval; differences under "a - b"."""

    class Given(ImageStatistics):
        def average(self, label, statistic):
            return self.found.get(label, {}).get(statistic)

        def difference(self, label, other, statistic):
            return self.found[f"{label} - {other}"][statistic].signed(3)

    return Given(subjects["found"])


def interval(value, half=0.01):
    return (
        Interval(value, None, None, 2, "t")
        if half is None
        else Interval(value, value - half, value + half, 5, "t")
    )


NAN = Interval(float("nan"), None, None, 0, "no image qualifies")


def test_networks_that_are_looked_at():
    assert words.looked_at(comparison({})) == ""
    both = comparison({"TNet": runs((25.0, 25.1)), "UNet": runs((26.0,), network="UNet")})
    assert words.looked_at(both) == (
        "Networks: TNet (2 seeds, 25.00 dB for the first) and UNet (26.00 dB), after 2,500,000 training "
        "images. "
        "Pictures show the first TNet."
    )
    assert "TNet (1 seed, 25.00 dB for the first) (no run of UNet is stored" in words.looked_at(
        comparison({"TNet": runs((25.0,))})
    )


@pytest.mark.parametrize(
    "d, text",
    [
        (interval(1.2), "above"),
        (interval(0.8), "below"),
        (interval(1.005), "neither"),
        (interval(1.2, None), "too few photographs"),
        (NAN, "no image qualifies"),
        (None, "no image qualifies"),
    ],
)
def test_sides_of_a_reference(d, text):
    assert words.side(d, 1, "above", "below", "neither").startswith(text)


def test_noisy_pixels():
    def text(change, pixel, ring):
        return words.noisy_pixels(
            statistics(
                found={
                    "TNet": {"output_gradient_ratio": pixel, "ring_ratio": ring},
                    "TNet - Gaussian": {"change_auc": change, "loss_gradient_auc": change},
                    "noisy image": {"loss_gradient_auc": interval(1.0, 0)},
                }
            )
        )

    paper = text(interval(0.05), interval(0.9), interval(1.1))
    assert (
        "is +0.050 [+0.040, +0.060]: TNet finds the noisy pixels better." in paper
        and "itself reaches 1.000 by construction" in paper
    )
    assert (
        "lower, as the paper says, by 10.0 %" in paper
        and "around them 1.100 [1.090, 1.110] (higher, as the paper says, by 10.0 %)" in paper
    )
    other = text(interval(-0.05), interval(1.1), interval(0.9))
    assert (
        "TNet finds the noisy pixels worse" in other
        and "(higher, by 10.0 %)" in other
        and "(lower, by 10.0 %)" in other
    )
    neither = text(interval(0.005), interval(1.005), interval(1.005))
    assert (
        "the two do not differ significantly" in neither
        and neither.count("not significantly different from 1") == 2
    )
    assert text(NAN, NAN, NAN) == "No image has noisy pixels to look at: **not tested on these photographs**."
    assert text(interval(0.05), NAN, NAN).count("no image qualifies") == 2 and "nan" not in text(
        interval(0.05), NAN, NAN
    )
    assert "too few photographs" in text(interval(0.05, None), interval(0.9, None), interval(1.1, None))
    assert words.noisy_pixels(statistics(found={})) == ""


def test_what_was_learnt():
    def text(last, shuffled):
        found = statistics(
            found={
                "TNet": {"loss_gradient_auc": interval(0.8)},
                "TNet, shuffled weights": {"loss_gradient_auc": shuffled},
            }
        )
        return words.learnt(np.array([[1.0, 1.0], last]), found)

    gone = text([0.0, 0.06], interval(0.505))
    assert (
        "is 0.00 for the loss and 0.06 for the output. As a whole the maps depend on the learnt weights."
        in gone
    )
    assert gone.endswith(
        "with an AUC of 0.505 [0.495, 0.515] (trained: 0.800 [0.790, 0.810]): not significantly above chance."
    )
    assert "comes from how a map is made" in text([0.3, 0.0], interval(0.505))
    assert text([0.0, 0.0], interval(0.7)).endswith("no evidence of learning.") and text(
        [0.0, 0.0], interval(0.4)
    ).endswith("below chance.")
    undefined = text([float("nan"), 0.0], NAN)
    assert "undefined for the loss" in undefined and "nan" not in undefined.replace("undefined", "")
    assert words.learnt(None, statistics(found={})) == ""


def test_content_awareness():
    def text(tnet, untrained=1.0, change=0.1, bilateral=1.03):
        def at(x):
            return {"same_side": x if isinstance(x, Interval) else interval(x)}

        return words.content_awareness(
            statistics(
                found={
                    "TNet": at(tnet),
                    "TNet, untrained": at(untrained),
                    "TNet - TNet, untrained": at(change),
                    "bilateral": at(bilateral),
                    "non-local means": at(1.3),
                }
            )
        )

    assert "TNet is above the 1" in text(1.3) and "is at 1.000, so training increased it." in text(1.3)
    assert "bilateral is at 1.030 and non-local means is at 1.300." in text(1.3)
    assert "TNet is below the 1" in text(0.8, 0.7) and "training decreased it" in text(0.8, 0.7, change=-0.1)
    assert "no significant effect of training" in text(1.3, change=0.005)
    assert "does not differ significantly from the 1" in text(1.005)
    assert "a value above 1 alone does not show that anything was learnt" in text(1.02, 1.04)
    assert "bilateral is without a value" in text(1.3, bilateral=NAN)
    assert text(NAN).endswith("**not tested on these photographs**.")
    assert words.content_awareness(statistics(found={})) == ""
