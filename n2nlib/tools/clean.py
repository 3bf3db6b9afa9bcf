"""Remove what `make report` can rebuild."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
from pathlib import Path

from n2nlib import paths
from n2nlib.profiles import PROFILES

#: Reports and their figures, `<dataset>-<profile>`: nothing else in these folders is ours to remove.
REPORT = re.compile(rf"(bundled|imagenet-sample|folder-.*|epfl-.*)-({'|'.join(PROFILES)})")
#: Reports that come with the project, for copies of it that are no checkout, where git cannot name them.
SHIPPED = ("imagenet-sample-paper-bf16", "imagenet-sample-overnight")
#: The files of built pairs, downloaded photographs and checksums of folders. The cache may be a reader's own
#: folder, and hold other files below these names.
CACHES = {
    "datasets": r"[0-9a-f]{16}/\.?(train|val)(-\w+)?/(a|b|clean|photo|meta)\.(npy|json)",
    "imagenet-sample": r"n\d{8}_.+\.JPEG",
    "folders": r"[0-9a-f]{32}\.json",
}


def clean() -> None:
    """Remove every report, figure and cache that git does not track, and name each; stored runs stay."""
    folders = [
        p
        for base in (paths.results(), paths.figures("", "").parent)
        for p in base.glob("*")
        if REPORT.fullmatch(p.name)
    ]
    gone = [path for path in folders if not _tracked(path)]
    for path in gone:
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        print(f"removed {path}")
    for name, form in CACHES.items():
        if _remove(paths.cache() / name, re.compile(form)):
            print(f"removed the cached files of {paths.cache() / name}")
    print(f"removed {len(gone)} of {len(folders)} reports and folders of figures; stored runs and what comes "
          "with the project stay")  # fmt: skip


def _remove(folder: Path, form: re.Pattern) -> bool:
    """Remove files whose paths below a folder have a form, and what is then empty; tell if any."""
    found = () if folder.is_symlink() else folder.rglob("*")  # a link leads to a reader's own files
    ours = [p for p in found if form.fullmatch(p.relative_to(folder).as_posix()) and p.is_file()]
    for path in ours:
        path.unlink()
    for parent in sorted({q for p in ours for q in p.parents if q.is_relative_to(folder)}, reverse=True):
        with contextlib.suppress(OSError):  # it holds something else
            parent.rmdir()
    return bool(ours)


def _tracked(path: Path) -> bool:
    """Tell whether a folder comes with the project: git tracks something there, or cannot say."""
    root = paths.root().resolve()
    if not path.parent.resolve().is_relative_to(root):
        return False
    if not (root / ".git").exists():
        return path.name in SHIPPED
    try:
        listed = subprocess.run(
            ["git", "ls-files", "--", str(path)], cwd=root, capture_output=True, text=True
        )
    except FileNotFoundError:
        return True
    return bool(listed.stdout.strip()) or listed.returncode != 0
