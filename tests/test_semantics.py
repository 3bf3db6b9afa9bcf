"""The losses of the first steps of each kind of run are pinned: a change of what a RunSpec means must raise `spec.SEMANTICS`.

The pins hold on any processor. Training runs in float64 from weights that are made of whole numbers, so
that the order of a sum changes a loss by about 1e-15 of itself; 20 steps of Adam amplify that by less than
1e5. The networks' own start weights are pinned apart, within the two roundings that a fused multiply-add
may save.

`python tests/test_semantics.py` writes the pins again, after SEMANTICS was raised.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from n2nlib.data import Pairs
from n2nlib.models import NETWORKS, build
from n2nlib.spec import SEMANTICS, RunSpec
from n2nlib.training import schemes
from n2nlib.training.engine import settings
from n2nlib.training.replica import Replica
from n2nlib.training.schemes import words

PINS = Path(__file__).with_name("semantics.json")
BATCH = 4
STEPS = {"TNet": 20, "SmallNet": 20, "BaseNet": 10, "UNet": 6}
KINDS = {
    "TNet": {},
    "TNet+BN": {"options": {"batch_norm": True}},
    "TNet+L1": {"loss": "L1"},
    "TNet+L_HDR": {"loss": "L_HDR"},
    "TNet+dropout": {"options": {"dropout": 0.1}},
    "TNet tricks": {
        "augment": ("flip", "mix", "rotate", "shuffle", "swap"),
        "schedule": "cosine",
        "averaging": 0.9,
    },
    "Noise2Clean": {"scheme": "noise2clean"},
    "Noise2Void": {"scheme": "noise2void"},
    "Neighbor2Neighbor": {"scheme": "neighbor2neighbor"},
    "UNet": {"network": "UNet", "lr": 1e-3},
    "UNet (shared decoder)": {"network": "UNet", "options": {"shared_decoder": True}, "lr": 1e-3},
    "BaseNet": {"network": "BaseNet"},
    "SmallNet": {"network": "SmallNet"},
}


@pytest.fixture(autouse=True)
def float64(monkeypatch):
    """Let images enter the loss in float64; the network's weights are made float64 below."""
    monkeypatch.setattr(schemes, "scale", lambda images: images.permute(0, 3, 1, 2).double().div(255))


def losses(kind: str) -> list[float]:
    spec = RunSpec(dataset="w" * 16, n_train=20 * BATCH, epochs=1, batch=BATCH, **KINDS[kind])
    n = spec.n_train
    arrays = [words(0, name, 0, 0, n, 384).view(np.uint8).reshape(n, 3, 32, 32) // shade
              for name, shade in (("a", 1), ("b", 2), ("clean", 3))]  # fmt: skip
    pairs = Pairs("words", *arrays, photo=np.zeros(n, np.int32))
    device = torch.device("cpu")
    with settings(device):
        replica, out = Replica(spec, pairs, device, {}), []
        use_exact_weights(replica.network)
        if replica.average is not None:
            use_exact_weights(replica.average)
        for i in range(STEPS[spec.network]):
            before = replica.loss_sum.item()
            replica.update(*replica.samples.chunk(0, i * BATCH, (i + 1) * BATCH))
            out.append(replica.loss_sum.item() - before)
    return out


def use_exact_weights(network: torch.nn.Module) -> None:
    """Make a network float64, its weights multiples of 2^-24 that every processor agrees on, as large as PyTorch's own."""
    network.double()
    with torch.no_grad():
        for name, p in network.named_parameters():
            if p.dim() > 1:
                drawn = words(0, name, 0, 0, 1, -(-p.numel() // 4) * 4)[0, : p.numel()] >> np.uint64(
                    40
                )  # 24 bits
                unit = torch.from_numpy(drawn.astype(np.float64) / 2**23 - 1).reshape(p.shape)  # [-1, 1)
                exponent = round(np.log2(p[0].numel()) / 2)
                p.copy_(unit / 2**exponent)  # PyTorch's bound, 1/sqrt(inputs), to the nearest power of two
            elif "norm" not in name:
                p.fill_(0.0078125)


def start(network: str) -> list[float]:
    """Return the first weight of each of a network's tensors at seed 3."""
    return [p.flatten()[0].item() for p in build(network, seed=3).parameters()]


def pins() -> dict:
    return json.loads(PINS.read_text())


def test_the_pins_belong_to_this_version():
    assert pins()["semantics"] == SEMANTICS


@pytest.mark.parametrize("kind", KINDS)
def test_training_means_what_it_meant(kind):
    np.testing.assert_allclose(
        losses(kind),
        pins()["losses"][kind],
        rtol=1e-10,
        err_msg="training changed its meaning: raise SEMANTICS in n2nlib/spec.py",
    )


@pytest.mark.parametrize("network", NETWORKS)
def test_networks_start_where_they_started(network):
    """u * 2b - b with u in [0, 1): two roundings of at most 2^-24 b each, or one where the processor fuses them."""
    bounds = [1 / np.sqrt(p[0].numel()) if p.dim() > 1 else 1 for p in build(network, seed=3).parameters()]
    np.testing.assert_array_less(
        np.abs(np.subtract(start(network), pins()["start"][network])), 2**-22 * np.array(bounds)
    )


def test_a_change_of_meaning_is_seen(monkeypatch):
    """Training on the pairs the other way round, say, moves the losses far beyond the tolerance."""
    chunk = Replica.__init__.__globals__["Samples"].chunk
    monkeypatch.setattr("n2nlib.training.replica.Samples.chunk", lambda *args: chunk(*args)[::-1])
    with pytest.raises(AssertionError, match="raise SEMANTICS"):
        test_training_means_what_it_meant("TNet")


if __name__ == "__main__":
    torch.set_num_threads(1)
    schemes.scale = lambda images: images.permute(0, 3, 1, 2).double().div(255)
    written = {
        "semantics": SEMANTICS,
        "losses": {kind: losses(kind) for kind in KINDS},
        "start": {network: start(network) for network in NETWORKS},
    }
    PINS.write_text(json.dumps(written, indent=1) + "\n")
