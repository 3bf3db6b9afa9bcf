"""The chapters in JupyterLab, in a real browser: opened by its address and token, Run All, and a changed parameter."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from n2nlib import paths
from n2nlib.report import kernel
from n2nlib.tools.tidy import committed

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip

pytestmark = pytest.mark.skipif(
    not CHROMIUM, reason="no chromium: `apt-get install chromium` to test JupyterLab in a browser"
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """JupyterLab on copies of the chapters, as `make lab` starts it; return (address with token, folder)."""
    folder = tmp_path_factory.mktemp("lab")
    shutil.copytree(paths.notebooks(), folder / "notebooks", ignore=shutil.ignore_patterns(".*"))
    kernel.install()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = folder / "log"
    environment = os.environ | {"JUPYTER_CONFIG_DIR": str(folder / "config"), "JUPYTER_DATA_DIR": str(folder / "data"),
                                "JUPYTER_RUNTIME_DIR": str(folder / "runtime")}  # fmt: skip
    command = [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}",
               f"--ServerApp.root_dir={folder}"]  # fmt: skip
    with log.open("w") as out:
        server = subprocess.Popen(command, stdout=out, stderr=out, env=environment)
        try:
            yield _address(server, log), folder
        finally:
            server.terminate()
            server.wait(20)


def _address(server: subprocess.Popen, log: Path) -> str:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        if found := re.search(r"http://127\.0\.0\.1:\d+/lab\?token=\w+", log.read_text()):
            return found[0]
        time.sleep(0.2)
    raise AssertionError(log.read_text()[-2000:])


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


def run_all(browser, address: str, folder: Path, name: str) -> list[dict]:
    """Open a notebook, Run All, save; return its cells as saved."""
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    base, token = address.split("/lab?")
    page.goto(f"{base}/lab/tree/notebooks/{name}.ipynb?reset&{token}")
    # A kernel that is not idle yet would lose the click.
    page.locator("#jp-main-statusbar").get_by_text(re.compile(r"Python \(n2n\) \| Idle")).wait_for(
        timeout=60_000
    )
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    path = folder / "notebooks" / f"{name}.ipynb"
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        time.sleep(1)
        page.keyboard.press("Control+s")
        try:
            code = [c for c in json.loads(path.read_text())["cells"] if c["cell_type"] == "code"]
        except json.JSONDecodeError:  # caught in the middle of being saved
            continue
        errors = [o for c in code for o in c["outputs"] if o["output_type"] == "error"]
        if errors or all(c["execution_count"] for c in code):
            break
    page.close()
    assert not errors, errors
    assert all(c["execution_count"] for c in code), "Run All did not end in four minutes"
    return code


def emptied(folder: Path, name: str, **parameters: str) -> None:
    """Take a notebook's outputs away, and set some of its parameters as a reader would."""
    path = folder / "notebooks" / f"{name}.ipynb"
    content = json.loads(path.read_text())
    for cell in content["cells"]:
        if cell["cell_type"] == "code":
            cell |= {"outputs": [], "execution_count": None}
        if "parameters" in cell["metadata"].get("tags", []):
            source = "".join(cell["source"])
            for key, value in parameters.items():
                source = re.sub(rf'^{key} = "\w+"', f'{key} = "{value}"', source, flags=re.MULTILINE)
            cell["source"] = source
    path.write_text(json.dumps(content))


@pytest.mark.parametrize("name", [path.stem for path in committed()])
def test_run_all_works(lab, browser, name):
    address, folder = lab
    emptied(folder, name)
    code = run_all(browser, address, folder, name)
    kinds = {o.get("metadata", {}).get("n2n", {}).get("kind") for c in code for o in c["outputs"]}
    assert {"figure", "table"} <= kinds or name == "explore"


def test_a_parameter_that_cannot_be_is_one_sentence(lab, browser):
    """A profile that does not exist: the cell that opens the study says so, naming the nearest."""
    address, folder = lab
    emptied(folder, "01_data", profile="smok")
    with pytest.raises(AssertionError, match="did you mean 'smoke'"):
        run_all(browser, address, folder, "01_data")


def test_nothing_is_served_without_the_token(lab):
    import urllib.error
    import urllib.request

    address, _ = lab
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(address.split("/lab?")[0] + "/api/contents")
    assert refused.value.code == 403
