"""Remove what `make report` can make again."""

from __future__ import annotations

import shutil

from .. import paths


def clean() -> None:
    """Remove every report, figure and cache; the run store stays, since its runs may have taken days."""
    keep = {paths.store(), paths.results() / "bench"}
    gone = [p for p in paths.results().glob("*") if p not in keep] if paths.results().exists() else []
    gone += list(paths.figures("", "").parent.glob("*"))
    for path in gone:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    print(f"removed {len(gone)} folders of results and figures; stored runs stay in {paths.store()}")
