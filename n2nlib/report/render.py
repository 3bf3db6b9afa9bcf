"""Write report.html and report.pdf from the executed chapters."""

from __future__ import annotations

from n2nlib import paths
from n2nlib.errors import ReportError
from n2nlib.report import document
from n2nlib.report.html import html
from n2nlib.report.pdf import pdf
from n2nlib.report.plan import Settings


def render(settings: Settings) -> list[str]:
    """Write both documents, each whole or not at all; return their names.

    Problems are printed. If one document cannot be written, the other is, and a ReportError then gives the
    name of the first and the reason.
    """
    report = document.read(settings)
    failed = {}
    for name, make in [
        ("report.html", lambda: html(report).encode("utf-8", "replace")),
        ("report.pdf", lambda: pdf(report)),
    ]:
        try:
            paths.write(settings.file(name), make())
        except Exception as error:  # whatever it is, it must not cost the other document
            failed[name] = (
                str(error) if isinstance(error, ReportError) else f"{type(error).__name__}: {error}"
            )
    report.found.tell()
    if failed:
        was = (
            " An earlier one is still there." if any(settings.file(name).exists() for name in failed) else ""
        )
        raise ReportError("; ".join(f"{name} cannot be written: {why}" for name, why in failed.items()) + was)
    return ["report.html", "report.pdf"]
