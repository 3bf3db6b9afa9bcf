"""Pictures that a notebook holds or links to, in the forms that a page and Typst take."""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, unquote_to_bytes, urlsplit
from xml.etree import ElementTree

from n2nlib import paths

#: Formats that browsers show and Typst takes as they are; any other becomes PNG.
BROWSER = {"PNG": "image/png", "JPEG": "image/jpeg", "GIF": "image/gif", "WEBP": "image/webp"}
TYPST = {"PNG": "png", "JPEG": "jpg"}
#: Pictures of more pixels than this are not opened (Pillow's own limit), nor files of more bytes.
MOST_BYTES = 100_000_000


#: A figure of more bytes than this without loss may be encoded with loss for the page.
LOSSLESS_BYTES = 150_000


class NotShown(Exception):
    """Why a picture cannot be shown, as the end of a sentence about it."""


@dataclass(frozen=True)
class Picture:
    """A picture for a page (`content`, `media`) and for Typst (`printed`, `suffix`); size in CSS pixels."""

    content: bytes
    media: str
    printed: bytes
    suffix: str
    width: float
    height: float

    @property
    def name(self) -> str:
        """A name made of its content."""
        return f"picture-{hashlib.sha256(self.content).hexdigest()[:24]}"

    @property
    def uri(self) -> str:
        """The picture as a link that holds it."""
        return f"data:{self.media};base64,{base64.b64encode(self.content).decode()}"


def for_page(png: bytes) -> Picture:
    """Return a figure for the page as WebP, lossless unless the picture is photographic.

    A lossless plot has a fifth of the size of its PNG; a photograph has not, and its loss is invisible.
    """
    from PIL import Image

    forms = []
    with Image.open(io.BytesIO(png)) as image:
        colours = image.convert("RGB")
        for how in ({"lossless": True, "quality": 60}, {"quality": 90}):
            out = io.BytesIO()
            colours.save(out, "WEBP", method=4, **how)
            forms.append(out.getvalue())
            if len(forms[0]) <= LOSSLESS_BYTES:
                break
        size = image.size
    content = min(forms, key=len)
    return Picture(content, "image/webp", b"", "", *size)


def find(link: str, attachments: Mapping[str, Mapping[str, str | list[str]]]) -> Picture:
    """Return the picture that a Markdown cell links to; raises NotShown if there is none.

    `link` is `attachment:NAME` (one of the cell's attachments), a data URI, or a path inside the project,
    relative to the notebooks' folder. Nothing is loaded from a server.
    """
    try:
        scheme = urlsplit(link).scheme.lower()
    except ValueError:
        raise NotShown("its address is not valid") from None
    if scheme == "attachment":
        name = unquote(link.partition(":")[2])
        kinds = attachments.get(name) or {}
        for kind, content in kinds.items():
            return from_output(kind, content)
        raise NotShown("the cell has no attachment of that name")
    if scheme == "data":
        return decode(_data(link))
    if scheme in ("http", "https", "ftp") or link.startswith("//"):
        raise NotShown(
            "it is on a server, and a report loads nothing: save it beside the notebook and link to the file"
        )
    return decode(_file(link))


def linked_file(link: str) -> Path | None:
    """Return the path inside the project that a link names, or None; the file need not exist."""
    path = unquote(re.split(r"[?#]", link, maxsplit=1)[0])
    if not path or "\0" in path or os.path.isabs(path) or re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", path):
        return None
    root = os.path.abspath(paths.root())
    file = os.path.normpath(os.path.join(os.path.abspath(paths.notebooks()), path))
    return Path(file) if file.startswith(root + os.sep) else None


def from_output(kind: str, content: str | list[str]) -> Picture:
    """Return a picture from a notebook's JSON: base64, or the text of an SVG; raises NotShown."""
    text = content if isinstance(content, str) else "".join(content)
    if kind.startswith("image/svg") and "<" in text:
        return decode(text.encode())
    return decode(_base64(text))


def decode(content: bytes) -> Picture:
    """Return a picture from a file's content; raises NotShown if it is none or is damaged."""
    if not content:
        raise NotShown("it is empty")
    if len(content) > MOST_BYTES:
        raise NotShown(f"it has more than {MOST_BYTES // 1_000_000} MB")
    return _svg(content) if re.match(rb"(\xef\xbb\xbf)?\s*<", content) else _raster(content)


def _raster(content: bytes) -> Picture:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content)) as image:
            form = image.format or ""
            image.load()
            size, rgb = image.size, image.mode not in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
            media, printed = content, content
            if form not in TYPST or (form == "JPEG" and rgb):
                printed = _png(image)
            if form not in BROWSER:
                media = printed
    except (
        Exception
    ) as error:  # Pillow raises many types for a damaged file, and one for a picture of too many pixels
        reason = (
            "it has too many pixels"
            if type(error).__name__ == "DecompressionBombError"
            else "it is damaged, or no picture"
        )
        raise NotShown(reason) from None
    suffix = TYPST[form] if printed is content else "png"
    return Picture(media, BROWSER.get(form, "image/png"), printed, suffix, *size)


def _png(image) -> bytes:
    out = io.BytesIO()
    has_alpha = "A" in image.getbands() or "transparency" in image.info
    image.convert("RGBA" if has_alpha else "RGB").save(out, "PNG")
    return out.getvalue()


def _svg(content: bytes) -> Picture:
    try:
        root = ElementTree.fromstring(content)
    except (ElementTree.ParseError, ValueError, LookupError):
        root = None
    if root is None or root.tag.rpartition("}")[2] != "svg":
        raise NotShown("it is no picture, or an SVG that is not valid XML")
    if not _drawn(content):
        raise NotShown("it is an SVG that cannot be drawn")
    box = [float(n) for n in re.findall(r"[-+]?\d*\.?\d+(?:e[-+]?\d+)?", root.get("viewBox", ""))]
    width, height = (
        _pixels(root.get(name, "")) or (box[i] if len(box) == 4 else 0)
        for i, name in [(2, "width"), (3, "height")]
    )
    return Picture(content, "image/svg+xml", content, "svg", width or 300, height or 150)


def _drawn(svg: bytes) -> bool:
    """Say whether Typst takes an SVG: one that it does not take must not cost the document."""
    import typst

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "picture.svg").write_bytes(svg)
        (Path(folder) / "main.typ").write_text('#image("picture.svg")')
        try:
            typst.compile(Path(folder) / "main.typ", root=folder, format="svg", ignore_system_fonts=True)
        except RuntimeError:  # which a TypstError is, too
            return False
    return True


def _pixels(length: str) -> float:
    found = re.fullmatch(r"\s*(\d*\.?\d+)\s*(px|pt|in|cm|mm|)\s*", length)
    return float(found[1]) * {"pt": 4 / 3, "in": 96, "cm": 37.8, "mm": 3.78}.get(found[2], 1) if found else 0


def _data(link: str) -> bytes:
    kind, comma, content = link.partition(":")[2].partition(",")
    if not comma:
        raise NotShown("its data URI has no content")
    return _base64(unquote(content)) if kind.rstrip().endswith(";base64") else unquote_to_bytes(content)


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise NotShown("its content is not valid base64") from None


def _file(link: str) -> bytes:
    file = linked_file(link)
    if file is None:
        raise NotShown(
            "it is outside the project: copy it beside the notebook and link to it by a relative path"
        )
    try:
        if file.is_file() and file.stat().st_size > MOST_BYTES:
            raise NotShown(f"it has more than {MOST_BYTES // 1_000_000} MB")
        return file.read_bytes()
    except FileNotFoundError:
        raise NotShown(
            f"there is no file {file.relative_to(os.path.abspath(paths.root())).as_posix()}"
        ) from None
    except (OSError, ValueError) as error:
        raise NotShown(f"the file cannot be read ({getattr(error, 'strerror', None) or error})") from None
