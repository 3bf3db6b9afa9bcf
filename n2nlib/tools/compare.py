"""Numbers that moved between two reports, and whether by more than they vary between seeds."""

from __future__ import annotations

import argparse
import textwrap
from pathlib import Path

import pandas as pd

from n2nlib import paths
from n2nlib.analysis import ledger
from n2nlib.errors import ReportError
from n2nlib.text import visible

#: Relative change below which two numbers are the same: the digits of a text file, not a result.
SAME = 1e-9
#: Characters in a printed line.
WIDTH = 100

#: What follows a column's name where the column holds numbers with more to them (see `text.flat`).
PARTS = (" sd", " se", " low", " high")


def compare(a: Path, b: Path) -> pd.DataFrame:
    """Return what moved between two report folders: where, number, before, after, change, spread, beyond.

    `spread` is the larger of the two sample standard deviations over seeds, or half of an interval (NaN where
    none is known, then `beyond` is None). Changed verdicts come first, then claims, numbers that chapters
    kept, cells of `tables/*.csv`.
    Raises ReportError when a folder is no report.
    """
    rows = [
        *_claims(ledger.read(a), ledger.read(b)),
        *_numbers(ledger.numbers(a), ledger.numbers(b)),
        *_tables(a / "tables", b / "tables"),
    ]
    columns = ["where", "number", "before", "after", "change", "spread", "beyond"]
    return pd.DataFrame(rows, columns=columns)


def main(arguments: list[str]) -> int:
    """Print what moved between two reports, each a folder or its name in results/; return the exit status."""
    parser = argparse.ArgumentParser(prog="n2n diff", description=__doc__)
    parser.add_argument("reports", nargs=2, metavar="REPORT", help="a folder of results/, like bundled-quick")
    a, b = parser.parse_args(arguments).reports
    moved = compare(_folder(a), _folder(b))
    if moved.empty:
        print(f"nothing moved between {a} and {b}")
        return 0
    beyond = moved.beyond.map({True: "yes", False: "no"}).fillna("unknown").where(moved.change.notna(), "")
    print(_line("where", "number", "before", "after", "change", "beyond spread"))
    for row, far in zip(moved.itertuples(index=False), beyond, strict=True):
        if row.where == "verdict":
            words = f"verdict {row.number}: {row.before} -> {row.after}"
            print(textwrap.fill(words, WIDTH, subsequent_indent="    "))
        else:
            print(_line(row.where, row.number, *map(_number, (row.before, row.after, row.change)), far))
    counts = beyond.value_counts()
    words = (
        f"{(moved['where'] == 'verdict').sum()} verdicts changed; {moved.change.notna().sum()} numbers "
        f"moved: {counts.get('yes', 0)} by more than the spread over seeds, {counts.get('no', 0)} within "
        f"it, {counts.get('unknown', 0)} without a known spread"
    )
    print(textwrap.fill(words, WIDTH))
    return 0


def _line(*words: str) -> str:
    """Return one row in fixed columns, at most `WIDTH` characters; long names are shortened."""
    widths = (16, 34, 10, 10, 10, 13)
    texts = [
        visible(word, width) if len(word) > width else word for word, width in zip(words, widths, strict=True)
    ]
    left = " ".join(f"{text:<{width}}" for text, width in zip(texts[:2], widths, strict=False))
    right = " ".join(f"{text:>{width}}" for text, width in zip(texts[2:], widths[2:], strict=True))
    return f"{left} {right}".rstrip()


def _number(value) -> str:
    if value is None or value != value:
        return ""
    return f"{value:.4g}" if isinstance(value, float) and not isinstance(value, bool) else str(value)


def _folder(name: str) -> Path:
    folder = Path(name)
    return folder if folder.is_dir() else paths.result(name)


def _claims(a: dict, b: dict) -> list[list]:
    before, after = ({c["id"]: c for c in side["claims"]} for side in (a, b))
    shared = [key for key in before if key in after]
    verdicts = [["verdict", key, before[key]["verdict"], after[key]["verdict"], None, None, None]
                for key in shared if before[key]["verdict"] != after[key]["verdict"]]  # fmt: skip
    absent = [
        ["claim", key, key in before or None, key in after or None, None, None, None]
        for key in before.keys() ^ after.keys()
    ]
    values = []
    for key in shared:
        x, y = before[key]["ours"], after[key]["ours"]
        if x and y:
            values += _moved(
                "claim", key, x["value"], y["value"], before[key]["spread"], after[key]["spread"]
            )
    return [*verdicts, *sorted(absent, key=lambda row: row[1]), *values]


def _numbers(a: dict, b: dict) -> list[list]:
    plain = (int, float)
    before, after = (
        {k: v["value"] if isinstance(v, dict) and "value" in v else v for k, v in side.items()}
        for side in (a, b)
    )
    return [row for key in before if isinstance(before[key], plain) and isinstance(after.get(key), plain)
            for row in _moved("number", key, before[key], after[key])]  # fmt: skip


def _tables(a: Path, b: Path) -> list[list]:
    rows = []
    names = sorted({f.name for folder in (a, b) for f in folder.glob("*.csv")})
    for name in names:
        if not ((a / name).exists() and (b / name).exists()):
            rows.append(
                ["table", name, (a / name).exists() or None, (b / name).exists() or None, None, None, None]
            )
            continue
        before, after = (_cells(folder / name) for folder in (a, b))
        for key in before:
            if key in after:
                (x, sx), (y, sy) = before[key], after[key]
                rows += _moved(name.removesuffix(".csv"), " / ".join(key), x, y, sx, sy)
    return rows


def _cells(file: Path) -> dict[tuple[str, str], tuple[float, float | None]]:
    """Return the numbers of a table by (row, column), each with its spread.

    The spread is the standard deviation or error beside it, or half of its interval. A row is known by its
    first cell; rows that share it also by their place among them.
    """
    try:
        frame = pd.read_csv(file)
    except ValueError as error:
        raise ReportError(f"{file} is not a table ({error}): rebuild that report.") from error
    if frame.empty:
        return {}
    first = frame.iloc[:, 0].astype(str)
    count = first.groupby(first).cumcount()
    rows = first.where(count == 0, first + " (" + (count + 1).astype(str) + ")")
    numeric = frame.select_dtypes("number", exclude="bool")
    parts = [c for c in numeric if c.endswith(PARTS) and c.rpartition(" ")[0] in numeric]
    out = {}
    for column in [c for c in numeric.columns if c != frame.columns[0] and c not in parts]:
        for row, value, spread in zip(rows, numeric[column], _spread(numeric, column), strict=True):
            if value == value:
                out[row, column] = (float(value), None if spread != spread else float(spread))
    return out


def _spread(frame: pd.DataFrame, column: str) -> pd.Series:
    if f"{column} low" in frame and f"{column} high" in frame:
        return (frame[f"{column} high"] - frame[f"{column} low"]) / 2
    beside = next((name for end in (" sd", " se") if (name := column + end) in frame), None)
    return frame[beside] if beside else pd.Series(float("nan"), frame.index)


def _moved(where: str, number: str, x: float, y: float, *spreads: float | None) -> list[list]:
    change = y - x
    if abs(change) <= SAME * max(abs(x), abs(y)):
        return []
    known = [s for s in spreads if s is not None]
    spread = max(known) if known else None
    return [[where, number, x, y, change, spread, None if spread is None else abs(change) > spread]]
