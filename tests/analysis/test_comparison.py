"""Comparisons: rows against a reference, paired where seeds share their start, and quiet where there is nothing."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from n2nlib.analysis import intervals
from n2nlib.analysis.comparison import Comparison
from n2nlib.profiles import PROFILES

PHOTO = np.repeat(np.arange(5), 2)


def runs(levels, first=0, loss=0.0145, **spec):
    """Runs of given mean PSNR (dB) on ten images of five photographs; nothing is trained."""
    images = np.linspace(-1, 1, 10)
    return [
        SimpleNamespace(spec=PROFILES["paper"].spec("0" * 16, seed=first + i, **spec), psnr=level + images, arithmetic="fp32",
                        metrics={"loss": loss, "published_loss": loss * 50},
                        history=pd.DataFrame({"images": [10, 20], "loss": [2.0, 1.0], "published_loss": [9.0, 8.0], "psnr": [level - 1, level]}))
        for i, level in enumerate(levels)
    ]  # fmt: skip


def comparison(rows, reference="TNet", **known):
    return Comparison(rows, reference, PHOTO, np.full(10, 20.7), **known)


def test_levels_and_differences():
    rows = comparison({"TNet": runs((25.0, 25.1, 25.2)), "L1": runs((24.5, 24.6, 24.7), loss=0.02)})
    assert bool(rows) and rows.others == ["L1"] and rows.labels == ["TNet", "L1"]
    assert f"{rows.level('L1')}" == "24.60 ± 0.10" and rows.level("L1").n == 3
    d = rows.difference("L1")
    assert d.value == pytest.approx(-0.5) and f"{d}" == "-0.50 [-0.50, -0.50]"
    assert rows.difference("L1", metric="loss").value == pytest.approx(0.0055)
    assert rows.difference("TNet", "L1").value == pytest.approx(
        0.5
    ) and f"{rows.difference('TNet', 'L1')}".startswith("+0.50")
    assert rows.differences() == {"L1": d}


def test_any_two_rows_are_compared_by_name():
    rows = comparison(
        {"TNet": runs((25.0, 25.1, 25.2)), "L1": runs((24.5, 24.6, 24.7)), "BN": runs((24.9, 25.0, 25.1))}
    )
    found = rows.versus({"BN minus L1": ("BN", "L1"), "absent": ("BN", "UNet")})
    assert list(found) == ["BN minus L1"] and f"{found['BN minus L1']}" == "+0.40 [+0.40, +0.40]"


def test_a_row_of_fewer_seeds_is_compared_with_its_partners_and_says_so():
    rows = comparison(
        {
            "TNet": runs((25.0, 25.1, 25.2, 26.1)),
            "L1": runs((24.5, 24.6, 24.7)),
            "UNet": runs((25.5, 25.6, 25.7), network="UNet"),
        }
    )
    assert rows.difference("L1").value == pytest.approx(-0.5)
    assert rows.pairing == "L1, UNet: compared with the same 3 seeds of TNet, whose mean is 25.10 dB."
    assert rows.difference("UNet").value == pytest.approx(25.6 - 25.1)  # another network: equal sets of seeds


def test_a_comparison_without_rows_is_false_and_has_nothing_to_say():
    for empty in (comparison({}), comparison({"TNet": []}), comparison({"TNet": runs((25.0,))})):
        assert not empty and empty.differences() == {} and empty.pairing == ""
    nothing = comparison({})
    assert nothing.sample == "" and nothing.frame.empty and nothing.history().empty
    assert not comparison({"L1": runs((25.0,))}).differences()  # the reference has no run


def test_a_comparison_that_lacks_a_row_is_not_whole():
    rows = comparison({"TNet": runs((25.0, 25.1, 25.2)), "L1": runs((24.5,))})
    assert rows.whole.labels == ["TNet", "L1"] and rows.whole.sample == rows.sample
    partial = comparison(rows.rows, absent=["BN"])
    assert partial.whole.labels == [] and partial.whole.sample == "" and not partial.whole
    assert partial.select("TNet", "L1").whole.labels == ["TNet", "L1"]  # BN was not asked for


def test_frames_hold_a_line_for_each_run():
    rows = comparison({"TNet": runs((25.0, 25.2)), "L1": runs((24.5,))})
    assert rows.frame[["row", "seed"]].to_numpy().tolist() == [["TNet", 0], ["TNet", 1], ["L1", 0]]
    assert rows.frame["minus reference"].tolist() == pytest.approx([-0.1, 0.1, -0.6])
    assert len(rows.history()) == 6 and set(rows.history()["row"]) == {"TNet", "L1"}


def test_the_sample_says_what_is_known_of_photographs():
    rows = {"TNet": runs((25.0, 25.2)), "L1": runs((24.5,))}
    assert (
        comparison(rows).sample
        == "After 2,500,000 training images, on 10 validation images of 5 photographs; n = 1 to 2 seeds."
    )
    assert (
        "10 validation images (photographs unknown: intervals take images as independent)"
        in comparison(rows, photos_known=False).sample
    )


def test_a_selection_keeps_order_and_sample():
    rows = comparison({"TNet": runs((25.0,)), "L1": runs((24.5,)), "BN": runs((24.0,))})
    chosen = rows.select("BN", "TNet", "unknown")
    assert chosen.labels == ["BN", "TNet"] and chosen.reference == "TNet"


def test_numbers_are_formatted_last():
    assert (
        f"{intervals.MeanSD(25.316, 0.0149):.2f}" == "25.32 ± 0.01"
        and f"{intervals.MeanSD(25.316, None)}" == "25.32"
    )
    d = intervals.Interval(0.123, 0.1, 0.15, 5, "t")
    assert f"{d}" == "0.12 [0.10, 0.15]" and f"{d.signed()}" == "+0.12 [+0.10, +0.15]"
    assert (
        f"{intervals.Interval(-0.001, None, None, 1, 't').signed()}" == "+0.00"
    )  # a rounded zero has no minus sign
    assert (
        f"{intervals.PValue(0.0004)}" == "< 0.001"
        and f"{intervals.PValue(0.047)}" == "0.047"
        and f"{intervals.PValue(0.234)}" == "0.23"
    )


def test_named_pairs_are_compared_without_a_reference():
    unet = runs((25.5, 25.6, 25.7), network="UNet")
    rows = comparison({"TNet": runs((25.0, 25.1, 25.2)), "UNet": unet, "L1": runs((24.5,))})
    pairs = {"Table 2": ("TNet", "UNet"), "not there": ("TNet", "UNet at 5e-4")}
    assert {name: d.value for name, d in rows.versus(pairs).items()} == {"Table 2": pytest.approx(-0.5)}
    among = rows.among(pairs)
    assert among.labels == ["TNet", "UNet"] and among.reference is None and among.pairing == ""
    assert among.versus(pairs) == rows.versus(pairs) and not comparison({}).among(pairs)


def test_the_first_seed_of_rows_that_are_there():
    rows = comparison({"TNet": runs((25.0, 25.1)), "UNet": runs((25.5,), network="UNet")})
    assert rows.firsts("UNet", "BaseNet", "TNet") == [rows.rows["UNet"][0], rows.rows["TNet"][0]]
    assert comparison({}).firsts("TNet") == [] and comparison({}).first("TNet") is None


def test_absent_rows_stay_absent_in_a_selection():
    rows = comparison({"TNet": runs((25.0,))}, absent=["UNet", "BaseNet"])
    assert rows.absent == ["UNet", "BaseNet"] and rows.select("TNet", "UNet").absent == ["UNet"]


def test_one_photograph_is_one():
    rows = Comparison({"TNet": runs((25.0,))}, "TNet", np.zeros(10), np.full(10, 20.7))
    assert "10 validation images of 1 photograph; n = 1 seed." in rows.sample
