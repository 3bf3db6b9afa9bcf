"""Two layers that are read as one, the conversion of the former form, and what gets into the evidence."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess

import numpy as np
import pytest
import torch

from n2nlib import paths
from n2nlib.__main__ import main
from n2nlib.errors import ReportError, StoreError
from n2nlib.runs import archive, folders
from n2nlib.runs.archive import WEIGHTS
from n2nlib.runs.store import RunStore
from n2nlib.spec import RunSpec, identity
from n2nlib.tools import evidence, pretrained
from n2nlib.training.engine import Trained

SPEC = RunSpec("c" * 16, 64, 1)


@pytest.fixture
def layers(results):
    """A store without runs, and its evidence."""
    return RunStore(), RunStore(paths.evidence())


def trained(spec=SPEC, psnr=20.0, numbers=4, **about):
    weights = {"w": torch.arange(float(numbers))}
    return Trained(spec, weights, [{"epoch": 1, "loss": 0.1}],
                   {"psnr": psnr, "loss": 0.1, "seconds": 1.0}, np.array([psnr]), **about)  # fmt: skip


def as_folders(store: RunStore) -> None:
    """Turn the entries of a store into the former form: a folder per entry, with FINISHED."""
    for file in [*store.folder.glob("runs/*.zip"), *store.folder.glob("measurements/*/*.npz")]:
        members = archive.read_all(file)
        file.unlink()
        folder = file.with_suffix("")
        folder.mkdir()
        for name, content in members.items():
            (folder / name).write_bytes(content)
        seal(folder)
    folders._converted.clear()


def seal(folder) -> None:
    """Write the checksums of a folder in the former form."""
    sums = {f.name: archive.sha256(f.read_bytes()) for f in folder.iterdir() if f.name != "FINISHED"}
    (folder / "FINISHED").write_text(json.dumps({"files": sums}))


# --- two layers -----------------------------------------------------------------------------------


def test_the_local_layer_wins_and_evidence_is_read_where_it_lacks_a_run(layers):
    store, tracked = layers
    tracked.put(trained(psnr=20.0))
    assert store.get(SPEC).metrics["psnr"] == 20.0 and not store.path(SPEC).exists()
    store.put(trained(psnr=21.0))
    assert store.get(SPEC).metrics["psnr"] == 21.0 and [r.metrics["psnr"] for r in store.all()] == [21.0]
    store.path(SPEC).write_bytes(b"damaged")
    assert store.get(SPEC).metrics["psnr"] == 20.0 and list(store.damaged()) == [store.path(SPEC)]
    assert not RunStore(store.folder).has(SPEC)  # one folder alone


def test_what_is_new_goes_to_the_local_layer(layers):
    """The evidence may be read-only: nothing is written there, no lock either."""
    store, tracked = layers
    tracked.put(trained())
    tracked.measurement("m", {}, lambda: {"value": 1})
    before = sorted(tracked.folder.rglob("*"))
    store.put(trained(SPEC.replace(seed=1)))
    assert store.measurement("m", {}, lambda: pytest.fail("measured again")) == {"value": 1}
    assert store.measurement("m", {"n": 1}, lambda: {"value": 2}) == {"value": 2}
    with store.lock(SPEC):
        assert sorted(tracked.folder.rglob("*")) == before
    assert store.names("measurements/m/*.npz")[0].startswith("measurements/m/")
    assert len(store.names("measurements/m/*.npz")) == 2


def test_fresh_never_removes_evidence(layers):
    store, tracked = layers
    for where in layers:
        where.put(trained())
        where.put(trained(SPEC.replace(seed=1)))
        where.measurement("m", {"run": SPEC.id}, lambda: {"value": 1})
    before = {f: f.read_bytes() for f in tracked.folder.rglob("*") if f.is_file()}
    assert store.forget([SPEC], SPEC.dataset) == 2
    assert not store.has(SPEC) and store.has(SPEC.replace(seed=1))
    assert store.measurement("m", {"run": SPEC.id}, lambda: {"value": 2}) == {"value": 2}
    store.put(trained(psnr=22.0))
    assert RunStore().get(SPEC).metrics["psnr"] == 22.0
    assert {f: f.read_bytes() for f in tracked.folder.rglob("*") if f.is_file()} == before
    store.path(SPEC).unlink()
    assert not RunStore().has(SPEC)
    (store.folder / ".superseded").unlink()
    assert RunStore().get(SPEC).metrics["psnr"] == 20.0


# --- the former form ------------------------------------------------------------------------------


def test_a_store_of_folders_is_converted_at_its_first_use(layers, capsys):
    store, _ = layers
    store.put(trained())
    store.measurement("m", {"run": SPEC.id}, lambda: {"value": 1, "arrays": {"x": np.arange(3)}})
    files = {f: f.read_bytes() for p in ("runs/*.zip", "measurements/*/*.npz") for f in store.folder.glob(p)}
    as_folders(store)
    assert not any(f.exists() for f in files)
    store = RunStore()
    assert {f: f.read_bytes() for f in files} == files
    assert not list(store.folder.rglob("FINISHED"))
    assert capsys.readouterr().err == f"{store.folder}: 2 runs and measurements converted to one file each\n"
    RunStore()
    assert capsys.readouterr().err == ""


def test_a_damaged_folder_is_set_aside_by_the_conversion(layers, capsys):
    store, _ = layers
    for seed in range(2):
        store.put(trained(SPEC.replace(seed=seed)))
    as_folders(store)
    folder = store.folder / "runs" / SPEC.id
    shutil.copytree(folder, folder.with_name("e" * 16))  # under another name
    (folder / "metrics.json").write_text("{}")
    store = RunStore()
    assert [run.spec.seed for run in store.all()] == [1]
    assert (store.folder / "set-aside" / "runs" / SPEC.id / "metrics.json").read_text() == "{}"
    assert "1 runs and measurements converted to one file each; 2 damaged ones" in capsys.readouterr().err


def test_nothing_is_removed_where_a_file_is_not_written_as_it_should_be(layers, monkeypatch):
    store, _ = layers
    store.put(trained())
    as_folders(store)
    before = {f: f.read_bytes() for f in store.folder.rglob("*") if f.is_file()}
    monkeypatch.setattr(archive, "pack", lambda members: b"cut off")
    with pytest.raises(StoreError, match="nothing was removed"):
        RunStore()
    after = {f: f.read_bytes() for f in store.folder.rglob("*") if f.is_file()}
    assert before.items() <= after.items()


def test_a_run_in_tf32_on_a_cpu_takes_the_identity_of_fp32(layers):
    """So do measurements that name it, and both keep their numbers and say what they were."""
    store, _ = layers
    old = SPEC.to_dict() | {"precision": "tf32"}
    tf32 = identity(old)
    store.put(trained())
    for name in (tf32, f"shuffled {tf32}"):
        store.measurement(
            "m", {"network": name}, lambda name=name: {"value": name, "arrays": {"x": np.ones(2)}}
        )
    as_folders(store)
    folder = (store.folder / "runs" / SPEC.id).rename(store.folder / "runs" / tf32)
    (folder / "spec.json").write_text(json.dumps(old))
    seal(folder)
    gpu = shutil.copytree(folder, folder.with_name(identity(old | {"seed": 9})))  # a GPU computes in tf32
    (gpu / "spec.json").write_text(json.dumps(old | {"seed": 9}))
    (gpu / "env.json").write_text(json.dumps(json.loads((gpu / "env.json").read_text()) | {"kind": "cuda"}))
    seal(gpu)
    store = RunStore()
    (run,) = store.all()
    assert run.spec == SPEC and run.metrics["psnr"] == 20.0 and run.env["identity"]["was"] == tf32
    assert store.names("runs/*.zip") == sorted([f"runs/{SPEC.id}.zip", f"runs/{gpu.name}.zip"])
    for name in (tf32, f"shuffled {tf32}"):
        inputs = {"network": name.replace(tf32, SPEC.id)}
        found = store.measurement("m", inputs, lambda: pytest.fail("measured again"))
        assert found["value"] == name and found["arrays"]["x"].tolist() == [1, 1]


# --- what gets into the evidence ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "size", "read", "kept"),
    [
        ({"n_train": 2_500_000, "seed": 4}, 170_000, False, True),  # a small network at the paper's size
        ({"n_train": 2_500_000}, 4_000_000, False, True),  # a large one's first seed
        ({"n_train": 2_500_000, "seed": 1}, 4_000_000, True, False),
        ({"n_train": 80_000}, 170_000, True, False),
        ({"n_train": 512}, 4_000_000, True, True),  # the tests' size: what a measurement reads
        ({"n_train": 512}, 170_000, False, False),
        ({"n_train": 512, "loss": "L1"}, 170_000, False, True),  # explore.ipynb reads the first seed
        ({"n_train": 512, "loss": "L1", "seed": 1}, 170_000, False, False),
        ({"n_train": 512, "network": "FiveConvs"}, 68_000, False, True),
    ],
)
def test_weights_are_kept_where_something_reads_them(spec, size, read, kept):
    run = RunSpec("c" * 16, epochs=1, **spec)
    assert evidence.keeps_weights(run, size, {run.id} if read else set()) == kept


def test_weights_that_come_with_the_package_are_kept():
    runs = [run for run in RunStore().all() if run.id in pretrained.RUNS.values()]
    assert len(runs) == 4 and all(evidence.keeps_weights(run.spec, 4_000_000, set()) for run in runs)


def test_add_copies_runs_and_lists_them(layers, capsys):
    store, tracked = layers
    small = SPEC.replace(loss="L1")
    large = RunSpec(
        "c" * 16, 80_000, 1, network="UNet", options={"shared_decoder": True}, augment=["mix", "flip"]
    )
    for spec in (small, large):
        store.put(trained(spec))
    assert main(["evidence", "add", small.id, large.id]) == 0
    assert "2 of 2 entries are new or changed" in capsys.readouterr().out
    assert tracked.get(small).file.read_bytes() == store.get(small).file.read_bytes()
    assert not tracked.get(large).has_weights and store.get(large).has_weights
    assert tracked.get(large).weights_sha256 == store.get(large).weights_sha256
    rows = {row["id"]: row for row in csv.DictReader((tracked.folder / "index.csv").open())}
    assert rows[large.id]["changes"] == "shared_decoder=True augment=flip+mix"
    assert (rows[small.id]["weights"], rows[large.id]["weights"]) == ("kept", "")
    assert rows[large.id]["weights_sha256"] == store.get(large).weights_sha256
    assert rows[small.id]["sha256"] == archive.sha256(tracked.get(small).file.read_bytes())
    assert rows[small.id]["psnr"] == "20.0000" and rows[small.id]["network"] == "TNet"
    assert main(["evidence", "add", small.id, large.id]) == 0
    assert "0 of 2 entries are new or changed" in capsys.readouterr().out
    assert main(["evidence", "check"]) == 0
    assert main(["evidence", "add", "0" * 16]) == 2
    assert f"{'0' * 16}.zip is missing" in capsys.readouterr().err


def test_add_takes_the_runs_of_another_store_in_either_form_and_leaves_it_as_it_is(layers, tmp_path):
    other = RunStore(tmp_path / "other")
    for change in (lambda: None, lambda: as_folders(other)):
        other.put(trained(SPEC.replace(seed=len(list(other.folder.glob("runs/*"))))))
        change()
        before = {f: f.read_bytes() for f in other.folder.rglob("*") if f.is_file()}
        assert main(["evidence", "add", "--from", str(other.folder)]) == 0
        assert {f: f.read_bytes() for f in other.folder.rglob("*") if f.is_file()} == before
    assert [run.spec.seed for run in RunStore(paths.evidence()).all()] in ([0, 1], [1, 0])


def test_a_report_brings_its_runs_and_what_was_measured_of_them(layers):
    from n2nlib.data import open_dataset
    from n2nlib.profiles import profile

    store, _ = layers
    size = profile("smoke")
    fingerprint = open_dataset("bundled", n_train=size.n_train, n_val=size.n_val).fingerprint
    ours, other, elsewhere = (
        size.spec(fingerprint),
        size.spec(fingerprint, precision="bf16"),
        size.spec("d" * 16),
    )
    for spec in (ours, other, elsewhere):
        store.put(trained(spec))
    wanted = [
        {"corpus": fingerprint},
        {"corpus": fingerprint, "run": ours.id},
        {"corpus": fingerprint, "runs": [elsewhere.id], "judged on": "e" * 16},
    ]
    for inputs in (*wanted, {"corpus": fingerprint, "run": other.id}, {"corpus": "e" * 16}):
        store.measurement("m", inputs, dict)
    names = evidence.of_report(store, "bundled-smoke")
    assert sorted(names) == sorted(
        [
            *(archive.measurement_name("m", i) for i in wanted),
            f"runs/{ours.id}.zip",
            f"runs/{elsewhere.id}.zip",
        ]
    )
    with pytest.raises(ReportError, match="unknown report 'bundled-smok': did you mean 'bundled-smoke'"):
        evidence.of_report(store, "bundled-smok")


def test_check_names_what_is_wrong(layers, capsys):
    store, tracked = layers
    store.put(trained())
    main(["evidence", "add", SPEC.id])
    file = tracked.get(SPEC).file
    sound = file.read_bytes()
    (tracked.folder / "runs" / "notes.txt").write_text("mine")
    file.write_bytes(sound[:-1])
    assert main(["evidence", "check"]) == 1
    error = capsys.readouterr().err
    assert "is not a readable archive" in error and "notes.txt does not belong there" in error
    (tracked.folder / "runs" / "notes.txt").unlink()
    file.write_bytes(sound)
    (tracked.folder / "index.csv").write_text("id\n")
    assert main(["evidence", "check"]) == 1
    assert "does not list the stored entries" in capsys.readouterr().err


def test_the_tracked_evidence_is_whole_and_its_index_lists_it():
    root = paths.root() / "results" / "evidence"
    assert evidence.faults(root) == []
    weights = [f for f in root.glob("runs/*.zip") if WEIGHTS in archive.names(f)]
    assert sum(f.stat().st_size for f in root.rglob("*")) < 35e6 and len(weights) < len(
        list(root.glob("runs/*"))
    )


def test_a_local_store_leaves_git_status_clean(tmp_path):
    """By the project's own .gitignore: what a report stores is ignored, what is evidence is not."""
    (tmp_path / ".gitignore").write_bytes((paths.root() / ".gitignore").read_bytes())
    for name in ("store/runs/a.zip", "store/.locks/a", "evidence/runs/b.zip", "bundled-quick/report.html"):
        (tmp_path / "results" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "results" / name).touch()
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    words = ["git", "status", "--porcelain", "--untracked-files=all"]
    shown = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert shown.split() == ["??", ".gitignore", "??", "results/evidence/runs/b.zip"]


def test_keep_retrains_a_run_into_the_local_layer(layers, monkeypatch, capsys):
    from n2nlib.data import open_dataset
    from n2nlib.tools import verify
    from n2nlib.training.engine import train

    store, tracked = layers
    dataset = open_dataset("bundled", n_train=64, n_val=12)
    monkeypatch.setattr(verify, "datasets", lambda names: {dataset.fingerprint: dataset})
    spec = RunSpec(dataset.fingerprint, 64, 1)
    file = tracked.put(train([spec], dataset)[0]).file
    members = archive.read_all(file)
    digest = archive.sha256(members.pop(WEIGHTS))
    file.write_bytes(archive.pack(members, {WEIGHTS: digest}))
    assert main(["verify", spec.id, "--keep"]) == 0
    assert "1 of 1 runs came back" in capsys.readouterr().out
    assert store.get(spec).file == store.path(spec) and store.get(spec).model().training is False
    assert archive.sha256(archive.read(store.path(spec), WEIGHTS)) == digest
    assert main(["verify", "--keep"]) == 2
    assert main(["verify", "0" * 16]) == 2
