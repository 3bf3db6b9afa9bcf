"""Where a report comes from, in a few lines that both documents print at their end."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import version

from .. import paths
from .plan import PACKAGES, Settings, State


def provenance(settings: Settings) -> dict[str, str]:
    """Return label -> text: commit, corpus, profile, device, versions, seconds, and the command that makes it again."""
    steps = State(settings).steps
    seconds = sum(step["seconds"] for step in steps.values())
    return {
        "Made by": settings.command,
        "Commit": commit(),
        "Corpus": f"{settings.corpus}, fingerprint {settings.opened.fingerprint}",
        "Profile": settings.profile,
        "Device": settings.device,
        "Versions": ", ".join([f"Python {platform.python_version()}", *(f"{p} {version(p)}" for p in PACKAGES)]),
        "Time": f"{seconds:.0f} s to execute the chapters, training apart",
    }


def commit() -> str:
    """Return the commit of the checkout, marked when files differ from it; "unknown" outside a checkout."""
    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=paths.root(), capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", "--", "n2nlib", "notebooks")
        return git("rev-parse", "--short=12", "HEAD") + (" with local changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown (not a git checkout)"
