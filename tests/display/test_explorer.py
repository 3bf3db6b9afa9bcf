"""What explore computes and what its widgets show, without a browser (tests/tools/test_lab.py has the browser)."""

from __future__ import annotations

import io
from datetime import datetime
from unittest import mock

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from n2nlib.data.sampling import box_mean
from n2nlib.display import explorer as e
from n2nlib.display import scene as s
from n2nlib.display.live import LiveCurves
from n2nlib.errors import DatasetError, ReportError
from n2nlib.evaluation import smoothgrad
from n2nlib.models import BaseNet
from n2nlib.spec import RunSpec

PHOTO = s.photographs()["china"]()
SMALL = s.Window(side=32, cell=8)


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


def file(array: np.ndarray, kind: str = "PNG") -> bytes:
    content = io.BytesIO()
    Image.fromarray(array).save(content, kind)
    return content.getvalue()


def last(steps):
    for value in steps:  # noqa: B007
        pass
    return value


# --- the scene ---


def test_a_noisy_picture_takes_pixels_of_its_cells_and_the_clean_one_their_means():
    shown = s.scene(PHOTO, SMALL)
    window = SMALL.of(PHOTO)
    assert window.shape == (256, 256, 3)
    assert np.array_equal(shown.clean[0], box_mean(window, (32, 32)))
    cells = window.reshape(32, 8, 32, 8, 3).transpose(0, 2, 1, 3, 4).reshape(32, 32, 64, 3)
    for copy in (shown.a, shown.b):
        assert (cells == copy[0].transpose(1, 2, 0)[:, :, None]).all(-1).any(-1).all()
    assert not np.array_equal(shown.a, shown.b)


@pytest.mark.parametrize("kind", list(s.NOISES)[1:])
def test_other_noises_are_made_of_the_same_clean_picture(kind):
    shown = s.scene(PHOTO, SMALL, kind, s.NOISES[kind].value)
    assert np.array_equal(shown.clean, s.scene(PHOTO, SMALL).clean)
    assert 5 < s.error(shown.a, shown).mean() < 60  # grey levels: visible, and not hopeless


def test_what_does_not_fit_is_refused_with_the_sizes():
    with pytest.raises(ReportError, match="needs 512 pixels, and the photograph has 640 x 427"):
        s.scene(PHOTO, s.Window(side=64, cell=8))
    with pytest.raises(DatasetError, match="from 0 to 1"):
        s.scene(PHOTO, SMALL, "impulse", 2.0)


def test_a_network_of_one_size_works_tile_by_tile():
    torch.manual_seed(0)
    network, x = BaseNet().eval(), torch.rand(2, 3, 64, 96)
    with torch.no_grad():
        y = s.Tiles(network)(x)
        assert torch.allclose(y[:, :, 32:, 64:], network(x[:, :, 32:, 64:]), atol=1e-6)
    assert y.shape == x.shape


def test_the_row_of_a_filter_is_its_kernel(monkeypatch):
    """Central differences of a linear filter are exact, up to rounding."""
    shown = s.scene(PHOTO, SMALL)
    monkeypatch.setattr(s, "_tuned", lambda *_: {"size": 3})
    row = last(s.jacobian_row("Mean", shown, (10, 31)))
    expected = np.zeros((32, 32))
    expected[9:12, 30:32] = [1 / 9, 2 / 9]  # the border is repeated
    assert np.abs(row - expected).max() < 1e-9


def test_gradients_step_by_step_end_at_smoothgrads():
    shown, generator = s.scene(PHOTO, SMALL), torch.Generator().manual_seed(0)
    steps = [g.copy() for g in s.smoothed_gradient("TNet", shown, "output", 0.1, samples=3)]
    whole = smoothgrad.output_gradient(s.network("TNet"), shown.a, samples=3, sigma=0.1, generator=generator)
    assert len(steps) == 3 and np.abs(steps[-1] - whole[0].mean(0).numpy()).max() < 1e-5
    assert len(list(s.smoothed_gradient("TNet", shown, "loss", 0.0, samples=3))) == 1  # no noise, one sample


# --- the widgets ---


@pytest.fixture(scope="module")
def small():
    explorer = e.Explorer(second="Gaussian")
    explorer.samples.value = 2
    explorer.side.value = 32
    return explorer


def titles(explorer) -> list[str]:
    return [p["title"] for p in explorer.results.pictures]


def test_two_methods_are_shown_with_their_errors(small):
    assert titles(small) == ["noisy", "TNet", "Gaussian", "clean", "error: noisy", "error: TNet",
                             "error: Gaussian", "TNet | Gaussian"]  # fmt: skip
    assert np.array_equal(pixels(small.results.pictures[3]["png"]), small.scene.clean[0].transpose(1, 2, 0))
    assert small.results.pictures[7]["over"] == small.results.pictures[2]["png"]
    assert all(" dB, SSIM 0." in p["caption"] for p in small.results.pictures[:3])
    maps = small.maps.pictures
    assert [bool(p["png"]) for p in maps] == [True, True, True, False]
    assert maps[3]["caption"] == "for networks only"


@pytest.mark.parametrize("method", s.METHODS)
def test_every_method_beats_the_noise_that_it_was_made_for(small, method):
    small.first.value = method
    noisy, denoised = (float(p["caption"].partition(" ")[0]) for p in small.results.pictures[:2])
    assert (denoised > noisy + 0.5) == (method != "BaseNet")
    assert pixels(small.maps.pictures[0]["png"]).shape == (17, 17, 3)
    small.first.value = "TNet"


def test_a_click_shows_another_row(small):
    before = small.maps.pictures[0]["png"]
    small.results.pixel = [3, 4]
    assert small.maps.pixel == [3, 4]
    assert small.maps.pictures[0]["title"] == "TNet: row of pixel (3, 4)"
    assert small.maps.pictures[0]["png"] != before


def test_every_noise_changes_the_picture_within_its_bounds(small):
    seen = set()
    for kind, noise in s.NOISES.items():
        small.noise.value = kind
        assert (small.strength.min, small.strength.max, small.strength.value) == (
            noise.low,
            noise.high,
            noise.value,
        )
        assert small.strength.disabled == (kind == "subpixel") and small.message.value == ""
        seen.add(small.results.pictures[0]["png"])
    small.again.click()
    seen.add(small.results.pictures[0]["png"])
    small.noise.value = "subpixel"
    assert len(seen) == len(s.NOISES) + 1


def upload(explorer, name: str, content: bytes) -> None:
    entry = {"name": name, "type": "", "size": len(content), "content": memoryview(content)}
    explorer.upload.value = ({**entry, "last_modified": datetime.now()},)


def test_an_uploaded_photograph_is_chosen_and_cut_to_fit(small):
    upload(small, "mine.png", file(np.random.default_rng(0).integers(0, 256, (70, 90, 3), dtype=np.uint8)))
    assert (small.photograph.value, small.side.value, small.cell.max, small.cell.value) == (
        "mine.png",
        32,
        2,
        1,
    )
    small.side.value = 128  # larger than the photograph: the largest that fits
    assert small.side.value == 64 and len(pixels(small.results.pictures[0]["png"])) == 64
    small.photograph.value = "china"


BAD = {
    "notes.txt": b"no picture",
    "tiny.png": file(np.zeros((8, 8, 3), np.uint8)),
    "cut.jpg": file(PHOTO, "JPEG")[:9000],
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_upload_is_one_sentence_and_the_picture_stays(small, name):
    before = small.results.pictures
    upload(small, name, BAD[name])
    assert name in small.message.value and "\n" not in small.message.value
    assert small.results.pictures == before and small.photograph.value == "china"
    small.update()
    assert small.message.value == ""


def test_names_are_checked():
    with pytest.raises(ReportError, match="unknown method 'Tnet': did you mean 'TNet'"):
        e.Explorer("Tnet")
    with pytest.raises(ReportError, match="unknown photograph"):
        e.Explorer(photograph="Lena")


# --- learning curves ---


def test_curves_grow_in_one_figure_and_end_with_whole_histories(monkeypatch):
    shown = mock.Mock()
    monkeypatch.setattr("IPython.display.display", shown)
    specs = {label: RunSpec("dataset", n_train=32, epochs=2, seed=i) for i, label in enumerate("ab")}
    curves = LiveCurves(specs)
    curves(specs["b"], {"images": 32, "psnr": 20.0})
    curves(specs["b"], {"images": 64, "psnr": 21.0})
    assert curves.points == {"a": [], "b": [(32, 20.0), (64, 21.0)]}
    curves.finish({"a": pd.DataFrame({"images": [64], "psnr": [19.0]})})
    assert shown.call_count == 1 and shown.return_value.update.call_count == 2
    (line,) = shown.return_value.update.call_args.args[0].axes[0].lines[:1]
    assert line.get_xydata().tolist() == [[64, 19.0]]
