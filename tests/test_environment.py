"""One list of dependencies: what is pinned, what conda is told, and what is installed all follow from pyproject.toml."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from importlib.metadata import requires

import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from n2nlib import __version__, paths
from n2nlib.install import NEWEST, OLDEST

ROOT = paths.root()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def declared() -> list[Requirement]:
    """Return what pyproject.toml asks for: its dependencies and those of the extras that `all` names."""
    extras = PROJECT["optional-dependencies"]
    (everything,) = map(Requirement, extras["all"])
    return [
        Requirement(line)
        for line in (*PROJECT["dependencies"], *(r for e in sorted(everything.extras) for r in extras[e]))
    ]


def locked() -> dict[str, list[Requirement]]:
    """Return requirements.lock by package; one whose version depends on Python or platform has several lines."""
    out: dict[str, list[Requirement]] = {}
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        if line and not line.startswith("#"):
            requirement = Requirement(line)
            out.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return out


def needed() -> set[str]:
    """Return the names of everything that pyproject.toml asks for and, in turn, needs in this environment."""
    found, seen = set(), set()
    queue = [(r, "") for r in declared()]
    while queue:
        requirement, extra = queue.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        found.add(name)
        for wanted in {"", *requirement.extras} - {e for n, e in seen if n == name}:
            seen.add((name, wanted))
            queue += [(Requirement(line), wanted) for line in requires(name) or []]
    return found


def test_everything_needed_is_pinned_for_this_python():
    pins = locked()
    for name in needed():
        here = [r for r in pins.get(name, []) if r.marker is None or r.marker.evaluate()]
        assert len(here) == 1, f"{name} is needed and has {len(here)} pins for this Python: run `make lock`"


def test_every_lower_bound_admits_the_pinned_versions():
    for requirement in declared():
        assert any(s.operator == ">=" for s in requirement.specifier), f"{requirement} has no lower bound"
        for pin in locked()[canonicalize_name(requirement.name)]:
            (version,) = pin.specifier
            assert requirement.specifier.contains(version.version), f"{requirement} does not admit {pin}"


def test_pins_are_exact_and_install_anywhere():
    """No local version such as +cpu, which only one index has, and no address."""
    for pin in (pin for lines in locked().values() for pin in lines):
        (version,) = pin.specifier
        assert version.operator == "==" and "+" not in version.version and pin.url is None


def test_the_lock_covers_every_supported_python():
    """A pin for one Python alone, such as importlib-metadata below 3.12, says so in its marker."""
    for minor in range(OLDEST[1], NEWEST[1] + 1):
        environment = {"python_version": f"3.{minor}", "python_full_version": f"3.{minor}.9"}
        for name, lines in locked().items():
            assert sum(r.marker is None or r.marker.evaluate(environment) for r in lines) <= 1, name
        for requirement in declared():
            lines = locked()[canonicalize_name(requirement.name)]
            assert sum(r.marker is None or r.marker.evaluate(environment) for r in lines) == 1
    assert SpecifierSet(PROJECT["requires-python"]).contains(".".join(map(str, OLDEST)))


def test_conda_gets_the_same_list():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    conda, pip = environment["dependencies"][:-1], environment["dependencies"][-1]["pip"]
    python = next(Requirement(line) for line in conda if line.startswith("python"))
    assert python.specifier == SpecifierSet(PROJECT["requires-python"])
    assert len(conda) == 2 and conda[1] == "pip"  # every package comes from the one list
    assert pip == ["-c requirements.lock", "-e .[all]"]  # as n2nlib.install does


def test_what_the_library_imports_is_declared():
    """Import names of the library against its dependencies and extras."""
    names = {
        "skimage": "scikit-image",
        "sklearn": "scikit-learn",
        "PIL": "pillow",
        "pywt": "pywavelets",
        "yaml": "pyyaml",
        "pypandoc": "pypandoc-binary",
    }
    lists = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    declared = {canonicalize_name(Requirement(line).name) for lines in lists for line in lines}
    brought = {"IPython", "distributed", "traitlets"}  # by ipykernel, dask[distributed] and ipywidgets
    for path in (ROOT / "n2nlib").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            modules = (
                [a.name for a in node.names]
                if isinstance(node, ast.Import)
                else [node.module]
                if isinstance(node, ast.ImportFrom) and not node.level
                else []
            )
            for top in (m.partition(".")[0] for m in modules):
                if top in sys.stdlib_module_names or top == "n2nlib" or top in brought:
                    continue
                assert canonicalize_name(names.get(top, top)) in declared, (
                    f"{path.name} imports {top}, which pyproject.toml does not declare"
                )


def test_versions_agree():
    import re

    citation = (ROOT / "CITATION.cff").read_text()
    assert re.search(r"^version: (.+)$", citation, re.MULTILINE)[1] == __version__


def test_installed_packages_agree_with_one_another():
    check = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True)
    assert check.returncode == 0, check.stdout


def test_make_help_names_every_target():
    makefile = (ROOT / "Makefile").read_text()
    phony = makefile.split(".PHONY:")[1].splitlines()[0].split()
    told = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert [line.split()[0] for line in told.splitlines()] == phony
