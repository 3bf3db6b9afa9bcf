"""Every snippet of README, CONTRIBUTING and docs: Python is executed, shell lines are parsed."""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
from importlib import import_module
from importlib.util import find_spec

import numpy as np
import pytest
from in_process import shrink
from PIL import Image
from torch import nn

from n2nlib import __main__ as command_line
from n2nlib import models, paths
from n2nlib.study import Study
from n2nlib.training import losses

PAGES = {p.name: p for p in [*paths.root().glob("*.md"), *paths.root().glob("docs/*.md")]}
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TEXTS = {name: path.read_text(encoding="utf-8") for name, path in PAGES.items()}


def snippets(name: str, language: str) -> list[str]:
    return [body for kind, body in FENCE.findall(TEXTS[name]) if kind == language]


@pytest.mark.parametrize("name", PAGES)
def test_snippets_say_their_language(name):
    assert {kind for kind, _ in FENCE.findall(TEXTS[name])} <= {"python", "sh", "bibtex"}
    prose = FENCE.sub("", TEXTS[name])
    assert not re.findall(r"^    \S.*$", prose, re.MULTILINE), "indented code is not tested: use a fence"


@pytest.fixture
def reader(results, tmp_path, monkeypatch):
    """A reader's folder with photographs, and a small study; what they register is forgotten."""
    shrink(monkeypatch, n_train=64, n_val=12, epochs=1, seeds=2)
    rng = np.random.default_rng(0)
    (tmp_path / "photographs").mkdir()
    for i in range(3):
        pixels = np.kron(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8), np.ones((8, 8, 1), np.uint8))
        Image.fromarray(pixels).save(tmp_path / "photographs" / f"{i}.jpg")
    Image.fromarray(pixels).save(tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    registries = (models.NETWORKS, losses.LOSSES)
    before = [dict(registry) for registry in registries]
    yield {"study": Study.open("08_mine", dataset="bundled", profile="smoke", device="cpu")}
    for registry, content in zip(registries, before, strict=True):
        registry.clear()
        registry.update(content)


@pytest.mark.parametrize("name", [name for name in PAGES if snippets(name, "python")])
def test_python_runs(name, reader):
    names = {"__name__": "__main__", **reader}
    for body in snippets(name, "python"):
        exec(compile(body, name, "exec"), names)  # noqa: S102
        for value in list(names.values()):  # as "name it in NETWORKS" asks for
            if isinstance(value, type) and issubclass(value, nn.Module) and value.__module__ == "__main__":
                models.NETWORKS.setdefault(value.__name__, value)
    if name == "network.md":
        assert names["comparison"].difference("TwoScales").value != 0
    if name == "loss.md":
        assert len(names["history"]) == 1
    if name == "denoise.md":
        assert names["better"].size == names["clean"].size == (40, 30)


def parsed(words: list[str]) -> None:
    """Raise SystemExit or ReportError where the command line does not know some words."""
    if words[0] in command_line.TOOLS:
        module = import_module(command_line.TOOLS[words[0]][0])
        if hasattr(module, "parser"):
            module.parser().parse_args(words[1:])
    else:
        assert isinstance(command_line.parser().parse_args(words), argparse.Namespace)


@pytest.mark.parametrize("name", [name for name in PAGES if snippets(name, "sh")])
def test_shell_lines_are_known(name):
    lines = [line for body in snippets(name, "sh") for line in body.splitlines() if line.strip()]
    for program, *words in (shlex.split(line, comments=True) for line in lines):
        if program == "make":
            done = subprocess.run(["make", "-n", *words], cwd=paths.root(), capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
        elif program == "n2n":
            parsed(words)
        elif program == "dask":
            assert find_spec("distributed") and words[0] in ("scheduler", "worker")
        else:
            assert program in ("git", "python3", "cd"), program


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name):
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", TEXTS[name]):
        assert (PAGES[name].parent / target).exists(), target
