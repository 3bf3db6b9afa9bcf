"""Write report.html and report.pdf from the executed chapters."""

from __future__ import annotations

from .. import paths
from . import document
from .html import html
from .pdf import pdf
from .plan import Settings


def render(settings: Settings) -> list[str]:
    """Write both documents, each whole or not at all; return their names."""
    report = document.read(settings)
    for name, content in [("report.html", html(report).encode()), ("report.pdf", pdf(report))]:
        paths.write(settings.file(name), content)
    return ["report.html", "report.pdf"]
