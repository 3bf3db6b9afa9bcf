"""Statistical plots of comparisons: every seed is drawn, and nothing where there is nothing to draw."""

from __future__ import annotations

import warnings

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from test_comparison import comparison, runs

from n2nlib import paper
from n2nlib.analysis import intervals
from n2nlib.display import curves, style

PAIRS = {"as in Table 2": ("TNet", "UNet"), "both at 1e-3": ("TNet at 1e-3", "UNet")}


@pytest.fixture(autouse=True)
def styled():
    with matplotlib.rc_context():
        style.use()
        yield
    plt.close("all")


def sized(levels, parameters, **spec):
    found = runs(levels, **spec)
    for run in found:
        run.metrics["parameters"] = parameters
    return found


def drawn(ax) -> list[float]:
    """The places along x of all dots."""
    offsets = [np.ma.getdata(dots.get_offsets()) for dots in ax.collections if len(dots.get_offsets())]
    dots = np.concatenate(offsets)[:, 0]
    return sorted(dots[np.isfinite(dots)])


# --- chapter 04 ---


def test_a_closer_look_only_where_a_row_is_far():
    near = {"TNet": runs((25.0, 25.1)), "TNet, ReLU": runs((24.9, 25.0))}
    (ax,) = curves.around_reference(comparison(near)).axes
    assert drawn(ax) == pytest.approx([-0.15, -0.05, -0.05, 0.05])
    rows = comparison(near | {"TNet without skip connections": runs((19.0, 19.2))})
    fig = curves.around_reference(rows, grey=["TNet, ReLU"])
    whole, closer = fig.axes
    assert len(drawn(whole)) == 6 and drawn(closer) == pytest.approx([-0.15, -0.05, -0.05, 0.05])
    low, high = closer.get_xlim()
    assert -1 < low < -0.15 and 0.05 < high < 1
    assert [t.get_text() for t in closer.texts] == ["← −6.0"]
    assert closer.texts[0].xy[1] == 2
    assert [t.get_text() for t in whole.get_yticklabels()][2] == "TNet without skip connections"


def test_all_rows_far_need_no_closer_look():
    assert len(curves.around_reference(comparison({"TNet": runs((25.0,)), "far": runs((19.0,))})).axes) == 1


def test_parameters_stand_beside_what_was_published():
    rows = comparison({
        "UNet": sized((25.5, 25.6), 991_203, network="UNet"),
        "TNet": sized((25.0, 25.2), 43_064),
        "TNet+L1": sized((24.9,), 43_064),
        "TNet, embedding 64": sized((25.3,), 70_712),
    })  # fmt: skip
    (ax,) = curves.parameters_against_psnr(rows).axes
    ours = ax.collections[0].get_offsets()
    places = [43_064 * 1.05, 43_064 * 1.05**2, 70_712 * 1.05, 991_203 * 1.05]
    assert sorted(set(ours[:, 0])) == pytest.approx(places)
    assert sorted(ours[:, 1]) == pytest.approx([-0.2, -0.1, 0.1, 0.2, 0.4, 0.5])
    legend = [t.get_text() for t in ax.get_legend().get_texts()]
    assert legend[:4] == rows.labels and len(legend) == 6


def test_pairs_are_drawn_with_the_authors_own():
    rows = comparison({
        "TNet": runs((25.0, 25.1, 25.2)),
        "UNet": runs((25.5, 25.6, 25.7), network="UNet"),
        "TNet at 1e-3": runs((25.3,), lr=1e-3),
    })  # fmt: skip
    authors = intervals.welch(paper.value("seeds.TNet"), paper.value("seeds.UNet"))
    (ax,) = curves.pair_differences(rows, PAIRS, authors).axes
    assert [t.get_text() for t in ax.get_yticklabels()] == [*PAIRS, "the authors' own runs"]
    assert drawn(ax) == pytest.approx(sorted([-0.6, -0.5, -0.4] * 2 + [-0.3] + [-0.2, -0.3, -0.4]))
    ends = [list(x) for x in (line.get_xdata() for line in ax.lines) if len(x) == 2 and x[0] != 0]
    assert len(ends) == 2 and ends[-1] == [authors.low, authors.high]  # the row of one seed has no interval


def test_nothing_is_drawn_without_rows():
    for rows in (comparison({}), comparison({"TNet": runs((25.0,))}), comparison({"L1": runs((25.0,))})):
        assert curves.around_reference(rows) is None and curves.parameters_against_psnr(rows) is None
        assert curves.pair_differences(rows, PAIRS, intervals.printed(0.08)) is None


def test_equal_values_are_drawn_without_warnings(tmp_path):
    """Five seeds that end alike, as on images without noise."""
    unet = runs((80.0,) * 5, network="UNet")
    rows = comparison({"TNet": runs((80.0,) * 5), "TNet, ReLU": runs((80.0,) * 5), "UNet": unet})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        style.save(curves.around_reference(rows), tmp_path / "around")
        style.save(curves.pair_differences(rows, PAIRS, intervals.printed(0.08)), tmp_path / "pairs")


def test_the_same_data_give_the_same_picture(tmp_path):
    rows = comparison(
        {"TNet": runs((25.0, 25.0, 25.2)), "TNet, ReLU": runs((24.9, 24.91)), "far": runs((19.0, 19.2))}
    )
    one, two = (style.save(curves.around_reference(rows), tmp_path / name)[1] for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()


# --- chapter 07 ---


def test_differences_have_an_interval_and_the_published_value():
    rows = comparison({"TNet": runs((25.0, 25.1, 25.2)), "TNet+L1": runs((24.5, 24.65, 24.7)),
                       "TNet+BN": runs((25.1,)), "TNet, ReLU": runs((20.0, 20.1, 20.2))})  # fmt: skip
    (ax,) = curves.differences(rows).axes
    assert [t.get_text() for t in ax.get_yticklabels()] == rows.others
    lines = [tuple(line.get_xdata()) for line in ax.lines]
    d = rows.difference("TNet+L1")
    assert (d.low, d.high) in lines
    published = [line.get_xdata()[0] for line in ax.lines if line.get_marker() == "|"]
    printed = paper.table2().psnr
    assert published == pytest.approx([printed[label] - printed["TNet"] for label in ("TNet+L1", "TNet+BN")])
    assert [t.get_text() for t in ax.texts] == ["← −5.0"]  # further than 1 dB: no dot, an arrow
    assert curves.differences(comparison({"TNet": runs((25.0,))})) is None
    assert curves.differences(comparison({"TNet+L1": runs((25.0,))})) is None


def test_differences_that_are_all_far_are_drawn():
    (ax,) = curves.differences(comparison({"TNet": runs((25.0,)), "TNet+L1": runs((20.0,))})).axes
    assert not ax.texts and ax.get_xlim()[0] < -5


def test_columns_of_table_1_are_drawn_where_all_three_are_there():
    rates = {
        label: runs(levels)
        for label, levels in (("1e-4", (25.0, 25.1)), ("5e-4", (25.2, 25.3)), ("9e-4", (25.1, 25.2)))
    }
    whole, part = comparison(rates, "5e-4"), comparison({"5e-4": rates["5e-4"]}, "5e-4")
    fig = curves.columns_around_mean({"three": whole, "one": part})
    assert [ax.get_title(loc="left") for ax in fig.axes] == ["the paper's Table 1", "three"]
    assert curves.columns_around_mean({"one": part}) is None
    plt.close(fig)
