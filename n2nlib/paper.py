"""The published numbers and claims, read from `paper.toml`: nothing else in the project types them."""

from __future__ import annotations

import copy
import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from n2nlib.errors import ReportError, unknown_name

_FILE = Path(__file__).with_name("paper.toml")


def value(key: str) -> Any:
    """Return one published number, list or text by its dotted name, as `value("table2.TNet.psnr")`.

    Units are in the name or in `paper.toml`. Raises ReportError for an unknown name, naming the nearest one.
    """
    node, _ = _walk(key)
    if isinstance(node, Mapping):
        raise ReportError(
            f"paper.value({key!r}) is a group, not a number: choose one of "
            f"{', '.join(f'{key}.{k}' for k in node if k != 'place')}."
        )
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


@dataclass(frozen=True)
class Claim:
    """One claim of the paper and how it is tested; `paper.toml` says what each field means.

    `published` is the paper's own value in `unit` (None where it gives none); the claim holds while the measured one
    lies between `above` and `below` (None: no bound on that side). Beyond the bound but not beyond `least`, the smallest
    effect that the claim's words stand for, it holds in direction only; so it does where `control`, a number that
    chapters keep, is not shown to be above 0: `control_is`, something that knows nothing of the picture, does as well.
    """

    id: str
    topic: str
    place: str
    says: str
    kind: str
    shown: str
    a: str = ""
    b: str = ""
    metric: str = "psnr"
    number: str = ""
    quantity: str = ""
    unit: str = "dB"
    above: float | None = None
    below: float | None = None
    published: float | None = None
    tolerance: float | None = None
    reason: str = ""
    size: str | int = "paper"
    scale: str = "linear"
    why: str = ""
    least: float | None = None
    control: str = ""
    control_is: str = ""


def claims() -> list[Claim]:
    """Return every claim of the paper in the order of `paper.toml`, named numbers looked up."""
    return [_claim(entry) for entry in _data()["claim"]]


def _claim(entry: Mapping[str, Any]) -> Claim:
    looked_up = {key: _number(entry[key]) for key in ("above", "below") if key in entry}
    if isinstance(entry.get("published"), list):
        first, second = entry["published"]
        # Printed decimals, so that 25.32 - 25.24 is 0.08 and not 0.0800000000000018.
        looked_up["published"] = round(_number(first) - _number(second), 6)
    elif "published" in entry:
        looked_up["published"] = _number(entry["published"])
    return Claim(**{**entry, **looked_up})


def _number(entry: float | str) -> float:
    """Return a number as it is, or the published number that a name, with or without a minus sign, stands for."""
    if isinstance(entry, str):
        return -value(entry[1:]) if entry.startswith("-") else value(entry)
    return entry


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
            raise ReportError(
                f"unknown published number {key!r}: {'.'.join(walked)!r} holds nothing inside it."
            )
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


def images() -> int:
    """Training images of one of the paper's runs: pairs times epochs (section 2.3.1)."""
    return value("training.pairs") * value("training.epochs")


def loss_factor() -> float:
    """Return the published loss of an epoch over its mean squared error.

    The authors' notebooks add up (batch mean squared error / batch size) over the batches of an epoch (Table 1).
    """
    return value("published_loss.batches") / value("published_loss.batch")
