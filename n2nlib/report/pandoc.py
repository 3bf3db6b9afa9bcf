"""The pinned package's pandoc and no other, which reads Markdown as Jupyter shows it.

One process reads or writes many texts.
A pandoc on PATH, `PYPANDOC_PANDOC`, and the reader's own templates, filters and defaults have no effect.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from n2nlib.errors import ReportError

SCRIPT = Path(__file__).with_name("texts.lua")
#: Time limits in seconds: for all texts of a report, and for one text alone after that limit was reached.
LONGEST, LONGEST_ALONE = 300, 20
#: Control characters, which neither JSON for Lua nor Typst takes; tabs and ends of lines stay.
CONTROL = dict.fromkeys((*range(9), 11, 12, *range(14, 32), 127, 65534, 65535))
#: Tables keep their natural widths however long their lines are.
COLUMNS = "--columns=100000"
#: Jupyter's habits (lists and headings without a blank line before them), and nothing unexpected.
DIALECT = (
    "markdown+lists_without_preceding_blankline+autolink_bare_uris+tex_math_double_backslash"
    "-blank_before_header-blank_before_blockquote-yaml_metadata_block-pandoc_title_block"
    "-citations-subscript-superscript"
    "-simple_tables-multiline_tables-grid_tables-example_lists-latex_macros"
    "-raw_attribute-implicit_figures-implicit_header_references-fenced_divs"
)


@cache
def program() -> Path:
    """Return the path of the pinned pandoc; raises ReportError if it is not installed."""
    package = find_spec("pypandoc")
    if package is not None and package.origin:
        for name in ("pandoc", "pandoc.exe"):
            path = Path(package.origin).with_name("files") / name
            if path.is_file():
                return path
    raise ReportError("pandoc is not installed in this environment: run `pip install pypandoc_binary`.")


def run(words: Sequence[str], text: str, seconds: float = LONGEST) -> str:
    """Run pandoc without the reader's settings; raises ReportError with pandoc's own message."""
    keep = {name: os.environ[name] for name in ("SYSTEMROOT", "TEMP", "TMP", "TMPDIR") if name in os.environ}
    with tempfile.TemporaryDirectory() as empty:
        home = {"HOME": empty, "XDG_DATA_HOME": empty, "APPDATA": empty, "LC_ALL": "C.UTF-8"}
        try:
            done = subprocess.run([program(), *words], input=_clean(text).encode(), capture_output=True,
                                  timeout=seconds, env=keep | home, cwd=empty)  # fmt: skip
        except subprocess.TimeoutExpired:
            raise ReportError(f"pandoc did not finish within {seconds:.0f} s.") from None
        except OSError as error:
            raise ReportError(f"pandoc cannot be started ({error}): install pypandoc_binary again.") from None
    if done.returncode:
        raise ReportError(
            f"pandoc stopped: {done.stderr.decode(errors='replace').strip() or done.returncode}"
        )
    return done.stdout.decode()


def read(texts: Sequence[tuple[str, str]]) -> list[list[dict] | None]:
    """Return the blocks of each (format, text) in pandoc's JSON; None where pandoc fails."""
    jobs = [[form, text.translate(CONTROL)] for form, text in texts]
    return [None if document is None else document["blocks"] for document in _each("read", jobs)]


def write(parts: Sequence[Sequence[dict]], to: str) -> list[str | None]:
    """Return each sequence of blocks as text; None for one that pandoc cannot write."""
    return _each("write", [[to, _document(part)] for part in parts])


def page(blocks: Sequence[dict], *words: str) -> str:
    """Return blocks as one HTML page."""
    with tempfile.TemporaryDirectory() as empty:
        return run(["--from=json", "--to=html5", COLUMNS, f"--data-dir={empty}", *words], _document(blocks))


def _document(blocks: Sequence[dict]) -> str:
    return json.dumps({"pandoc-api-version": [1, 23], "meta": {}, "blocks": list(blocks)})


def _each(task: str, jobs: list[list[str]]) -> list:
    if not jobs:
        return []
    words = ["lua", str(SCRIPT), task]
    try:
        return json.loads(run(words, json.dumps(jobs, ensure_ascii=False), LONGEST))
    except ReportError:  # one text took too long, or too much memory: which one?
        return [_alone(words, job) for job in jobs]


def _alone(words: list[str], job: list[str]) -> dict | str | None:
    try:
        return json.loads(run(words, json.dumps([job], ensure_ascii=False), LONGEST_ALONE))[0]
    except ReportError:
        return None


def _clean(text: str) -> str:
    """Replace half of a surrogate pair, which is no character."""
    return text.encode("utf-8", "replace").decode()


def one_line(text: str) -> str:
    """Return a caption as one paragraph."""
    return " ".join(text.split())


def fenced(text: str) -> str:
    """Return Markdown whose fences of code pandoc reads as JupyterLab does.

    The first word after an opening fence is the language, as in ` ```{r, echo=FALSE} `. The last fence need
    not be closed.
    """
    lines, fence = text.split("\n"), ""
    for i, line in enumerate(lines):
        found = re.match(r"( {0,3})(`{3,}|~{3,})(.*)", line)
        if not found:
            continue
        indent, marks, words = found.groups()
        if not fence and not (marks[0] == "`" and "`" in words):
            fence = marks
            language = re.search(r"[\w+#-]+", words.split()[0] if words.split() else "", re.ASCII)
            lines[i] = f"{indent}{marks}{language[0] if language else ''}"
        elif fence and marks.startswith(fence) and not words.strip():
            fence = ""
    return "\n".join([*lines, fence, ""] if fence else lines)
