"""Any folder of photographs: what is taken for one, what lands on which side of the split, and what is
said of the rest."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import tracemalloc
from html import unescape
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageEnhance

from n2nlib import study as study_module
from n2nlib.data import building, decoding, folder, open_dataset, photos, sampling
from n2nlib.data.sampling import generator, permutation
from n2nlib.errors import DatasetError
from n2nlib.report import plan
from n2nlib.tools.clean import clean


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("N2N_CACHE", str(tmp_path / "cache"))


def pixels(height=40, width=48, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def save(image, path: Path, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(path, **options)
    return path


@pytest.fixture
def album(tmp_path):
    """A folder of three photographs."""
    for i in range(3):
        save(pixels(seed=i), tmp_path / "album" / f"{i}.png")
    return tmp_path / "album"


@pytest.fixture(scope="module")
def scenes():
    """The eight scenes of the bundled photographs, as small images."""
    source = photos.bundled()
    first = {p.name: p for p in (*source.train, *source.val) if p.name != "motorcycle_right.png"}
    return {name: Image.fromarray(p.load()).reduce(3) for name, p in first.items()}


def names(dataset, *splits):
    return {p.name for split in splits or ("train", "val") for p in dataset.photographs(split)}


# --- what is no photograph ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "place",
    [
        ".thumbnails/normal/a.png",
        "below/.thumbnails/a.png",
        "@eaDir/0.jpg/SYNOPHOTO_THUMB_M.png",
        ".Trash-1000/files/a.png",
        "$RECYCLE.BIN/S-1/a.png",
        "#recycle/a.png",
        "__MACOSX/a.png",
        "lost+found/a.png",
        ".git/a.png",
        ".picasaoriginals/a.png",
        "Lightroom Previews.lrdata/1/a.png",
        "Thumbs/a.png",
        "THUMBNAILS/a.png",
        "System Volume Information/a.png",
        ".AppleDouble/a.png",
        ".hidden.png",
    ],
)
def test_thumbnails_hidden_and_deleted_files_are_no_photographs(album, place):
    before = open_dataset(f"folder:{album}")
    save(pixels(seed=9), album / place)
    dataset = open_dataset(f"folder:{album}")
    assert dataset.fingerprint == before.fingerprint and names(dataset) == {"0.png", "1.png", "2.png"}
    (warning,) = dataset.warnings
    assert warning.startswith("1 file of folder:") and "thumbnails" in warning
    assert dataset.notes_digest != before.notes_digest


def test_what_operating_systems_leave_is_not_worth_a_word(album):
    for name in (
        "._0.png",
        "Thumbs.db",
        ".DS_Store",
        "desktop.ini",
        "__MACOSX/._0.png",
        ".AppleDouble/._1.png",
        ".git/index",
    ):
        (album / name).parent.mkdir(exist_ok=True)
        (album / name).write_bytes(b"not an image")
    assert open_dataset(f"folder:{album}").warnings == []


def test_a_hidden_folder_that_is_named_is_read(album):
    hidden = album.rename(album.parent / ".album")
    assert names(open_dataset(f"folder:{hidden}")) == {"0.png", "1.png", "2.png"}


def test_links_to_folders_are_told_and_not_followed(album, tmp_path):
    save(pixels(seed=9), tmp_path / "elsewhere" / "a.png")
    (album / "loop").symlink_to(album)
    (album / "more").symlink_to(tmp_path / "elsewhere")
    (album / "file.png").symlink_to(tmp_path / "elsewhere" / "a.png")
    dataset = open_dataset(f"folder:{album}")
    assert names(dataset) == {"0.png", "1.png", "2.png", "file.png"}
    (warning,) = dataset.warnings
    assert "2 links to folders" in warning and "not followed (loop, more)" in warning
    (album.parent / "link").symlink_to(album)
    assert names(open_dataset(f"folder:{album.parent / 'link'}")) == names(dataset)


def test_the_projects_own_figures_are_no_photographs(album, monkeypatch):
    monkeypatch.setenv("N2N_RESULTS", str(album / "results"))
    save(pixels(seed=9), album / "results" / "figures" / "bundled-smoke" / "noise.png")
    (warning,) = open_dataset(f"folder:{album}").warnings
    assert warning.startswith("1 file of") and "this project's own results (results)" in warning
    monkeypatch.setenv("N2N_RESULTS", str(album))  # asked for by name
    assert len(names(open_dataset(f"folder:{album}"))) == 4


def test_what_cannot_be_opened_is_named(album, monkeypatch):
    (album / "empty.jpg").touch()
    os.mkfifo(album / "pipe.jpg")
    walk = os.walk

    def closed(base, onerror=None, **options):
        if onerror:
            onerror(PermissionError(13, "Permission denied", str(Path(base) / "private")))
        return walk(base, onerror=onerror, **options)

    monkeypatch.setattr(os, "walk", closed)
    (warning,) = open_dataset(f"folder:{album}").warnings
    assert warning.startswith("3 files of")
    for part in (
        "private cannot be listed: Permission denied.",
        "empty.jpg cannot be read as a photograph: the file is empty.",
        "pipe.jpg is not a regular file.",
    ):
        assert part in warning


def test_a_file_instead_of_a_folder_and_impossible_names(album):
    for path, what in [
        (album / "0.png", "this is a file"),
        (album / "no", "there is no such folder"),
        ("x" * 5_000, "cannot be read|no such folder"),
    ]:
        with pytest.raises(DatasetError, match=what):
            open_dataset(f"folder:{path}")


def test_relative_paths_and_the_home_folder(album, monkeypatch):
    monkeypatch.chdir(album.parent)
    monkeypatch.setenv("HOME", str(album.parent))
    assert (
        len(
            {
                open_dataset(f"folder:{path}").fingerprint
                for path in ("album", "./album/", "~/album", str(album))
            }
        )
        == 1
    )


# --- the scan's memory --------------------------------------------------------------------------------------


def test_only_new_and_changed_files_are_decoded_again(album, monkeypatch):
    open_dataset(f"folder:{album}")
    seen = []
    examine = folder.examine
    monkeypatch.setattr(folder, "examine", lambda data, name: seen.append(name) or examine(data, name))
    first = open_dataset(f"folder:{album}")
    assert seen == []
    save(pixels(seed=7), album / "new.png")
    save(pixels(seed=8), album / "1.png")
    second = open_dataset(f"folder:{album}")
    assert sorted(seen) == ["1.png", "new.png"] and second.fingerprint != first.fingerprint
    (album / "new.png").unlink()
    save(pixels(seed=1), album / "1.png")
    assert open_dataset(f"folder:{album}").fingerprint == first.fingerprint
    for kept in (photos.paths.cache() / "folders").iterdir():
        kept.write_text('{"version": 1, "files": 3}')  # damaged, or of another version
    assert open_dataset(f"folder:{album}").fingerprint == first.fingerprint


# --- the split ----------------------------------------------------------------------------------------------


def test_without_lookalikes_the_split_is_what_it_was(tmp_path, scenes):
    for i in range(25):
        save(pixels(33 + i, 40, seed=i), tmp_path / "in" / f"{i}.png")
    dataset = open_dataset(f"folder:{tmp_path / 'in'}", seed=3)
    files = sorted(p.name for p in (tmp_path / "in").iterdir())
    order = permutation(generator(3, "folder/split"), 25)
    assert [name for name, *_ in dataset.recipe["val"]] == [files[i] for i in order[:2]]
    assert [[name, group] for name, _, group in dataset.recipe["train"]] == [
        [files[i], k] for k, i in enumerate(order[2:])
    ]


def copies(image: Image.Image) -> dict[str, Image.Image]:
    wide, high = image.size
    return {
        "half": image.resize((wide // 2, high // 2)),
        "thumb": image.resize((60, round(60 * high / wide))),
        "brighter": ImageEnhance.Brightness(image).enhance(1.15),
        "nearest": image.resize((wide // 2, high // 2), Image.Resampling.NEAREST),
        "grey": image.convert("L"),
    }


@pytest.mark.parametrize("seed", range(3))
def test_resized_and_edited_copies_stay_on_one_side(tmp_path, scenes, seed):
    base = tmp_path / "in"
    for name, image in scenes.items():
        stem = name.partition(".")[0]
        save(image, base / f"{stem}.png")
        save(image, base / f"{stem} (1).jpg", quality=60)
        for how, copy in copies(image).items():
            save(copy, base / "edited" / f"{stem}-{how}.png")
    dataset = open_dataset(f"folder:{base}", 200, 20, seed=seed)
    of = {
        split: {
            Path(name).name.split(" ")[0].split("-")[0].partition(".")[0] for name in names(dataset, split)
        }
        for split in ("train", "val")
    }
    assert len(of["train"]) == 7 and len(of["val"]) == 1 and not of["train"] & of["val"]
    assert len(names(dataset)) == 8 * 7
    groups = {group for _, _, group in dataset.recipe["train"]}
    assert groups == set(range(7)) and set(np.bincount(dataset.train.photo)) <= {28, 29}  # even over scenes
    assert any(w.startswith("48 photographs looking like another one") for w in dataset.warnings)


def test_different_photographs_do_not_look_alike(tmp_path, scenes):
    for name, image in scenes.items():
        save(image, tmp_path / "in" / name.replace(".jpg", ".png"))
    dataset = open_dataset(f"folder:{tmp_path / 'in'}")
    assert len({*map(tuple, dataset.recipe["train"])}) == 7 and not dataset.warnings


def test_a_series_of_one_scene_is_split_and_said(tmp_path, scenes):
    image = np.asarray(scenes["coffee.png"])
    for i in range(4):
        save(np.clip(image.astype(int) + i, 0, 255).astype(np.uint8), tmp_path / "in" / f"{i}.png")
    dataset = open_dataset(f"folder:{tmp_path / 'in'}", 12, 3)
    (warning,) = dataset.warnings
    assert warning.startswith("All 4 photographs look alike") and len(dataset.photographs("val")) == 1
    assert len(dataset.train) == 12


def test_lookalikes_are_found_among_many():
    rng = np.random.default_rng(0)
    looks = [int(x) for x in rng.integers(0, 2**63, 4_000)]
    looks += [looks[7] ^ 0b1111, looks[7] ^ (1 << 62), looks[8] ^ 0b11111]  # four bits, one and five
    examined = [decoding.Examined(look, 1.5) for look in looks]
    examined.append(decoding.Examined(looks[9], 1.0))  # another shape
    scenes = folder._scenes(examined)
    assert [s for s in scenes if len(s) > 1] == [[7, 4_000, 4_001]] and sorted(sum(scenes, [])) == list(
        range(4_004)
    )
    assert [s[0] for s in scenes] == sorted(s[0] for s in scenes)


# --- what is said of the photographs ------------------------------------------------------------------------


def test_ranges_one_colour_and_profiles_are_said(album):
    save(np.linspace(0, 4_095, 1_920).astype(np.uint16).reshape(40, 48), album / "twelve.tif")
    save(np.zeros((40, 48), np.uint8), album / "black.png")
    save(pixels(seed=5), album / "wide gamut.png", icc_profile=b"Display P3" * 20)
    said = " ".join(open_dataset(f"folder:{album}").warnings)
    assert (
        "1 photograph read as 12-bit values in files of 16 bits, as the largest value in each file "
        "suggests: twelve.tif." in said
    )
    assert "1 photograph nearly of one colour" in said and "have no noise: black.png." in said
    assert "1 photograph with a colour profile other than sRGB" in said


# --- names --------------------------------------------------------------------------------------------------

ODD = [
    "<img src=x onerror=alert(1)>",
    "*a* _b_ `c`",
    "$x$ \\alpha",
    "a|b",
    "two\nlines\r",
    "'q' \"p\"",
    "\u202egpj.exe",
    "é ü 日本 🙂",
    "x" * 240,
    "-rf",
    "#5 & [l](u)",
]


@pytest.mark.parametrize("name", ODD)
def test_files_and_folders_of_any_name(album, name):
    base = album.rename(album.parent / name)
    save(pixels(8, 8), base / f"{name}.png")  # too small
    dataset = open_dataset(f"folder:{base}", 6, 2)
    (warning,) = dataset.warnings
    assert "1 file of folder:" in warning and "smaller than 32 on a side" in warning
    assert warning.isprintable() and len(warning) < 600
    json.dumps(dataset.recipe, ensure_ascii=False).encode()
    where = photos.paths.report(dataset.name, "paper-bf16")
    assert (
        where.parent == photos.paths.results()
        and len(os.fsencode(where.name)) < 256
        and where.name.isprintable()
    )


def test_a_folder_whose_name_is_not_utf8_is_refused_in_a_sentence(album):
    base = album.rename(os.fsdecode(os.fsencode(album.parent) + b"/caf\xe9"))
    with pytest.raises(DatasetError, match="caf\ufffd: this path is not valid UTF-8.*make a link") as caught:
        open_dataset(f"folder:{base}")
    str(caught.value).encode()
    photos.paths.report(f"folder:{base}", "smoke")  # made before the folder is looked at
    (album.parent / "link").symlink_to(base)
    assert len(names(open_dataset(f"folder:{album.parent / 'link'}"))) == 3


# --- memory -------------------------------------------------------------------------------------------------


def test_large_photographs_take_turns(tmp_path, monkeypatch):
    """Eight threads, eight photographs of 1 megapixel, room for one: the memory of one, not of eight."""
    base = tmp_path / "in"
    for i in range(8):
        save(
            pixels(10, 10, seed=i).repeat(100, axis=0).repeat(100, axis=1),
            base / f"{i}.png",
            compress_level=1,
        )
    monkeypatch.setattr(folder, "ROOM", decoding.Room(1_500_000))
    monkeypatch.setattr(building, "ROOM", decoding.Room(1_500_000))
    monkeypatch.setattr(decoding, "_BAND", 1 << 16)
    monkeypatch.setattr(sampling, "_BAND", 1 << 16)
    inside, most, lock, load = [0], [0], threading.Lock(), photos.Photograph.load

    def counted(self):
        with lock:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        try:
            return load(self)
        finally:
            with lock:
                inside[0] -= 1

    monkeypatch.setattr(photos.Photograph, "load", counted)
    source = folder.folder(str(base), 0)
    tracemalloc.start()
    building.build(source.train, 14, fractions=(0.2, 1.0), split="train", seed=0, threads=8)
    peak = tracemalloc.get_traced_memory()[1]  # NumPy's arrays; Pillow's own take 4 bytes per pixel more
    tracemalloc.stop()
    assert most[0] == 1
    assert (
        peak < 1_000_000 * 10
    )  # pixels, and the table of one channel; all eight at once take eight times that


def test_the_size_of_a_file_is_known_from_its_header(tmp_path):
    assert (
        decoding.area(save(pixels(50, 70), tmp_path / "a.png")) - 50 * 70
        == (tmp_path / "a.png").stat().st_size // 7
    )
    (tmp_path / "b.png").write_bytes(b"nothing")
    assert decoding.area(tmp_path / "b.png") == decoding.area(tmp_path / "none.png") == 0


# --- the notes in a report ----------------------------------------------------------------------------------


def parameters(settings) -> dict[str, str]:
    """What a chapter's result depends on besides code."""
    return plan.Build(settings)._parameters


def test_a_note_on_the_dataset_makes_every_chapter_stale(album):
    settings = plan.Settings(f"folder:{album}", "smoke", "cpu")
    before = parameters(settings)
    (album / "broken.jpg").write_bytes(b"broken")
    again = plan.Settings(f"folder:{album}", "smoke", "cpu")
    after = parameters(again)
    assert {k for k in after if after[k] != before[k]} == {
        "the notes on the dataset"
    }  # the pairs are the same
    assert parameters(plan.Settings(f"folder:{album}", "smoke", "cpu")) == after


def test_names_enter_captions_and_notes_as_text(album, results, monkeypatch):
    base = album.rename(album.parent / "<img src=x onerror=alert(1)> *a*|$x$")
    (base / "<b>`c`_d_.jpg").write_bytes(b"broken")
    shown = []
    monkeypatch.setattr(study_module, "show_markdown", lambda text, mark: shown.append((text, mark)))
    study = study_module.Study.open("01_data", dataset=f"folder:{base}", profile="smoke", device="cpu")
    study.provenance()
    study.table(pd.DataFrame({"a": [1]}), "t", "Caption.")
    for text, mark in shown:
        for written in (text, mark.get("caption", "")):
            assert not re.search(r"<img|<b>|\*a\*|\$x\$|`c`|_d_", written), written
    everything = unescape("\n".join(text for text, _ in shown))
    assert (
        f"Dataset folder:{base} " in everything
        and "<b>`c`_d_.jpg cannot be read as a photograph" in everything
    )


def test_the_command_line_refuses_a_path_that_is_not_utf8(album):
    base = album.rename(os.fsdecode(os.fsencode(album.parent) + b"/caf\xe9"))
    command = [
        sys.executable,
        "-m",
        "n2nlib",
        "plan",
        "--profile",
        "smoke",
        "--device",
        "cpu",
        "--dataset",
    ]
    done = subprocess.run(
        [*command, b"folder:" + os.fsencode(base)],
        capture_output=True,
        cwd=photos.paths.root(),
        env=os.environ | {"LC_ALL": "C.UTF-8"},
    )
    assert (
        done.returncode == 2
        and b"this path is not valid UTF-8" in done.stderr
        and b"Traceback" not in done.stderr
    )


def test_clean_leaves_nothing_of_a_cache(album, results, tmp_path):
    """Its list of cached files is that of the code that writes them."""
    dataset = open_dataset(f"folder:{album}", n_train=2, n_val=1)
    assert len(dataset.train) == 2 and len(dataset.val) == 1
    assert {p.name for p in (tmp_path / "cache").iterdir()} == {"datasets", "folders"}
    photos = save(pixels(), tmp_path / "mine" / "n01440764_tench.JPEG")
    (tmp_path / "cache" / "imagenet-sample").symlink_to(photos.parent)
    clean()
    assert [p.name for p in (tmp_path / "cache").iterdir()] == ["imagenet-sample"] and photos.exists()
