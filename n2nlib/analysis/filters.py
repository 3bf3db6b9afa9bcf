"""The tuned filters of a report, and how far networks are from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from n2nlib.analysis import measurements
from n2nlib.analysis.comparison import Comparison, validation_sample
from n2nlib.analysis.intervals import Interval, crossed, over_photographs
from n2nlib.errors import MissingPackage
from n2nlib.evaluation import classical

if TYPE_CHECKING:
    from n2nlib.study import Study


def measured(study: Study, name: str) -> dict[str, Any]:
    """Return a filter tuned on noisy training pairs, as many as there are validation images.

    `measurements.tuned_filter`.
    A slow filter sees `profile.slow` images. Raises MissingPackage for a filter whose package is not
    installed.
    """
    pairs = study.profile.slow if classical.find(name).slow else study.profile.n_val
    return study.measure(measurements.tuned_filter, name=name, pairs=pairs)


def tuned(study: Study, name: str) -> dict[str, Any]:
    """Return a filter's tuned parameters."""
    return measured(study, name)["parameters"]


class Filters:
    """Every classical filter, tuned on noisy training pairs and measured on the validation images.

    found: name -> what `measurements.tuned_filter` returned, in the order of the tables; absent: name -> why
    it could not be measured. `photo` (N,) numbers the photograph of each validation image.
    """

    def __init__(self, found: Mapping[str, Mapping], absent: Mapping[str, str], photo, *,
                 photos_known: bool = True):  # fmt: skip
        self.found, self.absent = dict(found), dict(absent)
        self.photo, self.photos_known = np.asarray(photo), photos_known

    @classmethod
    def of(cls, study: Study) -> Filters:
        """Tune and measure all filters whose packages are installed."""
        found, absent = {}, {}
        for name in classical.FILTERS:
            try:
                found[name] = measured(study, name)
            except MissingPackage as missing:
                absent[name] = str(missing)
        return cls(found, absent, study.validation_images["photo"], photos_known=study.photos_known)

    def title(self, name: str) -> str:
        """Return a filter's name as tables print it."""
        return classical.FILTERS[name].title

    @property
    def fast(self) -> list[str]:
        """Names of the filters that were tuned on the same pairs."""
        return [name for name in self.found if not classical.FILTERS[name].slow]

    @property
    def slow(self) -> list[str]:
        """Names of the filters that were run on a sample of the images only."""
        return [name for name in self.found if classical.FILTERS[name].slow]

    @property
    def compared(self) -> list[str]:
        """What TNet is compared with: the noisy image and the filters that were run on all images."""
        return [name for name in self.found if name != "zero" and len(self.psnr(name)) == len(self.photo)]

    @property
    def ranking(self) -> list[str]:
        """Names of the filters that were run on all images, from the best to the worst."""
        return sorted((n for n in self.compared if n != "noisy"), key=lambda n: -self.psnr(n).mean())

    def psnr(self, name: str) -> np.ndarray:
        """Return the PSNR (dB) of each image after a filter."""
        return self.found[name]["arrays"]["psnr"]

    def parameters(self, *names: str) -> dict[str, dict]:
        """Return the tuned parameters of some filters by name."""
        return {name: self.found[name]["parameters"] for name in names}

    def curve(self, name: str) -> pd.DataFrame:
        """Return every point that tuning tried.

        One column per parameter, and `mse` against the second noisy copy.
        """
        return pd.DataFrame(self.found[name]["curve"])

    def mean(self, name: str) -> Interval:
        """Return a filter's mean PSNR (dB) with its interval over photographs."""
        return over_photographs(self.psnr(name), self.photo)

    def difference(self, a: str, b: str) -> Interval:
        """Return the mean PSNR (dB) of one filter minus another's, with its interval over photographs."""
        return over_photographs(self.psnr(a) - self.psnr(b), self.photo).signed()

    def gains(self, networks: Comparison) -> dict[str, Interval]:
        """Return name -> PSNR (dB) of TNet minus the filter's, over seeds and photographs; empty without."""
        if "TNet" not in networks.rows:
            return {}
        runs = np.stack([run.psnr for run in networks.rows["TNet"]])  # (seeds, images)
        return {name: crossed(runs - self.psnr(name), photo=self.photo).signed() for name in self.compared}

    @property
    def numbers(self) -> dict[str, dict]:
        """What the ledger keeps of each filter.

        Mean PSNR with its interval, global PSNR, and parameters but for the kernel.
        """
        return {
            name: {
                **self.mean(name).to_dict(),
                "global": found["global"],
                "parameters": {} if name == "linear" else found["parameters"],
            }
            for name, found in self.found.items()
        }

    @property
    def sample(self) -> str:
        """What the filters were tuned and measured on, for a caption."""
        pairs, images = self.found["noisy"]["pairs"], validation_sample(self.photo, self.photos_known)
        return f"Tuned on {pairs:,} noisy training pairs, measured on {images}."

    #: Filters have no seeds to pair; a caption asks for it.
    pairing = ""
