"""Noisy pairs from photographs: `open_dataset` names a dataset, `Dataset` builds it at first use."""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from pathlib import Path

import numpy as np

from n2nlib.data import epfl, photos, sampling
from n2nlib.data import folder as folders
from n2nlib.data.building import build, cached, numbers
from n2nlib.data.noise import canonical
from n2nlib.data.pairs import Pairs
from n2nlib.data.photos import Photograph
from n2nlib.errors import DatasetError, unknown_name, whole_number
from n2nlib.text import visible

__all__ = ["Dataset", "Pairs", "Photograph", "open_dataset"]

NAMES = ("bundled", "imagenet-sample", "folder:PATH", "epfl:PATH")


def open_dataset(
    name: str = "bundled", n_train: int = 3_000, n_val: int = 200, seed: int = 0, noise: str = "subpixel"
) -> Dataset:
    """Open a dataset by name, building nothing yet.

    name: `bundled`, `imagenet-sample`, `folder:PATH` or `epfl:PATH`; noise: `subpixel`, `gaussian:SIGMA255`,
    `poisson:PEAK`, `bernoulli:KEEP` or `impulse:P` (drawn around the clean image, then clipped to 8 bits).
    Raises DatasetError for an unknown name or noise, sizes below 1, or a folder without usable files.
    """
    n_train = whole_number("n_train", n_train, 1, DatasetError)
    n_val = whole_number("n_val", n_val, 1, DatasetError)
    seed = whole_number("seed", seed, 0, DatasetError)
    noise = canonical(noise)
    kind, _, where = str(name).partition(":")
    if any("\ud800" <= c <= "\udfff" for c in where):  # bytes of a path that are not UTF-8
        raise DatasetError(
            f"{visible(name)}: this path is not valid UTF-8, so that notebooks and reports cannot name it. "
            "Rename the folder, or make a link to it (ln -s) under another name."
        )
    if (f"{kind}:PATH" if where else kind) not in NAMES:
        raise unknown_name("dataset", name, NAMES, DatasetError)
    if kind == "epfl":
        return EpflDataset(name, where, n_train, n_val, noise)
    source = {
        "bundled": photos.bundled,
        "imagenet-sample": lambda: photos.imagenet_sample(seed),
        "folder": lambda: folders.folder(where, seed),
    }[kind]()
    return Dataset(name, source, n_train, n_val, seed, noise)


class Dataset:
    """Training and validation pairs cut from photographs, and the recipe that they follow.

    name, noise: as opened; recipe: all that decides the pairs' bytes, as plain JSON values; warnings:
    sentences that a report must show, as plain text; clean_targets: whether training images come with clean
    ones; photographs_known: whether it is known which pairs were cut from one photograph. Small: it pickles
    without its arrays, and its fingerprint does not need its photographs.
    """

    clean_targets = True
    photographs_known = True  # whether it is known which pairs were cut from one photograph

    def __init__(self, name: str, source: photos.Source, n_train: int, n_val: int, seed: int, noise: str):
        self.name, self.noise, self.warnings = name, noise, list(source.warnings)
        self._source = source
        self.recipe = {
            "sampler": sampling.SAMPLER_VERSION,
            "train": [[p.name, p.sha256, p.group] for p in source.train],
            "val": [[p.name, p.sha256, p.group] for p in source.val],
            "windows": list(source.fractions),
            "n_train": n_train,
            "n_val": n_val,
            "seed": seed,
            "noise": noise,
        }

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits of the recipe's SHA-256; part of the identity of every run."""
        return hashlib.sha256(json.dumps(self.recipe, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def notes_digest(self) -> str:
        """16 hexadecimal digits that change when `warnings` do, so that no report shows old ones."""
        return hashlib.sha256(json.dumps(self.warnings).encode()).hexdigest()[:16]

    @cached_property
    def train(self) -> Pairs:
        """The training pairs, built when first asked for and memory-mapped from the cache."""
        return self._pairs("train")

    @cached_property
    def val(self) -> Pairs:
        """The validation pairs, from photographs (and their views) that are not used in training."""
        return self._pairs("val")

    @cached_property
    def train_photo(self) -> np.ndarray:
        """The photograph that each training pair is cut from, int32 (n_train,); builds no pair."""
        groups = [group for *_, group in self.recipe["train"]]
        return numbers(groups, self.recipe["n_train"], split="train", seed=self.recipe["seed"])

    def photographs(self, split: str) -> list[Photograph]:
        """Return the photographs of `train` or `val`, downloaded if they have to be."""
        if split not in ("train", "val"):
            raise unknown_name("split", split, ("train", "val"), DatasetError)
        chosen = getattr(self._source, split)
        if self._source.listed:
            photos.provide(chosen)
        return list(chosen)

    @property
    def at_hand(self) -> bool:
        """Say whether the photographs are on this machine, so that nothing has to be downloaded."""
        return all(p.path.exists() for p in (*self._source.train, *self._source.val))

    def _pairs(self, split: str) -> Pairs:
        recipe = self.recipe
        n, seed = recipe[f"n_{split}"], recipe["seed"]

        def make():
            photographs, fractions = tuple(self.photographs(split)), tuple(recipe["windows"])
            return build(photographs, n, fractions=fractions, split=split, seed=seed, noise=self.noise)

        return Pairs(f"{self.name} {split}", **cached(self.fingerprint, split, n, make))

    def __getstate__(self):
        return {k: v for k, v in self.__dict__.items() if k not in ("train", "val", "train_photo")}

    def __repr__(self) -> str:
        return (
            f"<Dataset {self.name}, {self.noise}, {self.recipe['n_train']} + {self.recipe['n_val']} "
            f"pairs, {self.fingerprint}>"
        )


class EpflDataset(Dataset):
    """The authors' own pairs: the first n of each of their two files. Their noise is in the files.

    authentic: whether the files are the published ones. Which pairs share a photograph is not known.
    """

    clean_targets = False
    photographs_known = False

    def __init__(self, name: str, folder: str, n_train: int, n_val: int, noise: str):
        if noise != "subpixel":
            raise DatasetError(
                f"{name} holds no clean training images, so that {noise} noise cannot be drawn around them."
            )
        self._folder = Path(folder).expanduser()
        sums, foreign = epfl.check(self._folder)
        self.authentic = not foreign  # the authors' own two files
        self.warnings = [*foreign, epfl.UNKNOWN_PHOTOGRAPHS]
        self.name, self.noise = name, noise
        self.recipe = {"epfl": sums, "n_train": n_train, "n_val": n_val}

    def photographs(self, split: str) -> list[Photograph]:
        """The files hold no photographs, only pairs: raises DatasetError."""
        raise DatasetError(f"{self.name} holds pairs only, no photographs.")

    @property
    def train_photo(self) -> np.ndarray:
        return np.arange(self.recipe["n_train"], dtype=np.int32)  # unknown: each image counts as independent

    @property
    def at_hand(self) -> bool:
        return True

    def _pairs(self, split: str) -> Pairs:
        return epfl.read(self._folder, split, self.recipe[f"n_{split}"])
