"""The one command line: `n2n COMMAND`, or `python -m n2nlib COMMAND`; the make targets call it."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import threading
from importlib import import_module

from n2nlib import paths
from n2nlib.errors import ReportError

#: Commands with arguments of their own: name -> module that has `main(arguments)`, and what it does.
TOOLS = {
    "diff": ("n2nlib.tools.compare", "compare the numbers of two reports"),
    "bench": ("n2nlib.tools.bench", "time the training engine beside a textbook loop"),
    "verify": ("n2nlib.tools.verify", "retrain a sample of the stored runs and compare"),
    "evidence": ("n2nlib.tools.evidence", "take local runs into the tracked evidence, and check it"),
    "search": ("n2nlib.tools.search", "search for a better small network"),
    "denoise": ("n2nlib.tools.denoise", "denoise image files with a trained network"),
    "pretrained": ("n2nlib.tools.pretrained", "write the weights that come with the package from the store"),
    "accept": ("n2nlib.analysis.ledger", "take the verdicts of a report as reviewed"),
}
#: Commands without arguments: name -> module, its function, and what it does.
PLAIN = {
    "notebooks": (
        "n2nlib.tools.tidy",
        "tidy_all",
        "execute the committed chapters in place, with their own parameters",
    ),
    "clean": ("n2nlib.tools.clean", "clean", "remove reports, figures and caches; stored runs stay"),
    "kernel": ("n2nlib.report.kernel", "install", "install the Jupyter kernel"),
    "readme": ("n2nlib.tools.readme", "update", "copy the tracked tables into the README"),
}

#: The default without a GPU: dataset and profile of the tracked runs.
SHOWN = "imagenet-sample", "paper-bf16"


def main(argv: list[str] | None = None) -> int:
    """Run one command; return the exit status (2 for a mistake of the caller, in one sentence)."""
    argv = sys.argv[1:] if argv is None else argv
    for name in ("N2N_ROOT", "N2N_RESULTS", "N2N_CACHE", "N2N_PHOTOS", "N2N_REAL"):
        if os.environ.get(name):  # kernels start in another folder
            os.environ[name] = paths.absolute(os.environ[name])
    try:
        with _terminated_as_interrupted():
            if argv and argv[0] in TOOLS:
                return import_module(TOOLS[argv[0]][0]).main(argv[1:])
            args = parser().parse_args(argv)
            if args.command in PLAIN:
                module, function, _ = PLAIN[args.command]
                getattr(import_module(module), function)()
                return 0
            return args.run(args) or 0
    except BrokenPipeError:  # as in `make plan | head`: the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except ReportError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {error}: check permissions and free space, then start again.", file=sys.stderr)
        return 2
    except KeyboardInterrupt as stop:
        print("stopped; the next `make report` resumes from here", file=sys.stderr)
        return 128 + (stop.args[0] if stop.args else signal.SIGINT)


@contextlib.contextmanager
def _terminated_as_interrupted():
    """Let SIGTERM, as from a queue or `timeout`, end this process as an interrupt does: processes first."""

    def stop(number, _):
        raise KeyboardInterrupt(number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    top = argparse.ArgumentParser(prog="n2n", description=__doc__)
    commands = top.add_subparsers(required=True, metavar="COMMAND", dest="command")
    for name, run, text in [
        ("report", _make, "bring a report up to date"),
        ("plan", _plan, "say what is out of date and why"),
    ]:
        command = commands.add_parser(name, help=text)
        command.set_defaults(run=run)
        command.add_argument(
            "--dataset", help="bundled (default with a profile), imagenet-sample, folder:PATH or epfl:PATH"
        )
        command.add_argument(
            "--profile",
            help="smoke, quick, overnight, paper or paper-bf16 (default: paper with a GPU; without one, the "
            "stored runs at the paper's size on imagenet-sample, or quick on a dataset that is named)",
        )
        command.add_argument("--device", default="auto", help="auto, cpu or cuda")
        command.add_argument(
            "--executor", default="local", help="where runs are trained: local, dask or dask:tcp://HOST:PORT"
        )
        command.add_argument("--no-train", action="store_true", help="train nothing: show the stored runs")
        command.add_argument("--chapter", help="execute this chapter again, as 03 or by its full name")
        command.add_argument(
            "--emulate-bf16", action="store_true", help="train in bf16 even where the CPU emulates it"
        )
        command.add_argument(
            "--fresh", action="store_true", help="execute every chapter again and retrain the report's runs"
        )
    for name, (*_, text) in (PLAIN | TOOLS).items():
        commands.add_parser(name, help=text)
    return top


def _settings(args):
    """Return the settings of a call; profile and dataset default to the best for this machine.

    That is the paper's size: with a GPU trained here (on imagenet-sample if its photographs are at hand),
    without one from the stored runs, and a short run trained again as a live check.
    """
    from n2nlib.data import open_dataset
    from n2nlib.device import resolve
    from n2nlib.report import plan
    from n2nlib.runs.sweep import check_executor

    _, address = check_executor(args.executor)
    # A scheduler's workers may have what this machine lacks.
    device = resolve("auto" if address else args.device)
    train, check = not args.no_train, False
    profile, dataset = args.profile, args.dataset or "bundled"
    if not profile and device == "cuda":
        profile = "paper"
        if not args.dataset and open_dataset("imagenet-sample").at_hand:
            dataset = "imagenet-sample"
    elif not profile and not args.dataset:
        dataset, profile = SHOWN
        check = train and not args.fresh
        train = args.fresh and train
    profile = profile or "quick"
    plan.profiles.profile(profile)
    kind, _, where = dataset.partition(":")
    dataset = f"{kind}:{paths.absolute(where)}" if where else kind
    return plan.Settings(dataset, profile, device, train, args.executor, check)


def _make(args):
    from n2nlib.report import plan, run

    settings = _settings(args)
    chapter = plan.chapter_named(args.chapter) if args.chapter else None
    elsewhere = args.device if args.executor.partition(":")[2] else None
    if not run.make(settings, args.fresh, chapter, elsewhere, args.emulate_bf16):
        print(f"nothing to do: {settings.folder / 'report.html'} is up to date")
    if settings.check:
        print(
            "This report shows the stored runs at the paper's size. To train everything in minutes: "
            "`make report PROFILE=quick`. To retrain this report (days on a CPU): `make report FRESH=1`."
        )


def _plan(args):
    from n2nlib.report import plan, run
    from n2nlib.runs.progress import duration
    from n2nlib.runs.speed import seconds

    settings = _settings(args)
    force = plan.chapters() if args.fresh else [plan.chapter_named(args.chapter)] if args.chapter else []
    build = plan.Build(settings, force)
    run.refuse(build, args.fresh)
    build.tell_damage()
    for name, reason in build.steps().items():
        print(f"{name:<28}{reason or 'up to date'}")
    missing, rest = build.missing, ""
    if missing and settings.train:
        took = duration(seconds(missing, settings.device))
        rest = f", about {took} (an estimate from the speed measured on this machine)"
    elif missing:
        rest = "; training is disabled, so that their rows are omitted"
    print(f"{len(missing)} training runs missing{rest}")


if __name__ == "__main__":
    sys.exit(main())
