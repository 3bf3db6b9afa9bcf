"""Decode image files to 8-bit RGB pixels, with warnings about the file."""

from __future__ import annotations

import contextlib
import ctypes
import io
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.fft import dct

from n2nlib.data.sampling import SIDE
from n2nlib.errors import DatasetError

# What Pillow may open, by content. A list of our own, since some of its other formats start external
# programs.
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM")
#: The largest photograph that is read, in pixels: decoding takes 7 bytes of memory per pixel, so 7 GB.
MOST_PIXELS = 1_000_000_000
#: Numbers of bits that cameras and scanners store in wider integers.
BITS = (8, 10, 12, 14, 16, 24, 32)
#: A photograph whose three channels all vary by less than this standard deviation (grey levels) is of one
#: colour.
ONE_COLOUR = 1.0
_LARGE = 8_000_000  # pixels from which on memory is given back at once
_BAND = 1 << 20  # pixels copied at once
_BITS_PER_SAMPLE, _PHOTOMETRIC, _MAXIMA, _SAMPLE_FORMAT = 258, 262, (281, 341), 339  # TIFF tags


@dataclass(frozen=True)
class Examined:
    """A scan's record of a photograph.

    `look` tells near-duplicates, `assumed` how its values became 8 bits ('': as stored).
    ratio: width / height; one_colour: hardly any variation; profile: it carries a colour profile other than
    sRGB.
    """

    look: int
    ratio: float
    assumed: str = ""
    one_colour: bool = False
    profile: bool = False


def decode(data: bytes, name: str) -> np.ndarray:
    """Decode an image file to uint8 (H, W, 3): upright, RGB, first frame.

    Transparency is laid on white. Values of more than 8 bits keep their upper 8, where the smallest of `BITS`
    that holds the file's maximum is taken as their number of bits. Raises DatasetError for what is not a
    readable image, has values of an unknown range, is smaller than 32 pixels on a side or larger than
    `MOST_PIXELS`.
    """
    image, *_ = _decoded(data, name, SIDE, opaque=True)
    width, height = image.size
    pixels = np.empty((height, width, 3), np.uint8)
    step = max(1, _BAND // width)  # in bands: NumPy's view of a whole image takes two more copies of it
    for y in range(0, height, step):
        pixels[y : y + step] = np.asarray(image.crop((0, y, width, min(y + step, height))))
    return pixels


def examine(data: bytes, name: str) -> Examined:
    """Decode an image file and return what a scan keeps of it; raises DatasetError as `decode` does."""
    image, assumed, profile, _ = _decoded(data, name, SIDE, opaque=True)
    counts = np.array(image.histogram(), np.float64).reshape(3, 256)
    share, level = counts / counts.sum(axis=1, keepdims=True), np.arange(256)
    variance = share @ level**2 - (share @ level) ** 2
    flat = bool((variance < ONE_COLOUR**2).all())
    return Examined(0 if flat else _look(image), round(image.width / image.height, 4), assumed, flat, profile)


def area(path: Path) -> int:
    """Return how many pixels of memory a file will take, from its header; 0 if unreadable."""
    try:
        with _opened(path) as image:
            # A file is in memory whole while it is decoded: about 7 bytes of it weigh as much as a pixel.
            return image.width * image.height + path.stat().st_size // 7
    except Exception:  # the fault is named when the file is decoded
        return 0


class Room:
    """Lets threads decode photographs of at most `limit` pixels together; a larger one is decoded alone."""

    def __init__(self, limit: int):
        self.limit, self._used, self._changed = limit, 0, threading.Condition()

    @contextlib.contextmanager
    def __call__(self, pixels: int) -> Iterator[None]:
        pixels = min(pixels, self.limit)
        with self._changed:
            self._changed.wait_for(lambda: self._used + pixels <= self.limit)
            self._used += pixels
        try:
            yield
        finally:
            if pixels > _LARGE:
                _trim()
            with self._changed:
                self._used -= pixels
                self._changed.notify_all()


def _trim() -> None:
    """Return freed memory to the system.

    glibc keeps what each thread has freed: 400 MB after a photograph of 100 megapixels.
    """
    with contextlib.suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)


def _opened(source):
    from PIL import Image

    # Pillow refuses what might be an attack on a server. Here the files are the reader's own, and
    # `MOST_PIXELS` is the limit.
    if Image.MAX_IMAGE_PIXELS is not None:
        Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS, MOST_PIXELS)
    return Image.open(source, formats=FORMATS)


def upright(data: bytes, name: str):
    """Return an image file's first frame as an upright Pillow image of 8 bits per channel, and what it lacks.

    That is a sentence for each kind of loss: further frames, and bits. Raises DatasetError for what is not a
    readable image or has values of an unknown range.
    """
    image, assumed, _, bits = _decoded(data, name, 1)
    lost = [f"{n} frames: only the first is kept"] if (n := frames(data)) > 1 else []
    if bits > 8:
        lost.append(f"{bits} bits written as 8" + (f", read as {assumed}" if assumed else ""))
    return image, lost


def frames(data: bytes) -> int:
    """Return how many frames or pages an image file holds, as far as they can be found."""
    try:
        with _opened(io.BytesIO(data)) as image:
            return getattr(image, "n_frames", 1)
    except Exception:  # a damaged second frame: the first one was read
        return 1


def _decoded(data: bytes, name: str, smallest: int, opaque: bool = False):
    """Return the upright image, the range assumed of its values, whether its profile differs, and its bits.

    `opaque`: as RGB, on white.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with _opened(io.BytesIO(data)) as image:
            if image.width * image.height > MOST_PIXELS:
                raise Image.DecompressionBombError
            if min(image.size) < smallest:
                raise DatasetError(
                    f"{name} is {image.width}x{image.height} pixels, smaller than {smallest} on a side."
                )
            profile = _other_profile(image.info.get("icc_profile"))
            image, assumed, bits = _eight_bits(image)
        if opaque and image.has_transparency_data:
            white = Image.new("RGBA", image.size, "white")
            image = Image.alpha_composite(white, image.convert("RGBA"))
        image = image.convert("RGB") if opaque and image.mode != "RGB" else image
        return image, assumed, profile, bits
    except DatasetError:
        raise
    except Image.DecompressionBombError:
        raise DatasetError(
            f"{name} cannot be read as a photograph: it has more than {MOST_PIXELS:,} pixels. Make a "
            "smaller copy, or cut it into parts."
        ) from None
    except UnidentifiedImageError:
        raise DatasetError(f"{name} cannot be read as a photograph: {_unidentified(data)}.") from None
    except MemoryError:
        raise DatasetError(
            f"{name} cannot be read as a photograph: there is not enough memory for it."
        ) from None
    except Exception as error:
        # Pillow's decoders raise many kinds: OSError, SyntaxError, ValueError, struct.error...
        what = " ".join(str(error).split()) or type(error).__name__
        raise DatasetError(f"{name} cannot be read as a photograph: {what}.") from error


def _unidentified(data: bytes) -> str:
    if not data:
        return "the file is empty"
    if data[:4] in (b"II*\0", b"MM\0*"):
        kind = "it is a TIFF file of a kind that is not read (such as 32-bit colour)"
        return f"{kind}; convert it to 8 bits per channel"
    return f"its content is not a {', '.join(FORMATS[:-1])} or {FORMATS[-1]} image"


def _eight_bits(image):
    """Decode a file's image: upright, in a mode of 8 bits, with the range assumed of its values."""
    from PIL import Image

    # How the file stores a pixel; gone once it is decoded.
    raw = " ".join(str(tile[3]) for tile in image.tile)
    tags = getattr(image, "tag_v2", {})
    stored = max(_numbers(tags.get(_BITS_PER_SAMPLE)), default=16 if "16" in raw else 8)
    declared = max((n for tag in _MAXIMA for n in _numbers(tags.get(tag))), default=0)
    if image.format == "PPM":
        declared = 65_535
    bits = stored
    if image.format in ("BMP", "PPM"):  # they name bits per pixel, and the largest value
        largest = max(map(int, re.findall(r"\d+", raw)), default=255)
        bits = 16 if image.format == "PPM" and (largest > 255 or ";16" in raw) else 8
    image.load()  # a truncated file fails here
    _turn_upright(image)
    if image.mode == "F":
        values, assumed = _of_floats(np.asarray(image))
    elif image.mode.startswith("I"):
        values = np.asarray(image)
        if stored == 32 and _numbers(tags.get(_SAMPLE_FORMAT)) in ([], [1]):
            values = values.view(np.uint32)  # unsigned, which Pillow has no mode for
        values, assumed = _of_integers(values, declared, stored)
    else:
        if stored > 8:
            _refuse_dim(image, raw)
        return image, "", bits
    if tags.get(_PHOTOMETRIC) == 0:  # white is zero: Pillow inverts such images of 8 bits only
        values = 255 - values
    return Image.fromarray(values), assumed, bits


def _turn_upright(image) -> None:
    from PIL import ImageOps

    try:
        ImageOps.exif_transpose(image, in_place=True)
    except MemoryError:
        raise
    except Exception:  # noqa: S110 (the pixels are sound: damaged metadata costs the orientation only)
        pass


def _of_floats(values: np.ndarray) -> tuple[np.ndarray, str]:
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(low) and np.isfinite(high)) or low < 0 or high > 255:
        raise ValueError(
            f"its floating-point values go from {low:g} to {high:g}, and only those from 0 to 1 or from 0 "
            "to 255 are read; convert it to 8 bits"
        )
    if high <= 1:
        return np.rint(values * 255).astype(np.uint8), "floating-point values from 0 to 1"
    return np.rint(values).astype(np.uint8), "floating-point values from 0 to 255"


def _of_integers(values: np.ndarray, declared: int, stored: int) -> tuple[np.ndarray, str]:
    low, high = int(values.min()), int(values.max())
    if low < 0:
        raise ValueError(
            f"its values go from {low} to {high}, and negative ones have no grey level; convert it to 8 bits"
        )
    bits = next(b for b in BITS if max(high, declared) < 1 << b)
    container = max(16, stored)
    assumed = "" if bits >= container else f"{bits}-bit values in files of {container} bits"
    return (values >> (bits - 8)).astype(np.uint8), assumed


def _refuse_dim(image, raw: str) -> None:
    """Refuse 16-bit colour that Pillow cannot read whole or whose upper byte is nearly empty."""
    if "16" not in raw:
        raise ValueError(
            "it stores 16-bit colour plane by plane, which is not read; convert it to 8 bits per channel"
        )
    extrema = np.reshape(image.getextrema(), (-1, 2))  # of each band: lowest, highest
    bands = zip(image.getbands(), extrema, strict=True)
    high = max(high for band, (_, high) in bands if band not in "AX")  # no colours: alpha and padding
    if high < 64:
        raise ValueError(
            f"its 16-bit colour values stay below {(high + 1) * 256:,} of 65,535, so that their range is "
            "unknown; convert it to 8 bits per channel"
        )


def _numbers(value) -> list[int]:
    """The whole numbers of a TIFF tag, which may hold one, several or none."""
    values = value if isinstance(value, (tuple, list)) else [] if value is None else [value]
    return [int(v) for v in values if isinstance(v, (int, float)) and v == v]


def _other_profile(profile: bytes | None) -> bool:
    return bool(profile) and b"sRGB" not in profile and "sRGB".encode("utf-16-be") not in profile


def _look(image) -> int:
    """Return a perceptual hash: 64 bits, nearly all of which survive resizing and re-encoding.

    The signs of the low frequencies of the 32x32 grey thumbnail, compared with their median (Zauner, 2010).
    """
    from PIL import Image

    small = image.resize((32, 32), Image.Resampling.BOX).convert("L")
    # Rounded, so that the last bits of a platform's arithmetic do not choose a sign.
    wave = dct(dct(np.asarray(small, np.float64), axis=0, norm="ortho"), axis=1, norm="ortho")
    wave = np.rint(1_000 * wave[:8, :8].ravel()[1:])
    return int("".join("1" if on else "0" for on in wave > np.median(wave)), 2)
