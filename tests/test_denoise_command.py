"""`n2n denoise`: files and folders in, files out; nothing is overwritten, and one bad file costs no other."""

from __future__ import annotations

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
        (["x.png", "-o", "y.xyz"], 1, "y.xyz: choose one of the suffixes .jpg"),
        (["missing.png", "-o", "y.png"], 1, "missing.png cannot be read: No such file"),
        (["empty", "-o", "y"], 2, "no image found: name image files, or folders"),
        (["x.png", "-o", "y.png", "--network", "tent"], 2, "did you mean 'tnet'"),
    ],
)
def test_mistakes_get_a_sentence(arguments, status, says, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    assert main(["denoise", *arguments]) == status and says in capfd.readouterr().err


def test_a_full_disk_costs_the_one_file(photo, tmp_path, monkeypatch, capfd):
    def full(path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(paths, "writing", full)
    assert main(["denoise", str(tmp_path / "in" / "a.png"), "-o", str(tmp_path / "b.png")]) == 1
    assert "b.png cannot be written" in capfd.readouterr().err and not (tmp_path / "b.png").exists()
