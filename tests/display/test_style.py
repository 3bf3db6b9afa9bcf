"""Figures: same bytes for the same figure, text that stays text, and colours that mean a method."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.font_manager import fontManager

from n2nlib.display import style
from n2nlib.display.pictures import denoised_grid, picture_grid
from n2nlib.errors import ReportError


@pytest.fixture(autouse=True)
def styled():
    with matplotlib.rc_context():
        style.use()
        yield
    plt.close("all")


def draw():
    ramp = np.linspace(0, 1, 3 * 8 * 8).reshape(3, 8, 8)
    return picture_grid([[ramp, (ramp * 255).astype(np.uint8)]], ["float", "8-bit"], psnr=[[21.5, None]])


def test_the_same_figure_gives_the_same_bytes(tmp_path):
    first, second = (style.save(draw(), tmp_path / name) for name in ("one", "two"))
    for a, b in zip(first, second, strict=True):
        assert a.read_bytes() == b.read_bytes()
    pdf = first[0].read_bytes()
    assert b"CreationDate" not in pdf and b"/Type3" not in pdf and b"FontFile2" in pdf  # TrueType, embedded


def test_a_stem_may_hold_a_dot(tmp_path):
    assert [p.name for p in style.save(draw(), tmp_path / "lr_0.5")] == ["lr_0.5.pdf", "lr_0.5.png"]


def test_pictures_share_one_range_and_carry_their_psnr():
    axes = draw().axes
    assert [image.norm.vmax for ax in axes for image in ax.images] == [1.0, 255]
    assert [ax.get_xlabel() for ax in axes] == ["21.50 dB", ""]
    assert all(ax.images[0].get_interpolation() == "nearest" for ax in axes)


def test_every_picture_needs_a_title():
    with pytest.raises(ReportError, match="1 titles, but rows of \\[2\\]"):
        picture_grid([[np.zeros((3, 8, 8))] * 2], ["noisy"])


def test_a_variant_has_its_networks_colour():
    assert style.colour("TNet, strided convolution") == style.COLOURS["TNet"]
    assert style.colour("UNet (shared decoder)") != style.colour("UNet") == style.colour("UNet at 5e-4")
    assert style.colour("median") == "#777777"
    assert len(set(style.COLOURS.values())) == len(style.COLOURS)


def test_denoised_windows_have_a_row_for_what_is_there():
    clean = np.full((2, 3, 8, 8), 100, np.uint8)
    pictures = {"names": ["a", "b"], "arrays": {"clean": clean, "noisy": clean + 10, "TNet": clean + 1}}
    axes = denoised_grid(pictures, ("noisy", "UNet", "TNet", "clean")).axes
    assert [ax.get_ylabel() for ax in axes[::2]] == ["noisy", "TNet", "clean"]
    assert [ax.get_xlabel() for ax in axes[::2]] == ["28.13 dB", "48.13 dB", ""]
    assert denoised_grid({}, ("noisy",)) is None


def test_the_font_is_found_although_the_font_cache_lacks_it(monkeypatch):
    others = [font for font in fontManager.ttflist if not font.name.startswith("STIX")]
    monkeypatch.setattr(fontManager, "ttflist", others)
    fontManager._findfont_cached.cache_clear()
    style.use()
    assert Path(fontManager.findfont("STIXGeneral", fallback_to_default=False)).name == "STIXGeneral.ttf"
