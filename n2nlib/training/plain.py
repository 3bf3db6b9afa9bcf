"""The textbook training loop: the reference for the engine's numbers and speed."""

from __future__ import annotations

import numpy as np
import torch

from n2nlib.models import build
from n2nlib.spec import RunSpec
from n2nlib.training.losses import loss


def train_plain(spec: RunSpec, pairs, device: str | torch.device = "cpu", steps: int | None = None):
    """Train as the authors' script does: eager, contiguous layout, one `.item()` per step, stored order.

    Trains the paper's own runs only (no augmentation, schedule or averaging). `steps` stops early.
    Returns the network in training mode and the list of losses, one per step.
    """
    pairs = pairs.subset(spec.n_train, spec.n_photos)
    x = torch.from_numpy(np.array(pairs.a)).to(device).float() / 255
    target = torch.from_numpy(np.array(pairs.b)).to(device).float() / 255
    network = build(spec.network, seed=spec.seed, **spec.options).to(device)
    for module in network.modules():
        module.textbook = True  # the published steps, and no shorter way to the same numbers
    optimiser = torch.optim.Adam(network.parameters(), lr=spec.lr)
    loss_of, losses = loss(spec.loss), []
    for _ in range(spec.epochs):
        for start in range(0, len(x), spec.batch):
            if steps is not None and len(losses) >= steps:
                return network, losses
            value = loss_of(network(x[start : start + spec.batch]), target[start : start + spec.batch])
            losses.append(value.item())
            optimiser.zero_grad()
            value.backward()
            optimiser.step()
    return network, losses
