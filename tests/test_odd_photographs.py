"""Chapters 01 and 02 on photographs that have no noise, or none in their flat parts: they end, and say what is there."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from n2nlib.experiments import initialisations
from n2nlib.report import kernel, run
from n2nlib.report.closure import load_notebook
from n2nlib.report.plan import Settings
from n2nlib.spec import profile
from n2nlib.sweep import sweep

CHAPTERS = ["01_data", "02_baselines"]


def flat(i: int) -> np.ndarray:
    """An image of one colour."""
    return np.full((64, 64, 3), (40 * i + 20, 90, 200 - 30 * i), np.uint8)


def graphics(i: int) -> np.ndarray:
    """Large squares of one colour each: noise at their borders alone."""
    return np.random.default_rng(i).integers(0, 256, (4, 4, 3), dtype=np.uint8).repeat(64, axis=0).repeat(64, axis=1)


@pytest.fixture
def executed(tmp_path, results, monkeypatch):
    """Execute both chapters at smoke size on four drawn images, after TNet alone was trained; return their texts and numbers."""

    def on(draw):
        monkeypatch.setenv("N2N_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("N2N_TRAIN", "0")
        folder = tmp_path / draw.__name__
        folder.mkdir()
        for i in range(4):
            Image.fromarray(draw(i)).save(folder / f"{i}.png")
        settings = Settings(f"folder:{folder}", "smoke", "cpu")
        corpus = settings.opened
        sweep(initialisations(profile("smoke"), corpus.fingerprint), {corpus.fingerprint: corpus}, device="cpu")
        kernel.install()
        run.execute(settings, CHAPTERS)
        cells = [cell for name in CHAPTERS for cell in load_notebook(settings.file(f"notebooks/{name}.ipynb"))["cells"]]
        outputs = [o for cell in cells for o in cell.get("outputs", [])]
        texts = "\n".join("".join(o.get("data", {}).get("text/markdown", "")) for o in outputs)
        numbers = [json.loads(settings.file(f"numbers/{name}.json").read_text()) for name in CHAPTERS]
        return texts, numbers[0] | numbers[1]

    return on


def test_photographs_of_one_colour(executed):
    texts, numbers = executed(flat)
    assert "These images have no noise" in texts and "carries none of the Gaussian's squared error" in texts
    assert "| correlation between channels, lowest | – |" in texts and "| kurtosis (Gaussian: 3) | – |" in texts
    assert "nan" not in texts
    assert numbers["data.noisy_psnr"] == 80 and numbers["data.mean_error"] == 0
    assert numbers["data.kurtosis"] is numbers["data.channel_correlation_low"] is numbers["data.neighbour_correlation"] is None
    assert numbers["filters.gain_detail"] is None and numbers["filters.gain_flat"]["value"] < 0


def test_graphics_of_large_squares(executed):
    texts, numbers = executed(graphics)
    assert "absent from the flattest" in texts and "| standard deviation, flattest twelfth of the pixels | 0.0 |" in texts
    assert "nan" not in texts
    assert numbers["data.kurtosis"] > 10 and abs(numbers["data.mean_error"]) < 4 * numbers["data.mean_error_se"]
