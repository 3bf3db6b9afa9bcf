"""What differs between two reports: every number that a chapter kept and every table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from .. import paths
from ..errors import ReportError


def diff(first: str, second: str) -> int:
    """Print the differences of two reports, by folder or by name (`bundled-quick`); return 1 if there are any, as diff does."""
    a, b = (_contents(name) for name in (first, second))
    changed = [name for name in sorted(a.keys() | b.keys()) if a.get(name) != b.get(name)]
    for name in changed:
        print(f"{name}:  {a.get(name, 'absent')}  ->  {b.get(name, 'absent')}")
    print(f"{len(changed)} of {len(a.keys() | b.keys())} values differ")
    return int(bool(changed))


def _contents(name: str) -> dict[str, str]:
    folder = Path(name) if Path(name).is_dir() else paths.results() / name
    if not (folder / "state.json").exists():
        raise ReportError(f"{name} is not a report: give a folder of {paths.results()}, like bundled-quick.")
    out: dict[str, str] = {}
    for path in sorted(folder.glob("numbers/*.json")):
        out |= {f"{path.stem}: {key}": _short(value) for key, value in json.loads(path.read_text()).items()}
    for path in sorted(folder.glob("tables/*.csv")):
        out |= {f"table {path.stem}, {where}": text for where, text in _cells(path)}
    return out


def _cells(path: Path) -> Iterator[tuple[str, str]]:
    import pandas as pd

    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    for i, row in enumerate(frame.itertuples(index=False)):
        for column, value in zip(frame.columns, row, strict=True):
            yield f"row {i + 1} ({row[0]}), {column}", _short(value)


def _short(value: object) -> str:
    try:
        return f"{float(value):.6g}"  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return str(value)
