"""The measured speed of training on this machine, for estimates of time only.

Every sweep notes the images per second of each network and precision in the cache; `make plan` reads them.
Where nothing is noted yet, another process trains TNet for some steps.
"""

from __future__ import annotations

import contextlib
import platform
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping

from n2nlib import paths
from n2nlib.device import cores
from n2nlib.environment import processor
from n2nlib.errors import ReportError
from n2nlib.spec import RunSpec

#: Cost of a training image on one CPU core relative to TNet's, measured: for longest-first order and
#: estimates.
COST = {"TNet": 1.0, "SmallNet": 2.3, "BaseNet": 4.3, "UNet": 12.6}
#: Pairs per step where the speed of training is measured.
BATCH = 32
#: Seconds of training from which a rate is worth noting: shorter ones are mostly start-up.
WORTH_NOTING = 5.0


def kind(spec: RunSpec) -> str:
    """Return the name under which a run's rate is kept: network and arithmetic."""
    return f"{spec.network}/{spec.precision}"


def work(spec: RunSpec) -> int:
    """Return the images that a run computes: one epoch where nothing is updated, which the others repeat."""
    return spec.n_train if spec.optimiser == "never-updated" else spec.images


def cost(spec: RunSpec) -> float:
    """Return a run's work in images of TNet."""
    return work(spec) * COST.get(spec.network, 1.0)


def noted(device: str) -> dict[str, float]:
    """Return images/s by kind, as noted on this machine: per process (CPU) or group (GPU)."""
    rates = paths.read_json(_path()).get(_machine(device), {})
    try:
        return {str(k): float(v) for k, v in rates.items() if float(v) > 0}
    except (ValueError, TypeError, AttributeError):
        return {}


def note(device: str, rates: Mapping[str, float]) -> None:
    """Keep the rates of some kinds; a cache that cannot be written loses an estimate only."""
    if rates:
        rates = noted(device) | {k: round(v, 1) for k, v in rates.items()}
        with contextlib.suppress(ReportError):
            paths.write_json(_path(), paths.read_json(_path()) | {_machine(device): rates})


def rate(of: str, rates: Mapping[str, float]) -> float | None:
    """Return images/s of a kind.

    Its own, or another's times their relative cost, preferably in the same arithmetic.
    """
    if of in rates:
        return rates[of]
    network, precision = of.split("/")
    others = sorted(rates, key=lambda k: (k.split("/")[1] != precision, k))
    if not others:
        return None
    return rates[others[0]] * COST.get(others[0].split("/")[0], 1.0) / COST.get(network, 1.0)


def seconds(specs: Iterable[RunSpec], device: str) -> float:
    """Estimate how long runs take on this machine, from rates noted or measured here."""
    specs = list(specs)
    if not specs:
        return 0.0
    rates = noted(device)
    wanted = {kind(s).split("/")[1] for s in specs}
    for precision in sorted(wanted - {k.split("/")[1] for k in rates}):
        rates |= measured(device, precision)
    each = [work(s) / (rate(kind(s), rates) or 1_000.0) for s in specs]
    side = 1 if device == "cuda" else cores()
    return max(sum(each) / side, max(each) if device == "cpu" else 0.0)


def measured(device: str, precision: str) -> dict[str, float]:
    """Time some steps of TNet in another process; note and return the rate."""
    print("measuring how fast this machine trains, some seconds", file=sys.stderr, flush=True)
    try:
        command = [sys.executable, "-m", "n2nlib.runs.speed", device, precision]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=paths.root())
        rates = {f"TNet/{precision}": float(done.stdout.split()[-1])}
    except (OSError, ValueError, IndexError, subprocess.SubprocessError):
        return {}
    note(device, rates)
    return rates


def engine_rate(network: str, precision: str, device: str, replicas: int, steps: int) -> float:
    """Return images/s of the engine on random bytes, over `replicas` runs that train together.

    One step (8 on a GPU) warms up. What the bytes show does not change the time of a step.
    """
    import torch

    from n2nlib.training.engine import settings
    from n2nlib.training.replica import Replica
    from n2nlib.training.steps import CHUNK_STEPS, Stepper

    where, n = torch.device(device), steps * BATCH
    with settings(where):
        pairs, resident = random_pairs(n), {}
        spec = RunSpec("b" * 16, n, 1, network=network, precision=precision)
        group = [Replica(spec.replace(seed=s), pairs, where, resident) for s in range(replicas)]
        stepper = Stepper(group, where)
        stepper.advance(0, 0, min(steps, 8 if device == "cuda" else 1) * BATCH)
        wait_for(where)
        start = time.perf_counter()
        for first in range(0, steps, CHUNK_STEPS):
            stepper.advance(0, first * BATCH, min(first + CHUNK_STEPS, steps) * BATCH)
        wait_for(where)
        return replicas * n / (time.perf_counter() - start)


def random_pairs(n: int):
    """Return n pairs of random bytes, (n,3,32,32) uint8."""
    import numpy as np

    from n2nlib.data import Pairs

    a, b = np.random.default_rng(0).integers(0, 256, (2, n, 3, 32, 32), np.uint8)
    return Pairs("random bytes", a, b, a, np.zeros(n, np.int32))


def wait_for(device) -> None:
    """Wait until a GPU has done what it was given."""
    if device.type == "cuda":
        import torch

        torch.cuda.synchronize()


def _path():
    return paths.cache() / "speed.json"


def _machine(device: str) -> str:
    # A cache may be shared between machines.
    return f"{platform.node()}, {processor()}, {cores()} cores, {device}"


if __name__ == "__main__":
    _device, _precision = sys.argv[1:]
    _runs, _steps = (12, 128) if _device == "cuda" else (1, 24)  # runs together that fill a GPU
    print(engine_rate("TNet", _precision, _device, _runs, _steps))
