"""The trained networks that come with the package: weights of stored runs, and where they are from.

`manifest.json` has an entry per network: run, spec, training images, validation PSNR, SHA-256 of the file.
The weights are stored as 16-bit floating-point numbers, half the size at a cost of less than 0.001 dB, and
used in 32 bits. `n2n pretrained` writes manifest and weights from the store.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from n2nlib.errors import ReportError, unknown_name

if TYPE_CHECKING:
    from torch import nn

FOLDER = Path(__file__).parent
#: The names, as an editor completes them.
Name = Literal["tnet", "smallnet", "basenet", "unet"]


@cache
def manifest() -> dict[str, dict[str, Any]]:
    """Return what is known of each network: run, spec, images, psnr (dB), sha256 (of the file of weights)."""
    return json.loads((FOLDER / "manifest.json").read_text(encoding="utf-8"))


def load_pretrained(name: Name = "tnet") -> nn.Module:
    """Return a trained network on the CPU, in eval mode: (N,3,H,W) to (N,3,H,W) in [0, 1].

    name: tnet, smallnet, basenet (32x32 pixels only) or unet, in capitals or not. All were trained on
    imagenet-sample: they remove the aliasing of sub-sampled photographs, not every noise. Raises
    ReportError for an unknown name and for weights that are missing or altered.

    >>> network = load_pretrained("tnet")
    >>> sum(p.numel() for p in network.parameters())
    43064
    """
    from safetensors.torch import load

    from n2nlib.models import build

    name = str(name).lower()
    if name not in manifest():
        raise unknown_name("pretrained network", name, manifest())
    entry, file = manifest()[name], FOLDER / f"{name}.safetensors"
    try:
        weights = file.read_bytes()
    except OSError as error:
        raise ReportError(f"{file} cannot be read ({error}): install n2nlib again.") from error
    if hashlib.sha256(weights).hexdigest() != entry["sha256"]:
        raise ReportError(f"{file} differs from its checksum: install n2nlib again, or run `n2n pretrained`.")
    network = build(entry["spec"].get("network", "TNet"), **entry["spec"].get("options", {}))
    network.load_state_dict({key: value.float() for key, value in load(weights).items()})
    return network.eval()
