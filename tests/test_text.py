"""Tables as text: what a cell says, and what Markdown must not stumble over."""

from __future__ import annotations

import os
import re
from html import unescape

import numpy as np
import pandas as pd
import pypandoc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from n2nlib.analysis.intervals import MeanSE
from n2nlib.text import cell, csv, flat, literal, pipe_table, visible


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (None, "–"),
        (float("nan"), "–"),
        (25.316, "25.3"),
        (np.float64(-0.25), "-0.2"),
        (43064, "43,064"),
        (True, "True"),
        ("TNet", "TNet"),
    ],
)
def test_what_a_cell_says(value, says):
    assert cell(value, 1) == says


def test_columns_of_numbers_are_set_to_the_right():
    frame = pd.DataFrame(
        {
            "a": ["1e-4 minus 5e-4"],
            "b": ["25.32 ± 0.01"],
            "c": ["–"],
            "d": ["3×32×32"],
            "e": ["−0.5 [−0.9, 0.1]"],
        }
    )
    assert pipe_table(frame).splitlines()[1] == "| :-- | --: | --: | :-- | --: |"


def test_no_cell_breaks_its_table():
    frame = pd.DataFrame({"a|b": ["x|y\nz"], "#P": ["5 %"]})
    assert pipe_table(frame).splitlines() == ["| a\\|b | #P |", "| :-- | --: |", "| x\\|y z | 5 % |"]


def test_a_csv_file_has_numbers_as_far_as_processors_agree():
    assert csv(pd.DataFrame({"x": [2 / 3], "n": [3]})) == "x,n\n0.6666666667,3\n"


NAMES = [
    "<img src=x onerror=alert(1)>.jpg",
    "*a* _b_ **c** __d__",
    "`code`",
    "$x$ and $$y$$",
    "a|b",
    "\\alpha \\( x \\)",
    "[l](javascript:x)",
    "![i](x)",
    "# h",
    "a--b...c 'q' \"p\"",
    "&amp; &#42;",
    "http://example.org/x_y_z",
    "~~s~~ ^u^ H~2~O",
    "[^1] @cite {#id .c}",
    "- x",
    ":smile: <!-- c -->",
    "é 日本 🙂",
]


def shown_by_pandoc(text: str) -> str:
    """What a reader sees of a table's cell, a caption and bold text that hold this Markdown."""
    markdown = f"| a |\n|:--|\n| {text} |\n\n*Figure.* Dataset {text}, profile smoke."
    html = pypandoc.convert_text(markdown, "html", format="markdown+smart", extra_args=["--wrap=none"])
    assert set(re.findall(r"<(\w+)", html)) <= {
        "table",
        "colgroup",
        "col",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "p",
        "em",
    }, html
    inside = re.search(r"<td[^>]*>(.*?)</td>", html, re.S)[1]
    caption = re.search(r"</em> Dataset (.*), profile smoke", html, re.S)[1]
    assert inside == caption
    return unescape(caption)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_shown_as_it_is(name):
    assert shown_by_pandoc(literal(name)) == name


@settings(max_examples=15, deadline=None)
@given(name=st.text(st.sampled_from("ab 1*_`$|<>[](){}#&\\~^!-.'\"/:;=+@%"), min_size=1, max_size=30))
def test_any_name_is_shown_as_it_is(name):
    name = " ".join(f"x{name}x".split())
    assert shown_by_pandoc(literal(name)) == name


def test_typst_gets_a_name_as_text():
    typst = pypandoc.convert_text(
        f"Dataset {literal('<img> #x $y$ *z* `w` @v')}.", "typst", format="markdown"
    )
    assert r"\<img\>" in typst and r"\#x" in typst and r"\$y\$" in typst and r"\*z\*" in typst


def test_any_name_can_be_printed_on_one_line():
    assert visible("plain name.jpg") == "plain name.jpg"
    assert visible("a\nb\x1b[31m\u202egpj") == r"a\nb\x1b[31m\u202egpj"
    assert visible(os.fsdecode(b"caf\xe9")) == "caf\ufffd"
    assert visible("x" * 300, longest=20) == "x" * 10 + "…" + "x" * 9


@settings(max_examples=100, deadline=None)
@given(name=st.text(max_size=300))
def test_all_text_is_printable(name):
    shown = visible(name)
    assert all(c.isprintable() or c == "\ufffd" for c in shown) and len(shown) <= 120
    shown.encode()


def test_standard_errors_have_a_column_of_their_own():
    frame = pd.DataFrame({"x": [MeanSE(-0.001, 0.02, 2), MeanSE(20.82, None, 1), None]}, dtype=object)
    assert [cell(value, 5) for value in frame["x"]] == ["0.00 ± 0.02", "20.8", "–"]
    found = flat(frame)
    assert list(found.columns) == ["x", "x se"] and found["x se"][0] == 0.02 and found["x"][1] == 20.82
