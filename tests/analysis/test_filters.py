"""The tuned filters of a report: their intervals, gains of networks over them, tables, sentences and figures."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from test_comparison import PHOTO, comparison, runs
from test_detail import errors

from n2nlib import paper
from n2nlib.analysis import detail
from n2nlib.analysis.filters import Filters
from n2nlib.analysis.intervals import Interval
from n2nlib.display import filter_tables, filter_words
from n2nlib.display import filters as filter_figures
from n2nlib.evaluation import classical

ENOUGH = paper.value("calibration.gaussian_passed_at")
LEVELS = {"zero": 6.0, "noisy": 20.7, "mean": 23.5, "gaussian": 24.9, "linear": 25.0}
IMAGES = np.linspace(-1, 1, 10)


def filters(absent=None, **levels):
    """Filters of given mean PSNR on the ten images of `test_comparison`; nothing is tuned."""
    found = {}
    for name, level in (LEVELS | levels).items():
        values = [0.2, 0.3, 0.4]
        curve = dict.fromkeys(classical.FILTERS[name].grid, values) | {
            "mse": [0.03, 0.01, 0.02] if classical.FILTERS[name].grid else [0.04]
        }
        images = IMAGES[:4] if classical.FILTERS[name].slow else IMAGES
        parameters = (
            {"weights": np.eye(5).tolist(), "bias": 0.0}
            if name == "linear"
            else dict.fromkeys(classical.FILTERS[name].grid, 0.3)
        )
        found[name] = {
            "parameters": parameters,
            "at_limit": {},
            "curve": curve,
            "pairs": 1_000,
            "ms": 2_000.0,
            "global": level - 1,
            "arrays": {"psnr": level + images},
        }
    return Filters(found, absent or {}, PHOTO)


def networks(levels=(25.5, 25.6, 25.7), **rows):
    return comparison({"TNet": runs(levels)} | rows)


def test_means_are_over_photographs_and_gains_over_seeds_too():
    found = filters()
    mean = found.mean("gaussian")
    assert mean.value == pytest.approx(24.9) and mean.n == 5 and mean.low < 24.9 < mean.high
    gains = found.gains(networks())
    assert list(gains) == ["noisy", "mean", "gaussian", "linear"]
    assert gains["gaussian"].value == pytest.approx(0.7) and f"{gains['gaussian']}".startswith("+0.70 [")
    assert found.gains(comparison({"UNet": runs((25.0,), network="UNet")})) == {}
    assert found.ranking == ["linear", "gaussian", "mean"]
    assert f"{found.difference('linear', 'gaussian')}" == "+0.10 [+0.10, +0.10]"
    assert (
        found.sample
        == "Tuned on 1,000 noisy training pairs, measured on 10 validation images of 5 photographs."
    )


def test_the_ledger_keeps_parameters_but_not_the_kernel():
    numbers = filters().numbers
    assert numbers["gaussian"]["parameters"] == {"sigma": 0.3} and numbers["linear"]["parameters"] == {}
    assert numbers["mean"]["value"] == pytest.approx(23.5) and numbers["mean"]["global"] == 22.5


def test_a_slow_filter_is_compared_on_its_own_images():
    found = filters(bm3d=24.0, absent={})
    assert found.slow == ["bm3d"] and "bm3d" not in found.compared and "bm3d" not in found.gains(networks())
    here = np.mean(24.9 + IMAGES[:4])
    assert filter_words.slow_filters(found).startswith(
        f"BM3D takes about 2.0 s per image and was run on 4 of them: {np.mean(24 + IMAGES[:4]):.2f} dB, where the Gaussian reaches {here:.2f} dB"
    )
    assert (
        filter_words.slow_filters(filters()) == ""
        and filter_words.slow_filters(filters(absent={"bm3d": "bm3d is not installed."}))
        == "bm3d is not installed."
    )


def test_the_table_of_baselines_has_filters_before_networks():
    untrained = {
        "BaseNet, untrained": [{"global": 5.0, "arrays": {"psnr": 6 + k + IMAGES}} for k in (0, 1, 2)]
    }
    rows = networks()
    for run in rows.runs:
        run.metrics["psnr_global"] = 24.5
    table = filter_tables.baselines(
        filters(absent={"bm3d": "?"}), rows, untrained, {"TNet": [{"ms": 1.0}, {"ms": 3.0}, {"ms": 2.0}]}
    )
    assert list(table["method"]) == [
        "Zero image",
        "Noisy image",
        "Mean",
        "Gaussian",
        "5x5 linear, fitted",
        "BM3D",
        "BaseNet, untrained",
        "TNet",
    ]
    table = table.set_index("method")
    assert table.loc["BM3D"].isna().all()
    tnet = table.loc["TNet"]
    assert (
        f"{tnet['over seeds (dB)']}" == "25.60 ± 0.10"
        and tnet["ms/image"] == 2
        and tnet["global PSNR (dB)"] == 24.5
        and tnet["images"] == 10
    )
    assert (
        f"{table.loc['BaseNet, untrained', 'over seeds (dB)']}" == "7.00 ± 1.00"
        and table.loc["BaseNet, untrained", "PSNR (dB)"].n == 3
    )


def test_tables_of_tuning():
    table = filter_tables.tuned_parameters(filters())
    assert table.to_dict("records")[1] == {
        "filter": "Gaussian",
        "parameter": "sigma",
        "chosen": 0.3,
        "lowest tried": 0.2,
        "highest tried": 0.4,
        "at a limit": None,
    }
    kernel = filter_tables.linear_kernel(filters())
    assert (
        kernel.shape == (5, 6)
        and kernel["-2"][0] == 100
        and list(kernel[""]) == ["-2", "-1", "0", "+1", "+2"]
    )


def test_gains_are_judged_only_after_enough_images():
    early, late = (comparison({"TNet": runs((25.5, 25.6, 25.7), epochs=epochs)}) for epochs in (1, 50))
    assert early.images < ENOUGH <= late.images
    table = filter_tables.gains_over_filters(filters(), early)
    assert list(table["result"]) == ["TNet is ahead", *["not tested at this size"] * 3] and table[
        "seed 2 (dB)"
    ][2] == pytest.approx(0.8)
    assert list(filter_tables.gains_over_filters(filters(), late)["result"]) == ["TNet is ahead"] * 4
    assert filter_tables.gains_over_filters(filters(), comparison({})).empty
    assert filter_words.gain_over_filters(filters(), early).startswith(
        "**Not tested at this size.** TNet minus the mean filter: +2.10 ["
    )
    text = filter_words.gain_over_filters(filters(), late)
    assert (
        text.endswith("Against the Gaussian: **TNet is ahead**. Against the mean: **TNet is ahead**.")
        and "(5x5 linear, fitted): +0.60 [" in text
    )
    assert filter_words.gain_over_filters(filters(), comparison({})) == ""


@pytest.mark.parametrize(
    "d, text",
    [
        (Interval(0.3, 0.1, 0.5, 3, "t"), "TNet is ahead"),
        (Interval(-0.3, -0.5, -0.1, 3, "t"), "TNet is behind"),
        (Interval(0.3, -0.1, 0.5, 3, "t"), "no significant difference"),
        (Interval(0.3, None, None, 1, "t"), "too few seeds or photographs for an interval"),
    ],
)
def test_sides(d, text):
    assert (
        filter_tables.ahead("TNet", d) == text
        and filter_tables.ahead("TNet", d, judged=False) == "not tested at this size"
    )


def test_tuning_tells_limits():
    found = filters()
    kernel = " The fitted kernel has 1.00 at its centre, and its weights sum to 5.000."
    assert (
        filter_words.tuning(found)
        == f"Of 2 parameters, 2 have their optimum strictly inside the range that was tried.{kernel}"
    )
    found.found["mean"]["at_limit"] = {"size": "the identity"}
    assert filter_words.tuning(found) == (
        "Of 2 parameters, 1 have their optimum strictly inside the range that was tried. At a limit, where "
        f"the filter becomes another one: Mean, size = 0.3: the identity.{kernel}"
    )


def basenets(*lines):
    return pd.DataFrame(lines, columns=["seed", "untrained (dB)", "trained (dB)", "dead channels of 3"])


def test_basenet_is_nearer_to_one_of_two():
    published = paper.value("table2.BaseNet.psnr")
    text = filter_words.basenet(
        basenets((0, published, 15.0, 0), (1, published, 9.0, 2)), zero=6.0, noisy=20.0
    )
    assert (
        text.startswith("BaseNet reaches 9.00 to 15.00 dB here after training")
        and "A black image has 6.00 dB, the noisy image 20.00 dB." in text
    )
    assert (
        "1 of 2 seeds has a dead output channel, and 1 stayed more than 3 dB below the best." in text
        and "nearer to an untrained BaseNet" in text
    )
    text = filter_words.basenet(basenets((0, published - 5, published, 0)), zero=6.0, noisy=20.0)
    assert "0 of 1 seeds have a dead output channel. " in text and "nearer to a trained BaseNet" in text
    assert filter_words.basenet(basenets(), zero=6.0, noisy=20.0) == ""


def test_the_table_of_basenet_pairs_runs_with_their_start():
    rows = comparison({"BaseNet": runs((15.0, 9.0), network="BaseNet")})
    untrained = [{"arrays": {"psnr": level + IMAGES}} for level in (6.0, 7.0, 8.0)]
    outputs = [{"dead_channels": 0, "same": False}, {"dead_channels": 3, "same": True}]
    table = filter_tables.basenet(rows, untrained, outputs)
    assert table["untrained (dB)"].tolist() == pytest.approx([6, 7, 8]) and table["trained (dB)"].tolist()[
        :2
    ] == pytest.approx([15, 9])
    assert list(table["same output for every image"]) == ["no", "yes", None]
    without = filter_tables.basenet(comparison({}), untrained, [])
    assert (
        without["untrained (dB)"].tolist() == pytest.approx([6, 7, 8])
        and without["trained (dB)"].isna().all()
    )
    assert filter_words.basenet(table, zero=6.0, noisy=20.0).startswith(
        "BaseNet reaches 9.00 to 15.00 dB here after training, and 6.00 to 7.00 dB before."
    )
    assert filter_words.basenet(without, zero=6.0, noisy=20.0) == ""


class Errors(detail.ErrorByDetail):
    """Errors by detail with given intervals."""

    def __init__(self, in_detail, in_flat, contrast):
        super().__init__(errors().sums, errors().pixels)
        object.__setattr__(self, "given", (in_detail, in_flat, contrast))

    def gain(self, name, which):
        return Interval(*self.given[0 if which == detail.DETAILED else 1], 3, "t").signed()

    def contrast(self, name):
        return Interval(*self.given[2], 3, "t").signed()


UP, DOWN, NONE, OPEN = (1.0, 0.5, 1.5), (-1.0, -1.5, -0.5), (0.0, -0.5, 0.5), (1.0, None, None)


@pytest.mark.parametrize(
    "given, text",
    [
        ((UP, DOWN, UP), "TNet gains where there is detail, and more than where the image is flat."),
        (
            (NONE, DOWN, UP),
            "The gain is larger where there is detail only because TNet loses where the image is flat.",
        ),
        ((UP, UP, DOWN), "The gain is larger where the image is flat."),
        ((UP, UP, NONE), "The two gains do not differ significantly."),
        ((OPEN, OPEN, OPEN), "There is no confidence interval, so nothing is concluded."),
    ],
)
def test_gain_by_detail(given, text):
    told = filter_words.gain_by_detail(Errors(*given), networks())
    assert told.startswith(
        "The most detailed fifth of the pixels carries 20 % of the Gaussian's squared error."
    ) and told.endswith(text)
    early = comparison({"TNet": runs((25.5,), epochs=1)})
    assert filter_words.gain_by_detail(Errors(*given), early).endswith("**not tested at this size**.")


def test_gain_by_detail_without_tnet_or_without_error():
    nothing = detail.ErrorByDetail.of({"gaussian": np.zeros((4, 10)), "pixels": np.ones((4, 10))})
    assert (
        filter_words.gain_by_detail(nothing, comparison({})) == ""
        and filter_figures.error_by_detail(nothing) is None
    )
    flat = detail.ErrorByDetail.of(
        {"gaussian": np.zeros((4, 10)), "TNet": np.ones((3, 4, 10)), "pixels": np.ones((4, 10))}
    )
    assert "carries none of the Gaussian's squared error" in filter_words.gain_by_detail(flat, networks())


def test_ranking():
    assert filter_words.ranking(filters()) == (
        "From the best to the worst filter: 5x5 linear, fitted, Gaussian, Mean. The fitted kernel is "
        "+0.10 [+0.10, +0.10] dB from the one-parameter Gaussian, and the best filter +4.30 dB from the noisy image."
    )


def test_figures():
    fig = filter_figures.tuning(filters())
    assert [ax.get_xlabel() for ax in fig.axes if ax.axison] == ["size", "σ"]
    fig = filter_figures.error_by_detail(errors())
    assert len(fig.axes) == 3 and [
        line.get_ydata()[0] for line in fig.axes[0].lines if len(line.get_ydata()) == 10
    ] == pytest.approx([25.5, 25.5])
    found = errors()
    found.pixels[:, 3] = 0  # no photograph has such pixels
    assert len(filter_figures.error_by_detail(found).axes) == 3
    images = {
        name: np.full((5, 3, 32, 32), value, np.uint8)
        for name, value in (("clean", 100), ("TNet", 101), ("gaussian", 110))
    }
    fig = filter_figures.pictures(images)
    assert [ax.get_title() for ax in fig.axes[:3]] == ["Gaussian", "TNet", "clean"] and len(fig.axes) == 15
    plt.close("all")
