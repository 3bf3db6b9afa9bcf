"""Remove what `make report` can rebuild."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from n2nlib import paths
from n2nlib.profiles import PROFILES

#: Reports and their figures, `<dataset>-<profile>`: nothing else in these folders is ours to remove.
REPORT = re.compile(rf"(bundled|imagenet-sample|folder-.*|epfl-.*)-({'|'.join(PROFILES)})")
#: Built pairs, downloaded photographs, checksums of folders.
CACHES = ("datasets", "imagenet-sample", "folders")


def clean() -> None:
    """Remove every report, figure and cache that git does not track, and name each; stored runs stay."""
    folders = [
        p
        for base in (paths.results(), paths.figures("", "").parent)
        for p in base.glob("*")
        if REPORT.fullmatch(p.name)
    ]
    folders += [p for name in CACHES if (p := paths.cache() / name).exists()]
    gone = [path for path in folders if not _tracked(path)]
    for path in gone:
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        print(f"removed {path}")
    print(f"removed {len(gone)} of {len(folders)} reports, folders of figures and caches; "
          "stored runs and what git tracks stay")  # fmt: skip


def _tracked(path: Path) -> bool:
    """Tell whether git tracks anything there, or cannot say; nothing is tracked outside a checkout."""
    root = paths.root().resolve()
    if not (root / ".git").exists() or not path.parent.resolve().is_relative_to(root):
        return False
    try:
        listed = subprocess.run(
            ["git", "ls-files", "--", str(path)], cwd=root, capture_output=True, text=True
        )
    except FileNotFoundError:
        return True
    return bool(listed.stdout.strip()) or listed.returncode != 0
