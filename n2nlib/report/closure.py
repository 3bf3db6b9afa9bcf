"""Modules and data files of the library that a notebook's result can depend on, found without imports."""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

from n2nlib.errors import ReportError

PACKAGE = "n2nlib"
#: The chain itself: it shows results and never makes them, so that a change of layout re-executes nothing.
SHELL = f"{PACKAGE}.report"


#: Stands for code that may use any module of the library: `Library.closure` counts all of them.
EVERYTHING = f"from {PACKAGE} import *"
#: A magic or a command that names the library, or executes a file, as IPython writes it.
MAY_USE_ANY = re.compile(rf"get_ipython\(\)\.(.*{PACKAGE}|run_\w+\('(run|load|loadpy)')")


def code_of(notebook: dict, name: str = "the notebook") -> str:
    """Return a notebook's Python as one text, IPython's own syntax translated as IPython does it.

    Where a magic or a command names the library, or an extension may change the syntax, the text imports
    every module. Raises ReportError, naming notebook and cell, for a cell with a syntax error, unless it is
    tagged `raises-exception`.
    """
    parts, extended = [], False
    for number, cell in enumerate(notebook["cells"], 1):
        if cell["cell_type"] != "code":
            continue
        source = "".join(cell["source"])
        extended = extended or bool(re.search(r"\b(load|reload)_ext\b|input_transformers", source))
        try:
            parts.append(_python(source))
        except SyntaxError as error:
            if extended:
                parts.append(EVERYTHING)
            elif "raises-exception" not in cell["metadata"].get("tags", []):
                line = (error.text or source.splitlines()[0]).strip()
                raise ReportError(
                    f"{name}, cell {cell.get('id', number)!r}: {error.msg} in `{line}`. "
                    "Correct the cell, or tag it `raises-exception` if it is meant to fail."
                ) from None
    return "\n".join(part.strip("\n") for part in parts if part.strip())


def _python(source: str) -> str:
    """Return a cell's Python; raises SyntaxError where IPython would."""
    try:
        _parse_cell(source)
    except SyntaxError:
        from IPython.core.inputtransformer2 import TransformerManager  # takes 0.1 s, and few chapters need it

        source = TransformerManager().transform_cell(source)
        _parse_cell(source)
        return f"{source}\n{EVERYTHING}" if MAY_USE_ANY.search(source) else source
    return source


def _parse_cell(source: str) -> ast.Module:
    """Return a cell's syntax tree (`await` may stand anywhere); raises only SyntaxError."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # such as an invalid escape: executing the cell says it
        try:
            flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
            return compile(source, "cell", "exec", flags, dont_inherit=True)
        except (ValueError, RecursionError, MemoryError) as error:
            raise SyntaxError(str(error)) from None


class Library:
    """The modules of n2nlib as files, and what each of them imports; every file is read and parsed once.

    package: the folder of n2nlib, which need not be the one that is imported. Not grimp: that reads only the
    package that would be imported, and does not see names that are loaded lazily.
    """

    def __init__(self, package: Path):
        self.package = package
        self.modules = {_module_name(path.relative_to(package)): path for path in package.rglob("*.py")}
        self._imported: dict[str, list[str]] = {}

    def closure(self, code: str) -> dict[str, Path]:
        """Return module name -> file of every module that `code` imports, directly or through another module.

        Imports inside functions count, and so do the names that the package loads lazily (`_PUBLIC`).
        `from n2nlib import *` counts as every module. Raises SyntaxError if the code has one.
        """
        found: dict[str, Path] = {}
        queue = [PACKAGE, *self._imports(_parse_cell(code), "")] if PACKAGE in code else []
        while queue:
            name = queue.pop()
            if name in found or name.startswith(SHELL):
                continue
            found[name] = self.modules[name]
            if "." in name:
                queue.append(name.rpartition(".")[0])
            queue += self._imports_of(name)
        return dict(sorted(found.items()))

    def data_files(self, modules: Iterable[Path]) -> list[Path]:
        """Return the data files that those modules name; a file that no module names counts for all."""
        mine = [self._texts[p] for p in modules]
        return [f for f, named in self._data.items() if not named or any(f.name in text for text in mine)]

    @cached_property
    def _texts(self) -> dict[Path, str]:
        return {path: path.read_text(encoding="utf-8") for path in self.modules.values()}

    @cached_property
    def _data(self) -> dict[Path, bool]:
        """Data file -> whether any module names it."""
        files = [
            p for p in sorted(self.package.rglob("*")) if p.suffix != ".py" and _is_data(p, self.package)
        ]
        return {f: any(f.name in text for text in self._texts.values()) for f in files if f.is_file()}

    @cached_property
    def _lazy(self) -> dict[str, str]:
        """Name -> module, as in the table `_PUBLIC` of the package."""
        [table] = re.findall(r"^_PUBLIC = (\{.*?\})$", self._texts[self.modules[PACKAGE]], re.M | re.S)
        return ast.literal_eval(table)

    def _imports_of(self, name: str) -> list[str]:
        if name not in self._imported:
            self._imported[name] = self._imports(ast.parse(self._texts[self.modules[name]]), name)
        return self._imported[name]

    def _imports(self, tree: ast.AST, module: str) -> list[str]:
        """Return the modules that a syntax tree imports; `module` is its own name ('': a notebook)."""
        is_package = module and self.modules[module].name == "__init__.py"
        here = module if is_package else module.rpartition(".")[0]
        names: list[str] = []
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                names += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                base = _absolute(node, here)
                if not module and base == PACKAGE and node.names[0].name == "*":
                    return list(self.modules)
                names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
            elif isinstance(node, ast.Attribute):
                if isinstance(node.value, ast.Name) and node.value.id == PACKAGE:
                    names.append(f"{PACKAGE}.{node.attr}")
        return list(dict.fromkeys(n for name in names for n in self._resolve(name)))

    def _resolve(self, name: str) -> list[str]:
        if name in self.modules:
            return [name]
        parent, _, attribute = name.rpartition(".")
        lazy = self._lazy.get(attribute) if parent == PACKAGE else None
        return [f"{PACKAGE}.{lazy}"] if lazy else []


def load_notebook(path: Path) -> dict:
    """Return a notebook's JSON; raises ReportError for what cannot be read as a notebook."""
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        if notebook.get("nbformat", 4) < 4:
            raise ValueError(f"its format is {notebook['nbformat']}: save it in JupyterLab to convert it")
        [(cell["cell_type"], cell["source"], cell["metadata"]) for cell in notebook["cells"]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = error if isinstance(error, ValueError) else f"{type(error).__name__} {error}"
        raise ReportError(f"{path} cannot be read as a notebook: {reason}.") from None
    except OSError as error:
        raise ReportError(
            f"{path} cannot be read ({error.strerror}): restore it, check its permissions, or remove it."
        ) from None
    return notebook


def _is_data(path: Path, package: Path) -> bool:
    parts = path.relative_to(package).parts
    return parts[0] != "report" and "__pycache__" not in parts and not path.name.startswith(".")


def _module_name(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join((PACKAGE, *(parts[:-1] if parts[-1] == "__init__" else parts)))


def _absolute(node: ast.ImportFrom, here: str) -> str:
    """Return the module that `from ... import` starts at; `here` is the package it stands in."""
    above = here.split(".")[: -(node.level - 1) or None] if node.level else []
    return ".".join((*above, *filter(None, [node.module])))
