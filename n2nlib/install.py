"""Make the project's environment, or repair one that was moved: `python -m n2nlib.install .venv`.

Uses the standard library alone, since it runs before anything is installed. A finished environment says in
`.ready` where it was made. In another place its scripts, and the link to this library, would lead back to the
old one; they are then rewritten, which takes seconds and needs no network.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

#: Python versions that the pinned set was installed and tested on; later ones are tried, with a warning.
OLDEST, NEWEST = (3, 11), (3, 13)
#: Settings of a reader's pip that would put packages somewhere else.
REDIRECTS = ("PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PYTHONHOME", "__PYVENV_LAUNCHER__")


def main(venv: str = ".venv") -> int:
    """Bring the environment up to date; return the exit status (2, after a sentence, for an error)."""
    if sys.version_info < OLDEST:
        print(
            f"error: this needs Python {_dotted(OLDEST)} or later, and `{sys.executable}` is "
            f"{_dotted(sys.version_info[:2])}: name another one, as in `make PYTHON=python3.12`.",
            file=sys.stderr,
        )
        return 2
    if sys.version_info[:2] > NEWEST:
        print(
            f"note: Python {_dotted(sys.version_info[:2])} is newer than the tested ones "
            f"({_dotted(OLDEST)} to {_dotted(NEWEST)}).",
            file=sys.stderr,
        )
    # A linked environment belongs to where the link leads: its scripts are not this checkout's to rewrite.
    folder, root = Path(venv).resolve(), Path(__file__).absolute().parent.parent
    try:
        place, wanted = made_at(folder)
        if place not in (None, folder):
            repair(folder, place, root)
        if place is None or wanted != wanted_by(root):
            make(folder, root)
        (folder / ".ready").write_text(f"{folder}\n{wanted_by(root)}\n", encoding="utf-8")
    except subprocess.CalledProcessError as error:
        why = (
            f": `{' '.join(map(str, error.cmd))}` ended with {error.returncode}; its message is above. Run "
            "the same command again after fixing the cause."
        )
    except OSError as error:
        why = (
            f" ({error}): check permissions and free space, or name another folder, as in "
            "`make VENV=/elsewhere/venv`."
        )
    else:
        return 0
    print(f"error: the environment {folder} could not be made{why}", file=sys.stderr)
    return 2


def made_at(folder: Path) -> tuple[Path | None, str]:
    """Return where a finished environment was made and from which list; (None, "") for an unfinished one."""
    try:
        place, wanted = (folder / ".ready").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return None, ""
    return Path(place), wanted


def wanted_by(root: Path) -> str:
    """Return a digest of the lists that an environment is made from."""
    lists = b"".join((root / name).read_bytes() for name in ("requirements.lock", "pyproject.toml"))
    return hashlib.sha256(lists).hexdigest()[:16]


def make(folder: Path, root: Path) -> None:
    """Create the environment unless it is there, and install the pinned set."""
    if not python(folder).exists():
        print(f"making the environment {folder} with Python {_dotted(sys.version_info[:3])}", flush=True)
        _run(sys.executable, "-m", "venv", folder)
    print("installing the pinned packages (one to three minutes and 2 GB, once)", flush=True)
    pip(folder, "-c", root / "requirements.lock", "-e", f"{root}[all]")
    _run(python(folder), "-m", "n2nlib", "kernel")


def repair(folder: Path, old: Path, root: Path) -> None:
    """Repair an environment that was copied or moved from `old`."""
    print(f"the environment was made in {old} and is now {folder}: repairing it", flush=True)
    for script in (folder / "bin").iterdir():
        text = _text(script) if script.is_file() and not script.is_symlink() else ""
        if str(old) in text:
            script.write_text(text.replace(str(old), str(folder)), encoding="utf-8")
    pip(folder, "--no-deps", "--no-build-isolation", "-e", root)
    _run(python(folder), "-m", "n2nlib", "kernel")


def pip(folder: Path, *arguments: object) -> None:
    """Install into the environment, whatever target a reader's pip settings name."""
    options = ("--quiet", "--disable-pip-version-check", "--no-user")
    _run(python(folder), "-m", "pip", "install", *options, *arguments)


def python(folder: Path) -> Path:
    return folder / "bin" / "python"


def _run(*command: object) -> None:
    environment = {k: v for k, v in os.environ.items() if k not in REDIRECTS}
    subprocess.run([str(word) for word in command], check=True, env=environment)


def _text(path: Path) -> str:
    """Return a small text file's content; nothing for a program."""
    try:
        return path.read_text(encoding="utf-8") if path.stat().st_size < 100_000 else ""
    except UnicodeDecodeError:
        return ""


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
