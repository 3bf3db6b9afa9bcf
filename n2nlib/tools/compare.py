"""Which numbers moved between two reports, and whether by more than they vary from one initialisation to the next."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from n2nlib import paths
from n2nlib.analysis import ledger
from n2nlib.errors import ReportError

#: Relative change below which two numbers are the same: the digits of a text file, not a result.
SAME = 1e-9

_NUMBER = r"[+-]?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?"
_PLUS_MINUS = re.compile(rf"\s*({_NUMBER})(?:\s*±\s*({_NUMBER}))?(?:\s*\[.*\])?\s*(?:dB|%|s)?\s*")


def compare(a: Path, b: Path) -> pd.DataFrame:
    """Return what moved between two report folders: where, number, before, after, change, spread, beyond.

    `spread` is the larger sample standard deviation over initialisations of the two (NaN where none is known, then
    `beyond` is None); changed verdicts come first, then claims, numbers that chapters kept, cells of `tables/*.csv`.
    Raises ReportError when a folder is no report.
    """
    rows = [
        *_claims(ledger.read(a), ledger.read(b)),
        *_numbers(ledger.numbers(a), ledger.numbers(b)),
        *_tables(a / "tables", b / "tables"),
    ]
    columns = ["where", "number", "before", "after", "change", "spread", "beyond"]
    return pd.DataFrame(rows, columns=columns)


def main(a: str, b: str) -> int:
    """Print what moved between two reports, each a folder or its name in results/; return the exit status."""
    moved = compare(_folder(a), _folder(b))
    if moved.empty:
        print(f"nothing moved between {a} and {b}")
        return 0
    numbers = moved.change.notna()
    beyond = moved.beyond.map({True: "yes", False: "no"}).fillna("unknown").where(numbers, "")
    with pd.option_context("display.width", 200, "display.max_colwidth", 60):
        print(
            moved.assign(beyond=beyond)
            .rename(columns={"beyond": "beyond the spread"})
            .to_string(index=False, na_rep="", float_format="{:.4g}".format)
        )
    print(f"{(moved['where'] == 'verdict').sum()} verdicts changed; {numbers.sum()} numbers moved: {(beyond == 'yes').sum()} by more than the "
          f"spread over initialisations, {(beyond == 'no').sum()} within it, {(beyond == 'unknown').sum()} without a known spread")  # fmt: skip
    return 0


def _folder(name: str) -> Path:
    folder = Path(name)
    return folder if folder.is_dir() else paths.results() / name


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
    """Return the numbers of a table by (row, column), each with its spread: "25.32 ± 0.01", or a column of sd beside it."""
    try:
        frame = pd.read_csv(file, dtype=str, keep_default_na=False)
    except ValueError as error:
        raise ReportError(f"{file} is no table ({error}): make that report again.") from error
    if frame.empty:
        return {}
    parsed = frame.map(_parse)
    # A row is known by its first cell; rows that share it also by their place among them.
    first = frame.iloc[:, 0]
    count = first.groupby(first).cumcount()
    out = {}
    for i in range(len(frame)):
        row = first.iloc[i] + (f" ({count.iloc[i] + 1})" if count.iloc[i] else "")
        for column in frame.columns[1:]:
            value, spread = parsed.loc[i, column]
            if value is None:
                continue
            beside = next(
                (
                    c
                    for c in (f"{column}_sd", f"{column} sd", "sd", "spread")
                    if c in frame.columns and c != column
                ),
                None,
            )
            out[row, column] = (
                value,
                spread if spread is not None or beside is None else parsed.loc[i, beside][0],
            )
    return out


def _parse(text: str) -> tuple[float | None, float | None]:
    found = _PLUS_MINUS.fullmatch(text.replace("−", "-"))
    return (
        tuple(None if g is None else float(g.replace(",", "")) for g in found.groups())
        if found
        else (None, None)
    )


def _moved(where: str, number: str, x: float, y: float, *spreads: float | None) -> list[list]:
    change = y - x
    if abs(change) <= SAME * max(abs(x), abs(y)):
        return []
    known = [s for s in spreads if s is not None]
    spread = max(known) if known else None
    return [[where, number, x, y, change, spread, None if spread is None else abs(change) > spread]]
