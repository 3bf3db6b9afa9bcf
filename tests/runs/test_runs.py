"""The run store believes only what is whole, and the sweep trains only what is missing."""

from __future__ import annotations

import errno
import json
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from processes import comes_true, ended

from n2nlib.data import open_dataset
from n2nlib.device import resolve
from n2nlib.errors import ReportError, StoreError, TrainingError
from n2nlib.runs import archive
from n2nlib.runs.archive import WEIGHTS
from n2nlib.runs.progress import Progress
from n2nlib.runs.store import SUPERSEDED, RunStore
from n2nlib.runs.sweep import GROUP, _on_gpu, groups, sweep
from n2nlib.spec import SEMANTICS, RunSpec, identity
from n2nlib.training.engine import train

N = 64


@pytest.fixture(scope="module")
def dataset():
    return open_dataset("bundled", n_train=N, n_val=12)


@pytest.fixture(scope="module")
def trained(dataset):
    return train([spec(dataset)], dataset)[0]


@pytest.fixture
def store(tmp_path):
    return RunStore(tmp_path / "store")


def spec(dataset, **changes):
    return RunSpec(dataset=dataset.fingerprint, n_train=N, **{"epochs": 1, **changes})


def test_what_goes_in_comes_out(store, dataset, trained):
    store.put(trained)
    run = store.get(spec(dataset))
    np.testing.assert_array_equal(run.psnr, trained.psnr)
    assert run.metrics == trained.metrics
    assert list(run.history["loss"]) == [row["loss"] for row in trained.history]
    assert all(torch.equal(v, trained.weights[k]) for k, v in run.model().state_dict().items())
    assert {"torch", "device", "commit", "seconds"} <= set(run.env)
    assert [r.id for r in store.all()] == [run.id]


def rewrite(file, change) -> None:
    """Replace the members of a stored file by what `change` makes of them, under the sums that they had."""
    members, sums = archive.read_all(file), archive.read(file, archive.SUMS)
    with zipfile.ZipFile(file, "w") as out:
        for name, content in change(members | {archive.SUMS: sums}).items():
            out.writestr(name, content)


@pytest.mark.parametrize("name", sorted(archive.MEMBERS[".zip"]))
def test_an_altered_run_is_never_believed(store, dataset, trained, name):
    """A byte of a member is another one: zip's own checksum finds it, or ours if that was made to fit."""
    file = store.put(trained).file
    content = bytearray(archive.read(file, name))
    content[len(content) // 2] ^= 1
    sound = file.read_bytes()
    for spoil in (
        lambda: file.write_bytes(sound.replace(archive.read(file, name), bytes(content))),
        lambda: rewrite(file, lambda members: members | {name: bytes(content)}),
    ):
        spoil()
        assert not store.has(spec(dataset)) and store.all() == []
        with pytest.raises(StoreError, match=f"altered members .{re.escape(name)}"):
            store.get(spec(dataset))
        assert store.put(trained).metrics == trained.metrics and file.read_bytes() == sound


def test_any_altered_byte_of_the_sums_or_of_the_end_is_seen(store, dataset, trained):
    file = store.put(trained).file
    sound = file.read_bytes()
    for content in (sound[:-1], sound[:1000], b"", sound.replace(b"  metrics.json", b"  metrics.jsoN")):
        file.write_bytes(content)
        assert not store.has(spec(dataset))
        assert len(store.damaged()) == 1


@pytest.mark.parametrize("name", sorted(archive.MEMBERS[".zip"]))
def test_a_run_that_never_had_all_its_members_is_not_there(store, dataset, trained, name):
    """Neither a member that the sums name and the file lacks, but for weights, nor one that both lack."""
    file = store.put(trained).file
    members = {n: c for n, c in archive.read_all(file).items() if n != name}
    file.write_bytes(archive.pack(members))
    with pytest.raises(StoreError, match=f"missing members .{re.escape(name)}"):
        store.get(spec(dataset))
    file.write_bytes(archive.pack(members, {name: "0" * 64}))
    assert store.has(spec(dataset)) == (name == WEIGHTS)


def test_a_run_without_its_weights_says_how_to_get_them(store, dataset, trained):
    file = store.put(trained).file
    members = archive.read_all(file)
    weights = archive.sha256(members.pop(WEIGHTS))
    file.write_bytes(archive.pack(members, {WEIGHTS: weights}))
    run = store.get(spec(dataset))
    assert run.metrics == trained.metrics and run.weights_sha256 == weights and not run.has_weights
    with pytest.raises(StoreError, match=f"weights of run {run.id} .*n2n verify {run.id} --keep"):
        run.model()


def test_the_same_run_is_the_same_bytes_and_a_file_that_other_tools_read(store, trained, tmp_path):
    file = store.put(trained).file
    first = file.read_bytes()
    file.unlink()
    assert store.put(trained).file.read_bytes() == first
    with zipfile.ZipFile(file) as opened:
        assert opened.namelist() == sorted(opened.namelist()) and opened.testzip() is None
        assert {(i.date_time, i.compress_type) for i in opened.infolist()} == {
            (archive.EPOCH, zipfile.ZIP_STORED)
        }
        opened.extractall(tmp_path)
    for line in (tmp_path / archive.SUMS).read_text().splitlines():
        digest, name = line.split("  ")
        assert archive.sha256((tmp_path / name).read_bytes()) == digest


def test_a_file_is_hashed_once_per_process(store, dataset, trained, monkeypatch):
    store.put(trained)
    calls = []
    monkeypatch.setattr(archive, "_digest", lambda *_: calls.append(1))
    archive._fault.cache_clear()
    for _ in range(3):
        store.has(spec(dataset)), store.damaged(), RunStore(store.folder).all()
    assert len(calls) == 6


def test_a_measurement_is_one_file_that_numpy_opens(store):
    made = store.measurement("m", {"a": 1}, lambda: {"value": 1, "arrays": {"x y": np.arange(3)}})
    (file,) = store.folder.glob("measurements/m/*.npz")
    with np.load(file) as opened:
        np.testing.assert_array_equal(opened["x y"], made["arrays"]["x y"])
    assert json.loads(archive.read(file, "inputs.json")) == {"name": "m", "inputs": {"a": 1}}


def test_a_broken_measurement_is_made_again(store):
    for content in (b"", b"PK", archive.pack({"inputs.json": b"{}"})):
        assert store.measurement("m", {}, lambda: {"value": 1}) == {"value": 1}
        next(store.folder.glob("measurements/m/*.npz")).write_bytes(content)


def test_a_full_disk_leaves_nothing_behind(store, trained, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(StoreError, match="No space left on device.*free some space"):
        store.put(trained)
    assert list((store.folder / "runs").iterdir()) == []


def test_identity_is_what_defines_the_run(dataset):
    base = spec(dataset)
    changes = [{"seed": 1}, {"lr": 1e-3}, {"epochs": 2}, {"precision": "bf16"}, {"options": {"dropout": 0.1}},
               {"augment": ("mix",)}, {"network": "UNet"}, {"dataset": "d" * 16}]  # fmt: skip
    ids = {base.id, *(base.replace(**c).id for c in changes)}
    assert len(ids) == 1 + len(changes)
    assert base.replace(lr=5e-4).id == base.id  # a default spelled out is still the default
    assert RunSpec.from_dict(json.loads(json.dumps(base.to_dict()))) == base
    assert hash(base.replace(options={"dropout": 0.1})) == hash(base.replace(options={"dropout": 0.1}))


def test_a_finished_run_is_never_trained_twice(store, dataset, trained, monkeypatch):
    store.put(trained)
    monkeypatch.setattr("n2nlib.training.engine.train", lambda *_, **__: pytest.fail("trained again"))
    run = sweep([spec(dataset)] * 2, {dataset.fingerprint: dataset}, store=store, device="cpu")
    assert [r.metrics["psnr"] for r in run] == [trained.metrics["psnr"]] * 2


def test_processes_give_the_bits_of_one(store, dataset, monkeypatch):
    """Enough runs for a pool of two processes; the same runs in this process end alike."""
    monkeypatch.setattr("n2nlib.runs.sweep.SMALL", 0)
    monkeypatch.setattr("n2nlib.runs.sweep.cores", lambda: 2)
    specs = [spec(dataset, seed=s) for s in range(3)]
    pooled = sweep(specs, {dataset.fingerprint: dataset}, store=store, device="cpu", quiet=True)
    for run, direct in zip(pooled, train(specs, dataset), strict=True):
        assert all(torch.equal(v, direct.weights[k]) for k, v in run.model().state_dict().items())


@pytest.fixture(scope="module")
def cluster():
    distributed = pytest.importorskip("dask.distributed", reason="dask is an optional extra")
    with distributed.LocalCluster(
        2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1"
    ) as running:
        yield running


def test_dask_workers_give_the_same_bits_and_a_killed_one_is_made_up_for(store, dataset, cluster):
    """Two workers; one is killed while the runs are under way, and the runs end as they do in this process."""
    specs = [spec(dataset, seed=s, epochs=15) for s in range(3)]

    killed = []

    def kill_one():
        assert comes_true((store.folder / ".locks").exists)
        killed.append(next(iter(cluster.workers.values())).pid)
        os.kill(killed[0], signal.SIGKILL)

    killer = threading.Thread(target=kill_one)
    killer.start()
    address = cluster.scheduler_address
    made = sweep(
        specs,
        {dataset.fingerprint: dataset},
        store=store,
        device="cpu",
        executor=f"dask:{address}",
        quiet=True,
    )
    killer.join()
    assert killed
    for run, direct in zip(made, train(specs, dataset), strict=True):
        assert all(torch.equal(v, direct.weights[k]) for k, v in run.model().state_dict().items())


def test_dask_hands_back_what_went_wrong(store, dataset, cluster):
    specs = [spec(dataset, lr=0.9, epochs=40), spec(dataset, seed=7)]
    with pytest.raises(TrainingError, match="diverged"):
        sweep(
            specs,
            {dataset.fingerprint: dataset},
            store=store,
            device="cpu",
            executor=f"dask:{cluster.scheduler_address}",
        )
    assert store.has(specs[1]) and not store.has(specs[0])


def test_a_scheduler_that_is_not_there_is_named(store, dataset):
    with pytest.raises(ReportError, match="no Dask scheduler answers at tcp://127.0.0.1:1 "):
        sweep(
            [spec(dataset)],
            {dataset.fingerprint: dataset},
            store=store,
            device="cpu",
            executor="dask:tcp://127.0.0.1:1",
        )


def test_one_failing_run_does_not_take_the_others_along(store, dataset):
    specs = [spec(dataset, lr=0.9, epochs=40), spec(dataset, seed=5)]
    with pytest.raises(TrainingError, match="diverged"):
        sweep(specs, {dataset.fingerprint: dataset}, store=store, device="cpu", quiet=True)
    assert store.has(specs[1]) and not store.has(specs[0])


@pytest.mark.parametrize("small", [10**6, 0], ids=["in this process", "in a pool"])
def test_what_nobody_foresaw_names_its_run_and_costs_no_other(store, dataset, monkeypatch, small):
    """A dataset without pairs fails wherever it is asked for them, with Python's own words for it."""
    monkeypatch.setattr("n2nlib.runs.sweep.SMALL", small)
    monkeypatch.setattr("n2nlib.runs.sweep.cores", lambda: 2)
    datasets = {dataset.fingerprint: dataset, "e" * 16: SimpleNamespace(train=None, val=None)}
    specs = [spec(dataset).replace(dataset="e" * 16), spec(dataset, seed=5)]
    with pytest.raises(
        TrainingError,
        match=f"run {specs[0].id} .*AttributeError: 'NoneType' object has no attribute 'subset'",
    ) as error:
        sweep(specs, datasets, store=store, device="cpu", quiet=True)
    assert type(error.value.__cause__) is AttributeError
    assert store.has(specs[1]) and not store.has(specs[0])


@pytest.mark.parametrize(("small", "begun"), [(10**6, 1), (0, 2)], ids=["in this process", "in a pool"])
def test_on_a_full_disk_no_other_run_is_begun(store, dataset, monkeypatch, small, begun):
    """What is under way ends, what waits is not begun."""
    seen = []

    def full(run, *_):
        seen.append(run)
        raise StoreError("the disk is full")

    for name, stand_in in [
        ("SMALL", small), ("cores", lambda: 2), ("train_here", full), ("_in_worker", full),
        ("ProcessPoolExecutor", lambda workers, *_: ThreadPoolExecutor(workers)),
    ]:  # fmt: skip
        monkeypatch.setattr(f"n2nlib.runs.sweep.{name}", stand_in)
    specs = [spec(dataset, seed=i) for i in range(6)]
    with pytest.raises(StoreError, match="^the disk is full$"):
        sweep(specs, {dataset.fingerprint: dataset}, store=store, device="cpu", quiet=True)
    assert len(seen) == begun


@pytest.fixture
def groups_tried(store, dataset, monkeypatch):
    """Sweep 12 runs as on a GPU, with a training that only raises; return what tells the seeds of each group it was given."""

    def tried(fails) -> tuple[list[list[int]], list[str]]:
        """Return the groups tried and the errors; `fails` takes the group's runs and returns an error or None."""
        seen = []

        def train_here(group, *_):
            seen.append([s.seed for s in group])
            if error := fails(group):
                raise error

        monkeypatch.setattr("n2nlib.runs.sweep.train_here", train_here)
        specs = [spec(dataset, seed=i) for i in range(12)]
        errors = _on_gpu(specs, {dataset.fingerprint: dataset}, store, Progress(specs, "cuda", quiet=True))
        return seen, [str(e) for e in errors]

    return tried


def test_a_run_that_is_known_to_fail_leaves_its_group(groups_tried):
    """One of 12 diverges: the other 11 go on together."""
    seen, errors = groups_tried(
        lambda g: next((TrainingError("diverged", run=s.id) for s in g if s.seed == 7), None)
    )
    assert [len(g) for g in seen] == [12, 11] and 7 not in seen[1]
    assert errors == ["diverged"]


@pytest.mark.parametrize(
    "trouble", [TrainingError("somewhere"), RuntimeError("somewhere"), torch.OutOfMemoryError("somewhere")]
)
def test_a_failing_run_that_is_not_known_is_found_by_halving(groups_tried, trouble):
    """12, 6 and 6, 3 and 3, ...: four levels below the first, and all but the one run are trained in the largest group they can be."""
    seen, errors = groups_tried(lambda g: trouble if any(s.seed == 7 for s in g) else None)
    assert seen == [[*range(12)], [*range(6)], [*range(6, 12)], [6, 7, 8], [6], [7, 8], [7], [8], [9, 10, 11]]
    assert len(errors) == 1
    expected = {
        TrainingError: "somewhere",
        RuntimeError: r"run \w{16} .*RuntimeError: somewhere",
        torch.OutOfMemoryError: "does not fit the GPU's memory",
    }
    assert re.search(expected[type(trouble)], errors[0])


def test_memory_that_holds_three_runs_is_found(groups_tried):
    seen, errors = groups_tried(lambda g: torch.OutOfMemoryError() if len(g) > 3 else None)
    assert [len(g) for g in seen] == [12, 6, 3, 3, 6, 3, 3] and errors == []


@pytest.mark.parametrize("trouble", [StoreError("the disk is full"), ReportError("no photographs")])
def test_trouble_that_is_no_runs_fault_is_met_once(groups_tried, trouble, monkeypatch):
    monkeypatch.setitem(GROUP, "TNet", 4)  # two groups wait
    seen, errors = groups_tried(lambda g: trouble)
    assert [len(g) for g in seen] == [4] and errors == [str(trouble)]


def test_an_impossible_specification_is_named(dataset):
    """So that a group goes on without it."""
    bad = spec(dataset, options={"dropuot": 0.1})
    with pytest.raises(TrainingError, match="did you mean 'dropout'") as error:
        train([spec(dataset), bad], dataset)
    assert error.value.run == bad.id
    assert pickle.loads(pickle.dumps(error.value)).run == bad.id  # it may come from another process


LONG_SWEEP = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell lets what it starts in the background ignore it
from n2nlib.runs import sweep as s
from n2nlib.data import open_dataset
from n2nlib.runs.store import SUPERSEDED, RunStore
from n2nlib.spec import SEMANTICS, RunSpec, identity
if __name__ == '__main__':
    s.SMALL, s.cores = 0, lambda: 2
    c = open_dataset('bundled', n_train={n}, n_val=12)
    specs = [RunSpec(c.fingerprint, {n}, 100_000, seed=i) for i in range({runs})]
    s.sweep(specs, {{c.fingerprint: c}}, store=RunStore({store!r}), device='cpu')
"""


@pytest.fixture
def long_sweep(tmp_path):
    """Start a sweep that would take hours in a process of its own; return it and its children once they are at work."""

    def start(n):
        script = tmp_path / "long_sweep.py"
        script.write_text(LONG_SWEEP.format(n=N, runs=n, store=str(tmp_path / "store")))
        process = subprocess.Popen([sys.executable, str(script)], stderr=subprocess.DEVNULL)
        locks = tmp_path / "store" / ".locks"
        assert comes_true(lambda: locks.exists() and len(list(locks.iterdir())) >= 2, 90)
        listed = subprocess.run(
            ["ps", "--ppid", str(process.pid), "-o", "pid="], capture_output=True, text=True
        )
        children = [int(pid) for pid in listed.stdout.split()]
        assert len(children) >= 3  # two workers and multiprocessing's resource tracker
        return process, children

    return start


def test_a_killed_sweep_leaves_no_process(tmp_path, long_sweep):
    """Kill the parent of two workers: the workers end by themselves."""
    process, children = long_sweep(2)
    process.kill()
    process.wait()
    assert ended(children)
    assert RunStore(tmp_path / "store").all() == []


def test_an_interrupted_sweep_begins_nothing_that_waits(tmp_path, long_sweep):
    process, children = long_sweep(6)
    process.send_signal(signal.SIGINT)
    assert process.wait(120) != 0
    assert ended(children)
    assert len(list((tmp_path / "store" / ".locks").iterdir())) == 2


def test_a_network_of_this_script_trains_in_this_process(store, dataset, monkeypatch):
    """Other processes could not build a class that a notebook defines."""
    from n2nlib.models import NETWORKS, TNet

    class Mine(TNet):
        pass

    Mine.__module__ = "__main__"
    monkeypatch.setitem(NETWORKS, "Mine", Mine)
    monkeypatch.setattr("n2nlib.runs.sweep.SMALL", 0)
    monkeypatch.setattr("n2nlib.runs.sweep.cores", lambda: 2)
    specs = [spec(dataset, network="Mine", seed=s) for s in range(2)]
    assert [
        r.spec for r in sweep(specs, {dataset.fingerprint: dataset}, store=store, device="cpu", quiet=True)
    ] == specs


def test_another_versions_runs_are_passed_over(store, dataset, trained):
    ours = store.put(trained)
    for fields, semantics in (({"colour": "red"}, SEMANTICS), ({}, SEMANTICS + 1)):
        values = ours.spec.to_dict() | fields
        file = ours.file.with_name(f"{identity(values, semantics)}.zip")
        changed = {"spec.json": values, "env.json": ours.env | {"semantics": semantics}}
        members = archive.read_all(ours.file) | {k: json.dumps(v).encode() for k, v in changed.items()}
        file.write_bytes(archive.pack(members))
        assert archive.whole(file)
    assert [run.id for run in store.all()] == [ours.id] and store.damage() == ""


def test_an_entry_under_another_name_is_not_believed(store, dataset, trained, capsys):
    ours, other = store.put(trained), spec(dataset, seed=1)
    shutil.copy(ours.file, store.path(other))
    assert store.has(ours.spec) and not store.has(other) and [run.id for run in store.all()] == [ours.id]
    holds = f"holds another entry (runs/{ours.id}.zip)"
    with pytest.raises(StoreError, match=re.escape(f"{store.path(other)} {holds}: `make report` trains")):
        store.get(other)
    store.put(replace(trained, spec=other))
    assert f"{store.path(other)} {holds}: it was moved to" in capsys.readouterr().err
    aside = store.folder / "set-aside" / "runs" / store.path(other).name
    assert store.get(other).spec == other and aside.exists()


def test_a_measurement_under_another_name_is_not_believed(store):
    inputs = [{"x": x, "by": {10: 0, 9: 0}} for x in range(2)]  # numbers as keys become texts
    for i in inputs:
        assert store.measurement("m", i, lambda: {"value": i["x"]}) == {"value": i["x"]}
    one, two = (store.folder / archive.measurement_name("m", i) for i in inputs)
    other = store.folder / "measurements" / "k" / one.name  # of another kind
    other.parent.mkdir()
    for copy in (two, other):
        shutil.copy(one, copy)
    assert set(store.damaged()) == {two, other}
    fault = f"each of 2 holds another entry (measurements/m/{one.name})"
    damage = f"2 runs or measurements are damaged and not used: {fault}."
    assert damage in store.damage()
    assert [store.measurement("m", i, lambda: {"value": "new"})["value"] for i in inputs] == [0, "new"]


def test_the_list_of_superseded_entries_is_read_once_per_state(tmp_path, monkeypatch):
    evidence = RunStore(tmp_path / "evidence")
    for x in range(2):
        evidence.measurement("m", {"x": x}, lambda: {"value": x})
    store = RunStore(tmp_path / "store")
    store.layers = (store.folder, evidence.folder)
    names = store.names("measurements/*/*.npz")
    calls, read = [], Path.read_text
    monkeypatch.setattr(Path, "read_text", lambda *a, **k: (calls.append(1), read(*a, **k))[1])
    for gone in (names[:1], names):
        (store.folder / SUPERSEDED).parent.mkdir(exist_ok=True)
        (store.folder / SUPERSEDED).write_text("".join(f"{name}\n" for name in gone))
        assert store.names("measurements/*/*.npz") == sorted(set(names) - set(gone))
    assert len(calls) == 2


def test_a_measurement_is_made_once_by_two_who_want_it(store):
    """The second waits for the first, and finds it done."""
    calls, begun = [], threading.Event()

    def compute():
        calls.append(1)
        begun.set()
        time.sleep(0.3)
        return {"value": len(calls), "arrays": {"x": np.arange(3)}}

    found = []
    each = [
        threading.Thread(target=lambda: found.append(store.measurement("m", {}, compute))) for _ in range(2)
    ]
    each[0].start()
    begun.wait(10)
    each[1].start()
    for thread in each:
        thread.join(10)
    assert (
        len(calls) == 1
        and [f["value"] for f in found] == [1, 1]
        and all(len(f["arrays"]["x"]) == 3 for f in found)
    )


def test_unknown_names_say_so(store, dataset):
    with pytest.raises(ReportError, match="unknown device 'gpu'"):
        resolve("gpu")
    with pytest.raises(ReportError, match="unknown executor 'dusk'"):
        sweep([spec(dataset)], {}, executor="dusk", store=store)
    with pytest.raises(TrainingError, match="needs the dataset"):
        sweep([spec(dataset)], {}, store=store, device="cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_asked_for():
    with pytest.raises(ReportError, match="there is no GPU that the installed PyTorch can use"):
        resolve("cuda")


def test_groups_hold_runs_that_can_share_a_graph(dataset):
    specs = [spec(dataset, seed=i) for i in range(15)] + [
        spec(dataset, network="UNet", seed=i) for i in range(7)
    ]
    specs += [spec(dataset, epochs=2), spec(dataset, optimiser="never-updated")]
    found = groups(specs)
    assert sorted(len(g) for g in found) == [1, 1, 2, 3, 5, 12]
    assert all(len({(s.network, s.epochs, s.optimiser) for s in g}) == 1 for g in found)
    assert {s for g in found for s in g} == set(specs)


def test_a_measurement_is_made_once(store):
    calls = []

    def compute():
        calls.append(1)
        return {"auc": np.float64(0.75), "arrays": {"curve": np.arange(3.0)}}

    for _ in range(2):
        found = store.measurement("saliency/auc", {"run": "abc", "n": 3}, compute)
        assert found["auc"] == 0.75
        np.testing.assert_array_equal(found["arrays"]["curve"], [0, 1, 2])
    assert len(calls) == 1
    store.measurement("saliency/auc", {"run": "abc", "n": 4}, compute)
    assert len(calls) == 2
    assert all(archive.whole(f) for f in (store.folder / "measurements" / "saliency" / "auc").iterdir())


def test_epochs_are_told_by_runs_that_train_in_this_process(dataset, store):
    """Two short runs with a listener; a run that is stored is not trained, so it tells nothing."""
    specs, told = [spec(dataset, seed=i, epochs=2) for i in range(2)], []
    listen = {"on_epoch": lambda s, row: told.append((s.seed, row["epoch"]))}
    runs = sweep(specs, {dataset.fingerprint: dataset}, device="cpu", store=store, quiet=True, **listen)
    assert sorted(told) == [(0, 1), (0, 2), (1, 1), (1, 2)]
    assert [run.history["epoch"].tolist() for run in runs] == [[1, 2], [1, 2]]
    sweep(specs, {dataset.fingerprint: dataset}, device="cpu", store=store, quiet=True, **listen)
    assert len(told) == 4
