"""`n2n denoise`: files and folders in, files out; nothing is overwritten, and one bad file costs no other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from n2nlib import denoise, paths
from n2nlib.__main__ import main


@pytest.fixture
def photo(tmp_path):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8))
    (tmp_path / "in" / "sub").mkdir(parents=True)
    image.save(tmp_path / "in" / "a.png")
    return image


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image)


def test_a_folder_keeps_its_places_and_a_bad_file_costs_no_other(photo, tmp_path, capfd):
    photo.save(tmp_path / "in" / "sub" / "b.PNG")
    photo.convert("P").save(tmp_path / "in" / "c.gif")
    (tmp_path / "in" / "bad.jpg").write_text("no image")
    assert main(["denoise", str(tmp_path / "in"), "-o", str(tmp_path / "out")]) == 1
    expected = np.asarray(denoise(photo))
    assert np.array_equal(pixels(tmp_path / "out" / "a.png"), expected)
    assert np.array_equal(pixels(tmp_path / "out" / "sub" / "b.PNG"), expected)
    written = {str(f.relative_to(tmp_path / "out")) for f in (tmp_path / "out").rglob("*.*")}
    assert written == {"a.png", "c.png", "sub/b.PNG"}
    out, err = capfd.readouterr()
    assert "bad.jpg cannot be read as a photograph" in err and "1 of 4 failed" in err and "a.png -> " in out


def test_nothing_is_overwritten_without_force(photo, tmp_path, capfd):
    before = (tmp_path / "in" / "a.png").read_bytes()
    same = ["denoise", str(tmp_path / "in" / "a.png"), "-o", str(tmp_path / "in"), "--network", "SmallNet"]
    assert main(same) == 1 and "a.png exists: add --force" in capfd.readouterr().err
    assert (tmp_path / "in" / "a.png").read_bytes() == before
    assert main([*same, "--force"]) == 0
    assert np.array_equal(pixels(tmp_path / "in" / "a.png"), np.asarray(denoise(photo, "smallnet")))


def test_two_files_of_one_name_do_not_meet(photo, tmp_path, capfd):
    photo.save(tmp_path / "in" / "sub" / "a.png")
    names = [str(tmp_path / "in" / "a.png"), str(tmp_path / "in" / "sub" / "a.png")]
    assert main(["denoise", *names, "-o", str(tmp_path / "out"), "--force"]) == 1
    assert "was already written from another file" in capfd.readouterr().err


def test_results_inside_the_folder_are_no_input(photo, tmp_path):
    command = ["denoise", str(tmp_path / "in"), "-o", str(tmp_path / "in" / "out")]
    assert main(command) == 0 and main([*command, "--force"]) == 0
    assert [f.name for f in (tmp_path / "in" / "out").rglob("*")] == ["a.png"]


def test_a_folder_inside_the_output_is_denoised(photo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["denoise", "in", "-o", "."]) == 0
    assert np.array_equal(pixels("a.png"), np.asarray(denoise(photo)))


def frames(path, **options):
    made = [Image.new("RGB", (40, 40), (40 * i, 0, 0)) for i in range(4)]
    made[0].save(path, save_all=True, append_images=made[1:], **options)


def test_what_is_lost_is_said(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    values = np.arange(1600).reshape(40, 40)
    for name in ("pages.tif", "moving.png", "moving.webp", "still.gif"):
        frames(name)
    Image.fromarray((40 * values).astype(np.uint16)).save("deep.png")
    Image.fromarray((2 * values).astype(np.uint16)).save("dim.tif")
    Image.fromarray((values / 1600).astype(np.float32)).save("float.tif")
    Image.fromarray((40 * values).astype(np.int32)).save("int.tif")
    Path("colour.ppm").write_bytes(b"P6 40 40 65535\n" + (40 * values).astype(">u2").repeat(3).tobytes())
    Path("grey.ppm").write_bytes(b"P5 40 40 255\n" + values.astype(np.uint8).tobytes())
    Image.new("RGB", (40, 40)).save("plain.bmp")
    frames("deep-pages.tif")
    with Image.open("deep.png") as deep:
        deep.save("deep-pages.tif", save_all=True, append_images=[deep])
    assert main(["denoise", ".", "-o", "out"]) == 0
    first = "only the first is kept"
    assert dict(line.split(" -> ") for line in capfd.readouterr().out.splitlines()) == {
        "pages.tif": f"out/pages.tif (4 frames: {first})",
        "moving.png": f"out/moving.png (4 frames: {first})",
        "moving.webp": f"out/moving.webp (4 frames: {first})",
        "still.gif": f"out/still.png (4 frames: {first})",
        "deep.png": "out/deep.png (16 bits written as 8)",
        "dim.tif": "out/dim.tif (16 bits written as 8, read as 12-bit values in files of 16 bits)",
        "float.tif": "out/float.tif (32 bits written as 8, read as floating-point values from 0 to 1)",
        "int.tif": "out/int.tif (32 bits written as 8, read as 16-bit values in files of 32 bits)",
        "colour.ppm": "out/colour.ppm (16 bits written as 8)",
        "grey.ppm": "out/grey.ppm",
        "plain.bmp": "out/plain.bmp",
        "deep-pages.tif": f"out/deep-pages.tif (2 frames: {first}; 16 bits written as 8)",
    }


@pytest.mark.parametrize("name", ["x.tif", "x.png", "x.webp"])
def test_frames_are_not_overwritten_by_the_first(tmp_path, name, capfd):
    frames(tmp_path / name)
    before = (tmp_path / name).read_bytes()
    assert main(["denoise", str(tmp_path / name), "-o", str(tmp_path), "--force"]) == 1
    assert f"{name} holds 4 frames, and the result is one: choose another OUT." in capfd.readouterr().err
    assert (tmp_path / name).read_bytes() == before


def test_orientation_profile_and_exif(photo, tmp_path):
    exif = photo.getexif()
    exif[0x0112], exif[0x010F] = 6, "Camera"  # turned by 90 degrees; the maker
    photo.save(tmp_path / "turned.jpg", exif=exif, icc_profile=b"profile", quality=100)
    assert main(["denoise", str(tmp_path / "turned.jpg"), "-o", str(tmp_path / "out.tif")]) == 0
    with Image.open(tmp_path / "out.tif") as image:
        assert image.size == (40, 60) and 0x0112 not in image.getexif() or image.getexif()[0x0112] == 1
        assert image.getexif()[0x010F] == "Camera" and image.info["icc_profile"] == b"profile"


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff", "bmp", "ppm"])
def test_formats(photo, tmp_path, suffix):
    assert main(["denoise", str(tmp_path / "in" / "a.png"), "-o", str(tmp_path / f"x.{suffix}")]) == 0
    found = pixels(tmp_path / f"x.{suffix}").astype(int)
    assert np.abs(found - np.asarray(denoise(photo))).mean() < (15 if suffix == "jpg" else 1e-9)


def test_transparency_is_kept_or_refused(photo, tmp_path, capfd):
    photo.putalpha(Image.linear_gradient("L").resize(photo.size))
    photo.save(tmp_path / "t.png")
    assert main(["denoise", str(tmp_path / "t.png"), "-o", str(tmp_path / "out")]) == 0
    assert np.array_equal(pixels(tmp_path / "out" / "t.png")[..., 3], np.asarray(photo)[..., 3])
    assert main(["denoise", str(tmp_path / "t.png"), "-o", str(tmp_path / "t.jpg")]) == 1
    assert "JPEG holds no transparency: choose .png" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (
            ["x.png", "y.png", "-o", "one.png"],
            2,
            "one.png is one file, and 2 images are given: name a folder",
        ),
        (["full", "-o", "one.png"], 2, "one.png is one file, and a folder is given: name a folder"),
        (["x.png", "full", "-o", "full/a.png"], 2, "full/a.png is one file, and 2 images are given"),
        (["x.png", "-o", ""], 2, "-o '' names nothing: name a folder, or a file for a single image"),
        (["full", "-o", "full/../full"], 2, "full/../full is the input folder: name another one"),
        (["x.png", "-o", "y.xyz"], 1, "y.xyz: choose one of the suffixes .jpg"),
        (["missing.png", "-o", "y.png"], 1, "missing.png cannot be read: No such file"),
        (["empty", "-o", "y"], 2, "no image found: name image files, or folders"),
        (["x.png", "-o", "y.png", "--network", "tent"], 2, "did you mean 'tnet'"),
    ],
)
def test_mistakes_get_a_sentence(arguments, status, says, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    Image.new("L", (4, 4)).save("full/a.png")
    assert main(["denoise", *arguments]) == status and says in capfd.readouterr().err
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["a.png", "empty", "full"]


def test_a_full_disk_costs_the_one_file(photo, tmp_path, monkeypatch, capfd):
    def full(path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(paths, "writing", full)
    assert main(["denoise", str(tmp_path / "in" / "a.png"), "-o", str(tmp_path / "b.png")]) == 1
    assert "b.png cannot be written" in capfd.readouterr().err and not (tmp_path / "b.png").exists()
