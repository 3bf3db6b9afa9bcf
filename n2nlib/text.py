"""Tables as text: a value as a cell, and a frame of cells in Markdown and in LaTeX."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd


def cell(value: Any, digits: int) -> str:
    """Return a table cell's text."""
    if value is None or isinstance(value, float) and value != value:
        return "–"
    if isinstance(value, float):
        return f"{value:.{digits}f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value)


#: A number as tables print it: sign, digits, perhaps a percentage, a spread and an interval.
_NUMBER = re.compile(r"[+\u2212-]?[\d,]*\.?\d+(e[+-]?\d+)?( %)?( ± [\d.]+)?( \[.*\])?")


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
