"""The paper's tables beside ours: what rows say, and that sentences say no more than intervals and size carry."""

from __future__ import annotations

from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy import stats as sps

from n2nlib import experiments, paper
from n2nlib.analysis.comparison import Comparison
from n2nlib.analysis.intervals import PValue
from n2nlib.analysis.precision import precision_effects
from n2nlib.display import beyond_tables, curves, data_tables, tables
from n2nlib.models import build, count_parameters
from n2nlib.profiles import PROFILES
from n2nlib.runs.store import RunStore
from n2nlib.spec import RunSpec
from n2nlib.text import cell, flat
from n2nlib.training.replica import Trained


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
            metrics={
                "loss": mse,
                "published_loss": mse * paper.loss_factor(),
                "parameters": count_parameters(build(network, **options)),
            },
        )
        for i, level in enumerate(levels)
    ]


PHOTO = np.repeat(np.arange(5), 2)


def test_published_loss_and_mean_squared_error_agree():
    """A published loss of 0.709, which is rounded to three digits, is a mean squared error of 0.01451."""
    rounding = 0.0005 / paper.loss_factor()
    assert paper.value("published_loss.value") / paper.loss_factor() == pytest.approx(
        paper.value("published_loss.mse"), abs=rounding
    )


def comparison(rows, reference):
    return Comparison(rows, reference, PHOTO, np.full(10, 20.7))


def test_table1_has_the_papers_layout():
    rates = comparison(
        {"1e-4": made_up(lr=1e-4), "5e-4": made_up(), "9e-4": made_up(lr=9e-4, levels=(25.0, 25.1))}, "5e-4"
    )
    table = tables.table1(rates)
    assert list(table.columns) == ["", "from", "lr 1e-4", "lr 5e-4", "lr 9e-4"]
    texts = table.map(lambda value: cell(value, 2))
    rows = {
        (what, whose): list(texts.iloc[i, 2:]) for i, (what, whose) in enumerate(texts.iloc[:, :2].to_numpy())
    }
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
    rows = {
        label: made_up(levels=levels)
        for label, levels in (("a", (25.0, 25.1, 25.2)), ("b", (25.1, 25.2, 25.3)), ("c", (25.0, 25.2, 25.1)))
    }
    found = tables.column_ranges(
        ("ours", comparison(rows, None)), ("partial", comparison({"a": rows["a"]}, None))
    )
    assert list(found["columns"]) == ["the paper", "ours"]
    assert found["range (dB)"].tolist() == pytest.approx([0.02, 0.1])
    assert found["p, equal means"][1] == pytest.approx(
        sps.f_oneway(
            *([24.9 + x for x in r] for r in ((0.1, 0.2, 0.3), (0.2, 0.3, 0.4), (0.1, 0.3, 0.2)))
        ).pvalue
    )
    rows["c"] = rows["c"][:1]
    assert tables.column_ranges(("one seed", comparison(rows, None)))["p, equal means"][1] is None


def stored(store, precision, psnrs, env=None, **spec):
    for seed, psnr in enumerate(psnrs):
        run = RunSpec("c" * 16, 64, 1, seed=seed, precision=precision, **spec)
        store.put(
            Trained(run, {}, [{"epoch": 1}], {"psnr": psnr, "seconds": 1.0}, np.array([psnr]), **(env or {}))
        )


FP32 = [24.64, 24.62, 24.67, 24.49, 24.56]


@pytest.mark.parametrize("shift, outcome", [(0.0, "yes"), (0.1, "not significant")])
def test_equivalence_is_shown_only_within_the_margin(tmp_path, shift, outcome):
    store = RunStore(tmp_path)
    stored(store, "fp32", FP32)
    stored(store, "bf16", np.array([24.635, 24.625, 24.675, 24.485, 24.56]) + shift)
    table = tables.equivalences(precision_effects(store))
    (row,) = table.to_dict("records")
    assert row["run"] == "TNet" and row["precision"] == "bf16"
    assert row["n"] == 5 and row["training images"] == 64
    assert row["within the margin"] == outcome and (row["p, adjusted"] < 0.05) == (outcome == "yes")
    assert row["margin (dB)"] == paper.margin("TNet", "TNet") == 0.09
    (texts,) = table.map(lambda value: cell(value, 2)).to_dict("records")
    assert texts["minus fp32 (dB)"].startswith(f"{shift:+.3f} [")
    assert texts["p, adjusted"] == format(PValue(row["p, adjusted"]))


def test_equivalences_are_adjusted_as_the_ledgers_tests_are(tmp_path):
    store = RunStore(tmp_path)
    for loss in ("L2", "L1"):
        stored(store, "fp32", FP32, loss=loss)
        stored(store, "bf16", np.array(FP32) + np.array([0.02, 0.07, -0.03, 0.08, 0.01]), loss=loss)
    effects = precision_effects(store)
    alone = [row["p, adjusted"] for one in effects for row in tables.equivalences([one]).to_dict("records")]
    together = tables.equivalences(effects)["p, adjusted"].tolist()
    assert together == pytest.approx([2 * min(alone)] * 2)


def test_two_seeds_show_no_equivalence(tmp_path):
    store = RunStore(tmp_path)
    stored(store, "fp32", FP32[:2])
    stored(store, "bf16", FP32[:2])
    assert tables.equivalences(precision_effects(store)).empty
    assert precision_effects(store, []) == [] and tables.equivalences([]).empty


def test_a_kind_of_run_is_named_by_what_sets_it_apart(tmp_path):
    store = RunStore(tmp_path)
    for precision, n in (("bf16", 5), ("fp32", 3)):
        stored(store, precision, FP32[:n], network="UNet", options={"shared_decoder": True}, lr=1e-3)
    (row,) = tables.equivalences(precision_effects(store)).to_dict("records")
    assert row["run"] == "UNet, shared_decoder True, lr 0.001" and row["n"] == 3


# --- chapter 04 ---


def shown(table, digits=2):
    """A table's cells as they are printed, by its first column."""
    return table.map(lambda value: cell(value, digits)).set_index(table.columns[0])


def test_networks_are_counted_once_and_at_each_use():
    built = {"TNet": build("TNet"), "UNet": build("UNet"), "shared": build("UNet", shared_decoder=True)}
    table = tables.networks(built).set_index("network")
    assert table["parameters"].tolist() == [43_064, 991_203, 576_099]
    assert table["counted at each use"].tolist() == [43_064, 991_203, 991_203]
    assert table["MACs per image"].tolist() == [5_474_304, 178_119_936, 178_119_936]
    assert table["times TNet's"].tolist() == pytest.approx([1, 991_203 / 43_064, 576_099 / 43_064])
    assert table["times TNet's MACs"]["shared"] == pytest.approx(178_119_936 / 5_474_304)


def test_table2_reads_the_networks():
    rows = {
        "BaseNet": made_up("BaseNet"),
        "UNet (shared decoder)": made_up("UNet", options={"shared_decoder": True}),
        "TNet": made_up(),
        "TNet+BN": made_up(options={"batch_norm": True}),
        "TNet without skip connections": made_up(options={"skips": False}),
    }
    table = tables.table2(comparison(rows, "TNet"))
    texts = shown(table, 1)
    assert list(texts["#P, ours"]) == ["166.9", "576.1", "43.1", "43.5", "28.7"]
    assert list(texts["Res"]) == ["No", "Yes", "Yes", "Yes", "No"]
    assert list(texts["BN"]) == ["No", "No", "No", "Yes", "No"]
    assert texts.loc["UNet (shared decoder)", "PSNR, paper"] == "25.24 ± 0.08"  # the paper's one UNet row
    assert texts.loc["TNet without skip connections", ["#P, paper", "PSNR, paper"]].tolist() == ["–", "–"]
    assert texts.loc["TNet", "PSNR, ours"] == "25.10 ± 0.10" and table["n"].tolist() == [3] * 5
    assert {"PSNR, ours", "PSNR, ours sd", "PSNR, paper n"} <= set(flat(table).columns)
    assert tables.table2(comparison({}, "TNet")).empty


def test_differences_of_table2_stand_beside_the_papers():
    rows = {
        "TNet": made_up(levels=(25.0, 25.1, 25.2, 25.3)),
        "TNet+L1": made_up(levels=(24.5, 24.6, 24.7), loss="L1"),
        "UNet (shared decoder)": made_up("UNet", levels=(25.5,), options={"shared_decoder": True}),
        "TNet, ReLU": made_up(options={"activation": "relu"}),
    }
    table = tables.table2_differences(comparison(rows, "TNet"))
    texts = shown(table)
    assert texts.loc["TNet+L1"].tolist() == ["-0.03", "-0.50 [-0.50, -0.50]", "24.50", "24.60", "24.70", "–"]
    columns = ["paper (dB)", "ours (dB)", "seed 1"]
    assert texts.loc["UNet (shared decoder)", columns].tolist() == [
        "-0.08",
        "+0.50",
        "–",
    ]  # the same seed of both
    assert texts.loc["TNet, ReLU", "paper (dB)"] == "–"
    line = flat(table).iloc[0]
    assert line["ours (dB) n"] == 3 and (line["ours (dB) low"], line["seed 0"]) == pytest.approx((-0.5, 24.5))
    assert tables.table2_differences(comparison({"TNet+L1": made_up()}, "TNet")).empty  # no reference


def test_an_ablation_stands_beside_its_reference():
    without = made_up(levels=(20.0, 20.1), options={"skips": False})
    rows = comparison({"TNet": made_up(), "TNet without skip connections": without}, "TNet")
    texts = shown(tables.ablation(rows), 1)
    assert texts["minus TNet (dB)"].tolist() == ["–", "-5.0"] and texts["#P"].tolist() == ["43.1", "28.7"]
    assert texts["seed 2"].tolist() == ["25.2", "–"] and texts["n"].tolist() == ["3", "2"]
    assert tables.ablation(comparison({"TNet": made_up()}, "TNet")).empty
    assert tables.ablation(comparison({}, "TNet")).empty


def test_ways_of_training_whose_rows_are_there():
    unet = made_up("UNet", levels=(26.0, 26.1, 26.2))
    rows = comparison({"TNet": made_up(), "UNet": unet, "TNet at 1e-3": made_up(lr=1e-3)}, None)
    pairs = {
        "as in Table 2": ("TNet", "UNet"),
        "both at 1e-3": ("TNet at 1e-3", "UNet"),
        "both at 5e-4": ("TNet", "UNet at 5e-4"),
    }
    table = tables.versus(rows, pairs)
    assert table["training"].tolist() == ["as in Table 2", "both at 1e-3"]
    assert shown(table)["TNet (dB)"].tolist() == ["25.10 ± 0.10"] * 2
    assert table["n, UNet"].tolist() == [3, 3] and table["TNet minus UNet (dB)"][0].value == pytest.approx(-1)
    assert tables.versus(comparison({}, None), pairs).empty


def test_effort_is_relative_to_tnet():
    sizes = tables.networks({"TNet": build("TNet"), "UNet": build("UNet"), "BaseNet": build("BaseNet")})
    timed = (("TNet", "engine", 2000.4), ("UNet", "engine", 100.0), ("TNet", "plain", 9.0))
    alone = {"runs": 1, "precision": "fp32"}
    lines = [{"network": name, "loop": loop, "images/s": speed, **alone} for name, loop, speed in timed]
    texts = shown(tables.effort(sizes, {"training": lines}), 1)
    assert texts["images per second"].tolist() == ["2,000", "100", "–"]
    assert texts["time per image, times TNet's"].tolist() == ["1.0", "20.0", "–"]
    assert texts["MACs, times TNet's"].tolist() == ["1.0", "32.5", "10.4"]
    assert shown(tables.effort(sizes, None))["images per second"].tolist() == ["–"] * 3


def test_one_sweep_trains_what_chapter_04_compares():
    own = (experiments.table2, experiments.extras, experiments.architecture, experiments.equal_training)
    for size in (PROFILES["smoke"], PROFILES["overnight"]):
        rows, suspects, *tables_ = (
            table(size, "c" * 16).items() for table in (experiments.ablations, experiments.suspects, *own)
        )
        assert all(table <= rows for table in tables_) and tables_[-1] <= suspects
    assert len(experiments.equal_training(PROFILES["overnight"], "c" * 16)) == 4
    assert experiments.equal_training(PROFILES["smoke"], "c" * 16) == {}


# --- chapter 06 ---


def test_rows_against_a_reference_with_further_columns():
    rows = comparison({"TNet": made_up(), "swap": made_up(augment=("swap",), levels=(25.1, 25.2))}, "TNet")
    frame = tables.against_reference(
        rows, "training", before={"swap": {"kind": "pairs"}}, after=tables.by_seed(rows)
    )
    assert list(frame) == [
        "training",
        "PSNR (dB)",
        "minus TNet (dB)",
        "n",
        "seed 0",
        "seed 1",
        "seed 2",
        "kind",
    ]
    assert (
        frame["n"].tolist() == [3, 2]
        and frame["minus TNet (dB)"][0] is None
        and frame["minus TNet (dB)"][1].value == pytest.approx(0.1)
    )
    assert frame["seed 1"].tolist() == pytest.approx([25.1, 25.2]) and frame["seed 2"][1] is None
    assert tables.against_reference(
        comparison({"TNet": made_up()}, "TNet"), "training"
    ).empty  # nothing to compare
    assert (
        len(tables.against_reference(comparison({"swap": made_up()}, "TNet"), "training")) == 1
    )  # without a reference


def test_sizes_of_networks():
    sizes = tables.network_sizes(comparison({"TNet": made_up(), "SmallNet": made_up("SmallNet")}, "TNet"))
    assert (
        sizes["TNet"]["parameters"] == 43_064
        and 2 < sizes["SmallNet"]["MACs (M)"] / sizes["TNet"]["MACs (M)"] < 5
    )


def sized(levels, scheme="noise2noise"):
    return {str(n): made_up(levels=level, scheme=scheme, n_train=n) for n, level in levels.items()}


def test_data_sizes_are_those_with_both_targets():
    photo = np.array([2, 0, 1, 0, 1, 0, 2, 2])
    noisy = comparison(sized({2: (24.0, 24.1, 24.2), 4: (24.5, 24.6, 24.7), 8: (25.0, 25.1, 25.2)}), None)
    clean = comparison(sized({2: (24.5, 24.6, 24.7), 8: (25.1, 25.2, 25.3)}, "noise2clean"), None)
    frame = beyond_tables.data_sizes(noisy, clean, photo)
    assert frame["pairs"].tolist() == [2, 8] and frame["photographs"].tolist() == [1, 3]
    assert [round(d.value, 6) for d in frame["gap (dB)"]] == [
        0.5,
        0.1,
    ] and f"{frame['gap (dB)'][0]:.1f}".startswith("+0.5 [")
    fig = curves.data_sizes(frame, noisy, clean)
    assert [t.get_text() for t in fig.axes[0].get_xticklabels()] == [
        "2",
        "8",
    ]  # not 4, which has one target only
    plt.close(fig)
    one = beyond_tables.data_sizes(noisy, clean.select("2"), photo)
    assert one.empty and "gap (dB)" in one and curves.data_sizes(one, noisy, clean) is None
    assert beyond_tables.data_sizes(comparison({}, None), comparison({}, None), photo).empty


def test_rows_are_drawn_with_a_line_at_the_reference():
    rows = comparison({"TNet": made_up(), "swap": made_up(augment=("swap",), levels=(25.1, 25.2))}, "TNet")
    fig = curves.rows_by_seed(rows)
    (dashed,) = [line for line in fig.axes[0].lines if line.get_linestyle() == "--"]
    assert dashed.get_xdata()[0] == pytest.approx(25.1)
    assert [t.get_text() for t in fig.axes[0].get_yticklabels()] == ["TNet", "swap"]
    plt.close(fig)
    assert curves.rows_by_seed(comparison({"TNet": made_up()}, "TNet")) is None


def test_the_best_trials_show_what_differs():
    tried = pd.DataFrame(
        {
            "state": ["complete"] * 2,
            "parameters": [1, 2],
            "width": 16,
            "lr": [5e-4, 1e-3],
            "psnr@1": 20.0,
            "psnr@9": [24.9, 25.0],
        }
    )
    best = tried.iloc[::-1]
    assert (
        beyond_tables.shared_options(best) == {"width": 16}
        and beyond_tables.shared_options(best.head(1)) == {}
    )
    frame = beyond_tables.trials(tried, best)
    assert list(frame) == ["parameters", "lr", "PSNR (dB)"] and frame["PSNR (dB)"].tolist() == [25.0, 24.9]
    assert beyond_tables.trials(tried.head(0), best.head(0)).empty


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
    table = data_tables.noise(noise_found()).map(lambda value: cell(value, 2)).set_index("of the noise")
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
    none = data_tables.noise(noise_found(kurtosis=None, neighbours=None, channels={"RG": None})).map(
        lambda value: cell(value, 2)
    )
    assert list(none["this dataset"][4:8]) == ["–"] * 4


def test_numbers_of_images_without_noise_are_none():
    numbers = data_tables.noise_numbers(noise_found(kurtosis=None, neighbours=None, channels={"RG": None}))
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
    table = data_tables.other_noises(noise_found(), {"impulse:0.1": one}, {"impulse:0.1": "impulse"}).map(
        lambda value: cell(value, 2)
    )
    assert table.to_numpy().tolist() == [
        ["sub-pixel sampling", "yes", "0.05 ± 0.02", "0.05 ± 0.02", "0.88", "10.22", "20.82"],
        ["impulse", "no", "0.92 ± 0.12", "-1.20 ± 0.10", "–", "3.00", "18.30"],
    ]


def test_windows_and_datasets():
    assert data_tables.windows()["windows"].tolist() == ["tried"] * 3 + [
        "chosen",
        "the authors' validation set",
    ]
    recipe = {
        "train": [(0, 0, "a"), (1, 0, "a"), (2, 0, "b")],
        "val": [(3, 0, "c")],
        "n_train": 64,
        "n_val": 12,
        "windows": (0.47, 0.95),
    }
    lines = data_tables.sizes(SimpleNamespace(recipe=recipe, noise="subpixel")).to_dict("records")
    assert (
        [line["photographs"] for line in lines] == [2, 1]
        and lines[0]["files"] == 3
        and lines[1]["largest window side"] == 0.95
    )
    lines = data_tables.sizes(SimpleNamespace(recipe={"n_train": 64, "n_val": 12}, noise="subpixel")).to_dict(
        "records"
    )
    assert lines[0]["photographs"] is lines[0]["smallest window side"] is None and lines[0]["pairs"] == 64


# --- chapter 07 ---


def test_published_differences_are_those_of_table2():
    assert f"{tables.published_difference('TNet+L1')}" == "-0.03"
    assert f"{tables.published_difference('UNet (shared decoder)')}" == "-0.08"  # the paper's one UNet row
    assert tables.published_difference("TNet") is None is tables.published_difference("TNet, ReLU")


def test_the_headline_has_differences_levels_and_parameters():
    unet = made_up("UNet", levels=(25.5,), options={"shared_decoder": True})
    rows = {
        "UNet (shared decoder)": unet,
        "TNet": made_up(),
        "TNet+L1": made_up(levels=(24.5, 24.6, 24.7), loss="L1"),
    }
    table = tables.headline(comparison(rows, "TNet"))
    texts = shown(table)
    assert texts.loc["TNet"].tolist() == ["–", "–", "25.32 ± 0.01", "25.10 ± 0.10", "3", "43.00", "43.06"]
    assert texts.loc["TNet+L1"].tolist()[:2] == ["-0.03", "-0.50 [-0.50, -0.50]"]
    shared = ["-0.08", "+0.50", "25.24 ± 0.08", "25.50", "1", "991.00", "576.10"]
    assert texts.loc["UNet (shared decoder)"].tolist() == shared
    alone = shown(tables.headline(comparison({"TNet+L1": made_up(loss="L1")}, "TNet")))  # no reference
    assert alone.loc["TNet+L1"].tolist()[:2] == ["-0.03", "–"]
    assert tables.headline(comparison({}, "TNet")).empty
