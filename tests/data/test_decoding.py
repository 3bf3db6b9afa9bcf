"""Pixels of every kind of image file: the right grey levels, or a sentence that says why not."""

from __future__ import annotations

import io
import struct
import threading
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from n2nlib.data import decoding
from n2nlib.errors import DatasetError


def encoded(image, format="PNG", **options):
    out = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(out, format, **options)
    return out.getvalue()


def tiff(values: np.ndarray, tags: dict[int, tuple] | None = None, order: str = "<") -> bytes:
    """An uncompressed TIFF file of these values (H, W) or (H, W, 3), written tag by tag."""
    kinds = {"u": 1, "i": 2, "f": 3}
    channels = 1 if values.ndim == 2 else values.shape[2]
    data = values.astype(values.dtype.newbyteorder(order)).tobytes()
    entries = {
        256: values.shape[1],
        257: values.shape[0],
        258: values.dtype.itemsize * 8,
        259: 1,
        262: 1 if channels == 1 else 2,
        273: 8,
        277: channels,
        278: values.shape[0],
        279: len(data),
        339: kinds[values.dtype.kind],
    } | (tags or {})
    offset = 8 + len(data)
    later, body = b"", b""
    place = offset + 2 + 12 * len(entries) + 4
    for tag, value in sorted(entries.items()):
        if tag in (258, 339) and channels > 1:
            body += struct.pack(order + "HHII", tag, 3, channels, place + len(later))
            later += struct.pack(order + "H" * channels, *[value] * channels)
        else:
            body += struct.pack(order + "HHII", tag, 4, 1, value)
    head = b"II*\0" if order == "<" else b"MM\0*"
    return (
        head
        + struct.pack(order + "I", offset)
        + data
        + struct.pack(order + "H", len(entries))
        + body
        + b"\0" * 4
        + later
    )


def png16(values: np.ndarray) -> bytes:
    """A PNG file of 16-bit values (H, W, 3)."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    lines = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, 2, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(lines))
        + chunk(b"IEND", b"")
    )


def ramp(top: int, dtype=np.uint16) -> np.ndarray:
    """Values from 0 to `top`, (40, 48)."""
    return np.linspace(0, top, 40 * 48).round().astype(dtype).reshape(40, 48)


def grey(data: bytes) -> np.ndarray:
    pixels = decoding.decode(data, "x")
    assert (pixels == pixels[:, :, :1]).all()
    return pixels[:, :, 0]


# --- integers of more than 8 bits ---------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(
    bits=st.sampled_from([8, 10, 12, 14, 16]),
    kind=st.sampled_from(["<u2", ">u2", "<u4", "<i4", ">i4"]),
    seed=st.integers(0, 99),
)
def test_values_of_few_bits_in_a_wider_file_fill_the_range(bits, kind, seed):
    dtype = np.dtype(kind)
    values = np.random.default_rng(seed).integers(0, 2**bits, (40, 48)).astype(dtype.newbyteorder("="))
    values[0, 0] = 2**bits - 1
    data = tiff(values, order=kind[0])
    assert np.array_equal(grey(data), values >> (bits - 8))
    container = dtype.itemsize * 8
    assumed = decoding.examine(data, "x").assumed
    assert assumed == ("" if bits == container else f"{bits}-bit values in files of {container} bits")


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_sixteen_bit_png_files_of_few_bits(bits):
    values = ramp(2**bits - 1)
    assert np.array_equal(grey(encoded(values)), values >> (bits - 8))
    assert bool(decoding.examine(encoded(values), "x").assumed) == (bits < 16)


def test_thirty_two_bits_are_used_whole():
    values = (ramp(65_535, np.uint32) << 16) | 0xFFFF
    assert np.array_equal(grey(tiff(values)), values >> 24)  # above 2^31 too, which Pillow takes for negative


def test_a_maximum_that_the_file_declares_counts():
    assert np.array_equal(grey(tiff(ramp(900), {281: 4_000})), ramp(900) >> 4)
    assert np.array_equal(
        grey(tiff(ramp(4_000), {281: 900})), ramp(4_000) >> 4
    )  # a wrong one does not make white of grey


@pytest.mark.parametrize("top", [255, 1_023, 4_095, 65_535])
def test_a_portable_graymap_declares_its_maximum(top):
    values = ramp(top // 2)  # a dark photograph
    samples = values.astype(">u2").tobytes() if top > 255 else values.astype(np.uint8).tobytes()
    out = grey(b"P5\n48 40\n%d\n" % top + samples)
    assert (
        np.abs(out - values * 255.0 / top).max() <= 1
        and not decoding.examine(b"P5\n48 40\n%d\n" % top + samples, "x").assumed
    )


def test_where_white_is_zero():
    assert np.array_equal(grey(tiff(ramp(65_535), {262: 0})), 255 - (ramp(65_535) >> 8))
    assert np.array_equal(grey(tiff(ramp(255, np.uint8), {262: 0})), 255 - ramp(255))


def test_negative_values_are_refused():
    with pytest.raises(DatasetError, match="^x.tif cannot be read as a photograph: its values go from -5 to"):
        decoding.decode(tiff(ramp(100, np.int32) - 5), "x.tif")


def test_sixteen_bit_colour_keeps_its_upper_byte_or_is_refused():
    colour = np.stack([ramp(65_535), ramp(40_000), ramp(9)], axis=2)
    for data in (png16(colour), tiff(colour), tiff(colour, order=">")):
        assert np.array_equal(decoding.decode(data, "x"), colour >> 8)
    for data in (png16(colour >> 4), tiff(colour >> 4)):  # 12-bit values: black but for the lowest four bits
        with pytest.raises(DatasetError, match="16-bit colour values stay below 4,096 of 65,535"):
            decoding.decode(data, "x")


# --- floating point -----------------------------------------------------------------------------------------


def test_floating_point_values_from_zero_to_one_or_to_255():
    unit = np.linspace(0, 1, 40 * 48, dtype=np.float32).reshape(40, 48)
    assert np.array_equal(grey(tiff(unit)), np.rint(unit * 255))
    assert np.array_equal(grey(tiff(unit * 200)), np.rint(unit * 200))
    assert decoding.examine(tiff(unit), "x").assumed == "floating-point values from 0 to 1"
    assert decoding.examine(tiff(unit * 200), "x").assumed == "floating-point values from 0 to 255"


@pytest.mark.parametrize("odd", [-0.5, 4_000.0, np.nan, np.inf])
def test_other_floating_point_values_are_refused(odd):
    values = np.linspace(0, 1, 40 * 48, dtype=np.float32).reshape(40, 48)
    values[3, 3] = odd
    with pytest.raises(
        DatasetError,
        match="floating-point values go from .* and only those from 0 to 1 or from 0 to 255 are read",
    ):
        decoding.decode(tiff(values), "x")


def test_colour_of_32_bits_is_refused_with_a_sentence_without_addresses():
    values = np.zeros((40, 48, 3), np.float32)
    with pytest.raises(DatasetError) as caught:
        decoding.decode(tiff(values), "x.tif")
    assert "a TIFF file of a kind that is not read (such as 32-bit colour)" in str(caught.value)
    for data in (b"", b"no image"):
        with pytest.raises(DatasetError) as caught:
            decoding.decode(data, "x.jpg")
        assert " at 0x" not in str(caught.value)  # the same sentence every time: reports depend on it


# --- what a scan keeps --------------------------------------------------------------------------------------


def test_photographs_of_one_colour_are_known():
    for image, one in [
        (np.zeros((40, 48, 3), np.uint8), True),
        (np.full((40, 48), 255, np.uint8), True),
        (ramp(255, np.uint8), False),
    ]:
        assert decoding.examine(encoded(image), "x").one_colour == one
    speck = np.full((400, 480), 90, np.uint8)
    speck[7, 7] = 100
    assert decoding.examine(encoded(speck), "x").one_colour


def test_colour_profiles_other_than_srgb_are_known():
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    image = Image.fromarray(ramp(255, np.uint8)).convert("RGB")
    assert [decoding.examine(encoded(image, icc_profile=p), "x").profile for p in (None, srgb, lab)] == [
        False,
        False,
        True,
    ]


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_damaged_metadata_costs_the_orientation_only():
    image = Image.fromarray(ramp(255, np.uint8))
    data = encoded(image, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert decoding.decode(data, "x").shape == (40, 48, 3)


def test_modes_with_transparency_and_others():
    small = Image.fromarray(ramp(255, np.uint8))
    for mode, format in [
        ("LA", "PNG"),
        ("LA", "TIFF"),
        ("RGBA", "PNG"),
        ("P", "PNG"),
        ("1", "PNG"),
        ("YCbCr", "TIFF"),
        ("CMYK", "JPEG"),
    ]:
        out = decoding.decode(encoded(small.convert(mode), format), "x")
        assert out.shape == (40, 48, 3) and out.max() > 200 and out.min() < 50


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_damaged_files_are_read_or_refused_by_name(data):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 48, 3), dtype=np.uint8))
    good = data.draw(
        st.sampled_from([encoded(image, f) for f in ("PNG", "JPEG", "TIFF", "GIF", "BMP", "WEBP", "PPM")])
    )
    bad = bytearray(good[: data.draw(st.integers(0, len(good)))])
    for _ in range(data.draw(st.integers(0, 4))):
        if bad:
            bad[data.draw(st.integers(0, min(len(bad), 400) - 1))] = data.draw(st.integers(0, 255))
    try:
        out = decoding.decode(bytes(bad), "x.jpg")
    except DatasetError as error:
        assert str(error).startswith("x.jpg ") and " at 0x" not in str(error)
    else:
        assert out.dtype == np.uint8 and out.ndim == 3 and out.shape[2] == 3


# --- size and memory ----------------------------------------------------------------------------------------


def test_photographs_of_200_megapixels_are_read_and_those_beyond_the_limit_refused(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_000)  # as 178 megapixels are to 40x48 pixels
    data = encoded(ramp(255, np.uint8))
    assert decoding.decode(data, "x").shape == (40, 48, 3)
    monkeypatch.setattr(decoding, "MOST_PIXELS", 1_900)
    with pytest.raises(
        DatasetError, match="x.png cannot be read as a photograph: it has more than 1,900 pixels"
    ):
        decoding.decode(data, "x.png")


def test_a_header_that_claims_terapixels_costs_no_memory():
    header = struct.pack(">IIBBBBB", 1_000_000, 1_000_000, 8, 2, 0, 0, 0)
    chunk = (
        struct.pack(">I", 13)
        + b"IHDR"
        + header
        + struct.pack(">I", zlib.crc32(b"IHDR" + header))
        + struct.pack(">I", 9)
        + b"IDAT"
    )
    with pytest.raises(DatasetError, match="more than 1,000,000,000 pixels"):
        decoding.decode(b"\x89PNG\r\n\x1a\n" + chunk, "x")


def test_threads_share_a_limit_of_pixels():
    room, now, most, lock = decoding.Room(100), [0], [0], threading.Lock()

    def work(pixels):
        with room(pixels):
            with lock:
                now[0] += min(pixels, 100)
                most[0] = max(most[0], now[0])
            with lock:
                now[0] -= min(pixels, 100)

    threads = [threading.Thread(target=work, args=(n,)) for n in [40, 60, 1_000, 30, 30, 99, 2, 500] * 20]
    for t in threads:
        t.start()
    for t in threads:
        t.join(20)
    assert not any(t.is_alive() for t in threads) and most[0] <= 100 and now[0] == 0
    with pytest.raises(ZeroDivisionError), room(70):
        raise ZeroDivisionError
    with room(100):  # given back after an error
        pass
