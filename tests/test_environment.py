"""One list of dependencies: what is pinned, what conda is told, and what is installed all follow from pyproject.toml."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib

import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from n2nlib import __version__, paths
from n2nlib.report import lock

ROOT = paths.root()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_pinned_set_is_what_is_declared_and_needed():
    """Drift either way fails: something declared and not pinned, or pinned and no longer needed."""
    locked, pins = lock.locked(), lock.pins()
    assert set(pins) <= set(locked), "run `python -m n2nlib.report lock`"
    # A package that only another Python needs may be pinned and not be installed here.
    surplus = set(locked) - set(pins)
    assert not surplus or sys.version_info[:2] != (3, 11), f"pinned and not needed: {surplus}"


def test_every_lower_bound_admits_the_pinned_version():
    locked = lock.locked()
    for requirement in lock.declared():
        name = lock.canonicalize_name(requirement.name)
        assert requirement.specifier.contains(locked[name]), f"{requirement} does not admit {locked[name]}"
        assert any(s.operator == ">=" for s in requirement.specifier), f"{requirement} has no lower bound"


def test_pins_install_anywhere():
    """No local version such as +cpu, which only one index has."""
    assert not [line for line in lock.lock_file().read_text().splitlines() if "+" in line or "@" in line]


def test_conda_gets_the_same_list():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    conda, pip = environment["dependencies"][:-1], environment["dependencies"][-1]["pip"]
    python = next(Requirement(line) for line in conda if line.startswith("python"))
    assert python.specifier == SpecifierSet(PROJECT["requires-python"])
    assert len(conda) == 2 and conda[1] == "pip"  # every package comes from the one list
    assert pip == [f"-c {lock.lock_file().name}", f"-e .[{','.join(lock.EXTRAS)}]"]
    assert f"-c {lock.lock_file().name} -e '.[{','.join(lock.EXTRAS)}]'" in (ROOT / "Makefile").read_text()


def test_what_the_library_imports_is_declared():
    """Import names of the library against its dependencies and extras."""
    names = {"skimage": "scikit-image", "sklearn": "scikit-learn", "PIL": "pillow", "pywt": "pywavelets", "pypandoc": "pypandoc-binary"}
    lists = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    declared = {lock.canonicalize_name(Requirement(line).name) for lines in lists for line in lines}
    brought = {"IPython", "distributed"}  # by ipykernel and dask[distributed]
    for path in (ROOT / "n2nlib").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            modules = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module] if isinstance(node, ast.ImportFrom) and not node.level else []
            for top in (m.partition(".")[0] for m in modules):
                if top in sys.stdlib_module_names or top == "n2nlib" or top in brought:
                    continue
                assert lock.canonicalize_name(names.get(top, top)) in declared, f"{path.name} imports {top}, which pyproject.toml does not declare"


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
    told = subprocess.run(["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert [line.split()[0] for line in told.splitlines()] == phony
