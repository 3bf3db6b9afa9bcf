"""Sources of photographs: the installed packages and a public sample of ImageNet."""

from __future__ import annotations

import contextlib
import hashlib
import os
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from n2nlib import paths
from n2nlib.data.decoding import Room, area, decode
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

    @contextlib.contextmanager
    def lent(self) -> Iterator[np.ndarray]:
        """Lend the pixels to a block; blocks while other threads hold too many."""
        with ROOM(area(self.path)):
            yield self.load()


@dataclass(frozen=True)
class Source:
    """The split photographs of a dataset; `fractions` bounds the window side, relative to theirs."""

    train: tuple[Photograph, ...]
    val: tuple[Photograph, ...]
    fractions: tuple[float, float]
    warnings: tuple[str, ...] = ()
    listed: bool = False  # the list came with the package: whether the files are there is not yet known


# --- bundled ------------------------------------------------------------------------------------------------

# (package, file, SHA-256, scene). Every colour photograph of an everyday scene that ships inside the wheels
# of the packages which this project needs anyway; left out are a telescope's, a microscope's and an eye
# doctor's picture.
_BUNDLED = [
    (
        "skimage",
        "data/astronaut.png",
        "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
        "astronaut",
    ),
    (
        "skimage",
        "data/chelsea.png",
        "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb",
        "chelsea",
    ),
    (
        "skimage",
        "data/coffee.png",
        "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7",
        "coffee",
    ),
    (
        "skimage",
        "data/rocket.jpg",
        "c2dd0de7c538df8d111e479619b129464d0269d0ae5fd18ca91d33a7fdfea95c",
        "rocket",
    ),
    (
        "skimage",
        "data/motorcycle_left.png",
        "db18e9c4157617403c3537a6ba355dfeafe9a7eabb6b9b94cb33f6525dd49179",
        "motorcycle",
    ),
    (
        "skimage",
        "data/motorcycle_right.png",
        "5fc913ae870e42a4b662314bc904d1786bcad8e2f0b9b67dba5a229406357797",
        "motorcycle",
    ),
    (
        "sklearn",
        "datasets/images/china.jpg",
        "8378025ad2519d649d02e32bd98990db4ab572357d9f09841c2fbfbb4fefad29",
        "china",
    ),
    (
        "sklearn",
        "datasets/images/flower.jpg",
        "a77f6ec41e353afdf8bdff2ea981b2955535d8d83294f8cfa49cf4e423dd5638",
        "flower",
    ),
    (
        "matplotlib",
        "mpl-data/sample_data/grace_hopper.jpg",
        "a8ca6d734765703b09728ab47fe59f473d93ae3967fc24c7c0288c3c7adb7130",
        "grace_hopper",
    ),
]
# Held out: an animal, a landscape with a building, a portrait, so that validation is not one texture. Of
# the 56 ways to hold out three scenes this is among the three with the least difference between the two
# sides: the noisy images have 21.4 dB in validation and 21.9 dB in training, and clean neighbours differ by
# 32.0 and 31.3 grey levels (sum over both directions). The two that come closer hold out the rocket, whose
# windows are mostly empty sky.
_BUNDLED_VAL = ("chelsea", "china", "grace_hopper")


def bundled() -> Source:
    """Return the photographs inside the installed scikit-image, scikit-learn and matplotlib; no download."""
    groups = {True: {}, False: {}}
    files = {True: [], False: []}
    for package, file, sha256, scene in _BUNDLED:
        held_out = scene in _BUNDLED_VAL
        group = groups[held_out].setdefault(scene, len(groups[held_out]))
        spec = find_spec(package)  # finds without importing
        base = Path(spec.submodule_search_locations[0]) if spec else Path(f"<{package} is not installed>")
        files[held_out].append(Photograph(Path(file).name, sha256, base / file, group))
    # Few photographs must give many different pairs, hence the wide range of windows.
    return Source(tuple(files[False]), tuple(files[True]), (0.2, 1.0))


# --- imagenet-sample ----------------------------------------------------------------------------------------

# One photograph of each ImageNet class. What fixes their content are the checksums in
# `imagenet_sample.sha256`, not the branch they are fetched from.
IMAGENET_URL = "https://raw.githubusercontent.com/EliSchwartz/imagenet-sample-images/master/"


def imagenet_sample(seed: int) -> Source:
    """Return the 1,000 photographs, 900 for training; the files are fetched when they are first needed.

    They are read from the folder `N2N_PHOTOS` if that is set, else from the cache that `provide` fills.
    """
    listed = [
        line.split() for line in Path(__file__).with_name("imagenet_sample.sha256").read_text().splitlines()
    ]
    local = os.environ.get("N2N_PHOTOS")
    base = Path(local) if local else _imagenet_cache()
    order = permutation(generator(seed, "imagenet-sample/split"), len(listed))
    files = [Photograph(listed[i][1], listed[i][0], base / listed[i][1], 0) for i in order]
    # Windows that give the noise of the authors' validation set (20.72 dB) over all 1,000 photographs.
    return Source(
        numbered([[p] for p in files[:900]]), numbered([[p] for p in files[900:]]), (0.47, 0.95), listed=True
    )


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
            for _ in tqdm(
                pool.map(dog.fetch, [p.name for p in missing]),
                total=len(missing),
                desc="photographs",
                unit="file",
            ):
                pass
        except (
            Exception
        ) as error:  # no network, no such file, wrong sum, full disk: the ways out are the same
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


@contextlib.contextmanager
def quiet():
    """Silence the decoder's warnings about odd metadata; around a pool, as filters are per process."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def numbered(scenes: list[list[Photograph]]) -> tuple[Photograph, ...]:
    """Return the photographs of some scenes, each with the number of its scene."""
    return tuple(replace(p, group=i) for i, scene in enumerate(scenes) for p in scene)


def decoder() -> str:
    """The version of the image decoder: another one may give other pixels for the same JPEG file."""
    from importlib.metadata import version

    return f"pillow {version('pillow')}"
