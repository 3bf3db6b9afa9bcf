"""The authors' public pairs and checkpoint, the calibration to their validation set, and what is said of
both.

No file of theirs is needed: pairs and checkpoint are made up, with sums of their own.
"""

from __future__ import annotations

import hashlib
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from scipy import stats as sps

from n2nlib import paper
from n2nlib.analysis import real_images
from n2nlib.analysis.comparison import Comparison
from n2nlib.analysis.intervals import Interval, MeanSD
from n2nlib.analysis.real_images import Calibration, Level, Levels, Noise
from n2nlib.data import Pairs, authors, measure
from n2nlib.display import real_images as display
from n2nlib.errors import DatasetError
from n2nlib.models import build
from n2nlib.text import cell

RNG = np.random.default_rng(5)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Eleven pairs and a checkpoint of random bytes in N2N_REAL, with their sums in the place of the
    published ones.
    """
    images = {f"pred_{kind}{i}.png": RNG.integers(0, 256, (32, 32, 3), np.uint8)
              for kind in ("image", "target") for i in range(11)}  # fmt: skip
    for name, image in images.items():
        Image.fromarray(image).save(tmp_path / name)
    state = {f"layer{i}": t for i, t in enumerate(build("TNet", seed=4).state_dict().values())}
    optimizer = {"state": {0: {"step": 78_150}}}
    torch.save(
        {"model": state, "losses": [0.7, 0.6], "lr": 5e-4, "optimizer": optimizer}, tmp_path / "bestmodel.pth"
    )
    facts = {
        what: {"address": "https://example.org", "commit": "c", "folder": "f", "files": {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(tmp_path.glob(pattern))}}
        for what, pattern in (("pairs", "*.png"), ("checkpoint", "*.pth"))
    }  # fmt: skip
    monkeypatch.setattr(authors, "_facts", lambda: facts)
    monkeypatch.setenv("N2N_REAL", str(tmp_path))
    return tmp_path, images


def test_the_published_facts():
    """The sums of 22 images and a checkpoint, and a calibration of -0.874 ± 0.066 dB over thirteen groups."""
    assert sorted(authors._facts()["pairs"]["files"]) == sorted(
        f"pred_{kind}{i}.png" for kind in ("image", "target") for i in range(11)
    )
    c = Calibration.of(authors.groups())
    assert (round(c.offset, 3), round(c.spread, 3), c.n) == (-0.874, 0.066, 13)
    assert (c.low, c.high) == (26.14, 26.70)
    assert len({authors.fingerprint("pairs"), authors.fingerprint("checkpoint")}) == 2


def test_pairs_are_read_in_their_order(folder):
    _, images = folder
    val = authors.PublicPairs().val
    assert val.a.shape == val.clean.shape == (11, 3, 32, 32) and val.b is None
    np.testing.assert_array_equal(val.a[10], images["pred_image10.png"].transpose(2, 0, 1))
    np.testing.assert_array_equal(val.clean[2], images["pred_target2.png"].transpose(2, 0, 1))
    assert val.photo.tolist() == list(range(11))


def test_the_released_weights_are_loaded_in_layer_order(folder):
    network = real_images.Released().model()
    for ours, theirs in zip(
        network.state_dict().values(), build("TNet", seed=4).state_dict().values(), strict=True
    ):
        assert torch.equal(ours, theirs)
    assert not network.training
    assert real_images.checkpoint_record(dataset=real_images.Released()) == {
        "losses": [0.7, 0.6],
        "steps": 78_150,
        "lr": 5e-4,
    }


def test_files_that_are_missing_altered_or_out_of_reach_are_one_sentence(folder, monkeypatch, tmp_path):
    here, _ = folder
    (here / "pred_image3.png").write_bytes(b"altered")
    with pytest.raises(
        DatasetError, match="pred_image3.png is not the published file .*: replace or remove it"
    ):
        authors.provide("pairs")
    (here / "pred_image3.png").unlink()
    with pytest.raises(
        DatasetError, match="lacks pred_image3.png: name a folder that holds it, or unset N2N_REAL"
    ):
        authors.provide("pairs")
    monkeypatch.delenv("N2N_REAL")
    monkeypatch.setenv("N2N_CACHE", str(tmp_path / "cache"))
    asked = []

    def retrieve(address, digest, name, place, downloader):
        asked.append((address, name, place.name))
        raise OSError("no network")

    monkeypatch.setattr("pooch.retrieve", retrieve)
    with pytest.raises(
        DatasetError, match=r"bestmodel.pth .* could not be downloaded \(OSError\): connect .*N2N_REAL"
    ):
        authors.provide("checkpoint")
    assert asked == [("https://example.org/c/f/bestmodel.pth", "bestmodel.pth", "authors")]


# --- calibration ---

GROUPS = pd.DataFrame({"on_pairs": [26.0, 26.2, 26.4, 26.6], "reported": [25.1, 25.2, 25.5, 25.6]})


def test_a_prediction_inside_the_range_has_the_calibrations_spread():
    """Four differences of -0.9, -1.0, -0.9, -1.0 dB: sd 0.0577; equal seeds and one network add nothing."""
    c = Calibration.of(GROUPS)
    found = c.predict([26.3] * 5, 0.0, 1_000)
    assert found.value == pytest.approx(26.3 - 0.95)
    half = sps.t.ppf(0.975, 3) * np.sqrt(1 / 300 * (1 + 1 / 4))
    assert (found.low, found.high) == (pytest.approx(25.35 - half), pytest.approx(25.35 + half))


def test_an_interval_widens_with_seeds_pairs_and_distance():
    c = Calibration.of(GROUPS)
    width = lambda *arguments: (lambda i: i.high - i.low)(c.predict(*arguments))  # noqa: E731
    same = [26.3] * 5
    assert width([26.1, 26.2, 26.3, 26.4, 26.5], 0.0, 1_000) > width(same, 0.0, 1_000)
    assert width(same, 0.5, 1_000) > width(same, 0.0, 1_000)
    assert width([25.5] * 5, 0.0, 1_000) > width(same, 0.0, 1_000)
    assert (
        c.outside(26.3) == 0
        and c.outside(25.5) == pytest.approx(-0.5)
        and c.outside(27) == pytest.approx(0.4)
    )
    assert c.predict([24.7] * 5, 0.0, 1_000) is None  # 1.3 dB below a range of 0.6 dB
    two = c.predict([26.2, 26.4], 0.0, 1_000)
    assert two.value == pytest.approx(25.35) and two.low is None and not two


def level(value, half, printed, outside=0.0):
    predicted = value and Interval(
        value, value - half if half else None, value + half if half else None, 5, ""
    )
    return Level(MeanSD(26.0, 0.01, 5), predicted, MeanSD(printed, 0.01, 5), outside)


def levels(**rows):
    images = {"pairs": np.full(11, 26.2), "validation": np.full(20, 25.5)}
    ours = {"pairs": np.full((3, 11), 26.1), "validation": np.full((3, 20), 25.4)}
    record = {"losses": [0.7075, 0.7068], "steps": 78_150, "lr": 5e-4}
    return Levels(rows, images, ours, record)


EXCHANGED = {
    "TNet": level(25.32, 0.16, 25.32),
    "TNet+L1": level(24.55, 0.4, 25.29, -0.7),
    "TNet+BN": level(25.3, 0.16, 24.45),
}


def test_rows_that_fit_each_others_printed_levels_only_are_exchanged():
    assert levels(**EXCHANGED).exchanged == [("TNet+L1", "TNet+BN")]
    assert levels(**EXCHANGED | {"TNet+BN": level(25.9, 0.16, 24.45)}).exchanged == []
    assert levels(**EXCHANGED | {"TNet+BN": level(24.4, 0.16, 24.45)}).exchanged == []
    assert levels(**EXCHANGED).numbers["TNet+L1"] | {"method": ""} == EXCHANGED[
        "TNet+L1"
    ].predicted.to_dict() | {"in_range": False}
    assert levels(BaseNet=level(None, 0, 6.95)).numbers == {"BaseNet": None}


class FakeStudy:
    """A study at the paper's size whose networks are known by their PSNR on the pairs and on the
    validation images.
    """

    def __init__(self, rows, missing=""):
        self.rows, self.missing, self.dataset = rows, missing, "ours"

    def spec(self):
        return SimpleNamespace(images=paper.images())

    def compare(self, rows, reference=None):
        asked = {
            k: v for k, v in self.rows.items() if (k in ("1e-4",)) == (rows.__name__ == "learning_rates")
        }
        return Comparison(asked, reference, np.arange(40), np.zeros(40))

    def measure(self, what, **arguments):
        if self.missing:
            raise DatasetError(self.missing)
        if what.kind == "released checkpoint":
            return {"losses": [0.7], "steps": 1, "lr": 5e-4}
        where = "ours" if arguments["judged on"] == "ours" else "pairs"
        return {"arrays": {"psnr": np.stack([
            getattr(run, "on", {"pairs": np.full(11, 26.2), "ours": np.full(40, 25.5)})[where] for run in arguments["runs"]])}}  # fmt: skip


def run(on_pairs, ours):
    return SimpleNamespace(psnr=np.full(40, ours), on={"pairs": np.full(11, on_pairs)})


def test_each_stored_row_gets_its_level():
    rows = {
        "TNet": [run(26.19 + i / 100, 25.49) for i in range(3)],
        "BaseNet": [run(7.0, 6.8)] * 3,
        "1e-4": [run(26.0, 25.3)],
        "TNet+dropout 0.1": [run(26.0, 25.3)],
    }
    found = real_images.levels(FakeStudy(rows))
    assert list(found.rows) == ["1e-4", "TNet", "BaseNet"]  # the paper prints no level of the fourth
    assert (
        found.rows["TNet"].predicted.value == pytest.approx(26.2 - 0.874)
        and found.rows["TNet"].compatible is True
    )
    assert found.rows["BaseNet"].predicted is None and found.rows["BaseNet"].compatible is None
    assert found.rows["1e-4"].outside == pytest.approx(-0.14) and not found.rows["1e-4"].predicted
    assert found.released["validation"].shape == (40,) and found.ours["pairs"].shape == (3, 11)


def test_without_size_network_or_files_there_is_a_reason():
    small = FakeStudy({})
    small.spec = lambda: SimpleNamespace(images=100)
    assert "at the paper's size only" in real_images.levels(small).reason
    assert real_images.levels(FakeStudy({})).reason == "No run of TNet is stored."
    found = real_images.levels(FakeStudy({"TNet": [run(26.2, 25.5)] * 3}, "the files are not there."))
    assert found.reason == "the files are not there." and not found
    assert real_images.printed_level("UNet (shared decoder)") == real_images.printed_level("UNet")


# --- noise ---


class Dataset(SimpleNamespace):
    pass


def dataset(n):
    clean = np.repeat(RNG.integers(0, 200, (n, 1, 32, 32)), 3, axis=1).astype(np.uint8)
    noisy = (clean + RNG.integers(0, 40, (n, 1, 32, 32))).astype(np.uint8)
    return Dataset(val=Pairs("made up", noisy, None, clean, np.arange(n)), fingerprint="f")


def test_statistics_of_a_few_images_are_drawn_without_replacement():
    few = {"draws": 3, "seed": 1}
    whole = real_images.noise_of_a_few(dataset=dataset(11), images=11, **few)["arrays"]
    assert all(len(set(values.tolist())) == 1 for values in whole.values())  # all of them, in every draw
    assert whole["channels_low"][0] == pytest.approx(1)
    data = dataset(30)
    first, again = (real_images.noise_of_a_few(dataset=data, images=11, **few)["arrays"] for _ in range(2))
    assert all(
        (first[k] == again[k]).all() and len(set(first[k].tolist())) == 3 for k in ("psnr", "kurtosis")
    )


def noise(**values):
    q = {name: (values.get(name, 0.5), np.array([0.0, 0.5, 1.0])) for name in display.STATISTICS}
    one = {
        "arrays": {"histogram": np.ones(len(measure.EDGES) - 1)},
        "by_detail": {"detail": [1.0, 2.0], "sd": [3.0, 4.0]},
    }
    return Noise(one, one, q)


def test_noise_is_said_to_be_distinguished_only_outside_the_range():
    assert display.noise_words(noise()).startswith("All 9 statistics of the 11 real pairs are within")
    one = display.noise_words(noise(kurtosis=2))
    assert (
        "Of 9 statistics of the 11 real pairs, 1 is outside" in one and "have: kurtosis (Gaussian: 3)." in one
    )
    assert "2 are outside" in display.noise_words(noise(kurtosis=2, psnr=-1))
    nothing = Noise({}, {}, {}, "a reason")
    assert display.noise_words(nothing) == "" and display.noise_figure(nothing) is None
    assert display.noise_table(nothing).empty and not nothing
    table = display.noise_table(noise(kurtosis=2))
    assert table["within"].tolist().count("no") == 1
    assert cell(table.iloc[0, 2], 2) == "0.50 [0.00, 1.00]"
    assert len(display.noise_figure(noise()).axes) == 2


# --- what is said of levels ---


def test_levels_in_words():
    text = display.levels_words(levels(**EXCHANGED))
    assert text.startswith(
        "The printed level is compatible with the prediction for TNet. It is not for TNet+L1 (predicted"
    )
    assert "these two rows of Table 2 are exchanged.**" in text and "beyond" not in text
    assert display.levels_words(levels(BaseNet=level(None, 0, 6.95))) == (
        "No row has the three seeds that a prediction interval takes. BaseNet is beyond the reach of the "
        "calibration."
    )
    alone = display.levels_words(levels(**{"1e-4": level(25.9, 0.1, 25.31)}))
    assert (
        alone
        == "The printed level is not compatible for TNet at 1e-4 (predicted 25.90 [25.80, 26.00], printed 25.31 dB)."
    )
    for words in (display.levels_words, display.calibration_words, display.released_words):
        assert words(Levels({}, {}, {}, {}, "a reason")) == ""
    assert "13 groups" in display.calibration_words(levels(**EXCHANGED))


def test_levels_in_a_table_and_a_figure():
    rows = EXCHANGED | {"1e-4": level(25.1, 0, 25.31, -0.13), "BaseNet": level(None, 0, 6.95, -19.0)}
    table = display.levels_table(levels(**rows)).map(lambda value: cell(value, 2)).set_index("row")
    assert table["compatible"].to_dict() == {
        "TNet": "yes", "TNet+L1": "no", "TNet+BN": "no", "TNet at 1e-4": "–", "BaseNet": "–"}  # fmt: skip
    assert table.loc["TNet+L1", "calibration"] == "extrapolated by 0.70 dB"
    assert table.loc["BaseNet", ["predicted", "calibration"]].tolist() == ["–", "beyond its reach"]
    assert table.loc["TNet", "calibration"] == "within its range"
    (ax,) = display.levels_figure(levels(**rows)).axes
    assert [t.get_text() for t in ax.get_yticklabels()] == ["TNet", "TNet+L1", "TNet+BN", "TNet at 1e-4"]
    assert display.levels_figure(levels(BaseNet=level(None, 0, 6.95))) is None
    released = display.released_table(levels(**EXCHANGED))
    assert released["ours minus theirs"].tolist() == [pytest.approx(-0.1), pytest.approx(-0.1)]


def test_what_the_checkpoint_records():
    found = levels(**EXCHANGED)
    text = display.released_words(found)
    assert (
        "records 2 epochs at a learning rate of 0.0005, 78,150 steps" in text
        and "none of the table's runs" in text
    )
    found.record["losses"][0] = 0.9
    assert "none of the table's runs" not in display.released_words(found)
