"""Values, names and tables as text that a terminal, Markdown or CSV shows as it is."""

from __future__ import annotations

import os
import re
import unicodedata
from typing import Any

import pandas as pd

from n2nlib.agreement import DIGITS


def visible(name: str, longest: int = 120) -> str:
    """Return a name on one line that any terminal prints, shortened in its middle if long.

    Line breaks, control characters and those that reorder a text are written as Python escapes; bytes that
    are not UTF-8 become replacement characters.
    """
    if any("\udc80" <= c <= "\udcff" for c in name):
        name = os.fsencode(name).decode("utf-8", "replace")

    def one(c: str) -> str:
        return (
            c if c == " " or unicodedata.category(c)[0] not in "CZ" else c.encode("unicode_escape").decode()
        )

    shown = "".join(map(one, name))
    half = longest // 2
    return shown if len(shown) <= longest else f"{shown[:half]}…{shown[-half + 1 :]}"


def literal(text: str) -> str:
    """Return text as Markdown (and so HTML and Typst) that shows exactly these characters.

    Whatever may mean something there is a numeric character reference; only these survive JupyterLab's search
    for equations, pipe tables and raw HTML alike.
    """
    return re.sub(r"[^\w\s/.,:;-]|_|(?<=-)-|(?<=\.)\.|(?<=\w):(?=//)|^-", lambda m: f"&#{ord(m[0])};", text)


def cell(value: Any, digits: int) -> str:
    """Return a table cell's text: an `Interval`, a `MeanSD`, a number, None (a dash) or a text."""
    if value is None or isinstance(value, float) and value != value:
        return "–"
    if hasattr(value, "__dataclass_fields__"):  # an Interval, MeanSD or MeanSE formats itself
        return format(value, f".{digits if value.digits is None else value.digits}f")
    if isinstance(value, float):
        return f"{value:.{digits}f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value)


def flat(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame for a CSV file: intervals and means become columns of plain numbers.

    A column `x` of intervals becomes `x`, `x low`, `x high` and `x n`; one of means with deviations `x`, `x
    sd` and `x n`; one of values with standard errors `x` and `x se`.
    """
    parts = {"low": "low", "high": "high", "sd": "sd", "error": "se", "n": "n"}
    out = {}
    for column in frame.columns:
        cells = frame[column].tolist()
        kinds = [c for c in cells if hasattr(c, "__dataclass_fields__")]
        if not kinds:
            out[column] = cells
            continue
        first = "value" if hasattr(kinds[0], "value") else "mean"
        out[column] = [getattr(c, first, c) for c in cells]
        for name in (n for n in parts if hasattr(kinds[0], n)):
            out[f"{column} {parts[name]}".strip()] = [getattr(c, name, None) for c in cells]
    return pd.DataFrame(out)


def csv(frame: pd.DataFrame) -> str:
    """Return a table for a CSV file: `flat`, with numbers to `DIGITS` significant digits."""
    return flat(frame).to_csv(index=False, float_format=f"%.{DIGITS}g")


#: A number as tables print it: sign, digits, perhaps a percentage, a spread and an interval.
_NUMBER = re.compile(r"(?:< )?[+\u2212-]?[\d,]*\.?\d+(e[+-]?\d+)?( %)?( ± [\d.]+)?( \[.*\])?")


def pipe_table(texts: pd.DataFrame) -> str:
    """Return a frame of texts as a Markdown pipe table, with columns of numbers aligned right."""
    numeric = [all(t in ("", "–") or _NUMBER.fullmatch(t) for t in texts[c]) for c in texts.columns]
    rows = [
        [str(c) for c in texts.columns],
        ["--:" if n else ":--" for n in numeric],
        *texts.to_numpy().tolist(),
    ]
    return "\n".join(
        "| " + " | ".join(t.replace("|", "\\|").replace("\n", " ") for t in row) + " |" for row in rows
    )
