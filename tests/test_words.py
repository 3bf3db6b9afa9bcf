"""Sentences made from results, in all their branches: none says more than its intervals and its size carry."""

from __future__ import annotations

import pandas as pd
import pytest
from test_comparison import comparison, runs

from n2nlib import paper, words
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


# --- chapter 01 ---


def noise_found(**changes):
    """What `measurements.noise` returns, as far as sentences read it."""
    return {
        "images": 1_000,
        "psnr": 20.82,
        "mean_error": (0.05, 0.02),
        "kurtosis": 10.2,
        "channels": {"RG": 0.92, "RB": 0.83, "GB": None},
        "by_detail": {"sd": [4.0, 20.0, 48.0]},
        "pair_correlation": None,
    } | changes


def test_noise():
    text = words.noise(noise_found())
    assert (
        text.startswith("The mean error of 1,000 validation images is 2.5 standard errors from zero.")
        and "12 times that in the flattest." in text
        and "tails are heavier" in text
    )
    text = words.noise(noise_found(by_detail={"sd": [0.0, 48.0]}, kurtosis=2.9))
    assert (
        "48.0 grey levels (standard deviation) and absent from the flattest." in text
        and "tails are no heavier" in text
    )
    assert words.noise(noise_found(kurtosis=None)).startswith("These images have no noise")


def test_the_authors_noise_is_compared_only_with_another_dataset():
    text = words.authors_noise(noise_found(), own=False)
    assert text.startswith(
        "Correlation between channels is 0.83 to 0.92 here and 0.85 to 0.93 in the authors' pairs; kurtosis is 10 here and about 11"
    )
    assert "The noisy images are 0.10 dB better than the authors'." in text
    assert "1.72 dB worse" in words.authors_noise(noise_found(psnr=19.0), own=False)
    assert (
        words.authors_noise(noise_found(), own=True)
        == words.authors_noise(noise_found(kurtosis=None), own=False)
        == ""
    )


def test_sampling():
    draws = pd.DataFrame(
        {"draws": [1, 4096], "error": [16.0, 0.25], "expected": [16.0, 0.254], "worst_z": [1.0, 4.2]}
    )
    same = {"share": 0.0250, "expected": 0.0240, "se": 0.0005}
    text = words.sampling(draws, same, noise_found())
    assert text.startswith("After 4,096 draws the mean is 0.25 grey levels") and text.endswith(
        "2.0 standard errors from the 2.40 % of independent uniform draws."
    )
    assert words.sampling(draws, same, noise_found(pair_correlation=(-0.0001, 0.002))).endswith(
        "correlate with +0.000 ± 0.002 over the validation images."
    )


def test_other_noises():
    def one(mean, clipped, zero_mean=True):
        return {"mean_error": (mean, 0.1), "clipped_mean_error": (clipped, 0.1), "zero_mean": zero_mean}

    labels = {
        "gaussian:25": "Gaussian, sd 25",
        "bernoulli:0.5": "Bernoulli, half",
        "impulse:0.1": "impulse, a tenth",
    }
    found = {
        "gaussian:25": one(0.01, 0.1),
        "bernoulli:0.5": one(0.02, -23.1),
        "impulse:0.1": one(0.9, 0.9, zero_mean=False),
    }
    text = words.other_noises(found, labels)
    assert (
        text.startswith("Before clipping, the mean error of impulse noise is more than four")
        and "moves Bernoulli noise most, by -23.1 grey" in text
    )
    del found["impulse:0.1"]
    assert words.other_noises(found, labels).startswith("Before clipping, no mean error is more than four")
