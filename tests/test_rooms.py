"""The structure of the library, and the form of its code: contracts in pyproject.toml, checked by import-linter and ruff."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from n2nlib import paths

ROOT = paths.root()
BIN = Path(sys.executable).parent


def checked(*command: str) -> None:
    done = subprocess.run([BIN / command[0], *command[1:]], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


def test_a_package_imports_only_from_packages_below_it():
    checked("lint-imports", "--no-cache")


def test_code_and_notebooks_are_free_of_lint():
    checked("ruff", "check", "--no-cache", ".")


def test_code_and_notebooks_are_formatted():
    checked("ruff", "format", "--no-cache", "--check", ".")


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, n2nlib; sys.exit(not {'torch', 'numpy'}.isdisjoint(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
