"""The networks, each in a file that reads from input to output."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

import torch
from torch import nn

from n2nlib.errors import ReportError, unknown_name
from n2nlib.models.basenet import BaseNet
from n2nlib.models.smallnet import SmallNet
from n2nlib.models.tnet import TNet
from n2nlib.models.unet import UNet

NETWORKS = {"TNet": TNet, "UNet": UNet, "BaseNet": BaseNet, "SmallNet": SmallNet}

#: Annotation of a constructor's parameter -> what an option may be, and how to ask for it.
TYPES = {
    "bool": (bool, "True or False"),
    "int": (Integral, "a whole number"),
    "float": (Real, "a number"),
    "str": (str, "a string"),
}

__all__ = ["NETWORKS", "BaseNet", "SmallNet", "TNet", "UNet", "build", "count_parameters", "own_options"]


def build(name: str, seed: int | None = None, **options) -> nn.Module:
    """Build a network by name, with PyTorch's default initialisation drawn from `seed`.

    With a seed, the global random state is left as it was; without one, weights are drawn from it. Raises
    ReportError for an unknown network, and for an option that the network does not have or cannot be built
    with.
    """
    own_options(name, options)
    network = NETWORKS[name]
    try:
        if seed is None:
            return network(**options)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return network(**options)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ReportError(f"{name} cannot be built with {options}: {error}.") from error


def own_options(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that differ from the network's defaults.

    Those that only repeat a default name the same network.

    Raises ReportError for an unknown network or option, or a value that is not of the constructor's type.
    """
    if name not in NETWORKS:
        raise unknown_name("network", name, NETWORKS)
    known = inspect.signature(NETWORKS[name]).parameters
    out = {}
    for option, value in options.items():
        if option not in known:
            raise unknown_name(f"option of {name}", option, known)
        annotation, default = known[option].annotation, known[option].default
        kind, what = TYPES.get(getattr(annotation, "__name__", annotation), (object, ""))
        flag = isinstance(value, bool)
        if not isinstance(value, kind) or (flag and kind in (Integral, Real)):
            raise ReportError(f"option {option} of {name} is {value!r}: expected {what}.")
        if value != default or flag != isinstance(default, bool):
            out[option] = value
    return out


def count_parameters(network: nn.Module) -> int:
    """Return the number of trainable parameters; a block that is used three times counts once."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)
