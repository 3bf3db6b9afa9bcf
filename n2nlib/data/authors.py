"""The authors' public files: eleven pairs of their validation set, and a trained TNet.

The files are read from the folder N2N_REAL if that is set, else downloaded into the cache when they are first
needed. They may not be redistributed, and no picture of them is made.
"""

from __future__ import annotations

import hashlib
import os
import tomllib
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from n2nlib import paths
from n2nlib.data.pairs import Pairs
from n2nlib.errors import DatasetError

#: Pairs of the authors' validation set that are public.
COUNT = 11


@cache
def _facts() -> dict:
    return tomllib.loads(Path(__file__).with_name("authors.toml").read_text(encoding="utf-8"))


def groups() -> pd.DataFrame:
    """Return what thirteen groups reported and what their checkpoints reach on the eleven pairs.

    Columns repository, parameters, reported (mean PSNR in dB over the authors' 1,000 validation images) and
    on_pairs (mean PSNR in dB).
    """
    return pd.DataFrame(_facts()["calibration"]["groups"])


def fingerprint(what: str) -> str:
    """Return the identity of the `pairs` or of the `checkpoint`: a hash of their files' sums."""
    return hashlib.sha256("".join(_facts()[what]["files"].values()).encode()).hexdigest()[:16]


def provide(what: str) -> dict[str, Path]:
    """Return the files of the `pairs` or the `checkpoint` by name, fetching those that the cache lacks.

    Raises DatasetError where one cannot be had, or is not the published file.
    """
    source, given = _facts()[what], os.environ.get("N2N_REAL")
    folder = Path(given) if given else paths.cache() / "authors"
    for name, digest in source["files"].items():
        path = folder / name
        if not path.exists():
            if given:
                raise DatasetError(
                    f"N2N_REAL={folder} lacks {name}: name a folder that holds it, or unset N2N_REAL and "
                    "it is downloaded."
                )
            _fetch(f"{source['address']}/{source['commit']}/{source['folder']}/{name}", digest, path)
        elif hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            raise DatasetError(
                f"{path} is not the published file (its SHA-256 sum differs): replace or remove it."
            )
    return {name: folder / name for name in source["files"]}


def _fetch(address: str, digest: str, path: Path) -> None:
    import pooch

    pooch.get_logger().setLevel("WARNING")
    downloader = pooch.HTTPDownloader(timeout=10)
    try:
        pooch.retrieve(address, f"sha256:{digest}", path.name, path.parent, downloader=downloader)
    except Exception as error:  # no network, no such file, wrong sum, full disk: the ways out are the same
        raise DatasetError(
            f"the public file {path.name} of the authors' data could not be downloaded "
            f"({type(error).__name__}): connect to the network, or set N2N_REAL to a folder that holds it."
        ) from error


class PublicPairs:
    """The eleven pairs, as a dataset to evaluate networks and measure noise on."""

    name = "authors-public"
    at_hand = True  # small enough to be fetched on demand

    @property
    def id(self) -> str:
        """What names the pairs in a measurement's identity."""
        return fingerprint("pairs")

    @cached_property
    def val(self) -> Pairs:
        """Noisy `a` and `clean`, uint8 (11,3,32,32); each counts as an image of its own photograph.

        Raises DatasetError where a file cannot be had.
        """
        from PIL import Image

        files = provide("pairs")
        noisy, clean = (
            [np.asarray(Image.open(files[f"pred_{kind}{i}.png"]).convert("RGB")) for i in range(COUNT)]
            for kind in ("image", "target")
        )
        a, clean = (np.stack(images).transpose(0, 3, 1, 2) for images in (noisy, clean))
        return Pairs(self.name, a, None, clean, np.arange(COUNT, dtype=np.int32))


def checkpoint() -> dict:
    """Return the authors' released checkpoint: `model` (layer name -> tensor), `losses` and `optimizer`.

    Read without executing anything. Raises DatasetError where the file cannot be had.
    """
    import torch

    (path,) = provide("checkpoint").values()
    return torch.load(path, map_location="cpu", weights_only=True)
