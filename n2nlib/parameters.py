"""A notebook's parameters: unknown and ill-typed ones stop the run with a sentence."""

from __future__ import annotations

import ast
from typing import Any

from n2nlib.errors import ReportError, unknown_name

EXPECTED = {str: "a string", bool: "True or False"}


def refuse_ill_typed(kind: type, **values: Any) -> None:
    """Raise ReportError for a parameter that is not of a type."""
    for name, value in values.items():
        if not isinstance(value, kind):
            raise ReportError(f"parameter {name} is {value!r}: expected {EXPECTED[kind]}.")


def refuse_unknown_parameters() -> None:
    """Raise ReportError if papermill injected a parameter that the notebook's own cell does not have.

    Papermill's cell follows the tagged one and begins with "# Parameters"; IPython's history holds both.
    """
    try:
        from IPython import get_ipython

        history = get_ipython().user_ns["In"]
    except (ImportError, AttributeError, KeyError):
        return
    for own, injected in zip(history[:-1], history[1:], strict=True):
        if injected.partition("\n")[0] == "# Parameters":
            known = _assigned(own)
            for name in _assigned(injected):
                if name not in known:
                    raise unknown_name("notebook parameter", name, known)


def _assigned(source: str) -> set[str]:
    """Return the names that a cell assigns at its top level."""
    tree = ast.parse(source)
    return {
        t.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        for t in node.targets
        if isinstance(t, ast.Name)
    }
