"""When results of two processors count as equal, so that no file changes for a processor alone."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

#: Significant digits of numbers in CSV and JSON; two processors differ beyond them.
DIGITS = 10
#: Relative and absolute difference up to which two numbers agree: far more than the order of a sum changes.
RELATIVE, ABSOLUTE = 1e-6, 1e-9
#: Difference of two pixels up to which pictures agree: of 255 levels.
LEVELS = 8
_PRINTED = re.compile(r"(?<![\w.])[+\u2212-]?\d+(?:\.(\d+))?(?:e[+-]?\d+)?")


def rounded(value: Any) -> Any:
    """Return a JSON value with its floats rounded to `DIGITS` significant digits."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, Mapping):
        return {key: rounded(v) for key, v in value.items()}
    return [rounded(v) for v in value] if isinstance(value, list | tuple) else value


def agree(a: str, b: str) -> bool:
    """Say whether two texts differ at most in digits that another processor may compute differently.

    Numbers agree within `RELATIVE` and `ABSOLUTE`, and those printed with equally many decimals (one to six)
    within one unit of the last. All else must be the same.
    """
    if a == b:
        return True
    if _PRINTED.sub("0", a) != _PRINTED.sub("0", b):
        return False
    return all(map(_numbers_agree, _PRINTED.finditer(a), _PRINTED.finditer(b)))


def _numbers_agree(a: re.Match, b: re.Match) -> bool:
    x, y = (float(m[0].replace("\u2212", "-")) for m in (a, b))
    decimals = {len(m[1] or "") for m in (a, b)}
    last = 1.001 * 10.0 ** -decimals.pop() if decimals <= {1, 2, 3, 4, 5, 6} and len(decimals) == 1 else 0.0
    return abs(x - y) <= max(RELATIVE * max(abs(x), abs(y)), ABSOLUTE, last)


def pictures_agree(a: bytes, b: bytes) -> bool:
    """Say whether two files hold the same picture, give or take a few of 256 levels in any pixel."""
    if a == b:
        return True
    from PIL import Image

    x, y = (np.asarray(Image.open(io.BytesIO(content)).convert("RGBA"), np.int16) for content in (a, b))
    return x.shape == y.shape and int(np.abs(x - y).max()) <= LEVELS
