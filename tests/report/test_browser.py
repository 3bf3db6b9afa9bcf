"""report.html in a browser: axe-core, folds, links, enlarged figures; two widths, two schemes."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_outputs import executed, ledger, text

from n2nlib import paths
from n2nlib.report import document
from n2nlib.report.html import html

pytestmark = pytest.mark.browser

SIZES = {"desktop": (1440, 900), "phone": (390, 844)}
MOST_PRINTED_PAGES = 30


@pytest.fixture
def page_file(fake_report, tmp_path) -> Path:
    """A report of stand-in chapters: equations, figures, a wide table, folds, a ledger."""
    fold = text("## More\n\n<details><summary>A fold</summary>\n\n$$" + "x + " * 60 + "y$$\n\n</details>")
    fake_report.folder.joinpath("notebooks").mkdir(parents=True)
    executed(fake_report, {"02_networks": [fold], "07_report": ledger(fake_report)})
    file = tmp_path / "report.html"
    file.write_text(html(document.read(fake_report)), encoding="utf-8")
    return file


def tracked() -> list[Path]:
    """Return the tracked report.html, if the present page template made it."""
    file = paths.root() / "results" / "imagenet-sample-paper-bf16" / "report.html"
    made = file.exists() and "Content-Security-Policy" in file.read_text(encoding="utf-8")[:2_000]
    return [file] if made else []


TRACKED = tracked()


def opened(browser, file: Path, size: str, scheme: str = "light"):
    width, height = SIZES[size]
    page = browser.new_page(
        viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce"
    )
    page.problems = []
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on(
        "console", lambda message: page.problems.append(message.text) if message.type == "error" else None
    )
    page.on(
        "request", lambda r: page.problems.append(r.url) if not r.url.startswith(("file:", "data:")) else None
    )
    page.goto(file.as_uri())
    return page


def violations(page) -> list[str]:
    """Return what axe-core finds with every fold open, as "rule: element"."""
    from axe_playwright_python.sync_playwright import Axe

    page.evaluate("document.querySelectorAll('details').forEach(fold => { fold.open = true })")
    found = Axe().run(page).response["violations"]
    return [f"{rule['id']}: {node['html'][:150]}" for rule in found for node in rule["nodes"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_axe_finds_nothing(browser, page_file, size, scheme):
    for file in [page_file, *TRACKED]:
        page = opened(browser, file, size, scheme)
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") == SIZES[size][0]
        assert page.problems == []
        page.close()


def test_a_figure_is_enlarged_by_keyboard_and_click(browser, page_file):
    page = opened(browser, page_file, "desktop")
    dialog = page.locator("dialog")
    page.get_by_role("button", name="Enlarge figure 1").press("Enter")
    assert dialog.is_visible() and dialog.locator("img").get_attribute("src").startswith("data:image/webp")
    assert dialog.locator("p").inner_text().startswith("Figure 1. The narrow figure")
    page.keyboard.press("Escape")
    assert not dialog.is_visible()
    page.locator("#figure-wide img").click()
    assert dialog.is_visible()
    page.get_by_role("button", name="Close").click()
    assert not dialog.is_visible()
    page.close()


def test_the_first_tab_skips_to_the_text_and_a_claim_leads_to_its_code(browser, page_file):
    page = opened(browser, page_file, "desktop")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "top"
    page.get_by_role("link", name="Code: order", exact=True).click()
    assert page.locator("details.code:has(#code-table-models)").get_attribute("open") is not None
    page.locator("#table-models a[href='#claim-order']").click()
    page.wait_for_function("document.querySelector('nav [aria-current]')?.hash === '#the-ledger'")
    page.close()


def test_a_phone_shows_every_verdict_and_keeps_the_first_column(browser, page_file):
    page = opened(browser, page_file, "phone")
    for verdict in page.locator(".ledger .verdict").all():
        box = verdict.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= SIZES["phone"][0]
    scrolling = page.locator("#table-claims .scroll")
    assert scrolling.get_attribute("tabindex") == "0"
    scrolling.evaluate("part => { part.scrollLeft = 200 }")
    first, region = page.locator("#table-claims td").first.bounding_box(), scrolling.bounding_box()
    assert abs(first["x"] - region["x"]) < 1
    page.close()


def test_dark_pages_are_dark_and_figures_stay_on_white(browser, page_file):
    page = opened(browser, page_file, "desktop", "dark")
    colour = "part => getComputedStyle(part).backgroundColor"
    assert page.locator("body").evaluate(colour) == "rgb(21, 25, 30)"
    assert page.locator("#figure-wide .picture").evaluate(colour) == "rgb(255, 255, 255)"
    page.close()


@pytest.mark.skipif(not TRACKED, reason="no tracked report.html was made by the present page template")
def test_a_report_prints_on_few_pages(browser):
    for file in TRACKED:
        page = opened(browser, file, "desktop")
        pdf = page.pdf(format="A4", prefer_css_page_size=True)
        page.close()
        assert pdf.count(b"/Type /Page\n") + pdf.count(b"/Type /Page ") <= MOST_PRINTED_PAGES
        assert file.stat().st_size < 3_000_000
