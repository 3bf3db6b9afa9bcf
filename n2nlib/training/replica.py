"""One run in the making: its network, optimiser, place in the data, and history."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch

from n2nlib import paper
from n2nlib.errors import TrainingError
from n2nlib.evaluation.metrics import MSE_FLOOR, denoise, global_psnr, judging, psnr
from n2nlib.models import build, count_parameters
from n2nlib.models.layers import Dropout
from n2nlib.spec import RunSpec
from n2nlib.training.schemes import Samples, objective

#: Points of a learning curve, at most.
CURVE_POINTS = 25
#: An image has squared error 1 at the very worst; a mean beyond this has left every sane range.
DIVERGED = 10.0
#: Schemes that take the same images in every epoch.
FIXED_SCHEMES = ("noise2noise", "noise2clean")
MOMENTUM = {"sgd": 0.0, "sgd-momentum": 0.9}


@dataclass
class Trained:
    """A finished run on its way to the store."""

    spec: RunSpec
    weights: dict[str, torch.Tensor]
    history: list[dict]
    metrics: dict
    psnr: np.ndarray
    device: str = "cpu"
    notes: dict = field(default_factory=dict)  # for env.json, beside what `runs.environment` finds


class Replica:
    """One RunSpec in the making: network, optimiser, place in the data, and how it has done so far."""

    def __init__(self, spec: RunSpec, pairs, device: torch.device, resident: dict):
        self.spec, self.device = spec, device
        self.samples = Samples(spec, pairs, device, resident)
        self.network = build(spec.network, seed=spec.seed, **spec.options)
        self.network.to(device, memory_format=torch.channels_last).train()
        self.objective = objective(spec)
        # A CUDA graph replays addresses: the rate must be a tensor, the step count too.
        graphed = device.type == "cuda"
        rate = torch.tensor(spec.lr, device=device) if graphed else spec.lr
        self.optimiser = optimiser(spec.optimiser, self.network.parameters(), rate, graphed)
        self.average = copy.deepcopy(self.network).requires_grad_(False) if spec.averaging else None
        self.generator = torch.Generator(device).manual_seed(spec.seed)
        for module in self.network.modules():
            if isinstance(module, Dropout):
                module.generator = self.generator
        self.loss_sum = torch.zeros((), dtype=torch.float64, device=device)
        self.clock = torch.zeros((), dtype=torch.float64, device=device)
        self.steps_an_epoch = math.ceil(spec.n_train / spec.batch)
        self.steps = self.steps_an_epoch * spec.epochs
        self.step = 0
        self.history: list[dict] = []
        self.seconds = 0.0
        self.start = [t.clone() for t in self._state()] if spec.optimiser == "never-updated" else []

    @property
    def images_done(self) -> int:
        epoch, step = divmod(self.step, self.steps_an_epoch)
        return epoch * self.spec.n_train + min(step * self.spec.batch, self.spec.n_train)

    def update(self, *batch: torch.Tensor) -> None:
        """Take one optimiser step on a batch of uint8 tensors (B,H,W,C).

        The same inside and outside a CUDA graph.
        """
        with torch.autocast(
            self.device.type, torch.bfloat16, enabled=self.spec.precision == "bf16", cache_enabled=False
        ):
            loss = self.objective(self.network, *batch)
        if self.optimiser is not None:  # gradients that no optimiser uses need not be computed
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()
            if self.spec.schedule == "cosine":
                self._set_rate()
            self.optimiser.step()
        if self.average is not None:
            with torch.no_grad():
                torch._foreach_lerp_(
                    list(self.average.parameters()), list(self.network.parameters()), 1 - self.spec.averaging
                )
        self.loss_sum += loss.detach()
        self.clock += 1

    def _set_rate(self) -> None:
        """Half a cosine from lr down to 0 over the whole run, read from the device's own clock."""
        rate = self.spec.lr / 2 * (1 + torch.cos(self.clock * (math.pi / self.steps)))
        for group in self.optimiser.param_groups:
            if isinstance(group["lr"], torch.Tensor):
                group["lr"].copy_(rate)
            else:
                group["lr"] = rate.item()

    def judged(self) -> torch.nn.Module:
        """Return the network that counts: the last weights, or their moving average with the last
        statistics.
        """
        if self.average is None:
            return self.network
        for mean, last in zip(self.average.buffers(), self.network.buffers(), strict=True):
            mean.copy_(last)
        return self.average

    def end_epoch(self, validation) -> None:
        """Close an epoch: its mean loss, and the validation PSNR at up to 25 points of the run."""
        loss = self.loss_sum.item() / self.steps_an_epoch
        self.check(loss, self.step // self.steps_an_epoch)
        self.loss_sum.zero_()
        self._record(loss, lambda: validation_psnr(self.judged(), *validation))

    def _record(self, loss: float, level: Callable[[], float]) -> None:
        """Add an epoch to the history; `level` gives its validation PSNR where the curve has a point."""
        epoch = self.step // self.steps_an_epoch
        every = math.ceil(self.spec.epochs / CURVE_POINTS)
        shown = epoch % every == 0 or epoch in (1, self.spec.epochs)
        self.history.append(
            {
                "epoch": epoch,
                "images": self.images_done,
                "loss": loss,
                "published_loss": loss * paper.loss_factor(),
                "psnr": level() if shown else math.nan,
                "seconds": self.seconds,  # set again by who keeps the time, validation included
            }
        )

    def repeats(self) -> bool:
        """Say whether every epoch to come equals the first to the bit: nothing moved, and nothing was
        drawn.
        """
        if self.optimiser is not None or self.spec.augment or self.spec.scheme not in FIXED_SCHEMES:
            return False
        return all(torch.equal(a, b) for a, b in zip(self.start, self._state(), strict=True))

    def repeat(self) -> None:
        """Take over the first epoch's numbers for all epochs to come, which cost no time."""
        first = self.history[0]
        while self.step < self.steps:
            self.step += self.steps_an_epoch
            self._record(first["loss"], lambda: first["psnr"])

    def _state(self) -> list[torch.Tensor]:
        """Return what an epoch without an optimiser can change: weights, statistics, and random states."""
        random = [self.generator.get_state(), torch.get_rng_state()]
        if self.device.type == "cuda":
            random.append(torch.cuda.get_rng_state(self.device))
        return [*self.network.state_dict().values(), *random]

    def check(self, loss: float, epoch: int) -> None:
        """Raise TrainingError once the mean loss is not a number or out of every sane range."""
        if not math.isfinite(loss) or loss > DIVERGED and self.spec.loss != "L_HDR":
            raise TrainingError(
                f"run {self.spec.id} ({self.spec.network}, lr {self.spec.lr:g}, seed {self.spec.seed}) "
                f"diverged in epoch {epoch}: its mean loss is {loss:.3g}. Lower lr, or train in fp32.",
                run=self.spec.id,
            )

    def state(self) -> dict:
        """Return all that a run needs to resume to the same bits."""
        return {
            "spec": self.spec.to_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "history": self.history,
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict() if self.optimiser is not None else None,
            "average": self.average.state_dict() if self.average is not None else None,
            "generator": self.generator.get_state(),
            "loss_sum": self.loss_sum.cpu(),
            "clock": self.clock.cpu(),
        }

    def load(self, state: dict) -> None:
        """Take over a checkpoint's state."""
        self.step, self.seconds, self.history = state["step"], state["seconds"], state["history"]
        self.network.load_state_dict(state["network"])
        if self.optimiser is not None:
            rates = [group["lr"] for group in self.optimiser.param_groups]
            self.optimiser.load_state_dict(state["optimiser"])
            for group, rate in zip(self.optimiser.param_groups, rates, strict=True):
                group["lr"] = rate  # this run's own tensor or number; a schedule sets it again at each step
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.generator.set_state(state["generator"].cpu())
        self.loss_sum.copy_(state["loss_sum"])
        self.clock.copy_(state["clock"])

    def tensors(self) -> list[torch.Tensor]:
        """Return every tensor that a step changes."""
        out = [*self.network.state_dict().values(), self.loss_sum, self.clock]
        if self.optimiser is not None:
            out += [t for state in self.optimiser.state.values() for t in state.values()]
        if self.average is not None:
            out += self.average.state_dict().values()
        return out

    def finish(self, validation) -> Trained:
        """Judge the last weights on the validation pairs, in fp32."""
        network = self.judged().eval()
        noisy, clean = validation.a, validation.clean
        image = denoise(network, noisy)
        per_image = psnr(clean, image, data_range=255)
        last = self.history[-1]
        metrics = {
            "psnr": float(per_image.mean()),
            "psnr_global": global_psnr(clean, image, data_range=255),
            "loss": last["loss"],
            "published_loss": last["published_loss"] if self.spec.loss == "L2" else None,
            "images": self.images_done,
            "parameters": count_parameters(self.network),
            "seconds": self.seconds,
        }
        weights = {
            k: v.detach().float().cpu().contiguous() if v.is_floating_point() else v.cpu()
            for k, v in network.state_dict().items()
        }
        name = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "cpu"
        return Trained(self.spec, weights, self.history, metrics, per_image, name)


def optimiser(
    name: str, parameters, rate: float | torch.Tensor, graphed: bool
) -> torch.optim.Optimizer | None:
    """Return a run's optimiser by its name in `RunSpec`; None for one that never updates anything.

    `graphed`: the steps are to be captured as a CUDA graph.
    """
    if name == "never-updated":
        return None
    if name == "adam":
        return torch.optim.Adam(parameters, lr=rate, fused=True, capturable=graphed)
    return torch.optim.SGD(parameters, lr=rate, momentum=MOMENTUM[name], fused=True)


def validation_psnr(network: torch.nn.Module, noisy: torch.Tensor, clean: torch.Tensor) -> float:
    """Mean PSNR in dB on the device, quantised to 8 bits as in `metrics`: uint8 (N,3,H,W) twice ->
    float.
    """
    total = 0.0
    with judging(network):
        for x, c in zip(noisy.split(250), clean.split(250), strict=True):
            y = network(x.float().div(255).contiguous(memory_format=torch.channels_last))
            error = ((y * 255).clamp(0, 255).to(torch.uint8).double() - c.double()) / 255
            total += (-10 * (error**2).mean(dim=(1, 2, 3)).clamp(min=MSE_FLOOR).log10()).sum().item()
    return total / len(noisy)
