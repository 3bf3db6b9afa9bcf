"""Which library modules, and which data files of the library, a notebook's result can depend on; found without importing any."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

PACKAGE = "n2nlib"
#: The chain itself: it shows results and never makes them, so that a change of layout re-executes nothing.
SHELL = f"{PACKAGE}.report"


def code_of(notebook: dict) -> str:
    """Return a notebook's Python as one text, lines of IPython's own syntax left out."""
    cells = ("".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code")
    return "\n".join(line for cell in cells for line in cell.splitlines() if not line.lstrip().startswith(("%", "!")))


def closure(code: str, package: Path) -> dict[str, Path]:
    """Return module name -> file of every n2nlib module that `code` imports, directly or through another module.

    `package` is the folder of n2nlib. Imports inside functions count, and so do names that a package loads lazily
    (its `_PUBLIC` table) and modules named in an `import_module` call. Raises SyntaxError if the code has one.
    """
    modules = _modules(package)
    found: dict[str, Path] = {}
    queue = [PACKAGE, *_imports(ast.parse(code), "", modules)] if PACKAGE in code else []
    while queue:
        name = queue.pop()
        if name in found or name.startswith(SHELL):
            continue
        found[name] = modules[name]
        if "." in name:
            queue.append(name.rpartition(".")[0])
        queue += _imports(_tree(modules[name]), name, modules)
    return dict(sorted(found.items()))


def data_files(package: Path, modules: Iterable[Path]) -> list[Path]:
    """Return the package's data files that those modules name; a file that no module at all names counts for all."""
    files = [p for p in sorted(package.rglob("*")) if p.is_file() and p.suffix != ".py" and _is_data(p, package)]
    texts = {p: p.read_text() for p in _modules(package).values()}
    mine = [texts[p] for p in modules]
    return [f for f in files if any(f.name in t for t in mine) or not any(f.name in t for t in texts.values())]


def load_notebook(path: Path) -> dict:
    """Return a notebook's JSON."""
    return json.loads(path.read_text(encoding="utf-8"))


def _is_data(path: Path, package: Path) -> bool:
    parts = path.relative_to(package).parts
    return parts[0] != "report" and "__pycache__" not in parts and not path.name.startswith(".")


def _modules(package: Path) -> dict[str, Path]:
    out = {}
    for path in package.rglob("*.py"):
        parts = path.relative_to(package).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        out[".".join((PACKAGE, *parts))] = path
    return out


def _imports(tree: ast.AST, module: str, modules: dict[str, Path]) -> list[str]:
    """Return the modules of the package that a syntax tree imports; `module` is its own name ('' for a notebook)."""
    is_package = module and modules[module].name == "__init__.py"
    here = module if is_package else module.rpartition(".")[0]
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, here)
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == PACKAGE:
            names.append(f"{PACKAGE}.{node.attr}")
        elif isinstance(node, ast.Call) and "import_module" in ast.dump(node.func):
            texts = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
            names += [here + t if t.startswith(".") else t for t in texts]
    return [n for name in names for n in _resolve(name, modules)]


def _absolute(node: ast.ImportFrom, here: str) -> str:
    """Return the module that `from ... import` starts at; `here` is the package it stands in."""
    above = here.split(".")[: -(node.level - 1) or None] if node.level else []
    return ".".join((*above, *filter(None, [node.module])))


def _resolve(name: str, modules: dict[str, Path]) -> list[str]:
    if name in modules:
        return [name]
    parent, _, attribute = name.rpartition(".")
    if parent in modules:
        lazy = _lazy(modules[parent]).get(attribute)
        return [f"{parent}.{lazy}"] if lazy else []
    return []


def _lazy(path: Path) -> dict[str, str]:
    for node in _tree(path).body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(target, ast.Name) and target.id == "_PUBLIC":
            return ast.literal_eval(node.value)
    return {}


def _tree(path: Path) -> ast.Module:
    return _parse(path.read_text(encoding="utf-8"))


_parse = lru_cache(ast.parse)
