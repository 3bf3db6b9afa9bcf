"""Photographs: every odd file is read properly or refused by name, and none straddles the split."""

import dataclasses
import io
import os
import pickle
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from n2nlib.data import decoding, open_dataset, photos
from n2nlib.errors import DatasetError


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("N2N_CACHE", str(tmp_path / "cache"))


def pixels(height=40, width=48, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def encoded(image, format="PNG", **options):
    out = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(out, format, **options)
    return out.getvalue()


@pytest.fixture
def album(tmp_path):
    """A folder of three good photographs, one of them in a folder below."""
    base = tmp_path / "album"
    (base / "below").mkdir(parents=True)
    for i, name in enumerate(["one.png", "two.PNG", "below/three.png"]):
        (base / name).write_bytes(encoded(pixels(seed=i)))
    return base


def names(dataset):
    return {p.name for split in ("train", "val") for p in dataset.photographs(split)}


# --- decoding -----------------------------------------------------------------------------------------------


def test_greyscale_becomes_three_equal_channels():
    grey = pixels()[:, :, 0]
    assert np.array_equal(decoding.decode(encoded(grey), "x"), grey[:, :, None].repeat(3, axis=2))


def test_transparency_is_laid_on_white():
    colour = pixels()
    alpha = np.zeros((40, 48, 1), np.uint8)
    alpha[:20] = 255
    out = decoding.decode(encoded(np.concatenate([colour, alpha], axis=2)), "x")
    assert np.array_equal(out[:20], colour[:20])
    assert (out[20:] == 255).all()  # not the colours that were hidden there


def test_sixteen_bit_greyscale_keeps_the_upper_byte():
    wide = np.arange(40 * 48, dtype=np.uint16).reshape(40, 48) * 34
    for format in ("PNG", "TIFF"):
        assert np.array_equal(decoding.decode(encoded(wide, format), "x")[:, :, 1], wide >> 8)


def test_sixteen_bit_colour_keeps_the_upper_byte():
    wide = np.random.default_rng(0).integers(0, 65536, (40, 48, 3)).astype(">u2")
    import zlib

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    lines = b"".join(b"\0" + row.tobytes() for row in wide)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 48, 40, 16, 2, 0, 0, 0))
    png += chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    assert np.array_equal(decoding.decode(png, "x"), (wide >> 8).astype(np.uint8))


def test_palette_cmyk_and_bilevel_are_read_as_rgb():
    flat = np.zeros((40, 48, 3), np.uint8)
    flat[:, :24] = (200, 30, 90)
    image = Image.fromarray(flat)
    assert np.array_equal(decoding.decode(encoded(image.quantize(4)), "x"), flat)
    assert np.array_equal(decoding.decode(encoded(image.convert("CMYK"), "TIFF"), "x"), flat)
    bilevel = Image.fromarray(flat[:, :, 0] > 0)
    assert np.array_equal(
        decoding.decode(encoded(bilevel), "x")[:, :, 0], np.where(flat[:, :, 0] > 0, 255, 0)
    )


def test_first_frame_of_an_animation():
    frames = [Image.fromarray(np.full((40, 48), v, np.uint8)) for v in (10, 200)]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert (decoding.decode(data, "x") == 10).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_undone(orientation):
    upright = pixels(40, 64)
    image = Image.fromarray(upright)
    # What a camera held that way would have stored: the inverse of what the tag asks for.
    inverse = {
        2: "FLIP_LEFT_RIGHT",
        3: "ROTATE_180",
        4: "FLIP_TOP_BOTTOM",
        5: "TRANSPOSE",
        6: "ROTATE_90",
        7: "TRANSVERSE",
        8: "ROTATE_270",
    }
    if orientation > 1:
        image = image.transpose(Image.Transpose[inverse[orientation]])
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert np.array_equal(decoding.decode(encoded(image, exif=exif), "x"), upright)


def test_what_is_no_photograph_is_refused_by_name():
    good = encoded(pixels(200, 200), "JPEG")
    for data in (b"", b"not an image", good[: len(good) // 2], b"%!PS-Adobe-3.0 EPSF-3.0\n"):
        with pytest.raises(DatasetError, match="^x.jpg cannot be read as a photograph"):
            decoding.decode(data, "x.jpg")
    with pytest.raises(DatasetError, match="x.png is 100x31 pixels, smaller than 32 on a side"):
        decoding.decode(encoded(pixels(31, 100)), "x.png")


# --- folder -------------------------------------------------------------------------------------------------


def test_a_folder_is_read_recursively_and_split(album):
    dataset = open_dataset(f"folder:{album}", 20, 6)
    assert names(dataset) == {"one.png", "two.PNG", "below/three.png"}
    assert len(dataset.photographs("train")) == 2 and len(dataset.photographs("val")) == 1
    assert dataset.warnings == []
    assert len(dataset.train) == 20 and len(dataset.val) == 6
    assert np.array_equal(np.bincount(dataset.train.photo), [10, 10])


def test_one_broken_file_is_skipped_named_and_counted(album):
    (album / "broken.jpg").write_bytes(encoded(pixels(200, 200), "JPEG")[:1000])
    (album / "empty.png").touch()
    (album / "small.png").write_bytes(encoded(pixels(20, 90)))
    (album / "notes.txt").write_text("not a photograph, and not claiming to be one")
    (album / "dangling.png").symlink_to(album / "nowhere.png")
    dataset = open_dataset(f"folder:{album}")
    (warning,) = dataset.warnings
    assert warning.startswith("4 files of folder:")
    for part in (
        "broken.jpg cannot be read",
        "empty.png cannot be read",
        "small.png is 90x20 pixels",
        "dangling.png cannot be read",
    ):
        assert part in warning
    assert "notes.txt" not in warning
    assert names(dataset) == {"one.png", "two.PNG", "below/three.png"}
    # The bad files change nothing about the pairs.
    clean = open_dataset(f"folder:{album}").fingerprint
    for name in ("broken.jpg", "empty.png", "small.png", "dangling.png"):
        (album / name).unlink()
    assert open_dataset(f"folder:{album}").fingerprint == clean


def test_images_of_kinds_that_are_not_read_are_counted(album):
    for name in ("IMG_1.HEIC", "IMG_2.heic", "below/IMG_3.NEF", ".hidden.heic"):
        (album / name).write_bytes(b"a camera's own")
    for _ in range(2):  # the second time the list of readable ones comes from the cache
        dataset = open_dataset(f"folder:{album}")
        (warning,) = dataset.warnings
        assert (
            warning.startswith("3 files of folder:")
            and "(2 .heic, 1 .nef): convert them to one of .bmp, .gif, .jpeg" in warning
        )
        assert names(dataset) == {"one.png", "two.PNG", "below/three.png"}


def test_a_folder_of_such_images_alone_says_why_nothing_is_there(tmp_path):
    base = tmp_path / "telephone"
    base.mkdir()
    for i in range(7):
        (base / f"IMG_{i}.HEIC").write_bytes(b"a telephone's own")
    with pytest.raises(
        DatasetError,
        match=r"holds 0 readable photographs, .* 7 files .* \(7 .heic\): convert them to one of .*\.png",
    ):
        open_dataset(f"folder:{base}")


def test_of_many_broken_files_a_few_are_named(album):
    for i in range(200):
        (album / f"broken{i}.jpg").write_bytes(b"broken")
        (album / f"copy{i}.png").write_bytes((album / "one.png").read_bytes())
    faults, copies = open_dataset(f"folder:{album}").warnings
    assert (
        faults.startswith("200 files of")
        and faults.count("cannot be read") == 5
        and faults.endswith("And 195 more.")
    )
    assert (
        copies.startswith("200 files of") and copies.count(".png") == 5 and copies.endswith("and 195 more.")
    )


def test_copies_of_a_photograph_count_once_and_never_straddle_the_split(album):
    for i in range(6):
        shutil.copy(album / "one.png", album / f"copy{i}.png")
    dataset = open_dataset(f"folder:{album}")
    sums = [p.sha256 for split in ("train", "val") for p in dataset.photographs(split)]
    assert len(sums) == len(set(sums)) == 3
    assert (
        dataset.warnings[0].startswith("6 files of folder:")
        and "identical to another one" in dataset.warnings[0]
    )


@pytest.mark.parametrize("count", [0, 1])
def test_a_folder_with_too_few_photographs_is_refused(tmp_path, count):
    base = tmp_path / "few"
    base.mkdir()
    (base / "bad.png").write_bytes(b"bad")
    for i in range(count):
        (base / f"{i}.png").write_bytes(encoded(pixels(seed=i)))
    with pytest.raises(
        DatasetError, match=rf"holds {count} readable photographs?, and at least 2 are needed.*bad.png"
    ):
        open_dataset(f"folder:{base}")
    with pytest.raises(DatasetError, match="there is no such folder"):
        open_dataset(f"folder:{base}/nowhere")


def test_a_photograph_changed_after_opening_is_noticed(album):
    dataset = open_dataset(f"folder:{album}", 10, 2)
    (album / "one.png").write_bytes(encoded(pixels(seed=99)))
    with pytest.raises(DatasetError, match="one.png is not the file that this dataset was made of"):
        dataset.train, dataset.val  # noqa: B018
    assert not list((photos.paths.cache() / "datasets").glob("*/*"))  # nothing half-made is left
    again = open_dataset(f"folder:{album}", 10, 2)
    assert again.fingerprint != dataset.fingerprint and len(again.train) == 10


def test_a_tenth_is_held_out(tmp_path):
    for i in range(30):
        (tmp_path / f"{i}.png").write_bytes(encoded(pixels(32, 32, seed=i)))
    dataset = open_dataset(f"folder:{tmp_path}")
    assert len(dataset.photographs("val")) == 3 and len(dataset.photographs("train")) == 27
    other = open_dataset(f"folder:{tmp_path}", seed=1)
    assert {p.name for p in other.photographs("val")} != {p.name for p in dataset.photographs("val")}


def test_file_names_of_any_bytes(tmp_path):
    for i, name in enumerate([b"caf\xe9.png", "ž ü.png".encode(), b"new\nline.png"]):
        (Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))).write_bytes(encoded(pixels(seed=i)))
    dataset = open_dataset(f"folder:{tmp_path}", 6, 2)
    assert len(dataset.train) == 6
    "".join(p.name for p in dataset.photographs("train")).encode()  # can be printed


KINDS = {
    "good": lambda i: encoded(pixels(33 + i, 40, seed=i)),
    "small": lambda i: encoded(pixels(8, 40, seed=i)),
    "noise": lambda i: bytes(np.random.default_rng(i).integers(0, 256, 60, dtype=np.uint8)),
    "cut": lambda i: encoded(pixels(64, 64, seed=i), "JPEG")[: 200 + 7 * i],
    "copy": lambda i: encoded(pixels(60, 60, seed=777)),
}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kinds=st.lists(st.sampled_from(sorted(KINDS)), max_size=8), seed=st.integers(0, 9))
def test_any_mixture_of_files_is_split_or_refused(tmp_path_factory, kinds, seed):
    base = tmp_path_factory.mktemp("mixture")
    for i, kind in enumerate(kinds):
        (base / f"{i}-{kind}.jpg").write_bytes(KINDS[kind](i))
    usable = kinds.count("good") + min(1, kinds.count("copy"))
    bad = sum(k in ("small", "noise", "cut") for k in kinds)
    if usable < 2:
        with pytest.raises(DatasetError, match="at least 2 are needed"):
            open_dataset(f"folder:{base}", seed=seed)
        return
    dataset = open_dataset(f"folder:{base}", 5, 2, seed=seed)
    train, val = ({p.sha256 for p in dataset.photographs(s)} for s in ("train", "val"))
    assert train and val and not train & val and len(train | val) == usable
    assert any(w.startswith(f"{bad} file") for w in dataset.warnings) == bool(bad)
    assert len(dataset.train) == 5


# --- bundled ------------------------------------------------------------------------------------------------


def test_bundled_split_is_disjoint_also_for_the_two_views_of_one_scene():
    source = photos.bundled()
    train, val = ({p.name.split("_")[0] for p in side} for side in (source.train, source.val))
    assert not train & val and len(train) == 5 and len(val) == 3
    by_name = {p.name: p.group for p in source.train}
    assert by_name["motorcycle_left.png"] == by_name["motorcycle_right.png"]
    for side in (source.train, source.val):
        assert {p.group for p in side} == set(range(max(p.group for p in side) + 1))
        for p in side:
            assert p.load().shape[2] == 3  # present, and with the pinned sum


def test_bundled_validation_is_not_one_texture():
    from n2nlib.evaluation.metrics import psnr

    dataset = open_dataset("bundled", 1_500, 900)
    train, val = (psnr(p.clean, p.a, 255) for p in (dataset.train, dataset.val))
    detail = [np.abs(np.diff(p.clean.astype(float), axis=3)).mean() for p in (dataset.train, dataset.val)]
    assert abs(train.mean() - val.mean()) < 1.0  # between scenes it ranges over 9 dB
    assert abs(np.log(detail[0] / detail[1])) < np.log(1.25)
    # Pairs are spread evenly over scenes, and over the two views of the motorcycle.
    assert set(np.bincount(dataset.train.photo)) == {300} and set(np.bincount(dataset.val.photo)) == {300}


def test_a_missing_package_or_altered_file_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(photos, "find_spec", lambda package: None)
    dataset = open_dataset("bundled", 10, 3)
    assert dataset.fingerprint  # known without any photograph
    with pytest.raises(DatasetError, match="<skimage is not installed>"):
        dataset.train  # noqa: B018


# --- imagenet-sample ----------------------------------------------------------------------------------------


def test_imagenet_sample_is_known_without_its_photographs(monkeypatch, tmp_path):
    monkeypatch.delenv("N2N_PHOTOS", raising=False)
    dataset = open_dataset("imagenet-sample", 50_000, 1_000)
    monkeypatch.setenv("N2N_PHOTOS", str(tmp_path))
    elsewhere = open_dataset("imagenet-sample", 50_000, 1_000)
    assert elsewhere.fingerprint == dataset.fingerprint
    assert dataset.fingerprint == "3e2a6ed28175f2e8"  # stored runs carry it
    train, val = ({sha for _, sha, _ in dataset.recipe[s]} for s in ("train", "val"))
    assert len(train) == 900 and len(val) == 100 and not train & val
    assert len(pickle.dumps(dataset)) < 300_000
    with pytest.raises(
        DatasetError, match=f"N2N_PHOTOS={tmp_path} lacks 100 of 100 photographs.*or unset N2N_PHOTOS"
    ):
        elsewhere.val  # noqa: B018


def test_without_network_both_ways_out_are_named(monkeypatch):
    monkeypatch.delenv("N2N_PHOTOS", raising=False)
    monkeypatch.setattr(photos, "IMAGENET_URL", "http://127.0.0.1:9/")  # nobody answers there
    with pytest.raises(DatasetError, match="connect to the network.*or set N2N_PHOTOS to a folder") as caught:
        open_dataset("imagenet-sample", 10, 5).train  # noqa: B018
    assert "\n" not in str(caught.value)


class TestDownload:
    """From a server on this machine, with a short list of photographs."""

    @pytest.fixture(autouse=True)
    def server(self, monkeypatch, tmp_path):
        import functools
        import hashlib
        import http.server
        import threading

        self.site = tmp_path / "site"
        self.site.mkdir()
        self.asked = asked = []

        class Handler(http.server.SimpleHTTPRequestHandler):
            def do_GET(self):
                asked.append(self.path.strip("/"))
                super().do_GET()

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), functools.partial(Handler, directory=self.site)
        )
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(photos, "IMAGENET_URL", f"http://127.0.0.1:{server.server_port}/")
        self.files = []
        for i in range(5):
            data = encoded(pixels(seed=i))
            (self.site / f"{i}.png").write_bytes(data)
            sha = hashlib.sha256(data).hexdigest()
            self.files.append(photos.Photograph(f"{i}.png", sha, photos._imagenet_cache() / f"{i}.png", i))
        yield
        server.shutdown()
        server.server_close()

    def test_fetches_once_and_shows_progress(self, capsys):
        photos.provide(tuple(self.files))
        assert sorted(self.asked) == [f"{i}.png" for i in range(5)]
        assert "5/5" in capsys.readouterr().err
        assert all(np.array_equal(p.load(), pixels(seed=i)) for i, p in enumerate(self.files))
        photos.provide(tuple(self.files))
        assert len(self.asked) == 5

    def test_resumes_after_an_interruption(self):
        (self.site / "3.png").rename(self.site / "later")
        with pytest.raises(DatasetError, match="could not be downloaded.*finished files are kept"):
            photos.provide(tuple(self.files))
        (self.site / "later").rename(self.site / "3.png")
        done = {p.name for p in self.files if p.path.exists()}
        assert "3.png" not in done
        self.asked.clear()
        photos.provide(tuple(self.files))
        assert set(self.asked) == {p.name for p in self.files} - done
        assert all(p.path.exists() for p in self.files)

    def test_a_file_with_another_sum_is_not_believed(self):
        (self.site / "2.png").write_bytes(encoded(pixels(seed=50)))
        with pytest.raises(DatasetError, match="could not be downloaded.*hash"):
            photos.provide(tuple(self.files))
        assert not self.files[2].path.exists()


@pytest.mark.skipif(
    not os.environ.get("N2N_PHOTOS"),
    reason="N2N_PHOTOS does not name a folder with the photographs of imagenet-sample",
)
def test_imagenet_sample_stands_in_for_the_authors_data():
    from n2nlib import paper
    from n2nlib.evaluation.metrics import psnr

    dataset = open_dataset("imagenet-sample", 9_000, 1_000)
    values = np.concatenate(
        [psnr(p.clean, p.a, 255) for p in (dataset.train, dataset.val)]
    )  # ten pairs a photograph
    # Within a photograph the PSNR of a window has a standard deviation of 1.6 dB or so: 0.016 dB on this
    # mean.
    assert abs(values.mean() - paper.value("noise.noisy_psnr")) < 0.1
    assert not {p.sha256 for p in dataset.photographs("train")} & {
        p.sha256 for p in dataset.photographs("val")
    }


def test_photographs_pickle():
    p = photos.bundled().train[0]
    assert pickle.loads(pickle.dumps(p)) == p == dataclasses.replace(p)
