"""What long work says: a start, how far it is and how long it will take, at rates measured on this
machine.
"""

from __future__ import annotations

import errno
import json
import re
import subprocess
import sys
import time

import pytest
from filelock import FileLock

from n2nlib import locks
from n2nlib.data import open_dataset
from n2nlib.errors import StoreError, TrainingError, say_once
from n2nlib.runs import progress, speed
from n2nlib.runs.progress import Meter, Progress, duration
from n2nlib.runs.store import RunStore
from n2nlib.runs.sweep import sweep
from n2nlib.spec import RunSpec
from n2nlib.training import engine as training

N = 64


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache of the test's own, in which no rate is noted."""
    monkeypatch.setenv("N2N_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands until a test moves it."""

    class Clock:
        now = 1000.0

        def monotonic(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def runs(n: int, network: str = "TNet", **changes) -> list[RunSpec]:
    return [RunSpec("c" * 16, 1_000, 1, network=network, seed=i, **changes) for i in range(n)]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "1 s"),
        (8, "8 s"),
        (89, "89 s"),
        (150, "2 min"),
        (3_600, "60 min"),
        (7_800, "2 h 10 min"),
        (1_861_000, "517 h"),
    ],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_a_log_gets_a_start_a_line_now_and_then_and_an_end(cache, clock, capsys):
    """Ten runs at 100 images/s on two processes: 10,000 images take 50 s in all."""
    with Progress(runs(10), "cpu") as bar:
        bar.slots = 2
        bar.open()
        bar.open()
        meter = bar.meter(runs(1)[0])
        meter(0)
        for _ in range(50):
            clock.now += 1
            meter(100)
            if bar.images["TNet/fp32"] % 1_000 == 0:
                bar.finished()
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "training 10 runs, 10,000 images: the time left follows after the first seconds"
    # 10 s and 1,000 images: 90 s of one process are left, on two
    assert lines[1] == "training: 0 of 10 runs done, 10 % of the work, about 45 s left"
    assert lines[-1] == "training: 5 of 10 runs done in 50 s"
    assert all(
        re.fullmatch(r"training: \d of 10 runs done, \d+ % of the work, about \d+ s left", line)
        for line in lines[2:-1]
    )
    assert 4 <= len(lines) <= 8
    assert speed.noted("cpu") == {"TNet/fp32": 100.0}


def test_the_next_sweep_starts_with_the_rate_that_was_noted(cache, clock, capsys):
    speed.note("cpu", {"TNet/fp32": 100.0})
    with Progress(runs(4, "UNet"), "cpu") as bar:
        bar.slots = 2
        bar.open()
    # 4,000 images of UNet at 100 / 12.6 images/s on two processes: 252 s
    assert capsys.readouterr().err.startswith(
        "training 4 runs, 4,000 images: about 4 min at the speed noted on this machine"
    )


def test_work_counts_by_its_cost_and_never_turns_back(cache, clock):
    """A run of TNet and one of UNet: when TNet is done, half the images are, and 1/13.6 of the work."""
    with Progress([*runs(1), *runs(1, "UNet")], "cpu", quiet=False) as bar:
        bar.open()
        bar.set({"TNet/fp32": (1_000, 0, 0.0)})
        bar.due = 0
        bar.tick()
        assert bar.share == pytest.approx(1 / 13.6)
        bar.set(
            {"TNet/fp32": (1_000, 1_000, 10.0), "UNet/fp32": (10, 10, 10.0)}
        )  # UNet turns out to be slower than thought
        bar.due = 0
        bar.tick()
        assert bar.share == pytest.approx(1 / 13.6)
        assert bar.left() == pytest.approx(990)


def test_a_checkpoints_images_are_done_but_not_timed():
    seen = []
    meter = Meter(lambda *counted: seen.append(counted))
    for images in (500, 32, -532, 0, 32):
        meter(images)
    assert [s[:2] for s in seen] == [(500, 0), (32, 32), (-532, 0), (0, 0), (32, 32)]
    assert sum(s[0] for s in seen) == 32


def test_quiet_says_nothing(cache, clock, capsys):
    with Progress(runs(1), "cpu", quiet=True) as bar:
        bar.open()
        clock.now += 100
        bar.meter(runs(1)[0])(100)
        bar.finished()
    assert capsys.readouterr() == ("", "")


def test_something_without_a_bar_says_that_it_goes_on(monkeypatch, capsys):
    monkeypatch.setattr(progress, "FIRST", 0.05)
    monkeypatch.setattr(progress, "EVERY", 0.05)
    with progress.still("building the pairs of x"):
        time.sleep(0.3)
    said = capsys.readouterr().err.splitlines()
    assert len(said) >= 2 and set(said) == {"still building the pairs of x, 1 s"}
    assert said[0].startswith(progress.BEGINNINGS)
    time.sleep(0.1)
    assert capsys.readouterr().err == ""


def test_a_bar_is_shown_where_somebody_can_see_it_move(monkeypatch):
    """In a terminal, and in a notebook that a Jupyter server opened; not in a log, nor in a kernel under
    papermill.
    """
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    monkeypatch.setattr(sys, "stderr", type("Terminal", (), {"isatty": lambda self: True})())
    assert progress.live()
    monkeypatch.setitem(sys.modules, "ipykernel", object())
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    assert not progress.live()
    monkeypatch.setenv("JPY_SESSION_NAME", "/a/notebook.ipynb")
    assert progress.live()


@pytest.mark.parametrize("small", [10**6, 0], ids=["in this process", "in a pool"])
def test_a_sweep_in_a_log_reports_its_runs(cache, tmp_path, monkeypatch, capsys, small):
    monkeypatch.setattr("n2nlib.runs.sweep.SMALL", small)
    monkeypatch.setattr("n2nlib.runs.sweep.cores", lambda: 2)
    monkeypatch.setattr(progress, "FIRST", 0.0)
    monkeypatch.setattr(progress, "GAP", 0.0)
    dataset = open_dataset("bundled", n_train=N, n_val=12)
    good = [RunSpec(dataset.fingerprint, N, 1, seed=i) for i in range(2)]
    bad = RunSpec(dataset.fingerprint, N, 40, lr=0.9)
    with pytest.raises(TrainingError, match="diverged"):
        sweep([*good, bad], {dataset.fingerprint: dataset}, store=RunStore(tmp_path / "store"), device="cpu")
    shown = capsys.readouterr()
    lines = shown.err.splitlines()
    assert shown.out == ""
    assert lines[0].startswith("training 3 runs, 2,688 images: ")
    assert re.fullmatch(r"training: 2 of 3 runs done, 1 failed in .+", lines[-1])
    assert any(
        line.startswith(("training: 1 of 3 runs done", "training: 0 of 3 runs done, 1 failed"))
        for line in lines
    )


def test_an_unreadable_note_is_no_note(cache):
    for text in (
        "",
        "[]",
        "{",
        json.dumps({speed._machine("cpu"): {"TNet/fp32": "fast"}}),
        json.dumps({speed._machine("cpu"): 3}),
    ):
        cache.mkdir(exist_ok=True)
        (cache / "speed.json").write_text(text)
        assert speed.noted("cpu") == {}
        speed.note("cpu", {"TNet/fp32": 5.0})
        assert speed.noted("cpu") == {"TNet/fp32": 5.0}


def test_a_cache_that_cannot_be_written_costs_nothing(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("N2N_CACHE", str(tmp_path / "file" / "cache"))
    speed.note("cpu", {"TNet/fp32": 5.0})
    assert speed.noted("cpu") == {}


def test_an_estimate_without_notes_is_measured_and_noted(cache, monkeypatch):
    """A second of TNet in another process; this one does not load PyTorch for it."""
    monkeypatch.setattr(speed, "cores", lambda: 2)
    code = "import sys; from n2nlib.runs import speed; print(speed.measured('cpu', 'fp32'), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("} False\n")
    monkeypatch.undo()
    monkeypatch.setenv("N2N_CACHE", str(cache))
    rate = speed.noted("cpu")["TNet/fp32"]
    assert 1 < rate < 1e6
    monkeypatch.setattr(speed, "measured", lambda *_: pytest.fail("measured again"))
    monkeypatch.setattr(speed, "cores", lambda: 2)
    assert speed.seconds(runs(4), "cpu") == pytest.approx(4_000 / rate / 2)
    assert speed.seconds(runs(1), "cpu") == pytest.approx(1_000 / rate)  # one run has one core
    assert speed.seconds(runs(1, "UNet"), "cpu") == pytest.approx(12_600 / rate)
    nothing = runs(1, optimiser="never-updated")  # one epoch is computed
    assert speed.seconds(nothing, "cpu") == pytest.approx(nothing[0].n_train / rate)
    assert speed.seconds([], "cpu") == 0


# --- bf16 on a processor without it -------------------------------------------------------------------------


@pytest.fixture
def emulated(monkeypatch):
    monkeypatch.setattr(training, "emulates_bf16", lambda: True)


def test_bf16_is_refused_where_it_is_emulated_before_anything_is_trained(emulated, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "_attempt", lambda *_: pytest.fail("trained"))
    dataset = open_dataset("bundled", n_train=N, n_val=12)
    low = RunSpec(dataset.fingerprint, N, 1, precision="bf16")
    store = RunStore(tmp_path / "store")
    sentence = "1 run to be trained in bf16 .*only emulates.*choose PROFILE=paper .*EMULATE=1"
    with pytest.raises(TrainingError, match=sentence):
        sweep([low, low.replace(precision="fp32")], {dataset.fingerprint: dataset}, store=store, device="cpu")
    with pytest.raises(TrainingError, match=sentence):
        training.train([low], dataset)
    assert not store.folder.exists()


def test_bf16_is_trained_where_somebody_insists_and_shown_everywhere(emulated, tmp_path):
    dataset = open_dataset("bundled", n_train=N, n_val=12)
    low, store = RunSpec(dataset.fingerprint, N, 1, precision="bf16"), RunStore(tmp_path / "store")
    (made,) = sweep([low], {dataset.fingerprint: dataset}, store=store, device="cpu", emulate_bf16=True)
    (shown,) = sweep([low], {dataset.fingerprint: dataset}, store=store, device="cpu")
    assert shown.metrics == made.metrics and shown.arithmetic == "bf16"


def test_other_precisions_are_not_measured(monkeypatch):
    monkeypatch.setattr(training, "emulates_bf16", lambda: pytest.fail("measured"))
    training.refuse_emulated(runs(1), "cpu")
    training.refuse_emulated(runs(1, precision="bf16"), "cuda")


# --- a file system without locks ----------------------------------------------------------------------------


@pytest.fixture
def without_locks(monkeypatch):
    import fcntl

    def put(number):
        def flock(*_):
            raise OSError(number, "No locks available")

        monkeypatch.setattr(fcntl, "flock", flock)

    yield put
    locks._fault.cache_clear()
    say_once.cache_clear()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_named_and_the_run_trained(tmp_path, without_locks, number, capsys):
    without_locks(number)
    dataset = open_dataset("bundled", n_train=N, n_val=12)
    specs = [RunSpec(dataset.fingerprint, N, 1, seed=i) for i in range(2)]
    store = RunStore(tmp_path / "store")
    assert len(sweep(specs, {dataset.fingerprint: dataset}, store=store, device="cpu", quiet=True)) == 2
    assert store.measurement("m", {}, lambda: {"value": 1}) == {"value": 1}
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "has no locks ([Errno" in error and "space" not in error


def test_locks_lock_where_there_are_some(tmp_path):
    from filelock import Timeout

    with locks.lock(tmp_path / "x"), pytest.raises(Timeout):
        FileLock(tmp_path / "x", timeout=0).acquire()
    FileLock(tmp_path / "x", timeout=0).acquire().lock.release()


def test_a_store_that_is_full_still_speaks_of_space(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(locks, "FileLock", full)
    with pytest.raises(StoreError, match="No space left on device.*free some space"):
        RunStore(tmp_path / "store").measurement("m", {}, dict)
