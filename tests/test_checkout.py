"""Checkouts that are not an ordinary clone: other line endings, an archive, somebody else's, inside another project's."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile

import pytest

from n2nlib import environment, paths
from n2nlib.runs import archive
from n2nlib.runs.store import RunStore

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
    """A repository that holds one run of the project's evidence and commit.txt; return its folder."""
    root = tmp_path / "repository"
    (root / "results" / "evidence" / "runs").mkdir(parents=True)
    shutil.copy(_a_run(), root / "results" / "evidence" / "runs")
    (root / "n2nlib").mkdir()
    shutil.copy(ROOT / "n2nlib" / "commit.txt", root / "n2nlib")
    git(root, "init", "-q")
    return root


def _a_run():
    """Return the file of a run of the project's evidence that is without its weights, and so small."""
    return next(run.file for run in RunStore().all() if not run.has_weights)


@pytest.mark.parametrize("attributes", [True, False])
def test_a_clone_with_converted_line_endings_keeps_its_runs(repository, tmp_path, attributes):
    """Git takes a run's file as binary by .gitattributes, and without it too."""
    if attributes:
        shutil.copy(ROOT / ".gitattributes", repository)
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "A run")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", "-c", "core.autocrlf=true", str(repository), str(clone))
    store = RunStore(clone / "results" / "evidence")
    assert store.damage() == "" and len(store.all()) == 1


def test_a_damaged_tracked_run_comes_back_as_the_message_says(repository, monkeypatch):
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "A run")
    monkeypatch.setenv("N2N_ROOT", str(repository))
    monkeypatch.setenv("N2N_RESULTS", str(repository / "results"))  # no run that another test has stored
    (run,) = RunStore().all()
    run.file.write_bytes(b"no archive")
    damage = RunStore().damage()
    assert "1 run or measurement is damaged and not used: one is not a readable archive. Tracked" in damage
    env = os.environ | {"GIT_CONFIG_GLOBAL": os.devnull}
    subprocess.run(damage.split("`")[1], shell=True, cwd=repository, env=env, check=True, capture_output=True)
    assert RunStore().damage() == "" and RunStore().all() == [run]


def test_a_damaged_run_is_set_aside_and_not_deleted(tmp_path, capsys):
    """Twice, under two names; what was there can be taken back."""
    sound, store = _a_run(), RunStore(tmp_path)
    file = tmp_path / "runs" / sound.name
    file.parent.mkdir()
    for name in (sound.name, f"{sound.name}.1"):
        file.write_bytes(b"damaged")
        store._place(file, archive.read_all(sound))
        assert archive.read_all(file) == archive.read_all(sound)
        assert (tmp_path / "set-aside" / "runs" / name).read_bytes() == b"damaged"
        assert "is not a readable archive: it was moved to" in capsys.readouterr().err


@pytest.fixture
def commit_of(monkeypatch):
    """Return what gives the commit of a checkout in some folder."""

    def commit(root) -> str:
        monkeypatch.setenv("N2N_ROOT", str(root))
        monkeypatch.setattr(environment, "__file__", str(root / "n2nlib" / "environment.py"))
        environment.commit.cache_clear()
        return environment.commit()

    yield commit
    environment.commit.cache_clear()


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
    (archive / "n2nlib" / "commit.txt").write_text("$Format:%H$\n")  # copied, not archived
    assert commit_of(archive) == "unknown (not a git checkout)"


def test_the_commit_of_somebody_elses_checkout(repository, commit_of, monkeypatch):
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # git's own switch for this case
    assert commit_of(repository) == "unknown (the checkout belongs to another user)"


def test_the_commit_without_git(repository, commit_of, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert commit_of(repository) == "unknown (git is not installed)"
