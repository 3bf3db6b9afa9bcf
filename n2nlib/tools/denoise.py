"""`n2n denoise`: denoise image files and folders with a trained network.

The networks remove the aliasing of sub-sampled pictures, not every noise.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from torch import nn

from n2nlib import paths
from n2nlib.data.decoding import frames
from n2nlib.data.folder import Scan, walk
from n2nlib.denoising import denoise_pixels
from n2nlib.errors import ReportError
from n2nlib.images import pixels_of, read_image
from n2nlib.pretrained import load_pretrained, manifest
from n2nlib.text import visible

#: Suffix -> the format that is written, its options, and whether it holds transparency.
FORMATS = {
    ".jpg": ("JPEG", {"quality": 95, "subsampling": 0}, False),
    ".jpeg": ("JPEG", {"quality": 95, "subsampling": 0}, False),
    ".png": ("PNG", {}, True),
    ".webp": ("WEBP", {"lossless": True}, True),
    ".tif": ("TIFF", {"compression": "tiff_deflate"}, True),
    ".tiff": ("TIFF", {"compression": "tiff_deflate"}, True),
    ".bmp": ("BMP", {}, False),
    ".ppm": ("PPM", {}, False),
}


class Job(NamedTuple):
    """A file to read and the file to write."""

    source: Path
    target: Path


def main(arguments: list[str]) -> int:
    """Denoise the files; return 0, or 1 where some of them failed (the others are written)."""
    args = parser().parse_args(arguments)
    network = load_pretrained(args.network)
    jobs = planned([Path(p) for p in args.images], args.output)
    try:
        failed = process(jobs, network, args.force)
    except KeyboardInterrupt:
        print("stopped; files that are written are whole.", file=sys.stderr)
        return 130
    if failed:
        print(f"{failed} of {len(jobs)} failed", file=sys.stderr)
    return 1 if failed else 0


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command's arguments."""
    out = argparse.ArgumentParser(
        prog="n2n denoise",
        description="Denoise image files and folders (searched below). The networks remove the aliasing of "
        "sub-sampled pictures, not every noise.",
        epilog=f"Files are written in the format of their suffix: {', '.join(FORMATS)}; others become .png.",
    )
    out.add_argument("images", nargs="+", metavar="IN", help="an image file or a folder")
    out.add_argument(
        "-o", "--output", required=True, metavar="OUT", help="a folder, or a file name for a single image"
    )
    out.add_argument("--network", default="tnet", help=f"{', '.join(manifest())} (default: tnet)")
    out.add_argument("--force", action="store_true", help="overwrite files that exist")
    return out


def planned(images: list[Path], output: str) -> list[Job]:
    """Return what is to be done; a folder's files keep their places below it.

    Raises ReportError where OUT cannot take the results, or where there is no image.
    """
    if not output:
        raise ReportError("-o '' names nothing: name a folder, or a file for a single image.")
    target, one = Path(output), len(images) == 1 and not images[0].is_dir()
    folder = target.is_dir() or output.endswith(("/", os.sep))
    if one and target.suffix and not folder:
        return [Job(images[0], target)]
    jobs = [job for image in images for job in _below(image, target)]
    if not jobs:
        raise ReportError("no image found: name image files, or folders that hold some.")
    if not (one or folder) and (target.exists() or target.suffix.lower() in FORMATS):
        given = f"{len(jobs)} images are" if len(jobs) > 1 else "a folder is"
        raise ReportError(f"{_shown(target)} is one file, and {given} given: name a folder.")
    return jobs


def _below(image: Path, target: Path) -> Iterator[Job]:
    """Yield the jobs of a file or folder whose results belong below a folder."""
    if not image.is_dir():
        yield Job(image, target / _named(Path(image.name)))
        return
    inside, folder = target.resolve(), image.resolve()
    if inside == folder:
        raise ReportError(f"{_shown(target)} is the input folder: name another one for the results.")
    for name in sorted(walk(image, Scan())):
        source = image / name
        earlier = inside.is_relative_to(folder) and inside in source.resolve().parents
        if not earlier:  # no result of an earlier call
            yield Job(source, target / _named(Path(name)))


def _named(name: Path) -> Path:
    return name if name.suffix.lower() in FORMATS else name.with_suffix(".png")


def process(jobs: list[Job], network: nn.Module, force: bool) -> int:
    """Do the jobs one after the other with a progress bar; return how many failed, each with a sentence."""
    from tqdm.auto import tqdm

    failed, written = 0, set()
    form = "{percentage:3.0f}%|{bar}| {elapsed}, {remaining} left"
    with tqdm(total=len(jobs), bar_format=form, leave=False, disable=None) as bar:
        for number, job in enumerate(jobs, 1):
            try:
                check(job.target, force, written)
                image, lost = denoised(job, network, bar.update)
                save(image, job.target)
                written.add(job.target.resolve())
                note = f" ({'; '.join(lost)})" if lost else ""
                bar.write(f"{_shown(job.source)} -> {_shown(job.target)}{note}")
            except ReportError as error:
                failed += 1
                place = "" if _shown(job.source) in str(error) else f"{_shown(job.source)}: "
                bar.write(f"error: {place}{error}", file=sys.stderr)
            bar.update(number - bar.n)
    return failed


def check(target: Path, force: bool, written: set[Path]) -> None:
    """Raise ReportError for a file that must not or cannot be written, before any work is done."""
    if target.suffix.lower() not in FORMATS:
        raise ReportError(f"{_shown(target)}: choose one of the suffixes {', '.join(FORMATS)}.")
    if target.resolve() in written:
        raise ReportError(f"{_shown(target)} was already written from another file.")
    if target.exists() and not force:
        raise ReportError(f"{_shown(target)} exists: add --force to overwrite it.")


def denoised(job: Job, network: nn.Module, advance) -> tuple[Image.Image, list[str]]:
    """Read and denoise one file; return the image, and sentences on what of the file it lacks.

    Raises ReportError where the result would replace a file of several frames by its first one.
    """
    image, lost = read_image(job.source)
    if job.target.exists() and job.target.samefile(job.source) and (n := frames(job.source.read_bytes())) > 1:
        raise ReportError(
            f"{_shown(job.source)} holds {n} frames, and the result is one: choose another OUT."
        )
    pixels, back = pixels_of(image)
    return back(denoise_pixels(pixels, network, advance)), lost


def save(image: Image.Image, target: Path) -> None:
    """Write an image in the format of its suffix, in one move, with its colour profile and EXIF data.

    Raises ReportError for a transparency that the format lacks, and where the disk does not take the file.
    """
    kind, options, transparent = FORMATS[target.suffix.lower()]
    if image.mode in ("LA", "RGBA") and not transparent:
        if np.asarray(image)[..., -1].min() < 255:
            raise ReportError(f"{kind} holds no transparency: choose .png, .webp or .tif.")
        image = image.convert(image.mode[:-1])
    kept = {name: image.info[name] for name in ("icc_profile", "exif") if image.info.get(name)}
    if kind in ("BMP", "PPM"):
        kept = {}
    try:
        with paths.writing(target) as file:
            image.save(file, kind, **options, **kept)
    except (OSError, ValueError) as error:
        raise ReportError(f"{_shown(target)} cannot be written: {error}.") from error


def _shown(path: Path) -> str:
    return visible(str(path))
