"""What chapter 05 stores and averages: identities that stay, late loading, statistics with intervals."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from test_comparison import comparison, runs

from n2nlib.analysis import saliency_measurements as measured
from n2nlib.analysis.image_statistics import ImageStatistics, average
from n2nlib.analysis.intervals import Interval
from n2nlib.analysis.measurements import KINDS
from n2nlib.analysis.saliency_measurements import Filter, Network
from n2nlib.data import open_dataset
from n2nlib.display import saliency as saliency_figures
from n2nlib.display import saliency_tables
from n2nlib.evaluation import influence, saliency, smoothgrad
from n2nlib.models import build

PHOTO = np.repeat(np.arange(5), 4)


def a_run(id="a" * 16, seed=0):
    """A run whose network is there without training."""
    spec = SimpleNamespace(network="TNet", options={}, seed=seed)
    return SimpleNamespace(id=id, spec=spec, model=lambda: build("TNet", seed=seed))


def subject(auc=0.8, ratio=0.9, seeds=1, n=20, spread=0.01, **arrays):
    """The stored arrays of a subject: AUCs, ratios (as logarithms), weights on both sides of edges."""
    noise = spread * np.random.default_rng(0).normal(size=(seeds, n))
    weights = np.full((seeds, n, 6, 2), 1.0)
    weights[..., 0] = np.exp(noise)[..., None] * 1.2
    statements = {
        "change_auc": auc + noise,
        "loss_auc": auc + noise,
        "pixel": np.log(ratio) + noise,
        "ring": np.log(2 * ratio) + noise,
    }
    return {**statements, "weights": weights, "edges": np.full((seeds, n), 3.0), "photo": PHOTO[:n]} | arrays


@pytest.fixture(scope="module")
def dataset():
    return open_dataset("bundled", n_train=64, n_val=4)


def test_identities_are_those_of_the_stored_measurements(dataset):
    """They were stored before these functions had versions, under these names and inputs."""
    tnet, draws, fingerprint = Network(a_run()), {"samples": 16, "sigma": 0.1}, dataset.fingerprint

    def inputs(kind, **arguments):
        return KINDS[f"smoothgrad-{kind}"].inputs({"dataset": dataset, **arguments})

    shared = {"corpus": fingerprint, "n": 4, "version": 1}
    assert inputs("statements", **tnet.inputs, n=4, **draws) == {**shared, **draws, "network": "a" * 16}
    assert inputs(
        "same-side", **measured.controls({"TNet": [tnet]})["TNet, shuffled weights"][0].inputs, n=4
    ) == {**shared, "network": f"shuffled {'a' * 16}"}
    untrained = measured.controls({"TNet": [tnet]})["TNet, untrained"][0]
    assert inputs("same-side", **untrained.inputs, n=4) == {**shared, "network": f"untrained {'a' * 16}"}
    assert inputs("statements", **Filter("mean", {"size": 3}).inputs, n=4) == {
        **shared,
        "filter": "mean",
        "parameters": {"size": 3},
    }
    assert inputs("cascade", network=tnet, n=4, **draws) == {**shared, **draws, "network": "a" * 16}
    assert inputs("pictures", bundled=dataset, network=tnet, n=5, **draws)["bundled"] == fingerprint
    assert (
        inputs(
            "rows", bundled=dataset, network=tnet, unet=None, parameters={"noisy": {}}, pictures=3, half=4
        )["unet"]
        is None
    )


def test_a_network_is_loaded_when_it_is_first_used():
    loads = []
    run = a_run("b")
    run.model = lambda: loads.append(1) or build("TNet", seed=0)
    network = Network(run)
    assert network.id == "b" and not loads
    assert network.model is network.model and len(loads) == 1
    shuffled = Network(a_run(), shuffled=True).model
    assert all(
        np.array_equal(np.sort(p.detach().flatten()), np.sort(q.detach().flatten()))
        for p, q in zip(build("TNet", seed=0).parameters(), shuffled.parameters(), strict=True)
    )


def test_statements_are_those_of_the_library(dataset):
    val = dataset.val
    network = measured.statements(dataset=dataset, n=3, network=Network(a_run()), samples=2, sigma=0.1)[
        "arrays"
    ]
    expected = saliency.network_statements(
        build("TNet", seed=0), val.a[:3], val.clean[:3], samples=2, sigma=0.1
    )
    for name, values in expected.items():
        np.testing.assert_array_equal(network[name], values)
    np.testing.assert_array_equal(network["photo"], val.photo[:3])
    linear = measured.statements(dataset=dataset, n=3, filter="gaussian", parameters={"sigma": 0.6})["arrays"]
    assert np.nanmax(np.abs(linear["pixel"])) < 1e-6  # the output gradient of a linear filter is 1
    adaptive = measured.statements(
        dataset=dataset, n=3, filter="bilateral", parameters={"sigma_color": 1.0, "sigma_spatial": 0.6}
    )["arrays"]
    assert set(adaptive) == {"change_auc", "photo"}


def test_a_filter_that_depends_on_distance_alone_treats_both_sides_alike(dataset):
    found = measured.same_side(dataset=dataset, n=4, filter="mean", parameters={"size": 3})["arrays"]
    ratios = saliency.log_same_side(found["weights"])
    assert np.isfinite(ratios).any() and np.nanmax(np.abs(ratios)) < 1e-9


def test_pictures_and_rows_are_of_the_same_pixels(dataset):
    network = Network(a_run())
    shown = measured.pictures(dataset=dataset, bundled=dataset, network=network, n=2, samples=1, sigma=0.0)[
        "arrays"
    ]
    assert shown["trained"].shape == (2, 2, 32, 32) and shown["noisy"].dtype == np.uint8
    np.testing.assert_array_equal(
        shown["denoised"], smoothgrad.output(build("TNet", seed=0), shown["noisy"]).numpy()
    )
    assert not np.array_equal(shown["trained"], shown["shuffled weights"])
    np.testing.assert_array_equal(shown["trained"], shown["untrained"])  # this run was never trained
    parameters = {
        "gaussian": {"sigma": 0.6},
        "bilateral": {"sigma_color": 1.0, "sigma_spatial": 0.6},
        "nlm": {"distance": 1, "h": 0.3},
    }
    rows = measured.rows(
        dataset=dataset,
        bundled=dataset,
        network=network,
        unet=None,
        parameters=parameters,
        pictures=2,
        half=4,
    )["arrays"]
    assert list(rows) == ["TNet", "Gaussian", "bilateral", "non-local means"]
    for i, (y, x) in enumerate(shown["squares"]):
        expected = smoothgrad.jacobian_rows(build("TNet", seed=0), shown["noisy"][i], [(y, x)])[0]
        np.testing.assert_array_equal(rows["TNet"][i], expected)
        assert rows["Gaussian"][i].argmax() == y * 32 + x


def test_cascading_randomisation_goes_layer_by_layer(dataset):
    found = measured.cascade(dataset=dataset, network=Network(a_run()), n=2, samples=1, sigma=0.0)["arrays"][
        "correlation"
    ]
    assert found.shape == (7, 2, 2) and np.nanmax(np.abs(found)) < 1


def test_per_image_stacks_seeds_and_asks_for_no_more_images_than_there_are():
    asked = []

    def measure(what, **arguments):
        asked.append(arguments)
        return {"arrays": {"change_auc": np.full(4, 0.5 + len(asked)), "photo": np.arange(4)}}

    study = SimpleNamespace(measure=measure, profile=SimpleNamespace(n_val=4))
    found = measured.per_image(
        study, measured.statements, {"TNet": [Network(a_run()), Network(a_run("c"))]}, n=9, sigma=0.1
    )
    assert [(a["n"], a["sigma"]) for a in asked] == [(4, 0.1)] * 2
    assert found.values("TNet", "change_auc")[:, 0].tolist() == [1.5, 2.5] and found.images("TNet") == 4
    assert not measured.per_image(study, measured.statements, {}, n=9)


def test_without_tnet_there_is_nothing_to_measure_or_draw():
    nothing = measured.networks(comparison({}), "TNet")
    assert nothing == {} and measured.controls(nothing) == {}
    assert (
        measured.pictured(None, nothing, n=5) == {}
        and measured.row_pictures(None, nothing, {}, {}, n=3, half=4) == {}
    )
    assert measured.cascaded(None, nothing, n=5) is None
    figures = (
        saliency_figures.gradients({}, [0]),
        saliency_figures.jacobian_rows({}, {}, 4),
        saliency_figures.sanity({}),
        saliency_figures.cascade(None),
        saliency_figures.edges(ImageStatistics({})),
    )
    assert figures == (None,) * 5
    empty = ImageStatistics({})
    assert (
        saliency_tables.noise_found(empty).empty
        and saliency_tables.output_gradients(empty).empty
        and saliency_tables.own_side(empty).empty
    )
    assert (
        saliency_tables.section3(empty, empty).empty
        and saliency_tables.smoothgrad_sensitivity({(1, 0.0): empty}).empty
    )
    assert (
        empty.ledger("TNet", "change_auc") is None
        and empty.told("TNet", "change_auc") == "no image qualifies"
    )
    assert empty.difference("TNet", "Gaussian", "change_auc") is None


def test_a_table_counts_the_images_that_its_averages_are_over():
    logs = np.array([[0.1, 0.2, np.nan, 0.3]])
    found = ImageStatistics({"TNet": {"background": logs, "photo": np.arange(4)}})
    assert saliency_tables.background(found)["images"].tolist() == [3]
    assert found.told("TNet", "background_ratio").endswith("over 3 images")


def test_networks_of_a_row():
    found = measured.networks(comparison({"TNet": runs((25.0, 25.1))}), "TNet", "cpu")
    assert [n.run.spec.seed for n in found["TNet"]] == [0, 1]


def test_controls_are_as_many_as_the_trained_networks_and_start_from_their_weights():
    found = measured.networks(comparison({"TNet": runs((25.0, 25.1, 25.2))}), "TNet", "cpu")
    controls = measured.controls(found)
    assert list(controls) == ["TNet, untrained", "TNet, shuffled weights"]
    assert [[n.run.spec.seed for n in members] for members in controls.values()] == [[0, 1, 2]] * 2
    for seed, network in enumerate(controls["TNet, untrained"]):
        own = build("TNet", seed=seed).state_dict()
        assert all(bool((own[k] == v).all()) for k, v in network.model.state_dict().items())


def test_differences_are_paired_over_seeds_where_both_have_as_many():
    trained, noise = np.array([[0.0], [1.0], [2.0]]), np.random.default_rng(0).normal(0, 1e-3, (3, 20))
    pair = {"TNet": trained + 0.5 + noise, "TNet, untrained": trained - noise}
    found = ImageStatistics({label: {"change_auc": x, "photo": PHOTO} for label, x in pair.items()})
    d = found.difference("TNet", "TNet, untrained", "change_auc")
    assert (
        d.value == pytest.approx(0.5, abs=0.01) and d.high - d.low < 0.01
    )  # unpaired it would be several units wide


# --- what is done to noisy pixels, and the side of the background -------------------------------------------


def test_the_share_of_a_change_and_its_direction_are_counted():
    """A flat image with 51 single noisy pixels and a little noise at 13 more."""
    clean = np.full((1, 3, 32, 32), 100, np.uint8)
    noisy = clean.copy()
    single = noisy[0, :, 1::3, 1::3]  # 11 x 11 pixels, none beside another
    single[:, :4] += 20
    single[:, 4, :7] += 20
    single[:, 5:6] += 2
    found = influence.change(noisy, clean, clean / 255.0)  # all noise is removed
    assert (
        found["change_share"][0] == pytest.approx(51 * 20 / (51 * 20 + 11 * 2)) and found["towards"][0] == 1
    )
    assert influence.change(noisy, clean, noisy / 255.0)["towards"][0] == 0  # nothing moves
    away = influence.change(noisy, clean, noisy / 255.0 + 0.1)
    assert away["change_share"][0] == pytest.approx(51 / 1024) and away["towards"][0] == 0
    assert np.isnan(influence.change(clean, clean, clean / 255.0)["change_share"][0])


@pytest.mark.parametrize("background, object_, expected", [(2.0, 1.0, np.log(2)), (1.0, 3.0, -np.log(3))])
def test_the_background_is_the_side_that_resembles_the_border(background, object_, expected):
    clean = np.full((1, 3, 32, 32), 40, np.uint8)
    clean[0, :, 10:22, 10:22] = 200  # an object in the middle
    weights = np.where(clean[:, 0] == 40, background, object_)
    assert influence.background(clean, weights)[0] == pytest.approx(expected)
    assert np.isnan(influence.background(np.full_like(clean, 40), weights)[0])


def test_change_and_background_are_measured_on_networks_and_filters(dataset):
    network = Network(a_run())
    found = measured.changes(dataset=dataset, n=3, network=network)["arrays"]
    expected = influence.change(dataset.val.a[:3], dataset.val.clean[:3], network.denoise(dataset.val.a[:3]))
    np.testing.assert_array_equal(found["change_share"], expected["change_share"])
    linear = measured.changes(dataset=dataset, n=3, filter="mean", parameters={"size": 3})["arrays"]
    assert set(linear) == {"change_share", "towards", "photo"} and np.nanmin(linear["towards"]) >= 0.5
    sides = measured.background(dataset=dataset, n=3, network=network, samples=1, sigma=0.0)["arrays"]
    assert sides["background"].shape == (3,)


def test_statistics_average_aucs_and_ratios():
    found = ImageStatistics({"TNet": subject(seeds=3), "Gaussian": subject(auc=0.9, n=8)})
    assert found.average("TNet", "change_auc").value == pytest.approx(0.8, abs=0.01)
    pixel = found.average("TNet", "output_gradient_ratio")
    assert (
        pixel.value == pytest.approx(0.9, abs=0.01) and f"{pixel:.3f}".startswith("0.9") and pixel.digits == 3
    )
    assert found.average("TNet", "pixel_to_ring").value == pytest.approx(0.5)
    assert found.average("TNet", "same_side").value == pytest.approx(1.2, abs=0.02)
    assert found.names == {"TNet": "TNet", "gaussian": "Gaussian"}
    d = found.difference("TNet", "Gaussian", "change_auc")
    assert (
        d.value == pytest.approx(-0.1, abs=0.02) and f"{d:.3f}".startswith("-0.1") and d.n == 2
    )  # photographs of the images of both: n < 3 seeds or photographs
    assert not d


def test_the_interval_of_an_auc_stays_within_0_and_1_in_print_but_not_in_the_ledger():
    arrays = subject(change_auc=np.where(np.arange(20) < 4, 0.5, 1.0)[None])
    found = ImageStatistics({"TNet": arrays})
    assert found.average("TNet", "change_auc").high == 1.0
    assert found.ledger("TNet", "change_auc")["high"] > 1.0


def test_images_without_a_number_are_left_out():
    nan = np.full((1, 20), np.nan)
    found = ImageStatistics({"TNet": subject(pixel=nan), "bilateral": {"change_auc": nan, "photo": PHOTO}})
    assert (
        found.ledger("TNet", "output_gradient_ratio") is None
        and found.images("TNet", "output_gradient_ratio") == 0
    )
    assert found.told("TNet", "output_gradient_ratio") == "no image qualifies"
    assert found.told("TNet", "change_auc").endswith("over 20 images")
    assert (
        math.isnan(found.average("bilateral", "change_auc").value)
        and found.average("bilateral", "ring_ratio") is None
    )


def test_averages_leave_out_images_without_a_number():
    values, photo = np.log([2.0, 8.0, np.nan, 4.0]), np.array([0, 1, 1, 2])
    found = average(values, photo, logs=True)
    assert found.value == pytest.approx(4) and found.n == 3 and found.low < 4 < found.high
    number = ImageStatistics({"TNet": {"pixel": np.stack([values, values]), "photo": photo}}).ledger(
        "TNet", "output_gradient_ratio"
    )
    assert (number["n"], number["images"]) == (3, 3) and number["value"] == pytest.approx(4)


def test_an_average_is_as_uncertain_as_its_seeds():
    """Seeds that differ by 1 on images that all agree: Student's interval over them, not a point."""
    photo = np.repeat(np.arange(20), 2)
    values = np.arange(3.0)[:, None] + np.random.default_rng(0).normal(0, 1e-3, (3, 40))
    crossed, one = average(values, photo), average(values[0], photo)
    half = 4.303 * np.std(np.arange(3.0), ddof=1) / np.sqrt(3)  # t(0.975, 2 degrees of freedom)
    assert crossed.high - crossed.value == pytest.approx(half, rel=0.02) and crossed.n == 3
    assert one.high - one.value < 0.01 and one.n == 20


# --- tables and figures ---------------------------------------------------------------------------


def test_tables_hold_intervals():
    found = ImageStatistics(
        {"TNet": subject(seeds=3), "bilateral": {"change_auc": np.full((1, 20), 0.9), "photo": PHOTO}}
    )
    noise = saliency_tables.noise_found(found)
    assert (
        isinstance(noise["AUC of the change"][0], Interval) and noise["AUC of the loss gradient"][1] is None
    )
    assert noise["images"].tolist() == [20, 20]
    assert saliency_tables.output_gradients(found)[""].tolist() == ["TNet"]  # the other has no gradient
    sides = saliency_tables.own_side(
        ImageStatistics({"TNet": subject(), "mean, 3x3": subject()}),
        {"mean, 3x3": [Filter("mean", {"size": 3})]},
    )
    assert sides["tuned to"].fillna("–").tolist() == ["–", "size 3"]
    assert sides["edge pixels"].tolist() == [60, 60]
    by_draws = saliency_tables.smoothgrad_sensitivity({(1, 0.0): found, (16, 0.1): found})
    assert by_draws["σ"].tolist() == [0.0, 0.1] and by_draws["samples"].tolist() == [1, 16]


def test_the_summary_has_a_line_for_each_sentence_of_section_3():
    statements = {k: v for k, v in subject(seeds=3).items() if k not in ("weights", "edges")}
    summary = saliency_tables.section3(
        ImageStatistics({"TNet": statements}), ImageStatistics({"TNet": subject()})
    )
    assert len(summary) == 5 and summary["TNet"][4].value == pytest.approx(1.2, abs=0.02)
    assert summary["Gaussian"].isna().all()


def test_figures_show_what_is_there():
    import matplotlib.pyplot as plt

    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (2, 3, 32, 32)).astype(np.uint8)
    maps = {name: rng.normal(size=(2, 2, 32, 32)) for name in ("trained", "shuffled weights", "untrained")}
    shown = {
        "noisy": images,
        "clean": images,
        "denoised": images / 255,
        "squares": np.array([[2, 3], [16, 16]]),
        **maps,
    }
    assert len(saliency_figures.gradients(shown, range(5)).axes) == 2 * 5 + 2  # and two colour bars
    rows = {"TNet": rng.normal(size=(2, 32, 32)), "Gaussian": rng.normal(size=(2, 32, 32))}
    fig = saliency_figures.jacobian_rows(shown, rows, 4)
    assert fig.axes[2].images[0].get_array().shape == (7, 8)  # cut at the border of the picture
    assert len(saliency_figures.sanity(shown).axes) == 8 + 1
    (ax,) = saliency_figures.cascade(np.array([[1, 1], [0.2, -0.3]])).axes
    assert ax.get_ylim()[0] == pytest.approx(-0.4)
    left, right = saliency_figures.edges(
        ImageStatistics({"TNet": subject(seeds=3), "Gaussian": subject(), "mean, 3x3": subject()})
    ).axes
    assert [t.get_text() for t in left.get_yticklabels()] == ["TNet", "Gaussian"]
    assert right.get_legend_handles_labels()[1] == ["TNet", "Gaussian"]
    plt.close("all")


def test_no_edge_no_figure():
    weights = np.zeros((1, 20, 6, 2))
    assert saliency_figures.edges(ImageStatistics({"TNet": subject(weights=weights)})) is None


def test_maps_are_shown_in_units_of_their_spread():
    values = np.random.default_rng(0).normal(5, 3, (100, 100))
    low, middle, high = np.percentile(saliency_figures.standardised(values), [16, 50, 84])
    assert (middle, (high - low) / 2) == pytest.approx((0, 1))
    assert np.all(saliency_figures.standardised(np.ones((4, 4))) == 0)


def test_frames_are_drawn_without_a_look_at_the_order_of_subjects():
    frame = saliency_figures._by_distance(ImageStatistics({"TNet": subject(seeds=2)}), "TNet")
    assert (
        isinstance(frame, pd.DataFrame)
        and len(frame) == 6
        and frame["ratio"].to_numpy() == pytest.approx(1.2, abs=0.02)
    )
