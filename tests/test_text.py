"""Tables as text: what a cell says, and what Markdown and LaTeX must not stumble over."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from n2nlib.stats import MeanSE
from n2nlib.text import cell, flat, latex_table, pipe_table


@pytest.mark.parametrize(
    ("value", "says"),
    [(None, "–"), (float("nan"), "–"), (25.316, "25.3"), (np.float64(-0.25), "-0.2"), (43064, "43,064"), (True, "True"), ("TNet", "TNet")],
)
def test_what_a_cell_says(value, says):
    assert cell(value, 1) == says


def test_columns_of_numbers_are_set_to_the_right():
    frame = pd.DataFrame({"a": ["1e-4 minus 5e-4"], "b": ["25.32 ± 0.01"], "c": ["–"], "d": ["3×32×32"], "e": ["−0.5 [−0.9, 0.1]"]})
    assert pipe_table(frame).splitlines()[1] == "| :-- | --: | --: | :-- | --: |"


def test_no_cell_breaks_its_table():
    frame = pd.DataFrame({"a|b": ["x|y\nz"], "#P": ["5 %"]})
    assert pipe_table(frame).splitlines() == ["| a\\|b | #P |", "| :-- | --: |", "| x\\|y z | 5 % |"]
    latex = latex_table(frame.replace("x|y\nz", "{a_1} \\ ± 2"), "t", "50 % & more")
    assert r"\{a\_1\} \textbackslash{} $\pm$ 2 & 5 \% \\" in latex and r"\caption{50 \% \& more}" in latex and r"\label{tab:t}" in latex


def test_standard_errors_have_a_column_of_their_own():
    frame = pd.DataFrame({"x": [MeanSE(-0.001, 0.02, 2), MeanSE(20.82, None, 1), None]}, dtype=object)
    assert [cell(value, 5) for value in frame["x"]] == ["0.00 ± 0.02", "20.8", "–"]
    found = flat(frame)
    assert list(found.columns) == ["x", "x se"] and found["x se"][0] == 0.02 and found["x"][1] == 20.82
