"""All chapters on photographs that have no noise, little detail or hardly any number: they end, and say what
is there.

Some folders are tried with every test run; the marker `campaign` has the others (`make campaign`).
"""

from __future__ import annotations

import json
import math
from dataclasses import replace

import in_process
import numpy as np
import pytest
from PIL import Image

from n2nlib.data import photos
from n2nlib.experiments import with_seeds
from n2nlib.profiles import profile
from n2nlib.report import kernel, run
from n2nlib.report.closure import load_notebook
from n2nlib.report.plan import Build, Settings, chapters
from n2nlib.runs import sweep as sweeps


def flat(i: int) -> np.ndarray:
    """An image of one colour."""
    return np.full((64, 64, 3), (40 * i + 20, 90, 200 - 30 * i), np.uint8)


def graphics(i: int) -> np.ndarray:
    """Large squares of one colour each: noise at their borders alone."""
    return (
        np.random.default_rng(i)
        .integers(0, 256, (4, 4, 3), dtype=np.uint8)
        .repeat(64, axis=0)
        .repeat(64, axis=1)
    )


def tiny(i: int) -> np.ndarray:
    """32x32 pixels: every cell is one pixel, so there is no noise."""
    return np.random.default_rng(i).integers(0, 256, (32, 32, 3), dtype=np.uint8)


def photograph(i: int) -> np.ndarray:
    """A real photograph."""
    source = photos.bundled()
    return (source.train + source.val)[i].load()


def grey(i: int) -> np.ndarray:
    """A real photograph without colour."""
    return photograph(i).mean(axis=2).astype(np.uint8)


def black(i: int) -> np.ndarray:
    """Black, in several sizes."""
    return np.zeros((64 + i, 64), np.uint8)


def white(i: int) -> np.ndarray:
    """White, in several sizes."""
    return np.full((64 + i, 64), 255, np.uint8)


def smooth(i: int) -> np.ndarray:
    """Ramps without detail."""
    return (
        np.indices((100, 120)).sum(axis=0)[:, :, None] * np.array([0.5, 0.3 + 0.1 * i, 0.9 - 0.2 * i])
    ).astype(np.uint8)


def bilevel(i: int) -> np.ndarray:
    """Black and white dots."""
    return (
        np.random.default_rng(i).integers(0, 2, (50, 60), dtype=np.uint8).repeat(3, axis=0).repeat(3, axis=1)
        * 255
    )


def series(i: int) -> np.ndarray:
    """One scene over and over, ever brighter."""
    return np.clip(photograph(0).astype(int) + i, 0, 255).astype(np.uint8)


def panorama(i: int) -> np.ndarray:
    """40 pixels high and 3,000 wide, of one colour but for one line."""
    image = np.full((40, 3_000, 3), i, np.uint8)
    image[:, 100] = 255
    return image


def mixture(i: int) -> np.ndarray:
    """One of several kinds."""
    return (flat, tiny, photograph, black, grey, graphics)[i % 6](i // 2)


@pytest.fixture
def album(tmp_path, results, monkeypatch):
    """Write some drawn images into a folder whose name is as odd as they are; return the settings of its
    smoke report."""
    monkeypatch.setenv("N2N_CACHE", str(tmp_path / "cache"))

    def write(draw, count, name="<img src=x onerror=alert(1)> *a*_b_ $x$ `c` |d|"):
        folder = tmp_path / name
        folder.mkdir()
        for i in range(count):
            Image.fromarray(draw(i)).save(folder / f"{i}.png")
        return Settings(f"folder:{folder}", "smoke", "cpu")

    return write


def checked(settings: Settings, shown: in_process.Shown) -> tuple[str, dict]:
    """Return what was shown and the numbers that were kept, after a look at what must never be in them."""
    assert shown.faults() == []
    for file in (*settings.folder.glob("tables/*"), settings.folder / "claims.json"):
        text = file.read_text() if file.exists() else ""
        assert not [line for line in text.splitlines() if in_process.NO_NUMBER.search(line)], file
        assert "<img" not in text, file
    assert "<img src" not in shown.text() and "`c`" not in shown.text()
    numbers: dict = {}
    for file in settings.folder.glob("numbers/*.json"):
        numbers |= json.loads(file.read_text(), parse_constant=lambda text: pytest.fail(f"{text} in {file}"))
    return shown.text(), numbers


def all_chapters(settings: Settings, monkeypatch, **size) -> tuple[str, dict]:
    """Train everything at less than smoke size, execute all chapters, and check what they show."""
    in_process.shrink(
        monkeypatch, **{"n_train": 32, "n_val": 12, "epochs": 2, "saliency": 3, "slow": 1} | size
    )
    monkeypatch.setattr(sweeps, "SMALL", math.inf)  # in this process
    dataset = settings.opened
    sweeps.sweep(Build(settings).wanted, {dataset.fingerprint: dataset}, device="cpu")
    shown = in_process.execute(settings, monkeypatch)
    assert {chapter for chapter, *_ in shown.texts} == set(chapters())
    return checked(settings, shown)


def some_chapters(settings: Settings, monkeypatch) -> tuple[str, dict]:
    """Train TNet alone, at smoke size, and execute chapters 01 and 02."""
    dataset = settings.opened
    sweeps.sweep(
        with_seeds(profile("smoke"), dataset.fingerprint), {dataset.fingerprint: dataset}, device="cpu"
    )
    return checked(
        settings, in_process.execute(replace(settings, train=False), monkeypatch, ["01_data", "02_baselines"])
    )


def test_photographs_of_one_colour(album, monkeypatch):
    settings = album(flat, 4)
    texts, numbers = all_chapters(settings, monkeypatch)
    assert "These images have no noise" in texts and "carries none of the Gaussian's squared error" in texts
    assert (
        "| correlation between channels, lowest | – |" in texts and "| kurtosis (Gaussian: 3) | – |" in texts
    )
    assert "4 photographs nearly of one colour" in texts
    assert (
        "12 validation images of 1 photograph " in texts or "12 validation images of 1 photograph." in texts
    )
    assert "**not tested on these photographs**" in texts
    assert numbers["data.noisy_psnr"] == 80 and numbers["data.mean_error"] == 0
    assert (
        numbers["data.kurtosis"]
        is numbers["data.channel_correlation_low"]
        is numbers["data.neighbour_correlation"]
        is None
    )
    assert numbers["filters.gain_detail"] is None and numbers["filters.gain_flat"]["value"] < 0


def test_graphics_of_large_squares(album, monkeypatch):
    texts, numbers = some_chapters(album(graphics, 4), monkeypatch)
    assert (
        "absent from the flattest" in texts
        and "| standard deviation, flattest twelfth of the pixels | 0.0 |" in texts
    )
    assert (
        numbers["data.kurtosis"] > 10 and abs(numbers["data.mean_error"]) < 4 * numbers["data.mean_error_se"]
    )


FOLDERS = [
    (tiny, 50),
    (tiny, 2),
    (photograph, 2),
    (photograph, 3),
    (grey, 3),
    (black, 3),
    (white, 2),
    (smooth, 3),
    (bilevel, 3),
    (series, 4),
    (panorama, 3),
    (mixture, 12),
    (graphics, 5),
]


@pytest.mark.campaign
@pytest.mark.parametrize("seeds", [2, 3])
@pytest.mark.parametrize(("draw", "count"), FOLDERS, ids=lambda x: getattr(x, "__name__", x))
def test_every_chapter_on_odd_folders(album, monkeypatch, draw, count, seeds):
    """Three seeds make intervals, also of values that are all alike."""
    all_chapters(album(draw, count), monkeypatch, seeds=seeds)


@pytest.mark.campaign
@pytest.mark.parametrize(
    ("draw", "count"), [(tiny, 50), (photograph, 2), (mixture, 12)], ids=lambda x: getattr(x, "__name__", x)
)
def test_the_smoke_report_of_odd_folders(album, draw, count):
    """As `make report` does it: in kernels, with figures on disk."""
    settings = album(draw, count)
    dataset = settings.opened
    sweeps.sweep(Build(settings).wanted, {dataset.fingerprint: dataset}, device="cpu")
    kernel.install()
    run.execute(settings, chapters()[:-1])
    run.execute(settings, chapters()[-1:])
    shown = in_process.Shown()
    for name in chapters():
        for cell in load_notebook(settings.file(f"notebooks/{name}.ipynb"))["cells"]:
            for o in cell.get("outputs", []):
                assert o["output_type"] != "error" and o.get("name") != "stderr", o
                shown.texts.append(
                    (name, cell["id"], "".join(o.get("data", {}).get("text/markdown", o.get("text", ""))))
                )
    checked(settings, shown)
