"""The published numbers and claims, read from `paper.toml`: nothing else in the project types them."""

from __future__ import annotations

import copy
import functools
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from .errors import ReportError, unknown_name

_FILE = Path(__file__).with_name("paper.toml")


def value(key: str) -> Any:
    """Return one published number, list or text by its dotted name, as `value("table2.TNet.psnr")`.

    Units are in the name or in `paper.toml`. Raises ReportError for an unknown name, naming the nearest one.
    """
    node, _ = _walk(key)
    if isinstance(node, Mapping):
        raise ReportError(f"paper.value({key!r}) is a group, not a number: choose one of "
                          f"{', '.join(f'{key}.{k}' for k in node if k != 'place')}.")
    return copy.deepcopy(node)


def place(key: str) -> str:
    """Return where a number comes from: the place in the text, or the source beside the paper."""
    _, where = _walk(key)
    return where


def table1() -> pd.DataFrame:
    """Return Table 1: lr, psnr and psnr_sd (dB), loss and loss_sd (published loss), one row a learning rate."""
    return _rows("table1")


def table2() -> pd.DataFrame:
    """Return Table 2: parameters_thousand, residual, loss, batch_norm, psnr and psnr_sd (dB), one row a model."""
    return _rows("table2")


def peers() -> pd.DataFrame:
    """Return what other groups reached on the authors' data: network, parameters, psnr (dB), helped."""
    return pd.DataFrame(value("peers.rows"))


def calibration() -> pd.DataFrame:
    """Return windows (low, high: fractions of each side), noisy_psnr and the authors' tnet_psnr (dB) on them."""
    return pd.DataFrame(value("calibration.windows"))


@functools.cache
def _data() -> dict[str, Any]:
    return tomllib.loads(_FILE.read_text(encoding="utf-8"))


def _walk(key: str) -> tuple[Any, str]:
    """Return the entry at a dotted name and the innermost `place` above it."""
    node: Any = {k: v for k, v in _data().items() if k != "claim"}
    where = ""
    walked = []
    for part in key.split("."):
        if not isinstance(node, Mapping):
            raise ReportError(f"unknown published number {key!r}: {'.'.join(walked)!r} holds nothing inside it.")
        if part not in node:
            prefix = ".".join(walked)
            known = [f"{prefix}.{k}" if prefix else k for k in node if k != "place"]
            raise unknown_name("published number", ".".join([*walked, part]), known)
        node = node[part]
        walked.append(part)
        if isinstance(node, Mapping):
            where = node.get("place", where)
    return node, where


def _rows(table: str) -> pd.DataFrame:
    node, _ = _walk(table)
    rows = {name: row for name, row in node.items() if isinstance(row, Mapping)}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("row")
