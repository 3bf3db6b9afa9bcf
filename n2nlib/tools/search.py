"""`make search`: search a named space for a better small network, on training photographs.

Optuna proposes; each proposal is trained from scratch at a ninth, a third and all of the profile's epochs,
and given up between them when it is behind the median. Networks that are larger than TNet are turned down
untrained. Trials are judged on held-out training photographs; validation images are not used. The table
of trials is in the store and the next call resumes it; at the paper profile: 48 trials of up to 2
million images.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
from functools import cached_property

import numpy as np
import pandas as pd

from n2nlib import paths
from n2nlib.data import Dataset, Pairs, open_dataset
from n2nlib.errors import DatasetError, ReportError, TrainingError
from n2nlib.models import build, count_parameters
from n2nlib.profiles import PROFILES, Profile
from n2nlib.profiles import profile as profile_of
from n2nlib.runs.progress import say
from n2nlib.runs.store import RunStore
from n2nlib.runs.sweep import sweep
from n2nlib.spec import RunSpec
from n2nlib.text import pipe_table

#: Option of SmallNet (and the learning rate) -> the values that are tried; the first trial is SmallNet as
#: it stands.
SPACE = {
    "width": (8, 12, 16, 20, 24),
    "deep": (16, 19, 22, 26, 32),
    "levels": (2, 3, 4),
    "convs": (1, 2),
    "activation": ("leaky", "relu", "silu"),
    "down": ("max", "average", "stride"),
    "up": ("nearest", "bilinear", "transposed"),
    "correction": (True, False),
    "kernel": (0, 3, 5),
    "lr": (5e-4, 1e-3, 2e-3),
}
START = {"width": 16, "deep": 22, "levels": 3, "convs": 2, "activation": "leaky", "down": "max",
         "up": "nearest",
         "correction": True, "kernel": 3, "lr": 5e-4}  # fmt: skip
#: Trials that are proposed together, so that they can train side by side; fixed, or the proposals would
#: depend on the machine.
GENERATION = 4
#: Learning rates of TNet that `rates` compares for each optimiser other than Adam.
RATES = {"sgd": (0.03, 0.1, 0.3, 0.9), "sgd-momentum": (0.01, 0.03, 0.1, 0.3)}
#: Every so many training photographs are held back to judge by.
HELD_BACK = 5


class Split:
    """The training side of a dataset, split again by photograph.

    `train` without every fifth photograph, `val` of those.
    """

    def __init__(self, dataset: Dataset):
        self.dataset = dataset
        self.name = f"{dataset.name}, training photographs split"
        identity = f"{dataset.fingerprint}/search/{HELD_BACK}"
        self.fingerprint = hashlib.sha256(identity.encode()).hexdigest()[:16]

    @cached_property
    def train(self) -> Pairs:
        """Pairs of the photographs that trials train on."""
        return self._part(False)

    @cached_property
    def val(self) -> Pairs:
        """Pairs of the photographs that trials are judged on.

        Raises DatasetError where there are no clean images.
        """
        if self.dataset.train.clean is None:
            raise DatasetError(
                f"{self.dataset.name} has no clean training images to judge by: search on another dataset."
            )
        part = self._part(True)
        return part.subset(min(len(part), self.dataset.recipe["n_val"]))

    def _part(self, held_back: bool) -> Pairs:
        pairs = self.dataset.train
        rows = np.flatnonzero((np.asarray(pairs.photo) % HELD_BACK == HELD_BACK - 1) == held_back)
        if not len(rows):
            raise DatasetError(
                f"{self.dataset.name} has fewer than {HELD_BACK} training photographs: too few to split."
            )
        clean = None if pairs.clean is None else pairs.clean[rows]
        return Pairs(self.name, pairs.a[rows], pairs.b[rows], clean, pairs.photo[rows])

    def __getstate__(self):
        return {k: v for k, v in self.__dict__.items() if k not in ("train", "val")}


def rungs(profile: Profile) -> list[int]:
    """Return the numbers of epochs at which a trial is judged: a ninth, a third and all of the profile's."""
    return sorted({max(1, profile.epochs // 9), max(1, profile.epochs // 3), profile.epochs})


def table_name(dataset: Dataset, profile: Profile) -> str:
    """Return the file of a search's trials in a store: the hash of everything that decides them."""
    identity = json.dumps(
        [dataset.fingerprint, rungs(profile), profile.precision, SPACE, START, GENERATION, HELD_BACK]
    )
    return f"search/{hashlib.sha256(identity.encode()).hexdigest()[:16]}.csv"


def trials(dataset: Dataset, profile: Profile, store: RunStore) -> pd.DataFrame:
    """Return the trials so far: state, parameters, options, lr and `psnr@<epochs>` (dB)."""
    files = store.files(table_name(dataset, profile))
    if not files:
        return pd.DataFrame(columns=["state", "parameters", *SPACE, *(f"psnr@{e}" for e in rungs(profile))])
    return pd.read_csv(files[0])


def best(table: pd.DataFrame, n: int = 10) -> pd.DataFrame:
    """Return the n best finished trials, best first."""
    last = [c for c in table if c.startswith("psnr@")][-1]
    return table[table.state == "complete"].sort_values(last, ascending=False, kind="stable").head(n)


def search(
    dataset: Dataset,
    profile: Profile,
    device: str = "auto",
    store: RunStore | None = None,
    emulate_bf16: bool = False,
) -> pd.DataFrame:
    """Make `profile.trials` trials, less those that are stored, and return them all.

    `emulate_bf16` allows bf16 on a CPU that has no arithmetic for it.
    Raises ReportError where Optuna is not installed or the dataset cannot be split.
    """
    try:
        import optuna
    except ImportError as error:
        raise ReportError("the search needs Optuna: install it with `pip install optuna`.") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    store, split = store or RunStore(), Split(dataset)
    table = trials(dataset, profile, store)
    while (made := (table.state != "too large").sum()) < profile.trials:
        say(f"search: {made} of {profile.trials} trials made; training the next {GENERATION}")
        rows = pd.DataFrame(_generation(table, split, profile, device, store, emulate_bf16))
        table = rows if table.empty else pd.concat([table, rows], ignore_index=True)
        text = table.to_csv(index=False)
        paths.write(store.folder / table_name(dataset, profile), text)
        table = pd.read_csv(io.StringIO(text))  # as the next call would read it
    return table


def _generation(
    table: pd.DataFrame, split: Split, profile: Profile, device: str, store: RunStore, emulate_bf16: bool
) -> list[dict]:
    """Propose, train and judge one generation.

    All that it depends on is the table, so that a resume changes nothing.
    """
    import optuna

    study, space = _study(table, profile)
    if table.empty:
        study.enqueue_trial(START)
    rows, running = [], []
    while len(running) < GENERATION:
        trial = study.ask(space)
        row = {"state": "complete", "parameters": parameters(trial.params), **trial.params}
        rows.append(row)
        if row["parameters"] > count_parameters(build("TNet")):
            row["state"] = "too large"
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            running.append((trial, row))
    for epochs in rungs(profile):
        runs = sweep([_spec(row, epochs, split, profile) for _, row in running], {split.fingerprint: split},
                     device=device, store=store, emulate_bf16=emulate_bf16)  # fmt: skip
        going_on = []
        for run, (trial, row) in zip(runs, running, strict=True):
            row[f"psnr@{epochs}"] = run.metrics["psnr"]
            trial.report(run.metrics["psnr"], epochs)
            if epochs < profile.epochs and trial.should_prune():
                row["state"] = "pruned"
            else:
                going_on.append((trial, row))
        running = going_on
    return rows


def rates(
    dataset: Dataset, profile: Profile, device: str = "auto", store: RunStore | None = None
) -> pd.DataFrame:
    """Return what TNet reaches at each of `RATES`, seed 0, on training photographs that were held back.

    Columns optimiser, lr, psnr in dB; NaN where training diverged. `experiments.SGD_LR` was chosen so.
    """
    store, split = store or RunStore(), Split(dataset)
    specs = [
        profile.spec(split.fingerprint, n_train=len(split.train), optimiser=name, lr=lr)
        for name, values in RATES.items()
        for lr in values
    ]
    try:
        sweep(specs, {split.fingerprint: split}, device=device, store=store)
    except TrainingError:
        if not any(store.has(s) for s in specs):  # not a rate that is too high
            raise
    level = [store.get(s).metrics["psnr"] if store.has(s) else np.nan for s in specs]
    return pd.DataFrame(
        {"optimiser": [s.optimiser for s in specs], "lr": [s.lr for s in specs], "psnr": level}
    )


def _study(table: pd.DataFrame, profile: Profile):
    """Return an Optuna study with the table's trials, seeded by their number, and its space."""
    import optuna

    sampler = optuna.samplers.TPESampler(seed=len(table), multivariate=True, constant_liar=True)
    pruner = optuna.pruners.MedianPruner(n_startup_trials=GENERATION)
    study = optuna.create_study(direction="maximize", sampler=sampler, pruner=pruner)
    space = {name: optuna.distributions.CategoricalDistribution(values) for name, values in SPACE.items()}
    for row in table.to_dict("records"):
        judged = {e: row[f"psnr@{e}"] for e in rungs(profile) if not np.isnan(row.get(f"psnr@{e}", np.nan))}
        complete = row["state"] == "complete"
        study.add_trial(
            optuna.trial.create_trial(
                params={name: row[name] for name in SPACE},
                distributions=space,
                intermediate_values=judged,
                value=judged[profile.epochs] if complete else None,
                state=optuna.trial.TrialState.COMPLETE if complete else optuna.trial.TrialState.PRUNED,
            )
        )
    return study, space


def parameters(choice: dict) -> int:
    """Return the number of parameters of a choice from the space."""
    return count_parameters(build("SmallNet", **{k: v for k, v in choice.items() if k != "lr"}))


def _spec(row: dict, epochs: int, split: Split, profile: Profile) -> RunSpec:
    options = {name: row[name] for name in SPACE if name != "lr"}
    return profile.spec(split.fingerprint, n_train=len(split.train), epochs=epochs, network="SmallNet",
                        options=options,
                        lr=row["lr"])  # fmt: skip


def main(argv: list[str] | None = None) -> int:
    """Search from the command line and print the ten best trials."""
    parser = argparse.ArgumentParser(prog="make search", description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="bundled")
    parser.add_argument("--profile", default="quick", help=", ".join(PROFILES))
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda")
    parser.add_argument(
        "--emulate-bf16", action="store_true", help="train in bf16 even where the CPU emulates it"
    )
    parser.add_argument("--rates", action="store_true", help="compare learning rates of SGD instead")
    options = parser.parse_args(argv)
    profile = profile_of(options.profile)
    dataset = open_dataset(options.dataset, n_train=profile.n_train, n_val=profile.n_val)
    if options.rates:
        print(pipe_table(rates(dataset, profile, options.device).astype(str)))
        return 0
    table = search(dataset, profile, options.device, emulate_bf16=options.emulate_bf16)
    states = ", ".join(f"{n} {state}" for state, n in table.state.value_counts().items())
    print(f"{len(table)} trials ({states}) in {RunStore().files(table_name(dataset, profile))[0]}")
    print(pipe_table(best(table).astype(str)))
    return 0
