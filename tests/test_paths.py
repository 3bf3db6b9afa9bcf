"""Files that are written in one move: whole for everybody, or as they were before."""

from __future__ import annotations

import errno
import os

import pytest

from n2nlib import paths
from n2nlib.errors import ReportError
from n2nlib.report import plan, run
from n2nlib.runs.store import RunStore
from n2nlib.tools import bench


@pytest.mark.parametrize("content", ["PSNR ± 0.01 dB\n", b"\x89PNG\r\n"])
def test_what_is_written_is_there_whole_and_for_everybody(tmp_path, content):
    path = tmp_path / "a" / "b.txt"
    before = os.umask(0o077)
    try:
        paths.write(path, content)
    finally:
        os.umask(before)
    assert path.read_bytes() == (content if isinstance(content, bytes) else content.encode())
    assert path.stat().st_mode & 0o777 == 0o644 and list(path.parent.iterdir()) == [path]


def test_a_full_disk_leaves_the_file_that_was_there(tmp_path, monkeypatch):
    path = tmp_path / "t.csv"
    paths.write(path, "old")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(
        ReportError, match="t.csv cannot be written .*No space left on device.*free some space"
    ):
        paths.write(path, "new")
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_none_is_a_sentence(tmp_path):
    (tmp_path / "results").write_text("a file")
    with pytest.raises(ReportError, match="t.csv cannot be written"):
        paths.write(tmp_path / "results" / "t.csv", "new")


@pytest.mark.parametrize(
    ("file", "way_out"),
    [
        ("results/store/runs/a.zip", ", or set N2N_RESULTS to a folder elsewhere"),
        ("figures/bundled-smoke/x.png", ", or set N2N_RESULTS to a folder elsewhere"),
        ("results/.cache/datasets", ", or set N2N_CACHE to a folder elsewhere"),
        ("README.md", ""),
    ],
)
def test_what_cannot_be_written_names_the_variable_that_moves_it(tmp_path, monkeypatch, file, way_out):
    for name in ("N2N_RESULTS", "N2N_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("N2N_ROOT", str(tmp_path))
    error = OSError(errno.EROFS, "Read-only file system", "x")
    assert paths.unwritable(tmp_path / file, error) == (
        f"{tmp_path / file} cannot be written (Read-only file system): free some space, check the permissions{way_out}."
    )


def test_an_interrupt_leaves_nothing_behind(tmp_path):
    with pytest.raises(KeyboardInterrupt), paths.writing(tmp_path / "t.bin") as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_two_writers_never_mix(tmp_path):
    path = tmp_path / "t.bin"
    with paths.writing(path) as first, paths.writing(path) as second:
        for byte in range(100):
            first.write(bytes([byte]))
            second.write(bytes([byte + 100]))
    assert path.read_bytes() == bytes(range(100)), "the second was whole first, the first took its place"
    assert list(tmp_path.iterdir()) == [path]


def test_what_git_tracks_is_read_wherever_the_results_are(tmp_path, monkeypatch):
    """The evidence, the benchmark's record, and a report by its name; all that is new goes to N2N_RESULTS."""
    root = paths.root()
    monkeypatch.setenv("N2N_RESULTS", str(tmp_path))
    assert RunStore().layers == (tmp_path / "store", root / "results" / "evidence")
    build = plan.Build(plan.Settings("imagenet-sample", "paper-bf16", "cpu", train=False))
    assert run.tnet_is_stored(build) and build.settings.folder == tmp_path / "imagenet-sample-paper-bf16"
    tracked = plan._benchmark(build)
    assert tracked and bench.records()["cpu"]["training"]
    assert paths.result("imagenet-sample-overnight") == root / "results" / "imagenet-sample-overnight"
    paths.write(tmp_path / "bench" / "cpu.json", "{}")
    assert bench.records()["cpu"] == {} and paths.result("bench/cpu.json") == tmp_path / "bench" / "cpu.json"
    assert plan._benchmark(plan.Build(build.settings)) != tracked


@pytest.mark.parametrize(
    ("check", "way_out"), [(True, "choose a PROFILE, which trains, or "), (False, "leave TRAIN=0 out, or ")]
)
def test_without_stored_runs_training_is_named_as_the_reader_has_chosen_it(results, check, way_out):
    settings = plan.Settings("imagenet-sample", "paper-bf16", "cpu", train=False, check=check)
    with pytest.raises(ReportError) as error:
        run.make(settings)
    assert str(error.value).endswith(f"without training: {way_out}fetch {results / 'evidence'} with git.")
