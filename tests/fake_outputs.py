"""Three small chapters as they are after execution, for the tests of what is rendered from them."""

from __future__ import annotations

import json

from fake_chapters import TABLE, WIDE, write

from n2nlib.report import pdf

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def shown(kind: str, data: dict, **mark) -> dict:
    return {"output_type": "display_data", "data": data, "metadata": {"n2n": {"kind": kind, **mark}}}


def figure(name: str) -> dict:
    return shown(
        "figure",
        {"image/png": PNG, "text/plain": "<Image>"},
        name=name,
        caption=f"The *{name}* figure, $x^2$.",
    )


def table(name: str, text: str) -> dict:
    return shown("table", {"text/markdown": text}, name=name, caption=f"The {name} table.")


def code(source: str, *outputs: dict) -> dict:
    return {
        "cell_type": "code",
        "id": "c",
        "metadata": {},
        "source": source,
        "outputs": list(outputs),
        "execution_count": 1,
    }


def text(source: str, *tags: str) -> dict:
    return {"cell_type": "markdown", "id": "m", "metadata": {"tags": list(tags)}, "source": source}


CHAPTERS = {
    "01_data": [
        text(
            "# Data\n\nEquations: $E[y_1] = x$ and\n\n$$\\frac{1}{n} \\sum_i y_i$$\n\nA list:\n- one\n- two"
        ),
        code(
            "import numpy as np\nprint('secret detail')",
            {"output_type": "stream", "name": "stdout", "text": "secret detail\n"},
            {"output_type": "stream", "name": "stderr", "text": "a progress bar"},
        ),  # fmt: skip
        code(
            "study.figure(fig, 'narrow', '...')",
            figure("narrow"),
            shown("caption", {"text/markdown": "*Figure narrow.* again"}),
        ),
        code(
            "study.say('...')",
            shown("prose", {"text/markdown": "Measured: **20.72** dB, <5 % off."}),
            shown("provenance", {"text/markdown": "commit abc"}),
        ),  # fmt: skip
    ],
    "02_networks": [
        text("# Networks"),
        code("study.table(...)", table("models", TABLE)),
        code("study.figure(...)", figure("wide")),
    ],
    "07_report": [
        text("# A thin denoiser, *done again*"),
        text("## Abstract", "abstract"),
        code("say", shown("prose", {"text/markdown": "In short: it works."})),
        text("## Headline\n\nOne table.", "front"),
        code("study.table(...)", table("headline", TABLE)),
        text("## Claims"),
        code("study.table(...)", table("claims", WIDE)),
    ],
}

CLAIMS = [
    ("order", "TNet outperforms UNet.", "contradicted", "02_networks#table-models"),
    ("order-cited", "TNet outperforms UNet, as cited.", "no run", "01_data#figure-narrow"),
    ("adam", "Adam helps.", "reproduced", "07_report"),
]


def executed(settings, extra: dict | None = None) -> None:
    """Write the executed chapters of a report, with `extra` cells at the end of some of them."""
    for name, cells in CHAPTERS.items():
        write(settings.folder / "notebooks", name, {"cells": [*cells, *(extra or {}).get(name, [])]})


def typst_of(document) -> str:
    """Return the Typst of a document's parts."""
    return "\n\n".join(part.typst for part in pdf.Paper(document).parts())


def ledger(settings) -> list[dict]:
    """Write a report's claims.json; return the cells that show it as a table."""
    claims = [
        {"id": name, "says": says, "verdict": verdict, "shown": place}
        for name, says, verdict, place in CLAIMS
    ]
    settings.file("claims.json").write_text(json.dumps({"schema": 1, "claims": claims}))
    rows = [f"| {says} (Section 1) | above 0 dB | – | {verdict} |" for _, says, verdict, _ in CLAIMS]
    head = ["| claim | holds if | ours | verdict |", "| :-- | :-- | --: | :-- |"]
    return [text("## The ledger"), code("study.table(...)", table("ledger", "\n".join([*head, *rows])))]
