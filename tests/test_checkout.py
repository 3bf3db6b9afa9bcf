"""Checkouts that are not an ordinary clone: other line endings, an archive, somebody else's, inside another project's."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile

import pytest

from n2nlib import paths
from n2nlib.runs import store as runs
from n2nlib.runs.store import RunStore, whole

ROOT = paths.root()
pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
IDENTITY = ["-c", "user.name=A Reader", "-c", "user.email=reader@example.org", "-c", "commit.gpgsign=false"]


def git(folder, *words: str) -> str:
    env = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")} | {
        "GIT_CONFIG_GLOBAL": os.devnull
    }
    return subprocess.run(
        ["git", *IDENTITY, *words], cwd=folder, env=env, capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.fixture
def repository(tmp_path):
    """A repository that holds one run of the project's store, its .gitattributes and commit.txt; return its folder."""
    root = tmp_path / "repository"
    run = next(f for f in sorted((ROOT / "results" / "store" / "runs").iterdir()) if whole(f))
    shutil.copytree(run, root / "results" / "store" / "runs" / run.name)
    (root / "n2nlib" / "runs").mkdir(parents=True)
    shutil.copy(ROOT / "n2nlib" / "runs" / "commit.txt", root / "n2nlib" / "runs")
    git(root, "init", "-q")
    return root


@pytest.mark.parametrize("attributes", [True, False])
def test_a_clone_with_converted_line_endings(repository, tmp_path, attributes):
    """With .gitattributes nothing is converted; without it the store names the cause, and its own advice repairs the clone."""
    if attributes:
        shutil.copy(ROOT / ".gitattributes", repository)
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "A run")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", "-c", "core.autocrlf=true", str(repository), str(clone))
    store = RunStore(clone / "results" / "store")
    (folder,) = (store.folder / "runs").iterdir()
    assert whole(folder) == attributes
    if attributes:
        assert store.damage() == ""
        return
    damage = store.damage()
    assert (
        "1 runs or measurements" in damage
        and "converted line endings" in damage
        and "core.autocrlf=true" in damage
    )
    advice = damage.split("`")[1]
    shutil.copy(ROOT / ".gitattributes", clone)
    env = os.environ | {"GIT_CONFIG_GLOBAL": os.devnull}
    subprocess.run(advice, shell=True, cwd=clone, env=env, check=True, capture_output=True)
    assert whole(folder)


def test_a_damaged_run_is_set_aside_and_not_deleted(tmp_path, capsys):
    """Twice, under two names; what was there can be taken back."""
    run = next(f for f in sorted((ROOT / "results" / "store" / "runs").iterdir()) if whole(f))
    store = RunStore(tmp_path)
    for name in (run.name, f"{run.name}.1"):
        shutil.copytree(run, tmp_path / "runs" / run.name)
        (tmp_path / "runs" / run.name / "metrics.json").write_text("{}\n")
        store._place(
            tmp_path / "runs" / run.name,
            lambda part: shutil.copytree(
                run, part, ignore=shutil.ignore_patterns("FINISHED"), dirs_exist_ok=True
            ),
        )
        assert whole(tmp_path / "runs" / run.name)
        assert json.loads((tmp_path / "set-aside" / "runs" / name / "metrics.json").read_text()) == {}
        assert "has altered files (metrics.json): it was moved to" in capsys.readouterr().err
        shutil.rmtree(tmp_path / "runs" / run.name)


@pytest.fixture
def commit_of(monkeypatch):
    """Return what gives the commit of a checkout in some folder."""

    def commit(root) -> str:
        monkeypatch.setenv("N2N_ROOT", str(root))
        monkeypatch.setattr(runs, "__file__", str(root / "n2nlib" / "runs" / "store.py"))
        runs.commit.cache_clear()
        return runs.commit()

    yield commit
    runs.commit.cache_clear()


def test_the_commit_of_a_clone_an_archive_and_a_copy(repository, tmp_path, commit_of, monkeypatch):
    shutil.copy(ROOT / ".gitattributes", repository)
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "A run")
    head = git(repository, "rev-parse", "HEAD")
    assert commit_of(repository) == head[:12]
    monkeypatch.setenv("GIT_DIR", str(ROOT / ".git"))  # as in a hook of another repository
    assert commit_of(repository) == head[:12]
    (repository / "n2nlib" / "new.py").touch()
    assert commit_of(repository) == head[:12] + "+"
    git(repository, "archive", "-o", str(tmp_path / "a.tar"), "HEAD")
    archive = repository / "inside" / "archive"  # unpacked inside another project's checkout
    archive.mkdir(parents=True)
    with tarfile.open(tmp_path / "a.tar") as tar:
        tar.extractall(archive, filter="data")
    assert commit_of(archive) == head[:12]
    (archive / "n2nlib" / "runs" / "commit.txt").write_text("$Format:%H$\n")  # copied, not archived
    assert commit_of(archive) == "unknown (not a git checkout)"


def test_the_commit_of_somebody_elses_checkout(repository, commit_of, monkeypatch):
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # git's own switch for this case
    assert commit_of(repository) == "unknown (the checkout belongs to another user)"


def test_the_commit_without_git(repository, commit_of, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert commit_of(repository) == "unknown (git is not installed)"
