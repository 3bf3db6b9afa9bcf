"""Remove what `make report` can make again."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from .. import paths


def clean() -> None:
    """Remove every report, figure and cache that git does not track; the run store stays, since its runs may have taken days."""
    folders = [*paths.results().glob("*"), *paths.figures("", "").parent.glob("*")]
    gone = [path for path in folders if path != paths.store() and not _tracked(path)]
    for path in gone:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    print(f"removed {len(gone)} of {len(folders)} entries of results and figures; stored runs and what git tracks stay")


def _tracked(path: Path) -> bool:
    """Tell whether git tracks anything there; nothing is tracked outside a checkout."""
    try:
        listed = subprocess.run(["git", "ls-files", "--", str(path)], cwd=paths.root(), capture_output=True, text=True)
    except FileNotFoundError:
        return False
    return bool(listed.stdout.strip())
