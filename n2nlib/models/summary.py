"""The steps of a network, recorded while an image passes through."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import pandas as pd
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from n2nlib.models.layers import Dropout

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_POOLING = {nn.MaxPool2d: "max pooling", nn.AvgPool2d: "average pooling"}
_ACTIVATIONS = (nn.LeakyReLU, nn.ReLU, nn.GELU, nn.SiLU, nn.Sigmoid, nn.Tanh)


@dataclass(frozen=True)
class Step:
    """One use of a layer on one image; `inputs`: steps whose outputs it takes, 0 is the image.

    name: the layer's name in the network; kind: input | convolution | normalisation | pooling | upsampling
    | activation | dropout | concatenation | other; text: the same for readers, as "convolution 3×3, 16 →
    32"; shape: (C,H,W) of the output; parameters: trainable ones, 0 when an earlier step has counted them
    (`again`).
    """

    name: str
    kind: str
    text: str
    inputs: tuple[int, ...]
    shape: tuple[int, ...]
    parameters: int = 0
    multiply_adds: int = 0
    again: bool = False


def trace(network: nn.Module, shape: tuple[int, int, int] = (3, 32, 32)) -> list[Step]:
    """Pass one image of shape (C,H,W) through a network and return every step in order.

    Layers are seen by hooks, functions between them (a concatenation, a sum) by a function mode, and
    connections by the identity of tensors, so that a new network needs no description. Identities leave no
    step. The network is used in eval mode, without gradient, and left in the mode it was in.
    """
    recorder = _Recorder(network)
    was_training = network.training
    network.eval()
    try:
        device = next((p.device for p in network.parameters()), torch.device("cpu"))
        with torch.no_grad(), recorder:
            network(recorder.begin(torch.zeros(1, *shape, device=device)))
    finally:
        recorder.remove()
        network.train(was_training)
    return recorder.steps


def multiply_adds(network: nn.Module, shape: tuple[int, int, int] = (3, 32, 32)) -> int:
    """Return the MACs of one image (C,H,W), a block counted at each of its uses."""
    return sum(step.multiply_adds for step in trace(network, shape))


def summary(network: nn.Module, shape: tuple[int, int, int] = (3, 32, 32)) -> pd.DataFrame:
    """Return a network's layers as a table: layer, operation, output (C×H×W), parameters, MACs per image.

    MACs are multiply-accumulate operations. The last row is the total. A block that is used again has no
    parameters there ("again") and its MACs at each use. An activation stands behind the operation whose
    output it alone takes, in a row of its own otherwise.
    """
    steps = trace(network, shape)
    users = [[j for j, step in enumerate(steps) if i in step.inputs] for i in range(len(steps))]
    row_of, rows = {}, []
    for i, step in enumerate(steps):
        source = step.inputs[0] if step.inputs else None
        if step.kind == "activation" and source in row_of and users[source] == [i]:
            row_of[i] = row_of[source]
            rows[row_of[i]]["operation"] += f", {step.text}"
            continue
        row_of[i] = len(rows)
        rows.append(
            {
                "layer": f"{step.name} (again)" if step.again else step.name,
                "operation": step.text,
                "output": "×".join(map(str, step.shape)),
                "parameters": step.parameters,
                "MACs": step.multiply_adds,
            }
        )
    total = {key: sum(row[key] for row in rows) for key in ("parameters", "MACs")}
    return pd.DataFrame([*rows, {"layer": "total", "operation": "", "output": "", **total}])


class _Recorder(TorchFunctionMode):
    """Numbers every tensor of a forward pass by the step that made it."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.steps: list[Step] = []
        self._number: dict[int, int] = {}
        self._alive: list[torch.Tensor] = []  # an id is only good for as long as its tensor lives
        self._counted: set[nn.Parameter] = set()
        self._inside = 0
        self._handles = []
        for name, module in network.named_modules():
            if next(module.children(), None) is None:
                self._handles.append(module.register_forward_pre_hook(self._enter))
                self._handles.append(module.register_forward_hook(functools.partial(self._leave, name)))

    def begin(self, image: torch.Tensor) -> torch.Tensor:
        self._add(Step("input", "input", "image", (), tuple(image.shape[1:])), image)
        return image

    def remove(self) -> None:
        for handle in self._handles:
            handle.remove()

    def __torch_function__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if not self._inside and isinstance(result, torch.Tensor) and id(result) not in self._number:
            inputs = self._numbers([*args, *(kwargs or {}).values()])
            if inputs:
                name = getattr(function, "__name__", str(function)).strip("_")
                kind = "concatenation" if name in ("cat", "concat", "concatenate") else "other"
                text = name if kind == "other" else kind
                self._add(Step(name, kind, text, inputs, tuple(result.shape[1:])), result)
        return result

    def _enter(self, module, args) -> None:
        self._inside += 1

    def _leave(self, name, module, args, output):
        self._inside -= 1
        kind, text = _describe(module)
        if kind == "identity":
            return None
        if id(output) in self._number:
            # In eval mode dropout hands its input on: here it gets a number of its own.
            self._inside += 1
            output = output.view_as(output)
            self._inside -= 1
        new = [p for p in module.parameters() if p.requires_grad and p not in self._counted]
        self._counted.update(new)
        step = Step(
            name, kind, text, self._numbers(args), tuple(output.shape[1:]),
            parameters=sum(p.numel() for p in new),
            multiply_adds=_multiply_adds(module, args[0], output),
            again=not new and any(True for _ in module.parameters()),
        )  # fmt: skip
        self._add(step, output)
        return output

    def _numbers(self, values) -> tuple[int, ...]:
        """Return the step numbers of the tensors among some arguments, lists of tensors included."""
        out = []
        for value in values:
            for item in value if isinstance(value, (list, tuple)) else [value]:
                if isinstance(item, torch.Tensor) and id(item) in self._number:
                    out.append(self._number[id(item)])
        return tuple(out)

    def _add(self, step: Step, output: torch.Tensor) -> None:
        self._number[id(output)] = len(self.steps)
        self._alive.append(output)
        self.steps.append(step)


def _describe(module: nn.Module) -> tuple[str, str]:
    """Return the kind of a layer and a text for readers."""
    if isinstance(module, nn.Identity) or isinstance(module, Dropout | nn.Dropout) and module.p == 0:
        return "identity", ""
    if isinstance(module, _CONVOLUTIONS + _TRANSPOSED):
        what = "transposed convolution" if isinstance(module, _TRANSPOSED) else "convolution"
        what = f"depthwise {what}" if module.groups == module.in_channels > 1 else what
        stride = f", stride {module.stride[0]}" if module.stride[0] > 1 else ""
        channels = f"{module.in_channels} → {module.out_channels}"
        return "convolution", f"{what} {_size(module.kernel_size)}{stride}, {channels}"
    if type(module) in _POOLING:
        return "pooling", f"{_POOLING[type(module)]} {_size(module.kernel_size)}"
    if isinstance(module, nn.Upsample):
        mode = "nearest-neighbour" if module.mode == "nearest" else module.mode
        return "upsampling", f"{mode} upsampling ×{module.scale_factor:g}"
    if isinstance(module, nn.modules.batchnorm._BatchNorm):
        return "normalisation", "batch normalisation"
    if isinstance(module, nn.LeakyReLU):
        return "activation", f"LeakyReLU({module.negative_slope:g})"
    if isinstance(module, _ACTIVATIONS):
        return "activation", type(module).__name__
    if isinstance(module, Dropout | nn.Dropout):
        return "dropout", f"dropout {module.p:g}"
    return "other", type(module).__name__


def _size(kernel) -> str:
    return "×".join(map(str, kernel if isinstance(kernel, tuple) else (kernel, kernel)))


def _multiply_adds(module: nn.Module, x: torch.Tensor, y: torch.Tensor) -> int:
    """Return the multiply-adds of one image (batch 1), without biases and activations."""
    if isinstance(module, _CONVOLUTIONS):  # each output value sees (C_in/groups, k, k) weights
        return y.numel() * module.weight[0].numel()
    if isinstance(module, _TRANSPOSED):  # each input value spreads over (C_out/groups, k, k)
        return x.numel() * module.weight[0].numel()
    if isinstance(module, nn.Linear):
        return y.numel() * module.in_features
    if isinstance(module, nn.modules.batchnorm._BatchNorm):
        return y.numel()
    return 0
