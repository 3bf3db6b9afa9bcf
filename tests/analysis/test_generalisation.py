"""Networks on data that they were not trained on: what is compared, what is drawn, and what is said where nothing can be."""

from __future__ import annotations

from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from test_comparison import PHOTO, comparison, runs

from n2nlib.analysis import generalisation, measurements
from n2nlib.analysis.comparison import Comparison
from n2nlib.analysis.generalisation import Judged, Transfer, WholePhotographs
from n2nlib.analysis.intervals import crossed, mean_interval
from n2nlib.data import open_dataset
from n2nlib.display import beyond_tables, beyond_words, curves
from n2nlib.errors import ReportError
from n2nlib.profiles import PROFILES
from n2nlib.runs.store import RunStore


def judged(levels, first=0):
    return [Judged(run.spec, run.psnr) for run in runs(levels, first)]


def target(here, away, noisy=20.7, levels=(25.0, 25.1, 25.2), others=(24.5, 24.6, 24.7)):
    return Comparison({here: judged(levels), away: judged(others)}, here, PHOTO, np.full(10, noisy))


def whole(networks=("TNet",), seeds=3):
    rng = np.random.default_rng(0)
    arrays = {f"{measure} {cell} {method}": scale * (rng.normal(0, 0.1, (n, 6)) + level)
              for measure, scale in (("psnr", 1), ("ssim", 0.03)) for cell in (4, 12)
              for method, n, level in (("noisy", 1, 20), ("Gaussian", 1, 24), ("TNet", seeds, 25), ("SmallNet", seeds, 23))}  # fmt: skip
    shapes = {"4": [[93, 125]] * 3 + [[90, 120]] * 3, "8": [], "12": [[31, 41]] * 6}
    pictures = {f"{i} {m}": np.full((3, 8, 10), 100 + 9 * k, np.uint8)
                for i in range(2) for k, m in enumerate(("noisy", "Gaussian", *networks, "clean"))}  # fmt: skip
    return WholePhotographs({"shapes": shapes, "arrays": arrays}, filters=["Gaussian"], networks=networks, dataset="bundled", images=512,
                            pictures=pictures)  # fmt: skip


def texts(axes) -> list[str]:
    return [t.get_text() for t in axes.get_legend().get_texts()]


def test_transfer_is_compared_with_networks_trained_there():
    both = Transfer({"a": target("a", "b")}) | Transfer({"b": target("b", "a", others=(26.0, 26.1, 26.2))})
    assert {pair: f"{d}" for pair, d in both.losses.items()} == {
        ("b", "a"): "-0.50 [-0.50, -0.50]",
        ("a", "b"): "+1.00 [+1.00, +1.00]",
    }
    assert both.sample == "After 2,500,000 training images." and both.pairing == ""
    table = beyond_tables.transfer(both)
    assert table[["trained on", "judged on"]].to_numpy().tolist() == [
        ["a", "a"],
        ["b", "a"],
        ["b", "b"],
        ["a", "b"],
    ]
    assert [f"{d}" for d in table["minus trained there (dB)"]] == [
        "None",
        "-0.50 [-0.50, -0.50]",
        "None",
        "+1.00 [+1.00, +1.00]",
    ]
    assert table["n"].tolist() == [3] * 4 and table["noisy (dB)"].tolist() == pytest.approx([20.7] * 4)


def test_transfer_in_words():
    lost = Transfer({"a": target("a", "b")})
    assert beyond_words.transfer(lost) == (
        "Significant losses in transfer: trained on b, judged on a (-0.50 [-0.50, -0.50] dB). Everywhere the output is better than the noisy image."
    )
    assert beyond_words.transfer(Transfer({"a": target("a", "b", others=(25.0, 25.2, 25.4))})).startswith(
        "No loss in transfer is significant."
    )
    few = Transfer({"a": target("a", "b", levels=(25.0,), others=(20.0,))})
    assert beyond_words.transfer(few) == (
        "Fewer than 3 seeds or photographs give no confidence interval, so no loss is called one. Below the noisy image itself: b on a."
    )
    assert (
        beyond_words.transfer(Transfer({})) == ""
        and beyond_tables.transfer(Transfer({})).empty
        and not Transfer({})
        and Transfer({}).sample == ""
    )
    assert (
        "23.2 grey levels" in beyond_words.equal_noise("gaussian:23.2", lost)
        and beyond_words.equal_noise("gaussian:23.2", Transfer({})) == ""
    )


def study(dataset="folder:/a/<b>", stored=False, **answers):
    """A study that opens nothing and trains nothing: its store has all runs or none, and it measures what is given."""
    said = []

    def measure(kind, **arguments):
        if kind.kind not in answers:
            raise ReportError(f"the photographs of {dataset} are gone.")
        return answers[kind.kind](**arguments)

    here = SimpleNamespace(name=dataset, fingerprint="a" * 16, at_hand=True)
    there = SimpleNamespace(name="imagenet-sample", fingerprint="b" * 16, at_hand=stored)
    return SimpleNamespace(dataset=here, profile=PROFILES["overnight"], said=said, absent=said.append, measure=measure,
                           store=SimpleNamespace(has=lambda spec: stored), open_dataset=lambda *names: there,
                           prepare=lambda specs: [SimpleNamespace(spec=s, id=s.id) for s in specs if stored])  # fmt: skip


def test_transfer_needs_runs_and_photographs_and_says_what_is_missing():
    nothing = study()
    assert not generalisation.transfer(nothing, "here", "there", dataset="imagenet-sample")
    assert nothing.said == [
        "Transfer to there was not measured: no run trained on here is stored, and training is disabled."
    ]
    gone = study(stored=True)
    assert not generalisation.transfer(gone, "here", "there", dataset="imagenet-sample")
    assert gone.said == [
        "Transfer to there was not measured: the photographs of this folder are gone."
    ]  # no path


def test_transfer_judges_both_networks_on_both_datasets():
    def transferred(runs, **where):
        own = runs[0].spec.dataset == where["judged on"].fingerprint
        return {
            "arrays": {
                "psnr": np.full((len(runs), 10), 25.0 - (not own)),
                "noisy": np.full(10, 20.0),
                "photo": PHOTO,
            }
        }

    found = generalisation.transfer(
        study(stored=True, transfer=transferred), "here", "there", dataset="imagenet-sample"
    )
    assert list(found.targets) == ["here", "there"] and {d.value for d in found.losses.values()} == {-1.0}
    assert all(
        rows.reference == name and rows.labels == ["here", "there"] for name, rows in found.targets.items()
    )


def test_whole_photographs_have_intervals_over_what_varies():
    found = whole()
    assert found.cells == [4, 12] and found.methods == ["noisy", "Gaussian", "TNet"] and bool(found)
    noisy, gaussian, tnet = (found.values(4, method) for method in found.methods)
    assert found.gain(4, "TNet") == crossed(tnet - noisy, photo=np.arange(6)).signed()
    assert found.gain(4, "TNet", over="Gaussian").value == pytest.approx(tnet.mean() - gaussian.mean())
    assert found.gain(12, "Gaussian").n == 6  # photographs
    assert found.gain(4, "Gaussian") == mean_interval((gaussian - noisy)[0]).signed()
    assert found.level(4, "TNet").n == 3 and found.level(4, "Gaussian").sd is None
    assert (
        found.sample
        == "Whole validation photographs of bundled. Networks after 512 training images of 32×32 pixels."
    )
    assert whole(networks=()).sample == "Whole validation photographs of bundled."
    assert not whole(seeds=2).gain(4, "TNet") and whole(seeds=2).gain(4, "Gaussian")


def test_whole_photographs_as_table_and_words():
    table = beyond_tables.whole_photographs(whole())
    assert (
        table["method"].tolist() == ["noisy", "Gaussian", "TNet"] * 2
        and table["n"].tolist() == [None, None, 3] * 2
    )
    assert table[["cell", "height", "width", "photographs"]].iloc[0].tolist() == [4, 91.5, 122.5, 6]
    assert [d is None for d in table["minus noisy (dB)"]] == [True, False, False] * 2 and table[
        "SSIM minus noisy"
    ][1].digits == 3
    text = beyond_words.whole_photographs(whole())
    assert text.count("\n\n") == 1 and text.startswith(
        "Cells of 4 pixels, from the best PSNR to the worst: TNet; Gaussian; noisy."
    )
    assert "TNet minus Gaussian: +1." in text and "no confidence interval" not in text
    assert "(no confidence interval)" in beyond_words.whole_photographs(whole(seeds=2))
    assert "minus" not in beyond_words.whole_photographs(whole(networks=("SmallNet",)))


def test_whole_photographs_are_drawn():
    fig = curves.whole_photographs(whole(networks=("TNet", "SmallNet")))
    left, right = fig.axes
    assert (
        texts(right) == ["noisy", "Gaussian", "TNet", "SmallNet"] and len(left.lines) == 4
    )  # three methods and the zero line
    np.testing.assert_allclose(right.lines[0].get_ydata(), whole().frame.query("method == 'noisy'")["ssim"])
    pictures = curves.whole_pictures(whole(networks=("TNet", "SmallNet")))
    assert [ax.get_title("center") for ax in pictures.axes[:5]] == [
        "noisy",
        "Gaussian",
        "TNet",
        "SmallNet",
        "clean",
    ]
    assert [bool(ax.get_xlabel()) for ax in pictures.axes[:5]] == [True] * 4 + [False]
    plt.close("all")


def test_nothing_measured_shows_nothing():
    nothing = WholePhotographs()
    assert (
        not nothing
        and nothing.cells == []
        and nothing.sample == ""
        and beyond_tables.whole_photographs(nothing).empty
    )
    assert (
        beyond_words.whole_photographs(nothing) == ""
        and curves.whole_photographs(nothing) is None
        and curves.whole_pictures(nothing) is None
    )


def test_whole_photographs_say_why_they_are_not_measured(monkeypatch):
    monkeypatch.setattr(generalisation, "tuned", lambda study, name: {"sigma": 0.7})
    away = study()
    assert not generalisation.whole_photographs(
        away, comparison({"TNet": runs((25.0,))}), ("TNet",), ("gaussian",)
    )
    assert away.said == ["Whole photographs were not measured: the photographs of this folder are gone."]


def test_the_authors_files_hold_no_whole_photographs(monkeypatch):
    monkeypatch.setattr(generalisation, "tuned", lambda study, name: {"sigma": 0.7})
    asked = []

    def answer(**arguments):
        asked.append(arguments)
        return {"shapes": {}, "arrays": {}}

    away = study("epfl:/a", **{"whole photographs": answer, "pictures of whole photographs": answer})
    found = generalisation.whole_photographs(
        away, comparison({"TNet": runs((25.0,))}), ("TNet", "SmallNet"), ("gaussian",)
    )
    assert (
        not found and [a["dataset"].name for a in asked] == ["imagenet-sample"] * 2
    )  # the one that this study opens
    assert asked[0]["filters"] == {"gaussian": {"sigma": 0.7}} and asked[0]["runs"]["SmallNet"] == []


def test_whole_photographs_are_measured_once(tmp_path):
    dataset, store = open_dataset("bundled", n_train=8, n_val=8), RunStore(tmp_path)
    arguments = {
        "dataset": dataset,
        "runs": {"TNet": []},
        "filters": {"mean": {"size": 3}},
        "cells": (12, 100),
        "photographs": 2,
    }
    found = measurements.whole_photographs.stored(store, **arguments)
    assert {name: np.shape(a) for name, a in found["arrays"].items()} == {
        f"{measure} 12 {method}": (1, 2) for measure in ("psnr", "ssim") for method in ("noisy", "Mean")
    }
    assert len(found["shapes"]["12"]) == 2 and found["shapes"]["100"] == []
    pictures = measurements.whole_pictures(**arguments)["arrays"]
    assert set(pictures) == {f"{i} {m}" for i in range(2) for m in ("noisy", "Mean", "clean")}
    assert list(pictures["0 clean"].shape[1:]) == found["shapes"]["12"][0]
    assert WholePhotographs(found, filters=["Mean"], dataset="bundled").cells == [12]
