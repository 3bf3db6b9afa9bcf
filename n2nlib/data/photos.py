"""Sources of photographs: the installed packages and a public sample of ImageNet."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from n2nlib import paths
from n2nlib.data.decoding import Room, decode
from n2nlib.data.sampling import generator, permutation
from n2nlib.errors import DatasetError
from n2nlib.text import visible

#: Pixels that threads may decode together: 12 bytes of memory each, so 0.8 GB.
ROOM = Room(64_000_000)


@dataclass(frozen=True)
class Photograph:
    """One photograph file. Files of one `group` are views of one scene and never straddle the split."""

    name: str
    sha256: str
    path: Path
    group: int

    def load(self) -> np.ndarray:
        """Return the pixels, uint8 (H, W, 3); raises DatasetError unless the file is the pinned one."""
        try:
            data = self.path.read_bytes()
        except OSError as error:
            raise DatasetError(
                f"cannot read the photograph {visible(str(self.path))}: {error.strerror or error}."
            ) from error
        if hashlib.sha256(data).hexdigest() != self.sha256:
            raise DatasetError(
                f"{visible(str(self.path))} is not the file that this dataset was made of (its SHA-256 sum "
                "differs): put the original back, or open the dataset again if the photographs were changed "
                "on purpose."
            )
        return decode(data, visible(str(self.path)))


@dataclass(frozen=True)
class Source:
    """The split photographs of a dataset; `fractions` bounds the window side, relative to theirs."""

    train: tuple[Photograph, ...]
    val: tuple[Photograph, ...]
    fractions: tuple[float, float]
    warnings: tuple[str, ...] = ()
    listed: bool = False  # the list came with the package: whether the files are there is not yet known


# --- bundled ------------------------------------------------------------------------------------------------

# `bundled.txt` lists SHA-256, package, file and scene of every colour photograph of an everyday scene that
# ships inside the wheels of the packages which this project needs anyway; left out are a telescope's, a
# microscope's and an eye doctor's picture.
# Held out: an animal, a landscape with a building, a portrait, so that validation is not one texture. Of
# the 56 ways to hold out three scenes this is among the three with the least difference between the two
# sides: the noisy images have 21.4 dB in validation and 21.9 dB in training, and clean neighbours differ by
# 32.0 and 31.3 grey levels (sum over both directions). The two that come closer hold out the rocket, whose
# windows are mostly empty sky.
_BUNDLED_VAL = ("chelsea", "china", "grace_hopper")


def bundled() -> Source:
    """Return the photographs inside the installed scikit-image, scikit-learn and matplotlib; no download."""
    scenes = defaultdict(list)
    for sha256, package, file, scene in _lines("bundled.txt"):
        spec = find_spec(package)  # finds without importing
        base = Path(spec.submodule_search_locations[0]) if spec else Path(f"<{package} is not installed>")
        scenes[scene].append(Photograph(Path(file).name, sha256, base / file, 0))
    val = numbered([scenes.pop(scene) for scene in _BUNDLED_VAL])
    # Few photographs must give many different pairs, hence the wide range of windows.
    return Source(numbered(scenes.values()), val, (0.2, 1.0))


def _lines(file: str) -> list[list[str]]:
    """Return the words of each line of a file beside this module."""
    return [line.split() for line in Path(__file__).with_name(file).read_text().splitlines()]


# --- imagenet-sample ----------------------------------------------------------------------------------------

# One photograph of each ImageNet class. What fixes their content are the checksums in
# `imagenet_sample.sha256`, not the branch they are fetched from.
IMAGENET_URL = "https://raw.githubusercontent.com/EliSchwartz/imagenet-sample-images/master/"


def imagenet_sample(seed: int) -> Source:
    """Return the 1,000 photographs, 900 for training; the files are fetched when they are first needed.

    They are read from the folder `N2N_PHOTOS` if that is set, else from the cache that `provide` fills.
    """
    listed = _lines("imagenet_sample.sha256")
    local = os.environ.get("N2N_PHOTOS")
    base = Path(local) if local else _imagenet_cache()
    order = permutation(generator(seed, "imagenet-sample/split"), len(listed))
    files = [Photograph(name, sha256, base / name, 0) for sha256, name in (listed[i] for i in order)]
    # Windows that give the noise of the authors' validation set (20.72 dB) over all 1,000 photographs.
    train, val = (numbered([p] for p in side) for side in (files[:900], files[900:]))
    return Source(train, val, (0.47, 0.95), listed=True)


def _imagenet_cache() -> Path:
    return paths.cache() / "imagenet-sample"


def provide(photographs: tuple[Photograph, ...]) -> None:
    """Download the photographs of imagenet-sample that the cache lacks.

    Finished files are kept, so a second call resumes. Raises DatasetError, naming both ways out, when they
    cannot be had, or when the folder `N2N_PHOTOS` lacks some.
    """
    missing = [p for p in photographs if not p.path.exists()]
    if not missing:
        return
    if missing[0].path.parent != _imagenet_cache():
        raise DatasetError(
            f"N2N_PHOTOS={missing[0].path.parent} lacks {len(missing)} of {len(photographs)} photographs "
            f"of imagenet-sample, {missing[0].name} among them: name a folder that holds them, or unset "
            "N2N_PHOTOS and they are downloaded."
        )
    import pooch
    from tqdm.auto import tqdm

    pooch.get_logger().setLevel("WARNING")
    # pooch writes each file beside its place, compares its sum, and only then renames it.
    dog = pooch.create(_imagenet_cache(), IMAGENET_URL, registry={p.name: p.sha256 for p in missing})
    with ThreadPoolExecutor(8) as pool:
        try:
            fetched = pool.map(dog.fetch, [p.name for p in missing])
            list(tqdm(fetched, total=len(missing), desc="photographs", unit="file"))
        except Exception as error:
            # No network, no such file, wrong sum, full disk: the ways out are the same.
            pool.shutdown(cancel_futures=True)
            raise DatasetError(
                f"the photographs of imagenet-sample could not be downloaded ({type(error).__name__}: "
                f"{_short(error)}). Either connect to the network and run this again (finished files are "
                "kept), or set N2N_PHOTOS to a folder that holds them."
            ) from error


def _short(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) < 100 else text[:97] + "..."


# --- shared -------------------------------------------------------------------------------------------------


def numbered(scenes: Iterable[list[Photograph]]) -> tuple[Photograph, ...]:
    """Return the photographs of some scenes, each with the number of its scene."""
    return tuple(replace(p, group=i) for i, scene in enumerate(scenes) for p in scene)


def decoder() -> str:
    """The version of the image decoder: another one may give other pixels for the same JPEG file."""
    from importlib.metadata import version

    return f"pillow {version('pillow')}"
