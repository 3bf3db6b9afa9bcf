"""The first 20 losses of each kind of run are pinned: who changes what a RunSpec means must raise `spec.SEMANTICS`.

`python tests/test_semantics.py` writes the pins anew, after SEMANTICS was raised.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from n2nlib.corpus import Pairs
from n2nlib.schemes import words
from n2nlib.spec import SEMANTICS, RunSpec
from n2nlib.training import Replica, settings

PINS = Path(__file__).with_name("semantics.json")
STEPS, BATCH = 20, 4
KINDS = {
    "TNet": {},
    "TNet+BN": {"options": {"batch_norm": True}},
    "TNet+L1": {"loss": "L1"},
    "TNet+L_HDR": {"loss": "L_HDR"},
    "TNet+dropout": {"options": {"dropout": 0.1}},
    "TNet tricks": {"augment": ("flip", "mix", "rotate", "shuffle", "swap"), "schedule": "cosine", "averaging": 0.9},
    "Noise2Clean": {"scheme": "noise2clean"},
    "Noise2Void": {"scheme": "noise2void"},
    "Neighbor2Neighbor": {"scheme": "neighbor2neighbor"},
    "UNet": {"network": "UNet", "lr": 1e-3},
    "UNet (shared decoder)": {"network": "UNet", "options": {"shared_decoder": True}, "lr": 1e-3},
    "BaseNet": {"network": "BaseNet"},
    "SmallNet": {"network": "SmallNet"},
}


def losses(kind: str) -> list[float]:
    n = STEPS * BATCH
    arrays = [words(0, name, 0, 0, n, 384).view(np.uint8).reshape(n, 3, 32, 32) // shade
              for name, shade in (("a", 1), ("b", 2), ("clean", 3))]  # fmt: skip
    pairs = Pairs("words", *arrays, photo=np.zeros(n, np.int32))
    spec = RunSpec(corpus="w" * 16, n_train=n, epochs=1, batch=BATCH, **KINDS[kind])
    device = torch.device("cpu")
    with settings(device, spec.precision):
        replica, out = Replica(spec, pairs, device, {}), []
        for i in range(STEPS):
            before = replica.loss_sum.item()
            replica.update(*replica.samples.chunk(0, i * BATCH, (i + 1) * BATCH))
            out.append(replica.loss_sum.item() - before)
    return out


def test_the_pins_belong_to_this_version():
    assert json.loads(PINS.read_text())["semantics"] == SEMANTICS


@pytest.mark.parametrize("kind", KINDS)
def test_training_means_what_it_meant(kind):
    """Another processor sums in another order: that moves a loss by about 1e-6 of itself, after 20 steps 1e-5."""
    pinned = json.loads(PINS.read_text())["losses"][kind]
    np.testing.assert_allclose(
        losses(kind), pinned, rtol=2e-4, err_msg="training changed its meaning: raise SEMANTICS in n2nlib/spec.py"
    )


def test_a_change_of_meaning_is_seen(monkeypatch):
    """Training on the pairs the other way round, say, moves the losses far beyond the tolerance."""
    chunk = Replica.__init__.__globals__["Samples"].chunk
    monkeypatch.setattr("n2nlib.training.Samples.chunk", lambda *args: chunk(*args)[::-1])
    with pytest.raises(AssertionError, match="raise SEMANTICS"):
        test_training_means_what_it_meant("TNet")


if __name__ == "__main__":
    torch.set_num_threads(1)
    pins = {"semantics": SEMANTICS, "losses": {kind: losses(kind) for kind in KINDS}}
    PINS.write_text(json.dumps(pins, indent=1) + "\n")
