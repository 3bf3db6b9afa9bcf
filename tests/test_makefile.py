"""What `make` hands on: the reader's words as they were typed, and no word that means nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from n2nlib import paths

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")

#: Stands in for the environment's Python: prints its arguments, one a line.
PYTHON = """#!/bin/sh
printf '%s\\n' "$@"
"""
CHOICES = (
    "MAKEFLAGS",
    "MAKELEVEL",
    "PROFILE",
    "DATASET",
    "DEVICE",
    "EXECUTOR",
    "CHAPTER",
    "FRESH",
    "TRAIN",
    "EMULATE",
)


@pytest.fixture
def make(tmp_path):
    """Return what runs `make` with some words, from a shell that has set none of the variables unless told to."""
    (tmp_path / "bin").mkdir()
    python = tmp_path / "bin" / "python"
    python.write_text(PYTHON)
    python.chmod(0o755)
    (tmp_path / ".ready").write_text(f"{tmp_path}\n")

    def run(*words: str, **variables: str) -> subprocess.CompletedProcess:
        env = {k: v for k, v in os.environ.items() if k not in CHOICES} | variables
        return subprocess.run(
            ["make", f"VENV={tmp_path}", *words], cwd=paths.root(), env=env, capture_output=True, text=True
        )

    return run


PATHS = ["folder:/photos/Anna's own", "folder:/photos/my $own", 'folder:a"b`c\\d$(e)$$#;&', "$photos"]


@pytest.mark.parametrize("dataset", PATHS)
@pytest.mark.parametrize("target, command", [("report", ["n2nlib", "report"]), ("plan", ["n2nlib", "plan"]),
                                             ("verify", ["n2nlib", "verify"]), ("search", ["n2nlib", "search"])])  # fmt: skip
def test_a_path_arrives_as_it_was_typed(make, target, command, dataset):
    typed, set_before = make(target, f"DATASET={dataset}"), make(target, DATASET=dataset)
    assert typed.stdout == set_before.stdout == "\n".join(["-m", *command, f"--dataset={dataset}", ""])


def test_every_choice_is_handed_on(make):
    words = [
        "PROFILE=smoke",
        "DATASET=bundled",
        "DEVICE=cpu",
        "EXECUTOR=dask:tcp://host:1",
        "CHAPTER=03",
        "FRESH=1",
        "TRAIN=0",
        "EMULATE=1",
    ]
    options = [
        "--profile=smoke",
        "--dataset=bundled",
        "--device=cpu",
        "--emulate-bf16",
        "--executor=dask:tcp://host:1",
        "--chapter=03",
        "--fresh",
        "--no-train",
    ]
    assert make("plan", *words).stdout.splitlines() == ["-m", "n2nlib", "plan", *options]
    assert make("bench", *words).stdout.splitlines() == ["-m", "n2nlib", "bench", "--device=cpu"]


@pytest.mark.parametrize("words", [[], ["FRESH=0", "TRAIN=1"], ["PROFILE=", "DATASET=", "FRESH=", "TRAIN="]])
def test_what_is_left_out_is_left_to_the_library(make, words):
    assert make("report", *words).stdout.splitlines() == ["-m", "n2nlib", "report"]


@pytest.mark.parametrize("target", ["report", "plan"])
@pytest.mark.parametrize(
    "name, value", [("FRESH", "yes"), ("FRESH", "1 0"), ("TRAIN", "no"), ("TRAIN", "00")]
)
def test_a_switch_that_is_neither_0_nor_1_is_refused(make, target, name, value):
    done = make(target, f"{name}={value}")
    assert done.returncode == 2 and done.stdout == ""
    assert (
        f"*** {name} is '{value}' and can be 0 or 1 only: write one of them, or leave {name} out."
        in done.stderr
    )
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "word, near",
    [("PROFIL=quick", "did you mean PROFILE?"), ("dataset=bundled", "did you mean DATASET?"), ("X=1", "")],
)
def test_an_unknown_variable_is_named_with_the_nearest_known_one(make, word, near):
    done = make("plan", word)
    assert done.returncode == 2 and done.stdout == ""
    assert (
        f"unknown variable {word.partition('=')[0]}: {near}" in done.stderr
        and "Choose one of PROFILE" in done.stderr
    )


def test_a_closed_pipe_is_no_error():
    """As in `make plan | head`: the reader has seen enough."""
    code = "import sys, n2nlib.__main__ as m; m._plan = lambda _: [print('x' * 99) for _ in range(9999)] and None; sys.exit(m.main(['plan']))"
    command = f'{sys.executable} -c "{code}" | head -n 1; exit ${{PIPESTATUS[0]}}'
    done = subprocess.run(["bash", "-c", command], cwd=paths.root(), capture_output=True, text=True)
    assert done.stdout == "x" * 99 + "\n" and done.stderr == "" and done.returncode == 0
