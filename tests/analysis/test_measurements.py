"""A stored measurement is the answer of the code that is there now: who changes a function raises its version."""

from __future__ import annotations

import ast
import hashlib
import importlib
import inspect
import json
import sys
import textwrap
from pathlib import Path
from types import FunctionType, ModuleType

import numpy as np
import pytest

import n2nlib.analysis.real_images  # noqa: F401  registers its kinds
import n2nlib.analysis.saliency_measurements  # noqa: F401  registers its kinds
from n2nlib.analysis import measurements
from n2nlib.analysis.measurements import KINDS, Measurement
from n2nlib.data import open_dataset
from n2nlib.profiles import PROFILES
from n2nlib.runs.store import Run, RunStore

PINS = Path(__file__).with_name("measurements.json")


def test_a_new_version_is_computed_again_and_the_same_one_is_not(tmp_path):
    store, calls = RunStore(tmp_path), []

    def answer(value):
        return lambda *, x: (calls.append(x), {"value": value, "arrays": {"x": np.arange(x)}})[1]

    old, new = Measurement("answer", 1, answer("old")), Measurement("answer", 2, answer("new"))
    assert [m.stored(store, x=3)["value"] for m in (old, old, new, new)] == ["old", "old", "new", "new"]
    assert calls == [3, 3]
    np.testing.assert_array_equal(new.stored(store, x=3)["arrays"]["x"], [0, 1, 2])
    assert new.stored(store, x=4)["value"] == "new" and calls == [3, 3, 4]


def test_the_first_version_is_named_where_stored_answers_name_it():
    assert Measurement("m", 1, dict).inputs({"x": 1}) == {"x": 1}
    assert Measurement("m", 1, dict, explicit=True).inputs({"x": 1}) == {"x": 1, "version": 1}
    assert Measurement("m", 2, dict).inputs({"x": 1}) == {"x": 1, "version": 2}


def test_arguments_are_named_by_what_defines_them():
    dataset = open_dataset("bundled", n_train=64, n_val=12)
    found = Measurement("m", 1, dict).inputs(
        {"dataset": dataset, "levels": (0.1, 0.5), "by": {"a": [dataset]}, "text": "abc"}
    )
    assert found == {
        "corpus": dataset.fingerprint,
        "levels": [0.1, 0.5],
        "by": {"a": [dataset.fingerprint]},
        "text": "abc",
    }


# --- chapter 04 ---


def test_windows_are_spread_over_levels_and_photographs():
    values, photo = np.array([10.0, 11, 12, 13, 14, 15]), np.array([0, 0, 0, 1, 1, 1])
    chosen = measurements.spread_windows(values, photo, (0.0, 0.1, 0.85, 1.0))
    assert chosen == [0, 3, 4, 2]  # one of each photograph, then another of each


def test_examples_keep_the_identity_that_chapter_04_stored():
    """The name and inputs under which tracked reports find their pictures in the store."""
    dataset, levels = open_dataset("bundled", n_train=64, n_val=12), (0.1, 0.26, 0.42, 0.58, 0.74, 0.9)
    spec = PROFILES["smoke"].spec(dataset.fingerprint)
    arguments = {"dataset": dataset, "bundled": dataset, "levels": levels, "runs": [Run(spec, Path())]}
    assert KINDS["examples"].inputs(arguments) == {
        "corpus": dataset.fingerprint,
        "bundled": dataset.fingerprint,
        "levels": list(levels),
        "runs": [spec.id],
    }


def source_of(function) -> str:
    """Return a hash over a function's code and that of all the project's functions and classes it reaches, comments and docstrings apart."""
    seen: dict[int, str] = {}
    queue = [function]
    while queue:
        item = queue.pop()
        item = inspect.unwrap(item, stop=lambda f: not hasattr(f, "__wrapped__"))
        if id(item) in seen or not getattr(item, "__module__", "").startswith("n2nlib"):
            continue
        tree = ast.parse(textwrap.dedent(inspect.getsource(item)))
        for node in ast.walk(tree):
            body = getattr(node, "body", None)
            if (
                isinstance(body, list)
                and body
                and isinstance(body[0], ast.Expr)
                and isinstance(body[0].value, ast.Constant)
            ):
                del body[0]
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                node.decorator_list = []
        seen[id(item)] = ast.unparse(tree)
        names = vars(sys.modules[item.__module__])
        used = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
        attributes = {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.level:
                package = sys.modules[item.__module__].__package__.rsplit(".", node.level - 1)[0]
                # Imported here, or the hash would depend on what else has been imported so far.
                module = importlib.import_module(f"{package}.{node.module}" if node.module else package)
                queue += [
                    getattr(module, a.name) for a in node.names if callable(getattr(module, a.name, None))
                ]
        for name in used & names.keys():
            value = names[name]
            if isinstance(value, ModuleType) and value.__name__.startswith("n2nlib"):
                queue += [getattr(value, a) for a in attributes if callable(getattr(value, a, None))]
            elif isinstance(value, FunctionType | type):
                queue.append(value)
    return hashlib.sha256("\n".join(sorted(seen.values())).encode()).hexdigest()[:16]


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_changed_function_has_a_raised_version(kind):
    """`python tests/analysis/test_measurements.py` writes the pins again, once versions were raised where the result changes."""
    pinned = json.loads(PINS.read_text())
    found = {"version": KINDS[kind].version, "source": source_of(KINDS[kind].function)}
    assert found == pinned.get(kind), (
        f"what {kind!r} computes has changed: raise its version if its result does, then pin it again"
    )


def test_a_change_of_a_helper_is_seen(monkeypatch):
    before = source_of(KINDS["validation-images"].function)
    monkeypatch.setattr(measurements, "psnr", np.mean)
    assert source_of(KINDS["validation-images"].function) != before


if __name__ == "__main__":
    PINS.write_text(
        json.dumps(
            {k: {"version": m.version, "source": source_of(m.function)} for k, m in sorted(KINDS.items())},
            indent=1,
        )
        + "\n"
    )
