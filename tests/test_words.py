"""Sentences made from results, in all their branches: none says more than its intervals and its size carry."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
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


# --- chapter 04 ---


def test_rows_that_are_absent_are_named():
    assert words.absent(comparison({"TNet": runs((25.0,))})) == ""
    rows = comparison({"TNet": runs((25.0,))}, absent=["UNet", "BaseNet"])
    assert words.absent(rows) == "Rows without stored runs are omitted: UNet; BaseNet."


def test_the_noisy_level():
    rows = comparison({"TNet": runs((25.0,))})
    assert words.noisy_level(rows) == "The noisy images have 20.70 dB on average."
    assert words.noisy_level(comparison({})) == ""


@pytest.mark.parametrize(
    "labels, says",
    [((), "no run of either is stored"), (("UNet",), "only runs of UNet are stored"),
     (("UNet", "UNet (shared decoder)"), "Both are trained below")],
)  # fmt: skip
def test_the_ratio_of_parameters(labels, says):
    sizes = pd.DataFrame({
        "network": ["TNet", "UNet", "UNet (shared decoder)"],
        "parameters": [100, 2300, 1340],
        "times TNet's": [1, 23, 13.4],
    })  # fmt: skip
    text = words.parameter_ratio(sizes, comparison({label: runs((25.0,)) for label in labels}))
    assert "each use: 23.0 times TNet's." in text and "trains 1,340 weights, 13.4 times TNet's." in text
    assert says in text
    assert f'"{paper.value("abstract.times_fewer")}x fewer parameters"' in text


def test_what_lower_precision_may_have_shifted():
    bf16 = [SimpleNamespace(**vars(run) | {"arithmetic": "bf16"}) for run in runs((25.0, 25.1))]
    lower = comparison({"TNet": bf16})
    kind = lower.rows["TNet"][0].spec
    small, large = Interval(-0.01, -0.04, 0.02, 3, "t"), Interval(0.1, -0.5, 0.5, 3, "t")
    effects = [(kind, "bf16", small), (kind.replace(epochs=1), "bf16", large)]
    text = words.precision_note(effects, lower)
    assert "measured for TNet. Shifts of 0.04 dB cannot be excluded" in text
    assert "no row is stored both in fp32 and in lower precision" in words.precision_note(effects[1:], lower)
    assert words.precision_note(effects, comparison({"TNet": runs((25.0,))})) == ""
    assert words.precision_note([], comparison({})) == ""


def test_equal_training():
    shown, none = Interval(-0.5, -0.6, -0.4, 3, "t"), Interval(0.1, None, None, 2, "t")
    text = words.equal_training({"as in Table 2": shown, "both at 1e-3": none}, PROFILES["paper"])
    assert text == "As in Table 2: TNet ends below UNet (-0.50 [-0.60, -0.40] dB)."
    text = words.equal_training({"both": none}, PROFILES["smoke"])
    assert text.startswith("Equal learning rates and augmentation are **not tested at this size**: 2 seeds")
    assert words.equal_training({}, PROFILES["paper"]) == ""


def test_where_times_were_measured():
    text = words.timed({"machine": "a processor, 2 cores"})
    assert text == "Times: one run in fp32 on one core of a processor, 2 cores, measured by `make bench`."
    assert "has not been run" in words.timed(None)


@pytest.mark.parametrize("noise, says", [(1, "in 2 of these 2"), (9, "in none of these 2")])
def test_windows_of_figure_2(noise, says):
    clean = np.full((2, 3, 4, 4), 100, np.uint8)
    arrays = {"clean": clean, "noisy": clean + 20, "TNet": clean + noise, "UNet": clean + 5}
    pictures = {"names": ["a", "b"], "arrays": arrays}
    rows = comparison({"TNet": runs((25.0,)), "UNet": runs((25.5,), network="UNet")})
    text = words.examples(pictures, rows)
    assert says in text and "25.00 dB for TNet and 25.50 dB for UNet; the noisy images have 20.70 dB." in text
    assert words.examples({}, rows) == "" and words.examples(pictures, rows.select("TNet")) == ""
