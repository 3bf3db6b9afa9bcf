"""The published numbers (`paper.toml`) and claims (`claims.toml`), typed nowhere else."""

from __future__ import annotations

import copy
import functools
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from n2nlib.errors import ReportError, unknown_name

_NUMBERS = Path(__file__).with_name("paper.toml")
_CLAIMS = Path(__file__).with_name("claims.toml")

#: Claims whose value is a PSNR or a loss of runs: their tolerance is a margin.
OF_RUNS = ("level", "difference", "amount")


def value(key: str) -> Any:
    """Return one published number, list or text by its dotted name, as `value("table2.TNet.psnr")`.

    Units are in the name or in `paper.toml`. Raises ReportError for an unknown name, naming the nearest one.
    """
    node: Any = _data()
    walked: list[str] = []
    for part in key.split("."):
        if not isinstance(node, Mapping):
            raise ReportError(
                f"unknown published number {key!r}: {'.'.join(walked)!r} holds nothing inside it."
            )
        if part not in node:
            known = [".".join([*walked, k]) for k in node if k != "place"]
            raise unknown_name("published number", ".".join([*walked, part]), known)
        node = node[part]
        walked.append(part)
    if isinstance(node, Mapping):
        raise ReportError(
            f"paper.value({key!r}) is a group, not a number: choose one of "
            f"{', '.join(f'{key}.{k}' for k in node if k != 'place')}."
        )
    return copy.deepcopy(node)


def table1() -> pd.DataFrame:
    """Return Table 1 by learning rate: lr, psnr and psnr_sd (dB), loss and loss_sd."""
    return _rows("table1")


def table2() -> pd.DataFrame:
    """Return Table 2 by model: parameters_thousand, residual, loss, batch_norm, psnr, psnr_sd (dB)."""
    return _rows("table2")


def peers() -> pd.DataFrame:
    """Return what other groups reached on the authors' data: network, parameters, psnr (dB), helped."""
    return pd.DataFrame(value("peers.rows"))


def calibration() -> pd.DataFrame:
    """Return windows (low, high: fractions of a side), with noisy_psnr and tnet_psnr (dB)."""
    return pd.DataFrame(value("calibration.windows"))


@dataclass(frozen=True)
class Claim:
    """One claim of the paper and how it is tested; `claims.toml` says what each field means.

    The claim holds while the measured value is between `above` and `below` (None: no bound on that side),
    and in full if it is also beyond `least` and within `tolerance` of `published`, the paper's own value in
    `unit`.
    """

    id: str
    topic: str
    place: str
    says: str
    kind: str
    shown: str = ""
    a: str = ""
    b: str = ""
    others: tuple[str, ...] = ()
    metric: str = "psnr"
    number: str = ""
    also: str = ""
    quantity: str = ""
    unit: str = "dB"
    above: float | None = None
    below: float | None = None
    published: float | None = None
    tolerance: float | None = None
    size: str | int = "paper"
    scale: str = "linear"
    why: str = ""
    least: float | None = None
    control: str = ""
    control_is: str = ""

    @property
    def own(self) -> bool:
        """Whether this is a question of this report and no claim of the paper."""
        return self.topic == "own"


def claims() -> list[Claim]:
    """Return every claim in the order of `claims.toml`, names of numbers and margins looked up."""
    return [_claim(entry) for entry in tomllib.loads(_CLAIMS.read_text(encoding="utf-8"))["claim"]]


def _claim(entry: Mapping[str, Any]) -> Claim:
    entry = dict(entry)
    rows = [entry[key] for key in ("a", "b") if entry.get(key)]
    within = margin(*rows, metric=entry.get("metric", "psnr"))
    for key in ("above", "below"):
        if key in entry:
            entry[key] = _number(entry[key], within)
    if isinstance(entry.get("published"), list):
        first, second = entry["published"]
        # Printed decimals, so that 25.32 - 25.24 is 0.08 and not 0.0800000000000018.
        entry["published"] = round(value(first) - value(second), 6)
    elif "published" in entry:
        entry["published"] = _number(entry["published"], within)
    if "published" in entry and entry["kind"] in OF_RUNS:
        entry["tolerance"] = within
    if entry["kind"] in ("level", "amount"):
        entry["above"], entry["below"] = entry["published"] - within, entry["published"] + within
    return Claim(**entry | {"others": tuple(entry.get("others", ()))})


def _number(entry: float | str, within: float) -> float:
    """Return a number, or the value of a name: `margin` or a published number, perhaps negated."""
    if isinstance(entry, str):
        name = entry.removeprefix("-")
        found = within if name == "margin" else value(name)
        return -found if entry.startswith("-") else found
    return entry


def margin(*rows: str, metric: str = "psnr") -> float:
    """Return how far values may lie apart and count as equal: a level or a difference.

    A practical size plus what five seeds can resolve, a multiple of the published standard deviations of
    the rows (added in squares): `margins` in `paper.toml`. dB, or the unit of Table 1 for
    `metric="published_loss"`.
    """
    kind, digits = ("psnr", 2) if metric == "psnr" else ("loss", 4)
    spread = math.sqrt(sum(published_sd(row, kind) ** 2 for row in rows))
    return round(value(f"margins.{kind}") + value("margins.sds") * spread, digits)


def published_sd(row: str, kind: str = "psnr") -> float:
    """Return the published sd over seeds for a row: its network's, or TNet's for any other."""
    tables = _data()
    if row == "noisy":
        return 0.0
    if row in tables["table1"] or kind == "loss":
        return tables["table1"].get(row, tables["table1"]["5e-4"])[f"{kind}_sd"]
    first = row.split(",")[0].split(" ")[0]
    return tables["table2"].get(row, tables["table2"].get(first, tables["table2"]["TNet"]))["psnr_sd"]


@functools.cache
def _data() -> dict[str, Any]:
    return tomllib.loads(_NUMBERS.read_text(encoding="utf-8"))


def _rows(table: str) -> pd.DataFrame:
    rows = {name: row for name, row in _data()[table].items() if isinstance(row, Mapping)}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("row")


def images() -> int:
    """Training images of one of the paper's runs: pairs times epochs (section 2.3.1)."""
    return value("training.pairs") * value("training.epochs")


def loss_factor() -> float:
    """Return the published loss of an epoch over its mean squared error.

    The authors' notebooks add up (batch mean squared error / batch size) over the batches of an epoch
    (Table 1).
    """
    return value("published_loss.batches") / value("published_loss.batch")
