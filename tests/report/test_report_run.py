"""The chain, end to end on small chapters: what is made, what is not made twice, and what happens when something is wrong."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from fake_chapters import chapter, notebook, write
from filelock import FileLock
from processes import comes_true, ended

from n2nlib import paths
from n2nlib.__main__ import main
from n2nlib.data import open_dataset
from n2nlib.errors import ReportError
from n2nlib.experiments import with_seeds
from n2nlib.owners import own
from n2nlib.profiles import profile
from n2nlib.report import live, plan, run
from n2nlib.report.provenance import provenance
from n2nlib.runs import archive
from n2nlib.runs.store import RunStore
from n2nlib.runs.sweep import sweep
from n2nlib.tools import clean
from n2nlib.training.replica import Trained

FAILS = ("code", "values = {}\nraise ReportError('there is no such thing: choose another.')")


@pytest.fixture
def two(fake_report, tmp_path, monkeypatch):
    """A report of two chapters without figures, and without rendering."""
    (tmp_path / "notebooks" / "02_networks.ipynb").unlink()
    write(tmp_path / "notebooks", "01_data", chapter("Data", ("code", "print(dataset, profile, device)")))
    monkeypatch.setattr("n2nlib.report.render.render", lambda settings, keep: [])
    return fake_report


def test_a_report_is_made_once(fake_report, capsys):
    assert run.make(fake_report)
    folder = fake_report.folder
    assert {p.name for p in folder.glob("*.*") if not p.name.startswith(".")} == {
        "report.html",
        "report.pdf",
        "state.json",
    }
    assert {p.name for p in (folder / "notebooks").iterdir()} == {
        "01_data.ipynb",
        "02_networks.ipynb",
        "07_report.ipynb",
    }
    assert {p.name for p in fake_report.figures.iterdir()} == {
        f"{n}.{s}" for n in ("psnr", "curves") for s in ("pdf", "png")
    }
    steps = plan.Build(fake_report).made
    assert "tables/models.csv" in steps["02_networks"]["outputs"]
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[-3:]] == ["07_report", "report.html", "done:"]
    assert len(lines) == 6  # one a step

    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file() and p.name != ".lock"}
    start = time.monotonic()
    assert not run.make(fake_report)
    assert time.monotonic() - start < 5
    assert before == {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file() and p.name != ".lock"}


def test_a_failing_cell_names_chapter_and_cell_and_leaves_nothing(two, tmp_path):
    write(tmp_path / "notebooks", "02_bad", chapter("Bad", FAILS))
    with pytest.raises(ReportError) as error:
        run.make(two)
    assert (
        "chapter 02_bad stopped in cell 'cell-3' (`values = {}`):\n  ReportError: there is no such thing: choose another."
        in str(error.value)
    )
    assert not two.file("notebooks/02_bad.ipynb").exists()
    assert two.file("notebooks/02_bad.failed.ipynb").exists()
    assert "07_report" not in plan.Build(two).made  # it would have read what is not there
    assert {name for name, reason in plan.Build(two).steps().items() if reason} >= {
        "02_bad",
        "07_report",
        "report",
    }

    write(tmp_path / "notebooks", "02_bad", chapter("Mended"))
    run.make(two)
    assert (
        two.file("notebooks/02_bad.ipynb").exists() and not two.file("notebooks/02_bad.failed.ipynb").exists()
    )


TAGGED = ("code", "values = {}\nvalues['absent']", ["raises-exception"])


def test_a_cell_that_is_meant_to_fail_stops_nothing_and_sys_exit_does(tmp_path, kernels, capfd):
    """The cell that is named is the reader's, and papermill's own cells are gone."""
    ends = chapter("X", TAGGED, ("code", "import sys\nsys.exit()"), ("code", "print('after')"))
    path, part = write(tmp_path, "08_mine", ends), tmp_path / "part.ipynb"
    told = "cell 'cell-4' (`import sys`):\n  SystemExit: the cells below it were not executed"
    assert run._execute(path, part, {})[1] == told
    assert [c["id"] for c in json.loads(part.read_text())["cells"]] == [f"cell-{i}" for i in range(6)]

    shown = ("code", "import os\nprint(os.environ['N2N_NOTEBOOK'])")
    path = write(tmp_path, "08_mine", notebook(("code", "dataset = ''", ["parameters"]), TAGGED, shown))
    capfd.readouterr()
    assert run._execute(path, part, {"dataset": "bundled", "train": True, "device": "cpu"})[1] is None
    assert capfd.readouterr().err == (
        "08_mine.ipynb: no cell tagged `parameters` sets train, device, so that this report cannot: "
        "add them as in docs/chapter.md\n"
    )
    *_, tagged, last = json.loads(part.read_text())["cells"]
    assert [(o["output_type"], o["ename"]) for o in tagged["outputs"]] == [("error", "KeyError")]
    assert "".join(last["outputs"][0]["text"]) == f"{path}\n" and "N2N_NOTEBOOK" not in os.environ


def test_a_chapter_that_is_executed_again_may_have_lost_a_table_to_another(fake_report, monkeypatch):
    class Begun(Exception):
        pass

    def begin(workers):
        raise Begun

    monkeypatch.setattr(run, "_pool", begin)
    own(fake_report.folder, "table x", "01_data")
    with pytest.raises(Begun):
        run.execute(plan.Build(fake_report), ["02_networks"])
    with pytest.raises(ReportError, match="chapter 02_networks makes table x, and so does chapter 01_data"):
        own(fake_report.folder, "table x", "02_networks")
    with pytest.raises(Begun):
        run.execute(plan.Build(fake_report), ["01_data", "02_networks"])
    own(fake_report.folder, "table x", "02_networks")


@pytest.fixture
def kernels(monkeypatch):
    """Let this process find the project's kernel, and the kernel this library."""
    run.kernel.install()
    for name, value in run.kernel.environment().items():
        monkeypatch.setenv(name, value)


def test_chapters_that_wait_behind_a_failing_one_are_not_begun(two, tmp_path, monkeypatch):
    """Six chapters on one process, the first fails: no other is begun, and the call ends."""
    monkeypatch.setattr(run, "SIDE_BY_SIDE", 1)
    for i in range(6):
        write(tmp_path / "notebooks", f"0{i}_x", chapter("X", FAILS) if i == 0 else chapter("X"))
    with pytest.raises(ReportError, match="chapter 00_x stopped"):
        run.make(two)
    assert sorted(p.name for p in (two.folder / "notebooks").iterdir()) == ["00_x.failed.ipynb"]


def test_a_gpu_that_is_not_there_is_one_sentence(capsys, monkeypatch):
    monkeypatch.setattr("n2nlib.device._gpus", lambda: 0)
    assert main(["report", "--device", "cuda", "--profile", "smoke"]) == 2
    assert "there is no GPU" in capsys.readouterr().err


def test_a_kernel_that_dies_is_a_sentence(two, tmp_path):
    write(tmp_path / "notebooks", "02_bad", chapter("Bad", ("code", "import os\nos.kill(os.getpid(), 9)")))
    with pytest.raises(ReportError, match="02_bad stopped in its kernel, which died"):
        run.make(two)


def test_a_kernel_that_does_not_start_is_a_sentence_that_names_the_chapter(two, tmp_path, monkeypatch):
    """One that takes longer than it may, and one that ends at once."""
    assert run.START_SECONDS >= 600
    for code, reason in (("import time; time.sleep(100)", "didn't respond"), ("raise SystemExit(3)", "died")):
        spec = {
            "argv": [sys.executable, "-c", code, "{connection_file}"],
            "display_name": "n2n",
            "language": "python",
        }
        folder = tmp_path / "jupyter" / "kernels" / "n2n"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "kernel.json").write_text(json.dumps(spec))
        monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
        monkeypatch.setattr(run, "START_SECONDS", 3)
        seconds, failure = run._execute(tmp_path / "notebooks" / "01_data.ipynb", tmp_path / "part.ipynb", {})
        assert re.search(f"its kernel, which did not start .*{reason}.*Start again", failure), failure


def test_long_chapters_say_that_they_go_on_and_what_they_train(two, tmp_path, monkeypatch, capfd):
    """Lines of progress on a chapter's stderr reach the terminal with its name; all else there stays in
    the notebook.
    """
    monkeypatch.setattr(run, "EVERY", 0.5)
    code = (
        "import sys, time\n"
        "print('training 3 runs, 768 images: about 9 s', file=sys.stderr, flush=True)\n"
        "print('a warning of a library', file=sys.stderr, flush=True)\n"
        "time.sleep(1.5)"
    )
    write(tmp_path / "notebooks", "02_slow", chapter("Slow", ("code", code)))
    run.make(two)
    error = capfd.readouterr().err.splitlines()
    assert "executing 2 chapters, 2 at a time" in error
    assert "02_slow: training 3 runs, 768 images: about 9 s" in error
    assert any(
        re.search(r"^still executing .*02_slow, \d+ s.* \(\d of 2 chapters done\)$", line) for line in error
    )
    assert not [line for line in error if "a warning of a library" in line]
    run.make(two, only="02_slow")
    assert any(
        "about" in line and "by the times of before" in line for line in capfd.readouterr().err.splitlines()
    )


def test_fresh_removes_nothing_where_its_runs_would_be_refused(two, monkeypatch):
    """bf16 on a processor that emulates it: the sentence comes before the stored runs go."""
    monkeypatch.setattr("n2nlib.training.engine.emulates_bf16", lambda: True)
    low = plan.profiles.profile("smoke").spec(two.opened.fingerprint, precision="bf16")
    monkeypatch.setattr(plan.Build, "wanted", [low])
    RunStore().put(Trained(low, {}, [{"epoch": 1}], {"psnr": 20.0, "seconds": 1.0}, np.array([20.0])))
    with pytest.raises(ReportError, match="only emulates.*choose PROFILE=paper"):
        run.make(two, fresh=True)
    assert RunStore().has(low)
    trained = []
    monkeypatch.setattr(run, "train", lambda *arguments: trained.append(arguments[-1]))
    monkeypatch.setattr(run, "execute", lambda *_: None)
    run.make(two, fresh=True, emulate_bf16=True)
    assert trained == [True] and not RunStore().has(low)


DRIVER = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell lets what it starts in the background ignore it
import sys
sys.path.insert(0, {tests!r})
import fake_chapters
from n2nlib.report import live, plan, run
from n2nlib.report.provenance import provenance
from n2nlib.__main__ import main
plan.Settings.opened = fake_chapters.opened()
plan.Build.wanted = []
run.SIDE_BY_SIDE = {side_by_side}
if __name__ == "__main__":
    sys.exit(main(["report", "--profile", "smoke", "--device", "cpu"]))
"""

#: Says which processes execute it, the kernel and the one that started it, and goes on as long as the file
#: is there.
SLOW = """
import os, time
from pathlib import Path
slow = Path({slow!r})
slow.with_name("executed by").write_text(f"{{os.getpid()}} {{os.getppid()}}")
while slow.exists():
    time.sleep(0.1)
"""


@pytest.fixture
def slow_report(fake_report, tmp_path):
    """Return what starts a report in a process group of its own, of which a chapter goes on until the file `slow` is gone."""
    slow = tmp_path / "slow"
    slow.touch()
    code = SLOW.format(slow=str(slow))

    def start(name: str, side_by_side: int) -> subprocess.Popen:
        write(tmp_path / "notebooks", name, chapter("Slow", ("code", code)))
        driver = tmp_path / "driver.py"
        driver.write_text(DRIVER.format(tests=str(Path(__file__).parents[1]), side_by_side=side_by_side))
        with (tmp_path / "stderr").open("w") as stderr:
            return subprocess.Popen([sys.executable, driver], start_new_session=True, stderr=stderr)

    yield start
    slow.unlink(missing_ok=True)


def later(folder: Path) -> None:
    """Write a second chapter, which leaves the file `begun`."""
    write(
        folder / "notebooks",
        "02_networks",
        chapter("Later", ("code", f"open({str(folder / 'begun')!r}, 'w').close()")),
    )


def executed_by(folder: Path) -> list[int]:
    """Wait until the slow chapter is being executed; return the processes that do it."""
    file = folder / "executed by"
    assert comes_true(lambda: file.exists() and len(file.read_text().split()) == 2)
    return [int(pid) for pid in file.read_text().split()]


def test_a_killed_report_goes_on_where_it_was(fake_report, tmp_path, slow_report):
    child = slow_report("02_networks", side_by_side=2)
    assert comes_true(lambda: "01_data" in plan.Build(fake_report).made)
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    (tmp_path / "slow").unlink()
    first = fake_report.file("notebooks/01_data.ipynb")
    made = first.stat().st_mtime_ns
    assert not fake_report.file("notebooks/02_networks.ipynb").exists()

    assert run.make(fake_report)
    assert first.stat().st_mtime_ns == made  # not executed again
    assert fake_report.file("report.pdf").exists()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_report_ends_soon_and_begins_no_chapter(tmp_path, slow_report, number, status):
    """In the first of several chapters. A terminal's Ctrl-C reaches the whole process group."""
    later(tmp_path)
    child = slow_report("01_data", side_by_side=1)
    processes = executed_by(tmp_path)
    (os.killpg if number == signal.SIGINT else os.kill)(child.pid, number)
    assert child.wait(10) == status
    error = (tmp_path / "stderr").read_text()
    assert (
        error.endswith("\nstopped; the next `make report` resumes from here\n") and "Traceback" not in error
    )
    assert ended(processes, seconds=10)
    assert not (tmp_path / "begun").exists()


def test_a_report_killed_alone_leaves_no_process_and_begins_no_chapter(tmp_path, slow_report):
    """The process that executes the first of several chapters, and its kernel, end by themselves."""
    later(tmp_path)
    child = slow_report("01_data", side_by_side=1)
    processes = executed_by(tmp_path)
    child.kill()
    child.wait()
    assert ended(processes, seconds=10)
    assert not (tmp_path / "begun").exists()


def test_two_reports_do_not_work_in_one_folder(fake_report):
    fake_report.folder.mkdir(parents=True)
    with (
        FileLock(fake_report.folder / ".lock"),
        pytest.raises(ReportError, match="another `make report` is at work"),
    ):
        run.make(fake_report)


def test_parameters_reach_the_chapters_and_asking_for_one_executes_it_again(two):
    run.make(two)
    printed = json.loads(two.file("notebooks/01_data.ipynb").read_text())["cells"]
    assert any(
        "bundled smoke cpu" in "".join(o.get("text", "")) for c in printed for o in c.get("outputs", [])
    )
    made = {name: two.file(f"notebooks/{name}.ipynb").stat().st_mtime_ns for name in ("01_data", "07_report")}
    assert run.make(two, only="07_report")
    assert two.file("notebooks/01_data.ipynb").stat().st_mtime_ns == made["01_data"]
    assert two.file("notebooks/07_report.ipynb").stat().st_mtime_ns > made["07_report"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--profile", "smoky"], "unknown profile 'smoky': did you mean 'smoke'?"),
        (["--device", "gpu"], "unknown device 'gpu'"),
        (["--chapter", "9"], "unknown chapter '9'"),
        (["--executor", "lokal", "--profile", "smoke"], "unknown executor 'lokal': did you mean 'local'?"),
    ],
)
def test_what_the_caller_got_wrong_is_one_sentence(fake_report, capsys, arguments, sentence):
    assert main(["report", *arguments]) == 2
    error = capsys.readouterr().err
    assert sentence in error and error.count("\n") == 1


def test_an_unknown_dataset_is_one_sentence(tmp_path, results, monkeypatch, capsys):
    monkeypatch.setenv("N2N_ROOT", str(tmp_path))
    write(tmp_path / "notebooks", "01_data", notebook())
    assert main(["report", "--dataset", "bundle", "--profile", "smoke"]) == 2
    assert "unknown dataset 'bundle': did you mean 'bundled'?" in capsys.readouterr().err


def test_plan_prints_chapters_reasons_and_missing_runs(fake_report, monkeypatch, capsys):
    runs = [plan.profiles.profile("quick").spec("f" * 16, seed=seed) for seed in range(12)]
    monkeypatch.setattr(plan.Build, "wanted", runs)
    assert main(["plan", "--profile", "smoke"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(maxsplit=1) for line in lines[:-1]] == [
        [n, "never made"] for n in ("01_data", "02_networks", "07_report", "report")
    ]
    assert re.fullmatch(
        r"12 training runs missing, about \d+ \w+.* \(an estimate from the speed measured on this machine\)",
        lines[-1],
    )


def test_planning_needs_no_torch(fake_report):
    """The quick answer of a second `make report` must not wait seconds for an import."""
    code = "import sys, n2nlib.report.run, n2nlib.report.plan, n2nlib.device, n2nlib.data; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_clean_leaves_runs_what_git_tracks_and_what_is_not_ours(fake_report, tmp_path, monkeypatch, capsys):
    cached = (
        "datasets/0123456789abcdef/train/a.npy",
        f"folders/{'0' * 32}.json",
        "imagenet-sample/n01440764_a.JPEG",
    )
    for name in (
        *(
            f"{report}/file"
            for report in ("store/runs/a", "bundled-quick", "bundled-paper", "thesis", "cache/other")
        ),
        *(f"cache/{name}" for name in cached),
        "cache/folders/mine.json",
        "cache/datasets/0123456789abcdef/train/labels.npy",
    ):
        (paths.results() / name).parent.mkdir(parents=True, exist_ok=True)
        (paths.results() / name).touch()
    monkeypatch.setenv("N2N_CACHE", str(paths.results() / "cache"))
    git = ["git", "-c", "init.defaultBranch=main"]
    subprocess.run([*git, "init", "-q", tmp_path], check=True)
    subprocess.run([*git, "-C", tmp_path, "add", paths.results() / "bundled-paper"], check=True)
    assert main(["clean"]) == 0
    left = sorted(
        p.relative_to(paths.results()).as_posix() for p in paths.results().rglob("*") if p.is_file()
    )
    assert left == [
        "bundled-paper/file",
        "cache/datasets/0123456789abcdef/train/labels.npy",
        "cache/folders/mine.json",
        "cache/other/file",
        "store/runs/a/file",
        "thesis/file",
    ]
    assert not (paths.results() / "cache/imagenet-sample").exists()
    assert capsys.readouterr().out.splitlines() == [
        f"removed {paths.results() / 'bundled-quick'}",
        *(
            f"removed the cached files of {paths.cache() / name}"
            for name in ("datasets", "imagenet-sample", "folders")
        ),
        "removed 1 of 2 reports and folders of figures; stored runs and what comes with the project stay",
    ]


def test_clean_knows_what_comes_with_the_project(tmp_path, monkeypatch, capsys):
    """In an archive git cannot say it; the list is that of the checkout."""
    tracked = subprocess.run(
        ["git", "ls-files", "results", "figures"], cwd=paths.root(), capture_output=True, text=True
    )
    if tracked.returncode == 0:
        reports = {name.split("/")[1] for name in tracked.stdout.splitlines()}
        assert {name for name in reports if clean.REPORT.fullmatch(name)} == set(clean.SHIPPED)
    monkeypatch.setenv("N2N_ROOT", str(tmp_path))
    monkeypatch.delenv("N2N_RESULTS")
    monkeypatch.delenv("N2N_CACHE", raising=False)
    shipped = [f"results/{clean.SHIPPED[1]}", f"results/{clean.SHIPPED[0]}", f"figures/{clean.SHIPPED[0]}"]
    for name in (*shipped, "results/bundled-quick", "figures/bundled-quick"):
        (tmp_path / name).mkdir(parents=True)
    assert main(["clean"]) == 0 and "removed 2 of 5 reports" in capsys.readouterr().out
    assert all((tmp_path / name).exists() for name in shipped)


def test_clean_removes_nothing_when_git_cannot_say_what_is_tracked(
    fake_report, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("N2N_CACHE", str(tmp_path / "cache"))
    (paths.results() / "bundled-quick").mkdir(parents=True)
    (tmp_path / ".git").write_text("no repository")
    assert main(["clean"]) == 0
    assert (paths.results() / "bundled-quick").exists() and "removed 0 of 1" in capsys.readouterr().out


def test_fresh_forgets_this_report_alone(results, monkeypatch):
    """Two profiles share a dataset: what the other one trained and measured stays.

    What names a run of ours goes, on any dataset.
    """
    settings = plan.Settings("bundled", "smoke", "cpu")
    store, fingerprint = RunStore(), settings.opened.fingerprint
    ours, other = plan.Build(settings).wanted[0], plan.Build(settings).wanted[0].replace(precision="bf16")
    for spec in (ours, other):
        store.put(Trained(spec, {}, [{"epoch": 1}], {"psnr": 20.0, "seconds": 1.0}, np.array([20.0])))
        for name, dataset in (("psnr", fingerprint), ("transfer", "0" * 16)):
            store.measurement(name, {"corpus": dataset, "run": spec.id}, dict)
            store.measurement(name, {"corpus": dataset, "network": f"shuffled {spec.id}"}, dict)
    store.measurement("noise", {"corpus": fingerprint}, dict)
    store.measurement("noise", {"corpus": "0" * 16, "strength": 0.1234567890123456}, dict)
    store.checkpoints.mkdir()
    (store.checkpoints / f"{ours.id}.cpu.ckpt").touch()
    run.forget(plan.Build(settings))
    assert not store.has(ours) and store.has(other)
    kept = [json.loads(archive.read(f, "inputs.json")) for f in store.folder.glob("measurements/*/*.npz")]
    shown = sorted((k["name"], k["inputs"].get("run") or k["inputs"].get("network", "")) for k in kept)
    assert shown == [
        ("noise", ""),
        *((n, r) for n in ("psnr", "transfer") for r in sorted([other.id, f"shuffled {other.id}"])),
    ]
    assert list(store.checkpoints.iterdir()) == []


@pytest.mark.parametrize("cut_off", ["while it removes", "while it trains"])
def test_fresh_that_is_interrupted_is_mended_by_the_next_report(two, monkeypatch, cut_off):
    executed = []

    def execute(build, names):
        for name in names:
            build.record(name, build.inputs(name), [], 1.0)
            executed.append(name)

    monkeypatch.setattr(run, "execute", execute)
    run.make(two)
    spec = plan.profiles.profile("smoke").spec(two.opened.fingerprint)
    finished = Trained(spec, {}, [{"epoch": 1}], {"psnr": 20.0, "seconds": 1.0}, np.array([20.0]))
    monkeypatch.setattr(plan.Build, "wanted", [spec])
    RunStore().put(finished)

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(run, "train", interrupted)
        if cut_off == "while it removes":
            patch.setattr(RunStore, "forget", interrupted)
        run.make(two, fresh=True)
    assert RunStore().has(spec) == (cut_off == "while it removes")
    assert set(plan.Build(two).steps().values()) == {"FRESH=1 was not finished"}

    monkeypatch.setattr(run, "train", lambda *_: RunStore().put(finished))
    assert run.make(two)
    assert RunStore().has(spec) and executed == ["01_data", "07_report"] * 2
    assert not run.make(two)


@pytest.mark.parametrize("command", ["report", "plan"])
def test_fresh_without_training_would_only_destroy(fake_report, capsys, command):
    assert main([command, "--profile", "smoke", "--fresh", "--no-train"]) == 2
    assert "FRESH=1 retrains and TRAIN=0 forbids it" in capsys.readouterr().err


def test_relative_paths_mean_the_same_in_every_process(results, tmp_path, monkeypatch):
    """Chapters run in another folder than `make`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("N2N_PHOTOS", "photos")
    seen = []
    monkeypatch.setattr("n2nlib.report.run.make", lambda settings, *_: seen.append(settings.dataset))
    monkeypatch.setattr(plan.Settings, "opened", None)
    assert main(["report", "--dataset", "folder:my photos", "--profile", "smoke", "--device", "cpu"]) == 0
    assert seen == [f"folder:{tmp_path}/my photos"] and os.environ["N2N_PHOTOS"] == f"{tmp_path}/photos"


def test_folders_of_one_name_have_reports_of_their_own():
    a, b = (paths.report(f"folder:{where}/photos", "quick").name for where in ("/a", "/b"))
    assert a != b and a.startswith("folder-photos-") and a.endswith("-quick")


def test_a_results_folder_that_cannot_be_written_is_one_sentence(fake_report, tmp_path, monkeypatch, capsys):
    (tmp_path / "file").touch()
    monkeypatch.setenv("N2N_RESULTS", str(tmp_path / "file" / "results"))
    assert main(["report", "--profile", "smoke"]) == 2
    error = capsys.readouterr().err
    assert error == (
        f"error: {tmp_path / 'file' / 'results' / 'bundled-smoke'} cannot be written (Not a directory): free some "
        "space, check the permissions, or set N2N_RESULTS to a folder elsewhere.\n"
    )


def test_a_search_made_meanwhile_makes_its_chapter_stale(results):
    settings = plan.Settings("bundled", "smoke", "cpu")
    before = plan.Build(settings).inputs("06_beyond")
    (paths.store() / "search").mkdir(parents=True)
    (paths.store() / "search" / "x.csv").write_text("state\n")
    after = plan.Build(settings).inputs("06_beyond")
    assert {k for k in after if after[k] != before[k]} == {"the searches that were made"}
    assert "the searches that were made" not in plan.Build(settings).inputs("01_data")


@pytest.mark.parametrize(
    ("arguments", "gpu", "photographs", "chosen"),
    [
        ([], False, False, ("imagenet-sample", "paper-bf16", False, True)),
        (["--no-train"], False, True, ("imagenet-sample", "paper-bf16", False, False)),
        (["--fresh"], False, True, ("imagenet-sample", "paper-bf16", True, False)),
        (["--profile", "quick"], False, True, ("bundled", "quick", True, False)),
        (["--dataset", "imagenet-sample"], False, True, ("imagenet-sample", "quick", True, False)),
        ([], True, True, ("imagenet-sample", "paper", True, False)),
        ([], True, False, ("bundled", "paper", True, False)),
        (["--profile", "quick"], True, True, ("bundled", "quick", True, False)),
    ],
)
def test_the_default_is_what_serves_on_this_machine(monkeypatch, arguments, gpu, photographs, chosen):
    seen = []
    monkeypatch.setattr("n2nlib.device.resolve", lambda device: "cuda" if gpu else "cpu")
    monkeypatch.setattr("n2nlib.data.Dataset.at_hand", photographs)
    monkeypatch.setattr("n2nlib.report.run.make", lambda settings, *_: seen.append(settings) or True)
    assert main(["report", *arguments]) == 0
    assert [(s.dataset, s.profile, s.train, s.check) for s in seen] == [chosen]


def test_the_live_check_trains_a_stored_run_again_and_says_how_it_differs(results, monkeypatch):
    monkeypatch.setattr(live, "PROFILE", "smoke")
    spec = with_seeds(profile("smoke"), open_dataset("bundled", n_train=256, n_val=40).fingerprint)[0]
    assert live.check() == f"not done, because run {spec.id} is not stored"
    sweep([spec], {spec.dataset: open_dataset("bundled", n_train=256, n_val=40)}, device="cpu", quiet=True)
    assert re.fullmatch(
        r"TNet, seed 0, retrained on 512 images of bundled in \d+ s: (\d+\.\d{3}) dB, stored \1 dB, "
        r"difference \+0\.000 dB; the same weights",
        live.check(),
    )
    stored = SimpleNamespace(metrics={"psnr": 20.0}, weights_sha256="a")
    again = SimpleNamespace(metrics={"psnr": 19.9, "seconds": 3.2}, weights_sha256="b")
    told = live.compared(spec, stored, again)
    assert told.endswith(
        "in 3 s: 19.900 dB, stored 20.000 dB, difference -0.100 dB; other weights, as on another processor"
    )


def test_the_live_check_is_a_step_of_its_own_and_is_made_once(two, monkeypatch, capsys):
    told = iter(["first", "second"])
    monkeypatch.setattr(live, "check", lambda: next(told))
    monkeypatch.setattr(run, "tnet_is_stored", lambda build: True)
    settings = replace(two, train=False, check=True)
    assert list(plan.Build(settings).steps()) == ["live check", "01_data", "07_report", "report"]
    assert run.make(settings) and "live check: first" in capsys.readouterr().out
    assert provenance(settings)["Live check"] == "first"
    assert not run.make(settings)
    assert "Live check" not in provenance(replace(two, profile="quick"))
