"""Training on pairs of one's own: `train` for a `RunSpec`, and `Model`, the interface of the EPFL course."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pandas as pd
import torch
from torch import nn

from n2nlib.data import Pairs
from n2nlib.denoising import denoise
from n2nlib.device import resolve
from n2nlib.errors import ReportError, whole_number
from n2nlib.models import build
from n2nlib.pretrained import load_pretrained
from n2nlib.spec import RunSpec
from n2nlib.training import engine


def train(
    spec: RunSpec,
    pairs: Pairs,
    validation: Pairs,
    device: str = "auto",
    on_epoch: Callable[[RunSpec, dict], None] | None = None,
) -> tuple[nn.Module, pd.DataFrame]:
    """Train one run on pairs, and return its network in eval mode and its history, a row per epoch.

    spec: its first field may be any name for your pairs; validation: pairs with clean images, for the PSNR
    (dB) of the history; on_epoch: called with the spec and each new row. Nothing is stored: `Study` does
    that. Raises ReportError for pairs that do not fit, TrainingError on divergence.

    >>> from n2nlib import RunSpec, open_dataset
    >>> dataset = open_dataset("bundled", n_train=64, n_val=12)
    >>> spec = RunSpec("my pairs", n_train=64, epochs=1, network="SmallNet")
    >>> network, history = train(spec, dataset.train, dataset.val, device="cpu")
    >>> len(history)
    1
    """
    for name, value, kind in (
        ("spec", spec, RunSpec),
        ("pairs", pairs, Pairs),
        ("validation", validation, Pairs),
    ):
        if not isinstance(value, kind):
            raise ReportError(f"{name} is a {type(value).__name__}: expected {kind.__name__}.")
        if kind is Pairs:
            check_pairs(value, name)
    if validation.clean is None:
        raise ReportError(
            f"{validation.name} holds no clean images, which the PSNR needs: choose other pairs."
        )
    dataset = SimpleNamespace(train=pairs, val=validation)
    [done] = engine.train([spec], dataset, device=resolve(device), on_epoch=on_epoch)
    network = build(spec.network, **spec.options)
    network.load_state_dict(done.weights)
    return network.eval(), pd.DataFrame(done.history)


class Model:
    """The course's interface to a denoiser: TNet, trained as the paper trains it, on images from 0 to 255.

    It removes the aliasing of sub-sampled pictures, not every noise.

    >>> model = Model()
    >>> model.load_pretrained_model()
    >>> model.predict(torch.zeros(2, 3, 32, 32, dtype=torch.uint8)).shape
    torch.Size([2, 3, 32, 32])
    """

    def __init__(self) -> None:
        self.network = build("TNet", seed=0).to(resolve("auto"))
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=5e-4)
        self.batch = 32

    def load_pretrained_model(self) -> None:
        """Load the weights that come with the package."""
        self.network.load_state_dict(load_pretrained("tnet").state_dict())

    def train(self, train_input: torch.Tensor, train_target: torch.Tensor, num_epochs: int) -> None:
        """Train on noisy pairs (N,3,32,32) of values 0 to 255, from the present weights, in the stored order.

        Raises ReportError for tensors of another shape or range, and for less than one epoch.
        """
        num_epochs = whole_number("num_epochs", num_epochs, 1)
        check(train_input, "train_input")
        check(train_target, "train_target")
        if train_input.shape != train_target.shape:
            raise ReportError(
                f"train_input {tuple(train_input.shape)} and train_target {tuple(train_target.shape)} "
                "differ in shape."
            )
        device = next(self.network.parameters()).device
        self.network.train()
        for _ in range(num_epochs):
            batches = zip(train_input.split(self.batch), train_target.split(self.batch), strict=True)
            for noisy, target in batches:
                output = self.network(noisy.to(device).float() / 255)
                loss = nn.functional.mse_loss(output, target.to(device).float() / 255)
                self.optimiser.zero_grad()
                loss.backward()
                self.optimiser.step()
        self.network.eval()

    def predict(self, test_input: torch.Tensor) -> torch.Tensor:
        """Denoise images: (N,3,H,W) of values 0 to 255 -> the same shape, type and range."""
        check(test_input, "test_input")
        if test_input.dtype == torch.uint8:
            return denoise(test_input, self.network)
        return denoise(test_input.float() / 255, self.network).mul(255).to(test_input.dtype)


def check_pairs(pairs: Pairs, name: str) -> None:
    """Raise ReportError unless all images of the pairs are uint8 (N,3,H,W) of one shape, with N > 0."""
    for key in ("a", "b", "clean"):
        images = getattr(pairs, key)
        if images is None and key != "a":
            continue
        shape, dtype = tuple(np.shape(images)), getattr(images, "dtype", type(images).__name__)
        if dtype not in (np.uint8, torch.uint8) or len(shape) != 4 or shape[1] != 3 or not shape[0]:
            raise ReportError(f"{name}.{key} is {dtype} {shape}: expected uint8 (N, 3, H, W).")
        if shape != np.shape(pairs.a):
            raise ReportError(f"{name}.a {tuple(pairs.a.shape)} and {name}.{key} {shape} differ in shape.")


def check(images: torch.Tensor, name: str) -> None:
    """Raise ReportError for anything but a tensor (N,3,H,W) of values from 0 to 255."""
    if not isinstance(images, torch.Tensor) or images.ndim != 4 or images.shape[1] != 3 or not images.numel():
        found = tuple(images.shape) if isinstance(images, torch.Tensor) else type(images).__name__
        raise ReportError(f"{name} is {found}: expected a tensor (N, 3, H, W).")
    if images.layout != torch.strided or images.is_complex() or images.dtype == torch.bool:
        raise ReportError(
            f"{name} is a {images.layout} tensor of {images.dtype}: expected dense real numbers."
        )
    low, high = float(images.min()), float(images.max())
    if not (low >= 0 and high <= 255):
        raise ReportError(f"{name} has values from {low:g} to {high:g}: expected 0 to 255.")
    if images.is_floating_point() and 0 < high <= 1:
        raise ReportError(f"{name} has values from {low:g} to {high:g}: expected 0 to 255; multiply by 255.")
