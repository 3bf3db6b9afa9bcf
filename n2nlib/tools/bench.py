"""`make bench`: speed of the engine as a ratio to the textbook loop in the same process.

Plain loop and engine alternate, five times, so that a busy machine slows both; what is reported is
the median ratio with its range: to the plain loop as PyTorch starts it, with one thread per core, and core
for core (a run of the engine keeps to one thread) to the plain loop on one thread. How busy: operations/s (6
per multiply-add: forward, and twice as much backward) over those of one large convolution in the same
arithmetic on all cores.

All of it ends within about four minutes on two slow cores: a first step of each row decides how many are
timed at once. bf16 is left out on a CPU that only emulates it.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import platform
import resource
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
import pandas as pd
import torch

from n2nlib import paths
from n2nlib.analysis.precision import precision_effects
from n2nlib.data.bench import bench_pairs, bench_plain
from n2nlib.device import cores, emulates_bf16, resolve
from n2nlib.display.tables import equivalences
from n2nlib.environment import commit, processor
from n2nlib.evaluation.metrics import denoise
from n2nlib.models import build
from n2nlib.models.summary import multiply_adds
from n2nlib.runs.progress import say
from n2nlib.runs.speed import BATCH, engine_rate, random_pairs, wait_for
from n2nlib.runs.store import RunStore, json_text
from n2nlib.runs.sweep import GROUP
from n2nlib.spec import RunSpec
from n2nlib.text import cell, pipe_table
from n2nlib.training.engine import settings
from n2nlib.training.plain import train_plain
from n2nlib.training.steps import CHUNK_STEPS

#: How often each row is timed.
REPETITIONS = 5
#: Steps that are timed at once, at most: about two seconds of the plain loop on two fast cores.
STEPS = {"TNet": 64, "BaseNet": 24, "UNet": 8}
#: Seconds in which one network's rows are to be timed on a CPU.
BUDGET = 60.0
NO_BF16 = "bf16 was left out: this processor only emulates it, several times slower than fp32."


def plain_rate(network: str, device: str, steps: int) -> float:
    """Return images/s of the textbook loop, with the number of threads that PyTorch has."""
    spec = RunSpec("b" * 16, steps * BATCH, 2, network=network)
    data = random_pairs(spec.n_train)
    train_plain(spec, data, device, steps=4 if device == "cuda" else 1)
    wait_for(torch.device(device))
    start = time.perf_counter()
    train_plain(spec, data, device, steps=steps)
    wait_for(torch.device(device))
    return spec.n_train / (time.perf_counter() - start)


def peak_rate(device: str, precision: str) -> float:
    """Return the operations/s of a large 3x3 convolution of 128 channels, the yardstick.

    Not of a matrix product: on some processors PyTorch's is slower than its convolutions.
    """
    batch, channels, side = (64, 256, 64) if device == "cuda" else (8, 128, 64)
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    x = torch.rand(batch, channels, side, side, device=device, dtype=dtype).contiguous(
        memory_format=torch.channels_last
    )
    weight = torch.rand(channels, channels, 3, 3, device=device, dtype=dtype).contiguous(
        memory_format=torch.channels_last
    )
    where, best = torch.device(device), float("inf")
    with torch.no_grad(), torch.backends.cudnn.flags(enabled=True, benchmark=True, allow_tf32=False):
        for _ in range(4):
            start = time.perf_counter()
            torch.nn.functional.conv2d(x, weight, padding=1)
            wait_for(where)
            best = min(best, time.perf_counter() - start)
    return 2 * 9 * channels**2 * side**2 * batch / best


def training_rows(network: str, device: str, pool: ProcessPoolExecutor | None) -> list[dict]:
    """Time plain loop and engine in turn: one run and several side by side, per precision."""
    precisions = ("fp32",) if device == "cpu" and emulates_bf16() else ("fp32", "bf16")
    timings = _timings(network, device, precisions, pool)
    if device == "cuda":
        steps = dict.fromkeys(timings, 4 * CHUNK_STEPS)  # long enough that set-up does not count
    else:
        first = {row: time_row(1) for row, time_row in timings.items()}
        steps = {row: affordable(rate, row[2], len(first), STEPS[network]) for row, rate in first.items()}
    rates: dict[tuple, list[float]] = {row: [] for row in timings}
    peak = dict.fromkeys(precisions, 0.0)
    for done in range(1, REPETITIONS + 1):
        for precision in precisions:
            peak[precision] = max(peak[precision], peak_rate(device, precision))
        for row, time_row in timings.items():
            rates[row].append(time_row(steps[row]))
        say(f"{network}: repetition {done} of {REPETITIONS} done")
    plain, one_core = rates[("plain", "fp32", 1)], rates.get(("plain, 1 thread", "fp32", 1))
    operations = 6 * multiply_adds(build(network, seed=0))
    rows = []
    for (loop, precision, n), values in rates.items():
        ratios = [v / p for v, p in zip(values, plain, strict=True)]
        rows.append(
            {
                "network": network,
                "loop": loop,
                "precision": precision if loop == "engine" else "as PyTorch",
                "runs": n,
                "images/s": statistics.median(values),
                "ratio": statistics.median(ratios),
                "ratio low": min(ratios),
                "ratio high": max(ratios),
                "core for core": None
                if one_core is None or loop == "plain"
                else statistics.median(v / n / p for v, p in zip(values, one_core, strict=True)),
                "of a large convolution": statistics.median(values) * operations / peak[precision],
                "repetitions": len(values),
            }
        )
        say(_line(rows[-1]))
    return rows


def _timings(
    network: str, device: str, precisions, pool: ProcessPoolExecutor | None
) -> dict[tuple, Callable[[int], float]]:
    """Return (loop, precision, runs) -> what times that row over some steps and returns its images/s."""
    side = GROUP[network] if device == "cuda" else cores()

    def one_thread(steps: int) -> float:
        with settings(torch.device(device)):  # one thread, as a run of the engine has
            return plain_rate(network, device, steps)

    def engine(precision: str, n: int, steps: int) -> float:
        if pool is None:
            return engine_rate(network, precision, device, n, steps)
        jobs = [pool.submit(engine_rate, network, precision, device, 1, steps) for _ in range(n)]
        return sum(job.result() for job in jobs)

    rows: dict[tuple, Callable[[int], float]] = {("plain", "fp32", 1): partial(plain_rate, network, device)}
    if pool is not None:
        rows["plain, 1 thread", "fp32", 1] = one_thread
    rows |= {("engine", p, n): partial(engine, p, n) for p in precisions for n in sorted({1, side})}
    return rows


def affordable(rate: float, runs: int, rows: int, most: int) -> int:
    """Return over how many steps a row is timed, so that all repetitions of all rows fit the budget.

    rate: images/s of its first step, over `runs` runs. Each repetition begins with a step that is not timed.
    """
    seconds = BUDGET / REPETITIONS / rows
    return max(1, min(most, int(seconds * rate / (runs * BATCH)) - 1))


def _loop(row: dict) -> str:
    return f"engine, {row['runs']} run{'s' * (row['runs'] > 1)}" if row["loop"] == "engine" else row["loop"]


def _line(row: dict) -> str:
    arithmetic = f", {row['precision']}" if row["loop"] == "engine" else ""
    return (
        f"{row['network']}, {_loop(row)}{arithmetic}: {row['images/s']:,.0f} images/s, "
        f"{row['ratio']:.2f} times the plain loop ({row['repetitions']} repetitions)"
    )


def inference_seconds(device: str, images: int = 1000) -> float:
    """Return the seconds in which TNet denoises so many images, uint8 in and out: the best of three."""
    network = build("TNet", seed=0).to(device, memory_format=torch.channels_last).eval()
    noisy, best = random_pairs(images).a, float("inf")
    for _ in range(3):
        start = time.perf_counter()
        denoise(network, noisy)
        best = min(best, time.perf_counter() - start)
    return best


def measure(device: str) -> dict:
    """Return the whole record of this machine."""
    pool, skipped = None, []
    say(
        f"timing {', '.join(STEPS)} on {'the GPU' if device == 'cuda' else f'{cores()} cores'}: a few minutes"
    )
    if device == "cpu":
        if emulates_bf16():
            skipped.append(NO_BF16)
            say(NO_BF16)
        pool = ProcessPoolExecutor(cores(), multiprocessing.get_context("spawn"), torch.set_num_threads, (1,))
    try:
        rows = [row for network in STEPS for row in training_rows(network, device, pool)]
    finally:
        if pool is not None:
            pool.shutdown()
    say("timing pairs and inference")
    ours, plain = zip(*((bench_pairs(), bench_plain()) for _ in range(3)), strict=True)
    own, children = (
        resource.getrusage(who).ru_maxrss / 2**20 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    gpu = torch.cuda.max_memory_allocated() / 2**30 if device == "cuda" else None
    return {
        "machine": torch.cuda.get_device_name() if device == "cuda" else f"{processor()}, {cores()} cores",
        "versions": {"python": platform.python_version(), "torch": torch.__version__,
                     "numpy": np.__version__},
        "commit": commit(),
        "repetitions": min(row["repetitions"] for row in rows),
        "skipped": skipped,
        "training": rows,
        "dataset": {"pairs/s": statistics.median(ours), "plain pairs/s": statistics.median(plain),
                   "ratio": statistics.median(o / p for o, p in zip(ours, plain, strict=True))},
        "inference": {"images": 1000, "seconds": inference_seconds(device)},
        "peak memory (GiB)": {"process": own, "largest worker": children, "device": gpu},
    }  # fmt: skip


def table(record: dict | None, device: str) -> pd.DataFrame:
    """Return a record as a table; without a record, one row that says so."""
    if record is None:
        return pd.DataFrame([{"network": "all", "loop": device, "images/s": "not measured"}])
    rows = [
        {
            "network": r["network"],
            "loop": _loop(r),
            "precision": r["precision"],
            "images/s": f"{r['images/s']:,.0f}",
            "ratio to plain": f"{r['ratio']:.2f} ({r['ratio low']:.2f} to {r['ratio high']:.2f})",
            "core for core": f"{r['core for core']:.2f}" if r.get("core for core") else "–",
            "of a large convolution": f"{100 * r['of a large convolution']:.0f} %",
        }
        for r in record["training"]
    ]
    return pd.DataFrame(rows)


def records() -> dict[str, dict | None]:
    """Return the stored record of each kind of device, None where none was made."""
    files = {device: paths.result(f"bench/{device}.json") for device in ("cpu", "cuda")}
    return {k: json.loads(file.read_text()) if file.exists() else None for k, file in files.items()}


def write_table() -> str:
    """Write `results/bench/README.md` from the records of all devices and return its text."""
    lines = []
    for kind, found in records().items():
        lines += [
            f"## {'CPU' if kind == 'cpu' else 'GPU'}: {found['machine'] if found else 'not measured'}",
            "",
        ]
        lines += [pipe_table(table(found, kind).fillna("").astype(str)), ""]
        if found:
            dataset, inference = found["dataset"], found["inference"]
            memory = ", ".join(f"{k} {v:.2f}" for k, v in found["peak memory (GiB)"].items() if v is not None)
            lines += [
                *found.get("skipped", []),
                f"Medians of {found['repetitions']} repetitions or more. Making pairs: "
                f"{dataset['pairs/s']:,.0f} per second, {dataset['ratio']:.1f} times the plain loop. TNet "
                f"denoises {inference['images']:,} images in {inference['seconds']:.2f} s. Peak memory in "
                f"GiB: {memory}. Commit {found['commit']}, PyTorch {found['versions']['torch']}.",
                "",
            ]
    same = equivalences(precision_effects(RunStore()))
    lines += ["## Lower precision", ""]
    none = "No run is stored in two precisions: equivalence was not measured."
    lines += [pipe_table(same.map(lambda value: cell(value, 2))) if len(same) else none, ""]
    text = "\n".join(lines)
    paths.write(paths.results() / "bench" / "README.md", f"# Speed, measured by `make bench`\n\n{text}")
    return text


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="make bench", description="Time the training engine beside a plain textbook loop."
    )
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    device = resolve(parser.parse_args(arguments).device)
    record = measure(device)
    paths.write(paths.results() / "bench" / f"{device}.json", json_text(record))
    print(write_table())
    return 0
