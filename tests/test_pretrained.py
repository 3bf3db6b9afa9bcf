"""The trained networks that come with the package are those of the store, and load as such."""

from __future__ import annotations

import subprocess
import tomllib
import typing
from pathlib import Path

import numpy as np
import pytest

from n2nlib import load_pretrained, paths, pretrained
from n2nlib.data import open_dataset
from n2nlib.errors import ReportError
from n2nlib.evaluation.metrics import denoise, psnr
from n2nlib.runs.store import RunStore
from n2nlib.tools.pretrained import RUNS, entry, rounded


@pytest.fixture(scope="module")
def stored():
    return {run.id: run for run in RunStore().all()}


@pytest.mark.parametrize("name", RUNS)
def test_manifest_and_weights_are_those_of_the_store(name, stored):
    weights = rounded(stored[RUNS[name]])
    assert pretrained.manifest()[name] == entry(stored[RUNS[name]], weights)
    assert (pretrained.FOLDER / f"{name}.safetensors").read_bytes() == weights


def test_16_bit_weights_cost_less_than_a_thousandth_of_a_decibel(stored):
    pairs = open_dataset("bundled", n_train=64, n_val=200).val
    for name in ("tnet", "smallnet"):
        full, half = stored[RUNS[name]].model(), load_pretrained(name)
        lost = psnr(pairs.clean, denoise(full, pairs.a), 255) - psnr(pairs.clean, denoise(half, pairs.a), 255)
        assert 0 < np.abs(lost).max() and abs(lost.mean()) < 1e-3


def test_names_are_completed_and_unknown_ones_get_the_nearest():
    assert set(typing.get_args(pretrained.Name)) == set(RUNS) == set(pretrained.manifest())
    assert load_pretrained("TNet").training is False
    with pytest.raises(ReportError, match="did you mean 'smallnet'"):
        load_pretrained("smalnet")
    with pytest.raises(ReportError, match="Choose one of basenet, smallnet, tnet, unet"):
        load_pretrained(3)


def test_altered_or_missing_weights_are_not_used(tmp_path, monkeypatch):
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path)
    with pytest.raises(ReportError, match=r"tnet.safetensors cannot be read"):
        load_pretrained("tnet")
    (tmp_path / "tnet.safetensors").write_bytes(b"other")
    with pytest.raises(ReportError, match="differs from its checksum"):
        load_pretrained("tnet")


def test_the_files_are_small():
    assert sum(f.stat().st_size for f in pretrained.FOLDER.glob("*.safetensors")) < 5e6


def test_every_file_beside_the_code_is_installed_with_it():
    listed = subprocess.run(["git", "ls-files", "n2nlib"], cwd=paths.root(), capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    settings = tomllib.loads((paths.root() / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = settings["tool"]["setuptools"]["package-data"]["*"]
    data = [Path(name) for name in listed.stdout.split("\n") if name and not name.endswith(".py")]
    missing = [name for name in data if not any(name.match(pattern) for pattern in patterns)]
    assert data and not missing
