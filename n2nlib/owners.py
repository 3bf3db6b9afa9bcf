"""Which chapter makes which table, figure and number of a report, so that none replaces another's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from n2nlib import paths
from n2nlib.errors import ReportError
from n2nlib.locks import lock


def own(report: Path, what: str, chapter: str) -> None:
    """Note which chapter makes a result, such as `table x`; raises ReportError if another one does.

    report: the report's folder. A chapter whose notebook is gone owns nothing.
    """
    with _owners(report) as owners:
        other = owners.get(what, chapter)
        if other != chapter and (paths.notebooks() / f"{other}.ipynb").exists():
            raise ReportError(
                f"chapter {chapter} makes {what}, and so does chapter {other}: choose another name. If "
                f"{other} no longer makes it, execute it again with `make report CHAPTER={other}`."
            )
        owners[what] = chapter


def disown(report: Path, chapters: Iterable[str]) -> None:
    """Forget what some chapters make, before they are executed again."""
    gone = set(chapters)
    with _owners(report) as owners:
        for what in [what for what, chapter in owners.items() if chapter in gone]:
            del owners[what]


@contextmanager
def _owners(report: Path) -> Iterator[dict[str, str]]:
    """Lend a report's result -> chapter, which other processes wait for, and keep its changes."""
    file = report / ".owners.json"
    try:
        report.mkdir(parents=True, exist_ok=True)
        held = lock(file.with_suffix(".lock"))
    except OSError as error:
        raise ReportError(paths.unwritable(report, error)) from error
    with held:
        before = paths.read_json(file)
        owners = dict(before)
        yield owners
        if owners != before:
            paths.write_json(file, owners)
