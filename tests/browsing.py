"""Debian's Chromium and a JupyterLab server for the tests that need them (`make test-browser`)."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from n2nlib import paths
from n2nlib.report import kernel

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
#: What `make lab` starts the server with; the places in it are relative to the checkout.
LAB = "n2nlib/tools/lab/config.json"


@contextmanager
def chromium() -> Iterator:
    """Give a headless Chromium as playwright's browser; skip the test where there is none."""
    if not CHROMIUM:
        pytest.skip("no chromium: `apt-get install chromium` to test pages in a browser")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def jupyterlab(folder: Path) -> Iterator[str]:
    """Serve copies of the notebooks in a folder, as `make lab` does; give the address with its token."""
    shutil.copytree(paths.notebooks(), folder / "notebooks", ignore=shutil.ignore_patterns(".*"))
    kernel.install()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    places = {f"JUPYTER_{x}_DIR": str(folder / x.lower()) for x in ("CONFIG", "DATA", "RUNTIME")}
    command = [sys.executable, "-m", "jupyter", "lab", f"--config={LAB}", "--no-browser", "--allow-root",
               f"--port={port}", f"--ServerApp.root_dir={folder}"]  # fmt: skip
    log = folder / "log"
    with log.open("w") as out:
        server = subprocess.Popen(command, stdout=out, stderr=out, env=os.environ | places, cwd=paths.root())
        try:
            yield _address(server, log)
        finally:
            server.terminate()
            server.wait(20)


def _address(server: subprocess.Popen, log: Path) -> str:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        if found := re.search(r"http://127\.0\.0\.1:\d+/lab\S*\?token=\w+", log.read_text()):
            return found[0]
        time.sleep(0.2)
    raise AssertionError(log.read_text()[-2000:])
