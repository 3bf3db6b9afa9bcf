"""The rooms of the library: a room imports only from floors below its own, or from its own floor where it must."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from n2nlib import paths
from n2nlib.report.closure import _imports, _modules

#: Module (or package) -> floor, as in the README's layout.
FLOORS = {
    "install": 0,
    "errors": 0,
    "paths": 1, "paper": 1, "device": 1, "text": 1, "locks": 1,
    "corpus": 2, "models": 2, "losses": 2, "metrics": 2, "classical": 2,
    "spec": 3, "schemes": 3, "plain": 3, "training": 3, "transfer": 3,
    "figures": 4, "runs": 4, "sweep": 4, "speed": 4, "progress": 4, "cluster": 4, "experiments": 4,
    "stats": 5, "smoothgrad": 5, "saliency": 5, "detail": 5, "measurements": 5, "comparison": 5, "study": 5, "words": 6, "curves": 6,
    "claims": 6, "ledger": 6, "tables": 6, "compare": 6,
    "filters": 6, "generalisation": 6, "data_figures": 6, "figures_filters": 6, "figures_network": 6, "search": 6,
    "saliency_measurements": 6, "saliency_figures": 6, "report_words": 6,
    "report": 7, "bench": 7, "verify": 7,
}  # fmt: skip

PACKAGE = paths.root() / "n2nlib"
MODULES = _modules(PACKAGE)


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def imported(module: str) -> set[str]:
    """Return the rooms that a module imports from, at its top or inside its functions."""
    tree = ast.parse(MODULES[module].read_text())
    return {room(name) for name in _imports(tree, module, MODULES)} - {"", room(module)}


def test_every_module_has_a_room():
    assert {room(m) for m in MODULES} - {""} <= set(FLOORS)


@pytest.mark.parametrize("module", sorted(m for m in MODULES if room(m)))
def test_imports_go_down(module):
    own = FLOORS[room(module)]
    up = {name: FLOORS[name] for name in imported(module) if FLOORS[name] > own}
    assert not up, f"{module} (floor {own}) imports from above: {up}"


def test_networks_and_losses_know_nothing_of_training():
    below = [m for m in MODULES if room(m) in ("models", "losses", "metrics", "corpus")]
    assert not {name for m in below for name in imported(m)} & {"training", "runs", "sweep", "study", "report"}


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, n2nlib; sys.exit(not {'torch', 'numpy'}.isdisjoint(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
