"""Checkpoints of unfinished runs: `<id>.<kind of device>.ckpt`, written in one move."""

from __future__ import annotations

from pathlib import Path

import torch

from n2nlib import paths
from n2nlib.errors import StoreError, TrainingError
from n2nlib.training.replica import Replica


def path_of(replica: Replica, folder: Path) -> Path:
    """Return the path of a run's checkpoint; a run never mixes CPU and GPU."""
    return folder / f"{replica.spec.id}.{replica.device.type}.ckpt"


def save(replica: Replica, folder: Path) -> None:
    """Write a checkpoint in one move; raises StoreError where the disk does not take it."""
    try:
        with paths.writing(path_of(replica, folder)) as file:
            torch.save(replica.state(), file)
    except (OSError, RuntimeError) as error:  # torch reports a full disk as a RuntimeError
        raise StoreError(paths.unwritable(path_of(replica, folder), error)) from error


def load(replica: Replica, folder: Path) -> None:
    """Resume from a run's checkpoint if there is one; a damaged one is renamed to `.broken`.

    Raises TrainingError for one that cannot be read at present.
    """
    path = path_of(replica, folder)
    if not path.exists():
        return
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)  # a full GPU is no fault of the file
        if state["spec"] != replica.spec.to_dict():
            raise ValueError("it belongs to another run")
    except (OSError, MemoryError) as error:
        raise TrainingError(
            f"the checkpoint {path} cannot be read now ({error}): try again, or delete it.",
            run=replica.spec.id,
        ) from error
    except Exception:  # a foreign or truncated file may raise anything and is no checkpoint
        path.replace(path.with_suffix(".broken"))
        return
    replica.load(state)
