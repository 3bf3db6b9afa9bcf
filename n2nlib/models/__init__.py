"""The networks, each in a file that reads from input to output."""

from __future__ import annotations

import inspect

import torch
from torch import nn

from ..errors import ReportError, unknown_name
from .basenet import BaseNet
from .smallnet import SmallNet
from .tnet import TNet
from .unet import UNet

NETWORKS = {"TNet": TNet, "UNet": UNet, "BaseNet": BaseNet, "SmallNet": SmallNet}

__all__ = ["NETWORKS", "BaseNet", "SmallNet", "TNet", "UNet", "build", "count_parameters"]


def build(name: str, seed: int | None = None, **options) -> nn.Module:
    """Build a network by name, with PyTorch's default initialisation drawn from `seed`.

    The global random state is left as it was. Raises ReportError for an unknown network or option.
    """
    if name not in NETWORKS:
        raise unknown_name("network", name, NETWORKS)
    network = NETWORKS[name]
    known = list(inspect.signature(network).parameters)
    for option in options:
        if option not in known:
            raise unknown_name(f"option of {name}", option, known)
    try:
        if seed is None:
            return network(**options)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return network(**options)
    except (TypeError, ValueError) as error:
        raise ReportError(f"{name} cannot be built with {options}: {error}") from error


def count_parameters(network: nn.Module) -> int:
    """Return the number of trainable parameters; a block that is used three times counts once."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)
