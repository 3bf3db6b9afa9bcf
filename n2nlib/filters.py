"""The tuned filters of a report: one tuning and one measurement for each, whichever chapter asks first."""

from __future__ import annotations

import time
from typing import Any

from . import classical, metrics
from .study import Study


def measured(study: Study, name: str) -> dict[str, Any]:
    """Tune a filter on noisy training pairs, as many as there are validation images, and measure it on those images.

    Returns parameters, at_limit, curve (columns as lists), pairs, ms an image, global (dB) and arrays["psnr"] (n,) in
    dB; a slow filter sees `profile.slow` images. From the store when it is there.
    Raises ReportError for an unknown filter, MissingPackage for one whose package is not installed.
    """
    size = study.profile
    n = size.slow if classical.find(name).slow else size.n_val

    def compute():
        tuned = classical.tune(name, study.corpus.train, n)
        val = study.corpus.val.subset(min(n, len(study.corpus.val)))
        start = time.perf_counter()
        filtered = classical.apply(name, val.a, **tuned.parameters)
        ms = 1000 * (time.perf_counter() - start) / len(val)
        return {
            "parameters": tuned.parameters,
            "at_limit": tuned.at_limit,
            "curve": tuned.curve.to_dict("list"),
            "pairs": tuned.n,
            "ms": ms,
            "global": metrics.global_psnr(val.clean, filtered, data_range=255),
            "arrays": {"psnr": metrics.psnr(val.clean, filtered, data_range=255)},
        }

    return study.measure("filter", {"name": name, "pairs": n, "version": classical.VERSION}, compute)


def tuned(study: Study, name: str) -> dict[str, Any]:
    """Return a filter's tuned parameters."""
    return measured(study, name)["parameters"]
