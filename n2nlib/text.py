"""Tables as text: a value as a cell, and a frame of cells in Markdown and in LaTeX."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd


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
    """Return a frame for a CSV file: each column of intervals or of means becomes columns of plain numbers.

    A column `x` of intervals becomes `x`, `x low`, `x high` and `x n`; one of means with deviations `x`, `x sd` and `x n`;
    one of values with standard errors `x` and `x se`.
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


#: A number as tables print it: sign, digits, perhaps a percentage, a spread and an interval.
_NUMBER = re.compile(r"(?:< )?[+\u2212-]?[\d,]*\.?\d+(e[+-]?\d+)?( %)?( ± [\d.]+)?( \[.*\])?")


def pipe_table(texts: pd.DataFrame) -> str:
    """Return a frame of texts as a Markdown pipe table; columns of numbers and dashes alone are set to the right."""
    numeric = [all(t in ("", "–") or _NUMBER.fullmatch(t) for t in texts[c]) for c in texts.columns]
    rows = [[str(c) for c in texts.columns], ["--:" if n else ":--" for n in numeric], *texts.to_numpy().tolist()]
    return "\n".join("| " + " | ".join(t.replace("|", "\\|").replace("\n", " ") for t in row) + " |" for row in rows)


def latex_table(texts: pd.DataFrame, name: str, caption: str) -> str:
    """Return a frame of texts as a LaTeX table (booktabs)."""
    special = {c: f"\\{c}" for c in "&%$#_{}"} | {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}"}
    special |= {"±": r"$\pm$", "−": "$-$", "≥": r"$\geq$", "≤": r"$\leq$", "×": r"$\times$", "–": "--", "σ": r"$\sigma$", "→": r"$\rightarrow$"}

    def escape(text: str) -> str:
        return "".join(special.get(c, c) for c in text)

    lines = [r"\begin{table}", r"\centering", rf"\caption{{{escape(caption)}}}", rf"\label{{tab:{name}}}"]
    lines += [rf"\begin{{tabular}}{{{'l' * texts.shape[1]}}}", r"\toprule"]
    lines += [" & ".join(escape(str(c)) for c in texts.columns) + r" \\", r"\midrule"]
    lines += [" & ".join(escape(t) for t in row) + r" \\" for row in texts.to_numpy().tolist()]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}"]) + "\n"
