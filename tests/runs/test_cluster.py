"""Dask's workers: checked before they train, waited for with a line, and what goes wrong is one sentence
within seconds.

Most clusters here live in this process, so that they start in a second; where something must die, it is a
process.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time

import pytest
from processes import comes_true

from n2nlib.data import open_dataset
from n2nlib.errors import ReportError, StoreError, TrainingError
from n2nlib.runs import cluster, worker_check
from n2nlib.runs.progress import Progress
from n2nlib.runs.store import RunStore
from n2nlib.runs.sweep import sweep
from n2nlib.spec import RunSpec

distributed = pytest.importorskip("dask.distributed", reason="dask is an optional extra")

N = 64
HERE = {"threads_per_worker": 1, "dashboard_address": None, "host": "127.0.0.1"}


@pytest.fixture(scope="module")
def dataset():
    return open_dataset("bundled", n_train=N, n_val=12)


@pytest.fixture
def store(tmp_path):
    return RunStore(tmp_path / "store")


@pytest.fixture
def workers():
    """Return what starts workers in this process; returns their cluster."""
    started = []

    def start(n: int):
        started.append(distributed.LocalCluster(n_workers=n, processes=False, protocol="tcp://", **HERE))
        return started[-1]

    yield start
    for each in started:
        each.close()


@pytest.fixture
def train(store, dataset):
    """Return what trains some runs on a cluster."""

    def on(where, n: int = 1, **changes):
        address = where if isinstance(where, str) else where.scheduler_address
        specs = [RunSpec(dataset.fingerprint, N, changes.get("epochs", 1), seed=i) for i in range(n)]
        return sweep(
            specs, {dataset.fingerprint: dataset}, store=store, device="cpu", executor=f"dask:{address}"
        )

    return on


def nothing_trained(store) -> bool:
    return not (store.folder / "runs").exists() and not list((store.folder / ".cluster").iterdir())


@pytest.fixture
def facts_that(monkeypatch, tmp_path):
    """Change what workers say of themselves: `change` gets the facts and the number of the answer."""
    answers = tmp_path / "answers"
    answers.mkdir()

    def put(change):
        real = worker_check.facts_function()

        def facts(token):  # travels to each worker by value, so that it counts in files
            import itertools

            for n in itertools.count(1):  # a number of its own, also where two answer at once
                try:
                    (answers / str(n)).touch(exist_ok=False)
                except FileExistsError:
                    continue
                return change(real(token), n)

        monkeypatch.setattr(cluster, "facts_function", lambda: facts)

    return put


def test_a_scheduler_without_workers_is_waited_for_with_a_line_and_then_named(
    workers, train, store, monkeypatch, capsys
):
    monkeypatch.setattr(cluster, "WORKER_FIRST", 0.2)
    monkeypatch.setattr(cluster, "WORKER_WAIT", 1.0)
    where = workers(0)
    with pytest.raises(
        ReportError,
        match="no worker of the Dask scheduler at tcp://.* was connected for 1 s: start workers.*0 of 1 runs",
    ):
        train(where)
    line = f"training: waiting for a worker of the scheduler at {where.scheduler_address}; none connected yet"
    assert line in capsys.readouterr().err
    assert nothing_trained(store)


def test_a_worker_that_joins_late_trains(workers, train, monkeypatch, capsys):
    monkeypatch.setattr(cluster, "WORKER_FIRST", 0.2)
    monkeypatch.setattr(cluster, "LOOK", 0.2)
    where = workers(0)
    threading.Timer(1.0, where.scale, (1,)).start()
    assert len(train(where)) == 1
    assert "none connected yet" in capsys.readouterr().err


FAULTS = [
    (
        {"read": False},
        r"worker tcp://.* on .* does not see .*store: it must have the same results folder, on a shared file system",
    ),
    ({"unwritable": "Read-only file system"}, "cannot write to .*store .*Read-only file system"),
    ({"answer": "/elsewhere/token"}, "writes to another .*store than this machine"),
    (
        {"import": "ModuleNotFoundError: No module named 'n2nlib'"},
        "cannot import n2nlib .*install the project there",
    ),
    ({"torch": "1.13"}, "has torch 1.13 where .* is needed"),
    ({"semantics": 99}, "has the training semantics 99 where .* is needed"),
]


@pytest.mark.parametrize(("change", "sentence"), FAULTS, ids=[next(iter(c)) for c, _ in FAULTS])
def test_a_worker_that_cannot_be_used_is_named_before_anything_is_trained(
    workers, train, store, facts_that, change, sentence
):
    facts_that(lambda facts, _: facts | change)
    start = time.monotonic()
    with pytest.raises(cluster.WorkerError, match=sentence):
        train(workers(1), 2)
    assert time.monotonic() - start < 30
    assert nothing_trained(store)


def test_a_worker_of_another_file_system_is_left_out_and_the_other_trains(workers, train, facts_that, capsys):
    facts_that(lambda facts, n: facts | {"read": n > 1})
    assert len(train(workers(2), 3)) == 3
    assert capsys.readouterr().err.count("training: not on this worker: ") == 1


def test_a_worker_that_fails_the_check_in_a_task_costs_no_run(workers, train, facts_that, capsys):
    """As one that joined after the first look: both pass the look, then a task on one finds no token."""
    facts_that(lambda facts, n: facts | {"read": n != 3})
    assert len(train(workers(2), 3)) == 3
    assert capsys.readouterr().err.count("does not see") == 1


def test_the_check_travels_to_a_worker_without_this_library():
    """It is pickled whole, and says there what is missing."""
    from distributed.protocol import pickle

    blob = pickle.dumps(worker_check.facts_function())
    code = f"import pickle, sys; sys.modules['n2nlib'] = None\nprint(pickle.loads({blob!r})('/no/token'))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd="/",
        env={**os.environ, "PYTHONPATH": ""},
    )
    assert re.search(r"'import': .ModuleNotFoundError: .*'read': False", done.stdout), done.stderr


def test_a_store_that_cannot_be_written_is_the_stores_trouble(workers, train, store):
    store.folder.parent.mkdir(exist_ok=True)
    store.folder.write_text("a file where the folder should be")
    with pytest.raises(StoreError, match="cannot be written"):
        train(workers(1))


def test_on_a_full_disk_no_other_run_is_begun(store, dataset, tmp_path):
    """A job that a worker has reported of goes on, one that waits is taken back."""
    specs = [RunSpec(dataset.fingerprint, N, 1, seed=i) for i in range(3)]
    full, taken_back = StoreError("the disk is full"), []

    class Future:
        status = "error"

        def exception(self):
            return full

        def cancel(self):
            taken_back.append(self)

    failed, under_way, waits = Future(), Future(), Future()
    campaign = cluster._Campaign(
        None, "tcp://x", tmp_path, [[s] for s in specs], {dataset.fingerprint: dataset}, store,
        Progress(specs, "cpu", quiet=True), "cpu", False,
    )  # fmt: skip
    campaign.pending, campaign.counted = {under_way: 1, waits: 2}, {1: (0, 0, 0.0)}
    campaign._take(failed, 0)
    assert campaign.errors == [full] and taken_back == [waits] and campaign.pending == {under_way: 1}


def test_an_interrupted_sweep_stops_its_workers(workers, train, store, monkeypatch):
    """The token goes, and the worker notices; the run would have taken hours."""
    where = workers(1)

    def interrupt(self):
        if self.counted:
            raise KeyboardInterrupt

    monkeypatch.setattr(cluster._Campaign, "_show", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(where, epochs=100_000)
    (worker,) = where.workers.values()
    assert comes_true(lambda: not worker.state.executing, 20)
    assert nothing_trained(store)


def test_workers_that_die_three_times_name_the_run(train, store, dataset):
    import dask

    with dask.config.set({"distributed.scheduler.allowed-failures": 0}):
        with distributed.LocalCluster(n_workers=1, **HERE) as where:

            def kill():
                assert comes_true((store.folder / ".locks").exists)
                os.kill(next(iter(where.workers.values())).pid, signal.SIGKILL)

            threading.Thread(target=kill).start()
            with pytest.raises(
                TrainingError,
                match=r"run \w{16} \(TNet, seed 0\) given up: 1 workers died while training, the last at tcp",
            ):
                train(where, epochs=100_000)


SCHEDULER = """
import time
from dask.distributed import LocalCluster
if __name__ == "__main__":
    with LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None, host="127.0.0.1", protocol="tcp://") as c:
        print(c.scheduler_address, flush=True)
        time.sleep(600)
"""


def test_a_scheduler_that_is_stopped_is_noticed_and_the_next_sweep_resumes(train, store, tmp_path, workers):
    """Killed with its worker once the first run is stored: the sentence comes within seconds, and that
    run stays.
    """
    script = tmp_path / "scheduler.py"
    script.write_text(SCHEDULER)
    process = subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    killed = []

    def kill():
        assert comes_true(lambda: any((store.folder / "runs").glob("[0-9a-f]*")), 300)
        process.kill()
        killed.append(time.monotonic())

    try:
        address = process.stdout.readline().strip()
        threading.Thread(target=kill).start()
        with pytest.raises(
            ReportError,
            match=f"the Dask scheduler at {address} was stopped or restarted.*of 4 runs are finished and stored",
        ):
            train(address, 4, epochs=25)
        assert time.monotonic() - killed[0] < 15
    finally:
        process.kill()
        process.wait()
    before = {f: f.stat().st_mtime_ns for f in (store.folder / "runs").glob("*.zip")}
    assert 1 <= len(before) < 4
    assert len(train(workers(1), 4, epochs=25)) == 4
    assert all(f.stat().st_mtime_ns == t for f, t in before.items())


def test_a_scheduler_that_does_not_answer_is_named(workers, monkeypatch, store, train):
    where = workers(1)
    monkeypatch.setattr(cluster, "ANSWER", 0.5)

    async def never(*_, **__):
        import asyncio

        await asyncio.sleep(60)

    monkeypatch.setattr(distributed.Client, "_run", never)
    monkeypatch.setattr(cluster, "CHECK", 0.5)
    with pytest.raises(ReportError, match="does not answer .*look at its log and start again; 0 of 1 runs"):
        train(where)
