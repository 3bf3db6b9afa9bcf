"""When a result on another processor is the same result, and when not."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from n2nlib import paths
from n2nlib.agreement import LEVELS, agree, pictures_agree, rounded
from n2nlib.report.render import same_page


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("psnr,n\n25.31600001,5\n", "psnr,n\n25.31600002,5\n", True),
        ("psnr,n\n25.316,5\n", "psnr,n\n25.318,5\n", False),
        ("Mean,100.0,,,,22.6291241445,3.0\n", "Mean,100,,,,22.62912414,3\n", True),
        ("n = 5", "n = 4", False),  # a count
        ("43,064 weights", "43,065 weights", False),
        ("25.31 ± 0.01 dB", "25.32 ± 0.01 dB", True),  # a digit beyond was 5
        ("25.31 ± 0.01 dB", "25.33 ± 0.01 dB", False),
        ("−0.00 [−0.01, 0.01]", "0.00 [−0.01, 0.01]", True),
        ("p = 1.2e-07", "p = 1.2000001e-07", True),
        ("gains 0.6 dB", "loses 0.6 dB", False),
        ("1 2", "1", False),
        ("1e-17", "-3e-18", True),  # nothing, computed in two ways
    ],
)
def test_texts_agree_up_to_what_a_processor_changes(a, b, same):
    assert agree(a, b) == agree(b, a) == same


def test_numbers_are_rounded_where_they_are_kept():
    assert rounded({"a": [1 / 3, 7, None, "1/3"]}) == {"a": [0.3333333333, 7, None, "1/3"]}


def png(levels: np.ndarray, compression: int = 6) -> bytes:
    out = io.BytesIO()
    Image.fromarray(levels.astype(np.uint8)).save(out, "png", compress_level=compression)
    return out.getvalue()


GREY = np.full((4, 5), 100)
MOVED = GREY + np.eye(4, 5)


def test_pictures_agree_up_to_a_few_levels():
    assert pictures_agree(png(GREY), png(GREY, compression=0))
    assert pictures_agree(png(GREY), png(GREY + LEVELS * np.eye(4, 5)))
    assert not pictures_agree(png(GREY), png(GREY + (LEVELS + 1) * np.eye(4, 5)))
    assert not pictures_agree(png(GREY), png(np.full((5, 4), 100)))


def page(text: str = "25.31 dB", picture: np.ndarray = GREY, commit: str = "0123") -> str:
    uri = base64.b64encode(png(picture)).decode()
    return (
        f'<p>{text}</p><img src="data:image/png;base64,{uri}" alt="x">'
        f'<h2 id="provenance">How</h2>\n<dl><dt>Commit</dt><dd>{commit}</dd></dl><p>end</p>'
    )


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (page(commit="4567+"), True),
        (page("25.32 dB"), True),
        (page(picture=MOVED), True),
        (page("25.40 dB"), False),
        (page(picture=GREY + 50), False),
        (page() + page(), False),
        (page().replace("end", "End"), False),
    ],
)
def test_a_page_changes_with_its_results_and_not_with_its_commit(other, same):
    assert same_page(page(), other) == same


def test_a_file_that_agrees_is_left_as_it_is(tmp_path):
    path = tmp_path / "a.csv"
    assert paths.update(path, "x\n1.00000001\n", agree)
    assert not paths.update(path, "x\n1.00000002\n", agree) and "0001" in path.read_text()
    assert paths.update(path, "x\n1.1\n", agree) and path.read_text() == "x\n1.1\n"
