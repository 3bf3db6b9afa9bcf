"""The paper's tables beside ours: what rows say, and that sentences say no more than intervals and size carry."""

from __future__ import annotations

from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy import stats as sps

from n2nlib import paper, tables
from n2nlib.comparison import Comparison
from n2nlib.figures_runs import dots_around
from n2nlib.models import build, count_parameters
from n2nlib.runs import RunStore
from n2nlib.spec import PROFILES, RunSpec
from n2nlib.stats import Interval
from n2nlib.text import cell
from n2nlib.training import Trained


def made_up(network="TNet", levels=(25.0, 25.1, 25.2), mse=0.0145, seed=0, **spec):
    """Runs of given mean PSNR (dB) on ten images of five photographs; nothing is trained."""
    options = spec.pop("options", {})
    images = np.random.default_rng(seed).normal(0, 1, 10)
    images -= images.mean()
    profile = PROFILES["paper"]
    return [
        SimpleNamespace(
            spec=profile.spec("0" * 16, network=network, options=options, seed=i, **spec),
            psnr=level + images,
            metrics={"loss": mse, "published_loss": mse * paper.loss_factor(), "parameters": count_parameters(build(network, **options))},
        )
        for i, level in enumerate(levels)
    ]


PHOTO = np.repeat(np.arange(5), 2)


def test_published_loss_and_mean_squared_error_agree():
    """A published loss of 0.709, which is rounded to three digits, is a mean squared error of 0.01451."""
    rounding = 0.0005 / paper.loss_factor()
    assert paper.value("published_loss.value") / paper.loss_factor() == pytest.approx(paper.value("published_loss.mse"), abs=rounding)


def comparison(rows, reference):
    return Comparison(rows, reference, PHOTO, np.full(10, 20.7))


def test_table1_has_the_papers_layout():
    rates = comparison({"1e-4": made_up(lr=1e-4), "5e-4": made_up(), "9e-4": made_up(lr=9e-4, levels=(25.0, 25.1))}, "5e-4")
    table = tables.table1(rates)
    assert list(table.columns) == ["", "from", "lr 1e-4", "lr 5e-4", "lr 9e-4"]
    texts = table.map(lambda value: cell(value, 2))
    rows = {(what, whose): list(texts.iloc[i, 2:]) for i, (what, whose) in enumerate(texts.iloc[:, :2].to_numpy())}
    assert rows["PSNR (dB)", "paper"] == ["25.31 ± 0.01", "25.33 ± 0.02", "25.32 ± 0.02"]
    assert rows["PSNR (dB)", "ours"] == ["25.10 ± 0.10", "25.10 ± 0.10", "25.05"]  # no spread from two values
    assert rows["Loss (L2)", "paper"][1] == "0.70859 ± 0.00056"
    assert rows["Loss (L2)", "ours"][:2] == [f"{0.0145 * 1563 / 32:.5f} ± 0.00000"] * 2
    assert rows["seeds", "ours"] == ["3", "3", "2"]


def test_differences_of_learning_rates_stand_beside_the_papers():
    rates = comparison({"1e-4": made_up(lr=1e-4, levels=(24.9, 25.0, 25.1)), "5e-4": made_up()}, "5e-4")
    (line,) = tables.learning_rate_differences(rates).map(lambda value: cell(value, 2)).to_dict("records")
    assert line["learning rates"] == "1e-4 minus 5e-4"
    assert line["PSNR, paper (dB)"] == "-0.02" and line["PSNR, ours (dB)"] == "-0.10 [-0.10, -0.10]"
    assert line["loss, paper"] == "+0.00037"


def test_ranges_are_those_of_whole_trios():
    rows = {label: made_up(levels=levels) for label, levels in
            (("a", (25.0, 25.1, 25.2)), ("b", (25.1, 25.2, 25.3)), ("c", (25.0, 25.2, 25.1)))}
    found = tables.column_ranges(("ours", comparison(rows, None)), ("partial", comparison({"a": rows["a"]}, None)))
    assert list(found["columns"]) == ["the paper", "ours"]
    assert found["range (dB)"].tolist() == pytest.approx([0.02, 0.1])
    assert found["p, equal means"][1] == pytest.approx(sps.f_oneway(*([24.9 + x for x in r] for r in ((0.1, 0.2, 0.3), (0.2, 0.3, 0.4), (0.1, 0.3, 0.2)))).pvalue)


def test_table2_reads_the_networks():
    rows = {
        "BaseNet": made_up("BaseNet"),
        "UNet (shared decoder)": made_up("UNet", options={"shared_decoder": True}),
        "TNet": made_up(),
        "TNet+BN": made_up(options={"batch_norm": True}),
        "TNet without skip connections": made_up(options={"skips": False}),
    }
    table = tables.table2(rows).set_index("model")
    assert list(table["#P, ours"]) == ["166.9", "576.1", "43.1", "43.5", "28.7"]
    assert list(table["Res"]) == ["No", "Yes", "Yes", "Yes", "No"]
    assert list(table["BN"]) == ["No", "No", "No", "Yes", "No"]
    assert table.loc["UNet (shared decoder)", "PSNR, paper"] == "25.24 ± 0.08"  # the paper's one UNet row
    assert table.loc["TNet without skip connections", "PSNR, paper"] == "–"


def test_differences_are_to_the_reference():
    rows = {"TNet": made_up(), "TNet+L1": made_up(levels=(24.5, 24.6, 24.7), loss="L1")}
    found = tables.differences(rows, "TNet", PHOTO)
    assert list(found) == ["TNet+L1"] and found["TNet+L1"].value == pytest.approx(-0.5)
    line = tables.difference_table(rows, "TNet", found).iloc[0]
    assert line["paper (dB)"] == "-0.03" and line["ours (dB)"] == "-0.50" and line["PSNR of each initialisation (dB)"] == "24.50, 24.60, 24.70"
    assert tables.ablation(rows, "TNet", found)["minus TNet (dB)"].tolist() == ["–", "-0.50"]


def test_the_note_on_pairing_gives_the_partners_level():
    """Three of the reference's four initialisations are shared: 25.1, and not the 25.2 that stands in its row."""
    rows = {"TNet": made_up(levels=(25.0, 25.1, 25.2, 25.5)), "TNet+L1": made_up(levels=(24.5, 24.6, 24.7), loss="L1")}
    assert "there 25.10 dB (n = 3)" in tables.pairing_note(rows, "TNet")
    assert tables.pairing_note({"TNet": rows["TNet"][:3], "TNet+L1": rows["TNet+L1"]}, "TNet") == ""
    assert tables.pairing_note({"TNet": rows["TNet"], "UNet": made_up("UNet")}, "TNet") == ""


def test_a_rounded_zero_has_no_minus_sign():
    assert tables.brackets(Interval(0.1, -0.001, 0.2, 5, "t")) == "[+0.00, +0.20]"


def test_no_interval_no_difference():
    """Two initialisations: the table has a value, and no sentence calls it a difference."""
    rows = {"TNet": made_up(levels=(25.0, 25.1)), "TNet+BN": made_up(levels=(20.0, 20.1), options={"batch_norm": True})}
    found = tables.differences(rows, "TNet", PHOTO)
    assert tables.brackets(found["TNet+BN"]) == "–"
    assert "no interval" in tables.compared("TNet+BN", "TNet", found["TNet+BN"])
    text = tables.outcome("TNet", found, PROFILES["quick"])
    assert "TNet+BN" not in text and text.startswith("**The paper's claims are not tested at this size**")


@pytest.mark.parametrize(
    "low, high, says",
    [(0.1, 0.3, "Shown above TNet: X (+0.20 dB)."), (-0.3, -0.1, "Shown below TNet: X (-0.20 dB)."), (-0.1, 0.5, "No difference to TNet is shown for: X (+0.20 dB).")],
)
def test_outcome_follows_the_interval(low, high, says):
    value = (low + high) / 2
    text = tables.outcome("TNet", {"X": Interval(value, low, high, 5, "t")}, PROFILES["paper"])
    assert text == says.replace(f"{value:+.2f} dB", f"{value:+.2f} [{low:+.2f}, {high:+.2f}] dB")


def test_what_a_size_cannot_say():
    assert tables.size_note(PROFILES["paper"]) == ""
    seen = PROFILES["quick"].n_train * PROFILES["quick"].epochs
    overnight, quick = tables.size_note(PROFILES["overnight"]), tables.size_note(PROFILES["quick"])
    assert "first steps of their training" in quick and f"{seen:,}" in quick and "no interval" in quick
    assert "first steps of their training" in overnight and "no interval" not in overnight
    assert tables.verdict_note(PROFILES["paper"]) == "" and "not tested" in tables.verdict_note(PROFILES["overnight"])


def test_dots_around_looks_closer_only_where_a_row_is_far():
    near = {"TNet": [25.0, 25.1], "TNet, ReLU": [24.9, 25.0]}
    assert len(dots_around(near, "TNet").axes) == 1
    fig = dots_around(near | {"TNet without skip connections": [19.0, 19.2]}, "TNet")
    assert len(fig.axes) == 2
    low, high = fig.axes[1].get_xlim()
    assert -1 < low < -0.15 and 0.05 < high < 1
    assert [t.get_text() for t in fig.axes[1].texts] == ["← −6.0"]
    plt.close("all")


def stored(store, precision, psnrs, env=None, **spec):
    for seed, psnr in enumerate(psnrs):
        run = RunSpec("c" * 16, 64, 1, seed=seed, precision=precision, **spec)
        store.put(Trained(run, {}, [{"epoch": 1}], {"psnr": psnr, "seconds": 1.0}, np.array([psnr]), **(env or {})))


FP32 = [24.64, 24.62, 24.67, 24.49, 24.56]


@pytest.mark.parametrize("shift, outcome", [(0.0, "shown"), (0.05, "not shown")])
def test_equivalence_is_shown_only_within_the_margin(tmp_path, shift, outcome):
    store = RunStore(tmp_path)
    stored(store, "fp32", FP32)
    stored(store, "bf16", np.array([24.635, 24.625, 24.675, 24.485, 24.56]) + shift)
    (row,) = tables.equivalences(tables.precision_effects(store.all())).to_dict("records")
    assert row["run"] == "TNet" and row["n"] == 5 and row["precision"] == "bf16" and row["within ±0.03 dB"].startswith(outcome)


def test_two_initialisations_show_no_equivalence(tmp_path):
    store = RunStore(tmp_path)
    stored(store, "fp32", FP32[:2])
    stored(store, "bf16", FP32[:2])
    assert tables.equivalences(tables.precision_effects(store.all())).empty


def test_tf32_on_a_cpu_counts_as_fp32(tmp_path):
    """A CPU has no TF32: such runs are the fp32 side of a comparison, those of a GPU are not."""
    store = RunStore(tmp_path)
    stored(store, "bf16", FP32, network="UNet", options={"shared_decoder": True}, lr=1e-3)
    stored(store, "tf32", FP32[:3], network="UNet", options={"shared_decoder": True}, lr=1e-3)
    stored(store, "tf32", FP32[3:], {"device": "a GPU"})
    assert {run.arithmetic for run in store.all()} == {"bf16", "fp32", "tf32"}
    (row,) = tables.equivalences(tables.precision_effects(store.all(), ["bf16"])).to_dict("records")
    assert row["run"] == "UNet, shared_decoder True, lr 0.001" and row["n"] == 3


# --- chapter 01 ---


def noise_found(**changes):
    """What `measurements.noise` returns, made up."""
    return {
        "psnr": 20.82,
        "psnr_sd": 3.31,
        "psnr_global": 19.67,
        "mean_error": (0.046, 0.0246),
        "kurtosis": 10.22,
        "neighbours": (-0.0001, 0.001),
        "channels": {"RG": 0.92, "RB": 0.83, "GB": None},
        "by_detail": {"sd": [3.9, 20.0, 47.5]},
        "pair_correlation": None,
    } | changes


def test_noise_stands_beside_the_authors():
    table = tables.noise(noise_found()).map(lambda value: cell(value, 2)).set_index("of the noise")
    ours = table["this dataset"].to_dict()
    assert (
        ours["mean error"] == "0.05 ± 0.02"
        and ours["correlation with the neighbouring pixel"] == "0.000 ± 0.001"
    )
    assert (
        ours["correlation between channels, lowest"] == "0.83"
        and ours["correlation between channels, highest"] == "0.92"
    )
    assert (
        ours["kurtosis (Gaussian: 3)"] == "10.2" and ours["correlation between the two copies' errors"] == "–"
    )
    assert list(table["the authors' data"][:5]) == ["20.72", "19.8", "–", "none seen", "0.85"]
    none = tables.noise(noise_found(kurtosis=None, neighbours=None, channels={"RG": None})).map(
        lambda value: cell(value, 2)
    )
    assert list(none["this dataset"][4:8]) == ["–"] * 4


def test_numbers_of_images_without_noise_are_none():
    numbers = tables.noise_numbers(noise_found(kurtosis=None, neighbours=None, channels={"RG": None}))
    assert (
        numbers["kurtosis"]
        is numbers["channel_correlation_low"]
        is numbers["channel_correlation_high"]
        is numbers["neighbour_correlation"]
        is None
    )
    assert numbers["noisy_psnr"] == 20.82 and numbers["mean_error_se"] == 0.0246


def test_other_noises_are_compared_with_the_datasets_own():
    one = {
        "zero_mean": False,
        "mean_error": (0.92, 0.12),
        "clipped_mean_error": (-1.2, 0.1),
        "channels": {"RG": None},
        "kurtosis": 3.0,
        "psnr": 18.3,
    }
    table = tables.other_noises(noise_found(), {"impulse:0.1": one}, {"impulse:0.1": "impulse"}).map(
        lambda value: cell(value, 2)
    )
    assert table.to_numpy().tolist() == [
        ["sub-pixel sampling", "yes", "0.05 ± 0.02", "0.05 ± 0.02", "0.88", "10.22", "20.82"],
        ["impulse", "no", "0.92 ± 0.12", "-1.20 ± 0.10", "–", "3.00", "18.30"],
    ]


def test_windows_and_datasets():
    assert tables.windows()["windows"].tolist() == ["tried"] * 3 + ["chosen", "the authors' validation set"]
    recipe = {
        "train": [(0, 0, "a"), (1, 0, "a"), (2, 0, "b")],
        "val": [(3, 0, "c")],
        "n_train": 64,
        "n_val": 12,
        "windows": (0.47, 0.95),
    }
    lines = tables.dataset(SimpleNamespace(recipe=recipe, noise="subpixel")).to_dict("records")
    assert (
        [line["photographs"] for line in lines] == [2, 1]
        and lines[0]["files"] == 3
        and lines[1]["largest window side"] == 0.95
    )
    lines = tables.dataset(SimpleNamespace(recipe={"n_train": 64, "n_val": 12}, noise="subpixel")).to_dict(
        "records"
    )
    assert lines[0]["photographs"] is lines[0]["smallest window side"] is None and lines[0]["pairs"] == 64
