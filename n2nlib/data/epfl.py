"""The authors' two files, read without executing anything."""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path

import numpy as np

from n2nlib import paper
from n2nlib.data.pairs import Pairs
from n2nlib.data.sampling import SIDE
from n2nlib.errors import DatasetError

#: A report's remark on intervals on these files.
UNKNOWN_PHOTOGRAPHS = (
    "The files do not say which images were cut from the same photograph, so all intervals take images as "
    "independent. Images of one photograph are alike, so true intervals are wider by an unknown factor."
)
FILES = {"train": "train_data.pkl", "val": "val_data.pkl"}


def check(folder: Path) -> tuple[dict[str, str], list[str]]:
    """Return the SHA-256 sums of the two files by split, and a warning for each unpublished one.

    Raises DatasetError when a file is missing or unreadable.
    """
    sums, notes = {}, []
    for split, name in FILES.items():
        path = folder / name
        try:
            with open(path, "rb") as file:
                sums[split] = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise DatasetError(
                f"epfl:{folder}: {name} cannot be read ({error.strerror}): the folder must hold "
                f"{FILES['train']} and {FILES['val']}."
            ) from error
        published = paper.value(f"files.{split}_bytes"), paper.value(f"files.{split}_sha256")
        if (path.stat().st_size, sums[split]) != published:
            notes.append(
                f"{path} is not the authors' {name} (its size or SHA-256 sum differs), "
                "so results need not match the paper's."
            )
    return sums, notes


def read(folder: Path, split: str, n: int) -> Pairs:
    """Return the first n pairs of a split.

    The files hold two uint8 tensors (N, 3, 32, 32) each: two noisy images for training, noisy and clean for
    validation. Raises DatasetError for a truncated or foreign file, a wrong shape or type, or fewer than n
    pairs.
    """
    path = folder / FILES[split]
    first, second = _tensors(path)
    if n > len(first):
        raise DatasetError(f"{path} holds {len(first)} pairs, fewer than the {n} asked for.")
    a, other = first[:n].numpy(), second[:n].numpy()
    photo = np.arange(n, dtype=np.int32)  # each image counts as independent (see UNKNOWN_PHOTOGRAPHS)
    if split == "train":
        return Pairs("epfl-train", a, other, None, photo)
    return Pairs("epfl-val", a, None, other, photo)


def _tensors(path: Path):
    import torch

    try:
        with warnings.catch_warnings(action="ignore"):  # on odd pickles: what matters is raised below
            try:
                loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
            except RuntimeError:  # written by an old torch: not a zip file, so it cannot be mapped
                loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # torch raises many kinds for what is no tensor file; none of them has run its code.
        raise DatasetError(
            f"{path} is not a readable file of two tensors: truncated, or not written by torch.save."
        ) from error
    two = isinstance(loaded, (tuple, list)) and len(loaded) == 2
    if not two or not all(isinstance(t, torch.Tensor) for t in loaded):
        raise DatasetError(f"{path} does not hold two tensors.")
    first, second = loaded
    for tensor in loaded:
        shape, dtype = tuple(tensor.shape), str(tensor.dtype).removeprefix("torch.")
        if dtype != "uint8" or shape[1:] != (3, SIDE, SIDE) or not shape[0]:
            raise DatasetError(f"{path} holds a {dtype} tensor {shape}: expected uint8 (N, 3, 32, 32).")
    if len(first) != len(second):
        raise DatasetError(
            f"{path} holds {len(first)} images in its first tensor and {len(second)} in its second."
        )
    return first, second
