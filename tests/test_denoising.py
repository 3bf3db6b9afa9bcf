"""The public face denoises images of every kind and size, and tiles give the whole picture's result."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import n2nlib
from n2nlib import denoise, denoising, load_pretrained, noisy_pair
from n2nlib.data import open_dataset
from n2nlib.denoising import denoise_pixels, reach, spans
from n2nlib.errors import ReportError
from n2nlib.evaluation import metrics
from n2nlib.models import build


@pytest.fixture(scope="module")
def windows():
    return np.array(open_dataset("bundled", n_train=64, n_val=12).val.a[:4])


@pytest.fixture
def photo():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (45, 70, 3), dtype=np.uint8)


def test_windows_are_denoised_as_the_report_does_it(windows):
    expected = metrics.denoise(load_pretrained("smallnet"), windows)
    for image, name in ((windows, "SmallNet"), (torch.from_numpy(windows), load_pretrained("smallnet"))):
        found = denoise(image, name)
        assert type(found) is type(image) and np.array_equal(found, expected)
    assert np.array_equal(denoise(windows[0], "smallnet"), expected[0])
    last = denoise(windows.transpose(0, 2, 3, 1), "smallnet")
    assert np.array_equal(last, expected.transpose(0, 2, 3, 1))


def test_kinds_come_back_in_kind(photo, tmp_path):
    expected = denoise(photo)
    assert (expected != photo).mean() > 0.5
    assert np.array_equal(denoise(torch.from_numpy(photo)), expected)
    assert np.array_equal(np.asarray(denoise(Image.fromarray(photo))), expected)
    Image.fromarray(photo).save(tmp_path / "x.png")
    assert np.array_equal(np.asarray(denoise(tmp_path / "x.png")), expected)
    for dtype in (np.float16, np.float32, np.float64, ">f4", ">f8", np.longdouble):
        found = denoise((photo / 255).astype(dtype))
        assert found.dtype == dtype and np.abs(found * 255 - expected).max() < 1.5
    tensor = denoise(torch.from_numpy(photo / 255).permute(2, 0, 1).to(torch.bfloat16))
    assert tensor.dtype == torch.bfloat16 and tensor.shape == (3, 45, 70)
    fortran = np.asfortranarray(photo)[::-1]
    assert np.array_equal(denoise(fortran), denoise(np.ascontiguousarray(fortran)))


def test_grey_and_alpha(photo):
    grey, alpha = photo[..., 0], photo[..., 1:2]
    expected = denoise(grey)
    assert expected.shape == (45, 70) and np.array_equal(denoise(grey[None])[0], expected)
    three = denoise(np.repeat(grey[..., None] / 255, 3, axis=2).astype(np.float32))
    assert np.abs(three.mean(axis=2) * 255 - expected).max() < 1.5
    rgba = denoise(np.concatenate([photo, alpha], axis=2))
    assert np.array_equal(rgba[..., :3], denoise(photo)) and np.array_equal(rgba[..., 3:], alpha)
    la = denoise(Image.fromarray(np.concatenate([grey[..., None], alpha], axis=2)))
    assert la.mode == "LA" and np.array_equal(np.asarray(la)[..., 0], expected)
    palette = Image.fromarray(photo).convert("P")
    assert denoise(palette).mode == "RGB" and denoise(Image.fromarray(grey).convert("1")).mode == "L"


def test_a_pillow_image_keeps_its_metadata(photo):
    image = Image.fromarray(photo)
    image.info["icc_profile"] = b"profile"
    assert denoise(image).info["icc_profile"] == b"profile"


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (31, 33), (32, 64), (47, 300)])
@pytest.mark.parametrize("name", ["tnet", "smallnet", "unet", "basenet"])
def test_any_size(name, size):
    image = np.full((*size, 3), 0.5, np.float32)
    found = denoise(image, name)
    assert found.shape == image.shape and 0 <= found.min() and found.max() <= 1


@pytest.mark.parametrize(("name", "far"), [("TNet", 64), ("SmallNet", 32), ("UNet", 128)])
def test_tiles_give_the_result_of_the_whole(name, far, monkeypatch):
    """Equal up to the rounding of sums in float32."""
    network = build(name, seed=0).eval()
    assert reach(network) == far
    rng = np.random.default_rng(1)
    image = rng.random((1, 70, 2 * far + 200, 3), np.float32)
    with torch.no_grad():
        whole = network(torch.from_numpy(image).permute(0, 3, 1, 2)).permute(0, 2, 3, 1).clamp(0, 1).numpy()
    monkeypatch.setattr(denoising, "TILE", 64)
    monkeypatch.setattr(denoising, "FEWEST", 0)
    assert len(spans((70, 2 * far + 200), network)[1]) > 4
    np.testing.assert_allclose(denoise_pixels(image, network), whole, atol=2e-6)


def test_too_little_overlap_is_seen(monkeypatch):
    network = load_pretrained("smallnet")
    image = np.random.default_rng(1).random((1, 32, 300, 3), np.float32)
    whole = denoise_pixels(image, network)
    monkeypatch.setattr(denoising, "TILE", 64)
    monkeypatch.setattr(denoising, "reach", lambda network: 0)
    assert np.abs(denoise_pixels(image, network) - whole).max() > 1e-3


def test_spans_cover_each_pixel_once():
    network = load_pretrained("tnet")
    for length in (1, 256, 257, 1000, 3001):
        rows, columns = spans((length, 4000), network)
        for axis, n in ((rows, length), (columns, 4000)):
            kept = [i for span in axis for i in range(span.keep, span.end)]
            assert kept == list(range(n)) and all(span.start % 32 == 0 for span in axis)
            assert max(span.stop - span.start for span in axis) <= 256 + 2 * 64
    for length in (20, 32, 33, 48, 100):
        windows = spans((length, 32), load_pretrained("basenet"))[0]
        assert [i for w in windows for i in range(w.keep, w.end)] == list(range(length))
        assert {w.stop - w.start for w in windows} == {min(length, 32)}


def test_an_own_network_keeps_its_mode_and_one_that_sees_everything_is_allowed():
    network = nn.Conv2d(3, 3, 3, padding=1).train()
    image = np.random.default_rng(0).random((40, 600, 3), np.float32)
    with torch.no_grad():
        whole = network(torch.from_numpy(image).permute(2, 0, 1)[None])[0].permute(1, 2, 0).clamp(0, 1)
    np.testing.assert_allclose(denoise(image, network), whole, atol=1e-6)
    assert network.training and reach(network) == 32

    class Mean(nn.Module):
        def forward(self, x):
            return x - x.mean() + 0.5

    assert reach(Mean()) == 256 and denoise(image, Mean()).shape == image.shape


def test_progress_reaches_the_whole(photo):
    shares = []
    denoise_pixels(np.zeros((1, 300, 600, 3), np.uint8), load_pretrained("tnet"), shares.append)
    assert len(shares) == 6 and sum(shares) == pytest.approx(1)


@pytest.mark.parametrize(
    ("image", "says"),
    [
        (None, "NoneType is not an image: expected a path"),
        ([[0]], "list is not an image"),
        (np.zeros((100, 32, 32), np.uint8), r"shape \(100, 32, 32\): expected \(H,W\)"),
        (np.zeros(5, np.uint8), "expected"),
        (np.zeros((0, 5, 3), np.uint8), "at least one pixel"),
        (np.zeros((5, 5), np.int64), r"type int64: expected uint8 \(0 to 255\) or floating point"),
        (torch.zeros(3, 5, 5, dtype=torch.int32), "type torch.int32: expected uint8"),
        (
            torch.zeros(3, 5, 5).to_sparse(),
            "a torch.sparse_coo tensor of torch.float32 .* expected a dense one",
        ),
        (np.zeros((5, 5), bool), "type bool"),
        (np.full((5, 5), 255.0), "from 255 to 255: expected 0 to 1; divide by 255"),
        (np.full((5, 5), -0.5), "from -0.5 to -0.5: expected 0 to 1; scale or clip it"),
        (np.full((5, 5), np.nan), "from nan to nan"),
        (Image.new("I", (5, 5)), "mode I has no fixed range"),
        ("missing.png", "missing.png cannot be read: No such file"),
        (__file__, "cannot be read as a photograph: its content is not a JPEG"),
    ],
)
def test_what_is_not_an_image_gets_a_sentence(image, says):
    with pytest.raises(ReportError, match=says):
        denoise(image)


def test_what_is_not_a_network_gets_a_sentence(photo):
    for network, says in (
        ("tnt", "did you mean 'tnet'"),
        (3, "network is 3: expected a name"),
        (nn.Linear(2, 2), r"Linear cannot process images of shape \(1, 3, 45, 70\)"),
        (nn.Conv2d(3, 5, 1), r"turns images of shape .* into \(1, 5, 45, 70\)"),
    ):
        with pytest.raises(ReportError, match=says):
            denoise(photo, network)


def test_a_noisy_pair_is_drawn_around_its_clean_image(photo):
    a, b, clean = noisy_pair(photo, cell=5)
    assert a.shape == b.shape == clean.shape == (9, 14, 3) and (a != b).any()
    cells = photo.reshape(9, 5, 14, 5, 3)
    np.testing.assert_array_equal(clean, np.rint(cells.mean(axis=(1, 3), dtype=np.float64)))
    assert all((cells[i, :, j] == a[i, j]).all(axis=2).any() for i in range(9) for j in range(14))
    assert np.array_equal(noisy_pair(photo, 5).a, a) and (noisy_pair(photo, 5, seed=1).a != a).any()
    grey = noisy_pair(Image.fromarray(photo[..., 0]), 5)
    assert grey.b.mode == "L" and grey.b.size == (14, 9)
    tensor = noisy_pair(torch.from_numpy(photo).permute(2, 0, 1), 5)
    assert np.array_equal(tensor.b, b.transpose(2, 0, 1))


def test_what_cannot_be_sub_sampled_gets_a_sentence(photo):
    for image, cell, says in (
        (photo, 0, "cell is 0: expected a whole number of at least 1"),
        (photo, 46, "cell is 46: expected at most the shorter side, 45 pixels"),
        (photo, 2.0, "cell is 2.0"),
        (photo / 255, 4, "8 bits"),
        (np.zeros((45, 45, 4), np.uint8), 4, "without alpha"),
    ):
        with pytest.raises(ReportError, match=says):
            noisy_pair(image, cell)
    for seed in ("a", None, 1.5, -1, True):
        with pytest.raises(ReportError, match="seed is .*: expected a whole number of at least 0"):
            noisy_pair(photo, seed=seed)
    assert np.array_equal(noisy_pair(photo, np.int64(5), np.uint8(3)).a, noisy_pair(photo, 5, 3).a)


def test_public_names_are_there():
    assert {"load_pretrained", "denoise", "noisy_pair", "psnr", "ssim", "Comparison"} <= set(dir(n2nlib))
    for name in n2nlib.__all__:
        assert getattr(n2nlib, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'denois'"):
        n2nlib.denois  # noqa: B018
