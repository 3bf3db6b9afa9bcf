"""Where a report comes from, in a few lines that both documents print at their end."""

from __future__ import annotations

import platform
from importlib.metadata import version

from n2nlib import paths
from n2nlib.environment import commit
from n2nlib.report.plan import CHECK, PACKAGES, Build, Settings


def provenance(settings: Settings) -> dict[str, str]:
    """Return label -> text: command, commit, dataset, profile, device, versions, seconds."""
    made = Build(settings).made
    seconds = sum(step["seconds"] for name, step in made.items() if name != CHECK)
    check = {"Live check": told} if (told := made.get(CHECK, {}).get("told")) else {}
    return {
        "Made by": settings.command,
        "Commit": commit(),
        "Dataset": f"{settings.dataset}, fingerprint {settings.opened.fingerprint}",
        "Profile": settings.profile,
        "Device": settings.device,
        "Versions": ", ".join(
            [f"Python {platform.python_version()}", *(f"{p} {version(p)}" for p in PACKAGES)]
        ),
        "Time": f"{seconds:.0f} s to execute the chapters, training apart",
    } | check


def authors() -> list[str]:
    """Return who CITATION.cff names as the project's authors."""
    import yaml

    path = paths.root() / "CITATION.cff"
    values = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
    return [
        author.get("name") or f"{author.get('given-names', '')} {author.get('family-names', '')}".strip()
        for author in values.get("authors", [])
    ]
