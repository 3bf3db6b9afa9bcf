"""The notebooks in JupyterLab, in a real browser: the start page, Run All, a wrong parameter, and the explorer."""

from __future__ import annotations

import io
import json
import re
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from n2nlib.tools.tidy import KEPT, committed, tidy

pytestmark = pytest.mark.browser

#: Seconds that a notebook has for Run All.
PATIENCE = 120


@contextmanager
def opened(browser):
    """A page as wide as a laptop's."""
    page = browser.new_page(viewport={"width": 1440, "height": 1000})
    page.set_default_timeout(60_000)
    yield page
    page.close()


@pytest.fixture
def page(browser):
    with opened(browser) as page:
        yield page


class Notebook:
    """A copy of a notebook, open in JupyterLab with a kernel that is idle."""

    def __init__(self, page, lab, name: str):
        address, folder = lab
        self.page, self.path = page, folder / "notebooks" / f"{name}.ipynb"
        base, token = address.split("/lab")[0], address.partition("token=")[2]
        page.goto(f"{base}/lab/tree/notebooks/{name}.ipynb?reset&token={token}")
        # A kernel that is not idle yet would lose the click.
        self.status = page.locator("#jp-main-statusbar")
        self.idle()

    def idle(self) -> None:
        self.status.get_by_text(re.compile(r"Python \(n2n\) \| Idle")).wait_for()

    def run_all(self) -> list[dict]:
        """Run all cells and return the code cells as saved."""
        self.page.get_by_role("menuitem", name="Run", exact=True).click()
        self.page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            time.sleep(0.5)
            code = [c for c in self.saved()["cells"] if c["cell_type"] == "code"]
            errors = [o for c in code for o in c["outputs"] if o["output_type"] == "error"]
            if errors or all(c["execution_count"] for c in code):
                return code
        raise AssertionError(f"Run All did not end in {PATIENCE} seconds")

    def saved(self) -> dict:
        """Save the notebook and return what the file holds then."""
        self.page.keyboard.press("Control+s")
        try:
            return json.loads(self.path.read_text(encoding="utf-8"))
        except json.JSONDecodeError:  # caught in the middle of being saved
            time.sleep(0.2)
            return json.loads(self.path.read_text(encoding="utf-8"))


def errors(code: list[dict]) -> list[dict]:
    return [o for c in code for o in c["outputs"] if o["output_type"] == "error"]


def emptied(folder: Path, name: str, **parameters: str) -> dict:
    """Take a notebook's outputs away, and set some of its parameters as a reader would; return the notebook."""
    path = folder / "notebooks" / f"{name}.ipynb"
    content = json.loads(path.read_text(encoding="utf-8"))
    for cell in content["cells"]:
        if cell["cell_type"] == "code":
            cell |= {"outputs": [], "execution_count": None}
        if "parameters" in cell["metadata"].get("tags", []):
            source = "".join(cell["source"])
            for key, value in parameters.items():
                source = re.sub(rf'^{key} = "[\w-]+"', f'{key} = "{value}"', source, flags=re.MULTILINE)
            cell["source"] = source
    path.write_text(json.dumps(content), encoding="utf-8")
    return content


def without_outputs(notebook: dict) -> dict:
    cells = [
        {k: v for k, v in c.items() if k not in ("outputs", "execution_count")} for c in notebook["cells"]
    ]
    return notebook | {"cells": [c | {"source": "".join(c["source"])} for c in cells]}


def room(page) -> int:
    """How many characters of a line of code are seen at once."""
    return page.locator(".jp-CodeCell .cm-line").first.evaluate(
        """line => {
            const ruler = document.createElement("span");
            ruler.textContent = "x".repeat(100);
            line.append(ruler);
            const width = ruler.getBoundingClientRect().width / 100;
            ruler.remove();
            const padding = parseFloat(getComputedStyle(line).paddingLeft);
            return Math.floor((line.closest(".cm-scroller").clientWidth - 2 * padding) / width);
        }"""
    )


@pytest.mark.parametrize("name", [path.stem for path in committed() if path.stem != "explore"])
def test_run_all_works_and_saving_changes_outputs_only(lab, page, name):
    before = emptied(lab[1], name)
    notebook = Notebook(page, lab, name)
    lines = [
        line
        for c in before["cells"]
        if c["cell_type"] == "code"
        for line in "".join(c["source"]).splitlines()
    ]
    assert max(map(len, lines)) <= room(page), "a code cell scrolls sideways"
    code = notebook.run_all()
    assert not errors(code)
    kinds = {o.get("metadata", {}).get("n2n", {}).get("kind") for c in code for o in c["outputs"]}
    assert {"figure", "table"} <= kinds
    assert without_outputs(notebook.saved()) == without_outputs(before) | {"metadata": KEPT}


def test_a_parameter_that_cannot_be_is_one_sentence(lab, page):
    """A profile that does not exist: the cell that opens the study says so, naming the nearest."""
    emptied(lab[1], "01_data", profile="smok")
    (error,) = errors(Notebook(page, lab, "01_data").run_all())
    assert error["traceback"] == [f"ReportError: {error['evalue']}"]
    assert "did you mean 'smoke'" in error["evalue"] and "\n" not in error["evalue"]


def test_the_start_page_is_rendered_and_links_to_the_notebooks(lab, page):
    page.goto(lab[0])
    preview = page.locator(".jp-MarkdownViewer")
    preview.get_by_role("heading", name="The notebooks").wait_for()
    preview.get_by_role("link", name="explore").click()
    page.locator(".jp-NotebookPanel:visible").wait_for()


def test_nothing_is_served_without_the_token(lab):
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(lab[0].split("/lab")[0] + "/api/contents")
    assert refused.value.code == 403


# --- the explorer ---


@pytest.fixture(scope="module")
def explorer(lab, browser):
    """explore.ipynb with its first cell executed; one for all tests, because a kernel takes seconds to start."""
    emptied(lab[1], "explore", profile="smoke")
    with opened(browser) as page:
        notebook = Notebook(page, lab, "explore")
        page.locator(".jp-CodeCell .cm-content").first.click()
        page.keyboard.press("Shift+Enter")
        page.locator(".n2n-pictures img").first.wait_for()
        yield notebook


def picture(page, number: int = 0) -> str:
    """The address of a picture, another one for each content that it was given."""
    return page.locator(".n2n-frame > img:first-child").nth(number).get_attribute("src")


def changes(page, number: int, action) -> None:
    """Act, and wait until a picture is another one."""
    before = picture(page, number)
    action()
    page.wait_for_function(
        "([n, old]) => document.querySelectorAll('.n2n-frame > img:first-child')[n].src !== old",
        arg=[number, before],
    )


def upload(page, name: str, content: bytes) -> None:
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Your photograph").click()
    chooser.value.set_files({"name": name, "mimeType": "image/bmp", "buffer": content})


def photograph(width: int, height: int) -> bytes:
    content = io.BytesIO()
    Image.fromarray(np.full((height, width, 3), 99, np.uint8)).save(content, "BMP")
    return content.getvalue()


def test_widgets_change_the_pictures(explorer):
    page = explorer.page
    assert not page.locator(".jp-RenderedImage").first.is_visible(), (
        "the still picture stands beside the live one"
    )
    caption = page.locator(".n2n-caption")
    assert "dB, SSIM" in caption.nth(1).inner_text()
    changes(page, 2, lambda: page.get_by_label("Right").select_option("Gaussian"))
    changes(page, 0, lambda: page.get_by_label("Noise").select_option("Gaussian"))
    changes(page, 0, lambda: page.get_by_label("Photograph").select_option("coffee"))
    changes(page, 0, lambda: page.get_by_role("button", name="Draw the noise again").click())
    page.locator(".widget-slider", has_text="Cell (pixels)").locator(".noUi-handle").focus()
    changes(page, 0, lambda: page.keyboard.press("ArrowLeft"))


def test_a_click_and_the_arrow_keys_choose_a_pixel(explorer):
    from playwright.sync_api import expect

    page = explorer.page
    group, row = page.locator(".n2n-pictures").first, page.locator(".n2n-title").nth(8)
    box = page.locator(".n2n-frame").nth(1).bounding_box()
    changes(
        page,
        8,
        lambda: page.mouse.click(box["x"] + box["width"] * 16.5 / 64, box["y"] + box["height"] * 8.5 / 64),
    )
    assert "row 8, column 16" in group.get_attribute("aria-label")
    expect(row).to_have_text("TNet: row of pixel (8, 16)")
    group.focus()
    changes(page, 8, lambda: page.keyboard.press("ArrowDown"))
    assert "row 9, column 16" in group.get_attribute("aria-label")
    curtain = page.locator(".n2n-curtain:visible")
    curtain.focus()
    page.keyboard.press("End")
    assert curtain.input_value() == "100" and "row 9, column 16" in group.get_attribute("aria-label")


def test_a_large_photograph_arrives_and_what_is_none_is_one_sentence(explorer):
    """More than 10 MB, where a server without settings of its own would drop the connection."""
    page = explorer.page
    changes(page, 0, lambda: upload(page, "mine.bmp", photograph(2400, 1600)))
    assert page.get_by_label("Photograph").input_value() == "mine.bmp"
    upload(page, "notes.bmp", b"no picture")
    page.get_by_text("notes.bmp").wait_for()
    assert page.get_by_label("Photograph").input_value() == "mine.bmp"


def test_the_code_below_runs_as_well(explorer):
    code = explorer.run_all()
    assert not errors(code)
    still = tidy(explorer.saved())["cells"][1]["outputs"]  # as it is committed, for pages without a kernel
    assert [set(o["data"]) - {"text/plain"} for o in still] == [{"image/png"}, {"text/markdown"}]
    text = "".join("".join(o.get("text", "")) for c in code for o in c["outputs"])
    assert re.search(r"FiveConvs: [\d,]+ parameters, \d\d\.\d\d dB", text)
