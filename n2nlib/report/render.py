"""Write report.html and report.pdf from the executed chapters."""

from __future__ import annotations

import base64
import re
from operator import eq

from n2nlib import paths
from n2nlib.agreement import agree, pictures_agree
from n2nlib.errors import ReportError
from n2nlib.report import document
from n2nlib.report.html import html
from n2nlib.report.pdf import pdf
from n2nlib.report.plan import Settings

DOCUMENTS = ("report.html", "report.pdf")
#: What differs from one machine and commit to the next, and a picture inside the page.
PROVENANCE = re.compile(r'<h2 id="provenance">.*?</dl>', re.DOTALL)
PICTURE = re.compile(r'src="data:image/png;base64,([^"]+)"')


def render(settings: Settings, keep: bool = False) -> list[str]:
    """Write both documents, each whole or not at all; return their names.

    keep: leave both as they are where the page says the same (`same_page`), so that another commit or
    processor alone changes no file. Problems are printed. If one document cannot be written, the other is,
    and a ReportError then gives the name of the first and the reason.
    """
    report = document.read(settings)
    failed, changed = {}, not (keep and all(settings.file(name).exists() for name in DOCUMENTS))
    for name in DOCUMENTS:
        try:
            if name == "report.html":
                changed = (
                    paths.update(settings.file(name), _page(report), eq if changed else same_page) or changed
                )
            elif changed:
                paths.write(settings.file(name), pdf(report))
        except Exception as error:  # whatever it is, it must not cost the other document
            changed = True
            failed[name] = (
                str(error) if isinstance(error, ReportError) else f"{type(error).__name__}: {error}"
            )
    report.found.tell()
    if failed:
        was = (
            " An earlier one is still there." if any(settings.file(name).exists() for name in failed) else ""
        )
        raise ReportError("; ".join(f"{name} cannot be written: {why}" for name, why in failed.items()) + was)
    return list(DOCUMENTS)


def _page(report: document.Document) -> str:
    return html(report).encode("utf-8", "replace").decode()


def same_page(a: str, b: str) -> bool:
    """Say whether two pages differ at most in their provenance and in what another processor may change.

    Texts are compared by `agree`, pictures by `pictures_agree`.
    """
    a, b = (PICTURE.split(PROVENANCE.sub("", page)) for page in (a, b))
    texts, shown = ([page[kind::2] for page in (a, b)] for kind in (0, 1))
    return all(map(agree, *texts)) and all(map(_pictures_agree, *shown)) and len(a) == len(b)


def _pictures_agree(a: str, b: str) -> bool:
    return a == b or pictures_agree(base64.b64decode(a), base64.b64decode(b))
