"""The environment: made once, repaired in another place, refused with a sentence where it cannot work."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from n2nlib import install, paths


@pytest.fixture
def project(tmp_path):
    """A copy of the project that can be installed, with an environment that sees this one's packages; return its folder."""
    root = tmp_path / "old place"
    shutil.copytree(paths.root() / "n2nlib", root / "n2nlib", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "requirements.lock"):
        shutil.copy(paths.root() / name, root)
    venv = root / ".venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    packages = Path(sysconfig.get_path("purelib"))
    (Path(_run(venv, "import sysconfig; print(sysconfig.get_path('purelib'))")) / "packages.pth").write_text(
        f"{packages}\n"
    )
    install.pip(venv, "--no-deps", "--no-build-isolation", "-e", root)
    (venv / "bin" / "tool").write_text(f"#!{venv}/bin/python\nprint('works')\n")
    (venv / ".ready").write_text(f"{venv}\n{install.wanted_by(root)}\n")
    return root


def _run(venv: Path, code: str) -> str:
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [venv / "bin" / "python", "-c", code], cwd="/", env=env, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_an_environment_that_was_moved_is_repaired(project):
    """After the move the library is the new place's, and so are scripts."""
    new = project.rename(project.with_name("new place"))
    venv = new / ".venv"
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-m", "n2nlib.install", ".venv"], cwd=new, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0 and "was made in" in done.stdout, done.stdout + done.stderr
    assert Path(_run(venv, "import n2nlib; print(n2nlib.__file__)")) == new / "n2nlib" / "__init__.py"
    assert (
        subprocess.run(
            [venv / "bin" / "python", venv / "bin" / "tool"], capture_output=True, text=True
        ).stdout
        == "works\n"
    )
    assert (
        str(new) in (venv / "bin" / "tool").read_text()
        and "old place" not in (venv / "bin" / "activate").read_text()
    )
    assert str(new) in (venv / "share" / "jupyter" / "kernels" / "n2n" / "kernel.json").read_text()
    assert install.made_at(venv) == (venv, install.wanted_by(new))


def test_a_new_list_is_installed_and_the_same_list_is_not(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(
        install, "make", lambda folder, root: (folder.mkdir(exist_ok=True), made.append(folder))
    )
    for _ in range(2):
        assert install.main(str(tmp_path / "venv")) == 0
    assert len(made) == 1
    monkeypatch.setattr(install, "wanted_by", lambda root: "another list")
    assert install.main(str(tmp_path / "venv")) == 0
    assert len(made) == 2


def test_a_linked_environment_is_left_as_it_is(tmp_path, monkeypatch):
    """Two checkouts may share an environment; neither makes the other's scripts its own."""
    venv, link = tmp_path / "venv", tmp_path / "link"
    venv.mkdir()
    link.symlink_to(venv)
    ready = f"{venv}\n{install.wanted_by(paths.root())}\n"
    (venv / ".ready").write_text(ready)
    for name in ("make", "repair"):
        monkeypatch.setattr(install, name, lambda *_: pytest.fail("a linked environment was changed"))
    assert install.main(str(link)) == 0
    assert (venv / ".ready").read_text() == ready


def test_an_unfinished_environment_was_made_nowhere(tmp_path):
    assert install.made_at(tmp_path) == (None, "")
    (tmp_path / ".ready").touch()
    assert install.made_at(tmp_path) == (None, "")


def test_what_stops_an_installation_is_one_sentence(tmp_path, monkeypatch, capfd):
    (tmp_path / "file").touch()
    assert install.main(str(tmp_path / "file" / "venv")) == 2
    assert "could not be made" in capfd.readouterr().err
    monkeypatch.setattr(install.sys, "version_info", (3, 10, 1))
    assert install.main(str(tmp_path / "venv")) == 2
    error = capfd.readouterr().err
    assert error.startswith("error: this needs Python 3.11 or later") and "make PYTHON=python3.12" in error


def test_settings_of_pip_do_not_lead_elsewhere(tmp_path, monkeypatch):
    for name in ("PIP_TARGET", "PIP_USER", "PIP_PREFIX"):
        monkeypatch.setenv(name, str(tmp_path))
    seen = {}
    monkeypatch.setattr(
        install.subprocess, "run", lambda command, env, **_: seen.update(command=command, env=env)
    )
    install.pip(tmp_path, "something")
    assert not [name for name in seen["env"] if name in install.REDIRECTS] and "--no-user" in seen["command"]
