"""The command line behind the make targets: `python -m n2nlib.report make|plan|diff|notebooks|clean|kernel|readme`."""

from __future__ import annotations

import argparse
import os
import sys

from .. import paths
from ..errors import ReportError, unknown_name


def main(argv: list[str] | None = None) -> int:
    """Run one command; return the exit status (2 for what the caller got wrong, in one sentence)."""
    args = parser().parse_args(argv)
    for name in ("N2N_ROOT", "N2N_RESULTS", "N2N_CACHE", "N2N_PHOTOS"):
        if os.environ.get(name):  # kernels start in another folder
            os.environ[name] = paths.absolute(os.environ[name])
    try:
        return args.run(args) or 0
    except ReportError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {error}: check permissions and free space, then start again.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; the next `make report` goes on from here", file=sys.stderr)
        return 130


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    top = argparse.ArgumentParser(prog="python -m n2nlib.report", description=__doc__)
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    for name, run, text in [("make", _make, "make what is stale"), ("plan", _plan, "say what is stale and why")]:
        command = commands.add_parser(name, help=text)
        command.set_defaults(run=run)
        command.add_argument("--corpus", default="bundled", help="bundled, imagenet-sample, folder:PATH or epfl:PATH")
        command.add_argument("--profile", help="smoke, quick, overnight, paper or paper-bf16 (default: paper with a GPU, quick without)")
        command.add_argument("--device", default="auto", help="auto, cpu or cuda")
        command.add_argument("--executor", default="local", help="where runs are trained: local, dask or dask:tcp://HOST:PORT")
        command.add_argument("--chapter", help="execute this chapter again, as 03 or by its full name")
        command.add_argument("--emulate-bf16", action="store_true", help="train in bf16 even where the CPU emulates it")
        command.add_argument("--fresh", action="store_true", help="execute every chapter again and retrain the report's runs")
    diff = commands.add_parser("diff", help="compare the numbers of two reports")
    diff.add_argument("reports", nargs=2, metavar="REPORT", help="a folder of results/, like bundled-quick")
    diff.set_defaults(run=_diff)
    for name, run, text in [
        ("notebooks", _notebooks, "execute the committed chapters in place at smoke size"),
        ("clean", _clean, "remove reports, figures and caches; stored runs stay"),
        ("kernel", _kernel, "install the Jupyter kernel"),
        ("readme", _readme, "copy the tracked tables into the README"),
    ]:
        commands.add_parser(name, help=text).set_defaults(run=run)
    return top


def _settings(args):
    from ..device import resolve
    from ..sweep import EXECUTORS
    from . import plan

    kind, _, address = args.executor.partition(":")
    if kind not in EXECUTORS:
        raise unknown_name("executor", args.executor, EXECUTORS)
    device = resolve("auto" if address else args.device)  # a scheduler's workers may have what this machine lacks
    profile = args.profile or ("paper" if device == "cuda" else "quick")
    plan.spec.profile(profile)
    kind, _, where = args.corpus.partition(":")
    return plan.Settings(f"{kind}:{paths.absolute(where)}" if where else kind, profile, device)


def _make(args):
    from . import plan, run

    settings = _settings(args)
    _say_damage()
    chapter = plan.chapter_named(args.chapter) if args.chapter else None
    elsewhere = args.device if args.executor.partition(":")[2] else None
    if not run.make(settings, args.executor, args.fresh, chapter, elsewhere, args.emulate_bf16):
        print(f"nothing to do: {settings.folder / 'report.html'} is up to date")


def _plan(args):
    from ..progress import duration
    from . import plan

    settings = _settings(args)
    _say_damage()
    force = plan.chapters() if args.fresh else [plan.chapter_named(args.chapter)] if args.chapter else []
    for step in plan.plan(settings, force):
        print(f"{step.name:<28}{step.reason or 'up to date'}")
    missing = plan.missing_runs(settings)
    expected = plan.training_seconds(missing, settings.device) if missing else 0
    about = f", about {duration(expected)} (an estimate from the speed measured on this machine)" * bool(missing)
    print(f"{len(missing)} training runs missing{about}")


def _say_damage():
    from ..runs import RunStore

    if damage := RunStore().damage():
        print(f"note: {damage}", file=sys.stderr)


def _diff(args):
    from ..compare import main as compare

    return compare(*args.reports)


def _notebooks(args):
    from .tidy import tidy_all

    tidy_all()


def _clean(args):
    from .clean import clean

    clean()


def _kernel(args):
    from . import kernel

    kernel.install()


def _readme(args):
    from . import readme

    print("README.md was brought up to date" if readme.update() else "README.md is up to date")


if __name__ == "__main__":
    sys.exit(main())
