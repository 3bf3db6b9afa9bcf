"""Expensive results that are computed once and stored: each kind is one function with a declared version.

A measurement's identity is its kind, its version and its arguments. Whoever changes what a function computes raises
its version, and the stored answers of the old one are no longer found (tests/test_measurements.py watches the source).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import update_wrapper
from typing import Any

import numpy as np

from .corpus import Corpus
from .metrics import denoise, psnr
from .runs import Run, RunStore

#: Every kind of measurement by name.
KINDS: dict[str, Measurement] = {}


@dataclass
class Measurement:
    """A function whose results are stored; called, it computes, and `stored` looks first."""

    kind: str
    version: int
    function: Callable[..., dict[str, Any]]

    def __call__(self, **arguments):
        return self.function(**arguments)

    def inputs(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments as plain JSON values: a run is its id, a dataset its fingerprint."""
        version = {} if self.version == 1 else {"version": self.version}
        return {name: identity(value) for name, value in arguments.items()} | version

    def stored(self, store: RunStore, **arguments) -> dict[str, Any]:
        """Return the result for these arguments, computed once: JSON values, and NumPy arrays by name under "arrays"."""
        return store.measurement(self.kind, self.inputs(arguments), lambda: self.function(**arguments))


def measurement(kind: str, version: int = 1) -> Callable[[Callable], Measurement]:
    """Register a module-level function as a kind of measurement.

    The function takes keyword arguments (runs, datasets, plain values) and returns JSON values, with NumPy arrays by
    name under "arrays". Everything its result depends on must be an argument.
    """

    def register(function: Callable) -> Measurement:
        KINDS[kind] = update_wrapper(Measurement(kind, version, function), function, updated=())
        return KINDS[kind]

    return register


def identity(value: Any) -> Any:
    """Return what names a value in a measurement's identity."""
    if isinstance(value, Run):
        return value.id
    if isinstance(value, Corpus):
        return value.fingerprint
    if isinstance(value, Mapping):
        return {key: identity(v) for key, v in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [identity(v) for v in value]
    return value


@measurement("validation-images")
def validation_images(*, corpus: Corpus) -> dict[str, Any]:
    """The validation images before denoising: `photo` (N,), and PSNR in dB of `noisy` (N,) and of black images, `zero` (N,).

    Stored, so that a ledger can be judged again without the photographs.
    """
    val = corpus.val
    noisy, zero = (psnr(val.clean, image, data_range=255) for image in (val.a, 0 * val.a))
    return {"arrays": {"photo": val.photo, "noisy": noisy, "zero": zero}}


# --- chapter 04 ---


@measurement("examples")
def examples(
    *, corpus: Corpus, bundled: Corpus, levels: Sequence[float], runs: Sequence[Run]
) -> dict[str, Any]:
    """Figure 2: validation windows of the bundled photographs, denoised by one run of each network.

    runs: trained on `corpus`; windows are ranked by the PSNR of the last one's network, and `levels` are the
    ranks to show, from 0 (lowest PSNR) to 1. Returns the photographs' `names`, and arrays "noisy", "clean",
    and one per network.
    """
    pairs = bundled.val
    names = [p.name.rpartition(".")[0] for p in bundled.photographs("val")]
    out = {run.spec.network: denoise(run.model(), pairs.a) for run in runs}
    index = spread_windows(psnr(pairs.clean, out[runs[-1].spec.network], 255), pairs.photo, levels)
    shown = {"noisy": pairs.a, **out, "clean": pairs.clean}
    arrays = {label: images[index] for label, images in shown.items()}
    return {"names": [names[p] for p in pairs.photo[index]], "arrays": arrays}


def spread_windows(values, photo, levels: Sequence[float]) -> list[int]:
    """Return for each level (rank of `values`, 0 to 1) the nearest window of the photographs chosen least."""
    rank = np.argsort(np.argsort(values)) / max(len(values) - 1, 1)
    chosen: list[int] = []
    for level in levels:
        shown = np.array([np.isin(photo[chosen], p).sum() for p in photo])
        free = [i for i in np.flatnonzero(shown == shown.min()) if i not in chosen]
        chosen.append(min(free, key=lambda i: abs(rank[i] - level)))
    return chosen
