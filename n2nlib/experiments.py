"""Which runs each table and question needs: (profile, dataset fingerprint) -> {row: [RunSpec]}.

Row names are those of the tables. A run that several tables need is one run: the store finds it by its
identity.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from n2nlib.profiles import PROFILES, Profile
from n2nlib.spec import RunSpec

Rows = dict[str, list[RunSpec]]

#: Table 1, in the paper's order.
LEARNING_RATES = (1e-4, 5e-4, 9e-4)
#: Seeds from which on a row has an interval.
FEWEST = 3
#: Lehtinen et al. (2018) and Table 2 train UNet at this learning rate.
UNET_LR = 1e-3
#: Learning rates for TNet without Adam: the best of `tools.search.RATES` on training photographs that were
#: held back (imagenet-sample, profile overnight; `python -m n2nlib search --rates` repeats the comparison).
SGD_LR = {"sgd": 0.3, "sgd-momentum": 0.1}
#: The augmentations that keep a pair a valid Noise2Noise pair.
PAIR_AUGMENT = ("flip", "mix", "rotate")
#: What peers and we add to the paper's training: the rows "augmented + cosine" of chapters 04 and 06.
AUGMENTED = {"lr": UNET_LR, "schedule": "cosine", "augment": PAIR_AUGMENT}


def with_seeds(
    profile: Profile, fingerprint: str, n: int | None = None, first: int = 0, **changes
) -> list[RunSpec]:
    """Return the same run with `n` seeds (the profile's `seeds` unless given), numbered from
    `first`.
    """
    n = profile.seeds if n is None else n
    return [profile.spec(fingerprint, seed=seed, **changes) for seed in range(first, first + n)]


def learning_rates(profile: Profile, fingerprint: str) -> Rows:
    """Table 1: TNet at three learning rates."""
    return {
        f"{lr:.0e}".replace("e-0", "e-"): with_seeds(profile, fingerprint, lr=lr) for lr in LEARNING_RATES
    }


def one_rate_three_times(profile: Profile, fingerprint: str) -> Rows:
    """TNet at 5e-4 with three sets of seeds: Table 1, had Adam never seen the rates.

    No rows where the profile has too few seeds for an interval.
    """
    if profile.seeds < FEWEST:
        return {}
    names = ("first set", "second set", "third set")
    return {name: with_seeds(profile, fingerprint, first=i * profile.seeds) for i, name in enumerate(names)}


def table2(profile: Profile, fingerprint: str) -> Rows:
    """Table 2, with both readings of its UNet row."""

    row = partial(with_seeds, profile, fingerprint)
    n = profile.unet_seeds
    second = n if n >= FEWEST else profile.extra_seeds  # half of a laptop's time, otherwise
    return {
        "BaseNet": row(network="BaseNet"),
        "UNet": row(n, network="UNet", lr=UNET_LR),
        "UNet (shared decoder)": row(second, network="UNet", options={"shared_decoder": True}, lr=UNET_LR),
        "TNet": row(),
        "TNet+L1": row(loss="L1"),
        "TNet+BN": row(options={"batch_norm": True}),
    }


def baselines(profile: Profile, fingerprint: str) -> Rows:
    """The rows of Table 2 that chapter 02 sets beside classical filters."""
    rows = table2(profile, fingerprint)
    return {label: rows[label] for label in ("BaseNet", "UNet", "UNet (shared decoder)", "TNet")}


def networks() -> dict[str, tuple[str, Mapping]]:
    """Table 2's rows as networks: (name, options) by row, the same at every size."""
    rows = table2(PROFILES["smoke"], "")
    return {label: (first.network, first.options) for label, (first, *_) in rows.items()}


def extras(profile: Profile, fingerprint: str) -> Rows:
    """Section 2.3.2's trials without numbers: dropout, L_HDR, a wider embedding."""
    row = partial(with_seeds, profile, fingerprint, profile.extra_seeds)
    return {
        "TNet+dropout 0.1": row(options={"dropout": 0.1}),
        "TNet+L_HDR": row(loss="L_HDR"),
        "TNet, embedding 64": row(options={"embedding": 64}),
    }


def architecture(profile: Profile, fingerprint: str) -> Rows:
    """Ablations of section 2.2: TNet without one of the parts that it argues for."""
    row = partial(with_seeds, profile, fingerprint, profile.extra_seeds)
    return {
        "TNet without skip connections": row(options={"skips": False}),
        "TNet, strided convolution": row(options={"pool": "stride"}),
        "TNet, average pooling": row(options={"pool": "average"}),
        "TNet, ReLU": row(options={"activation": "relu"}),
    }


def optimisers(profile: Profile, fingerprint: str) -> Rows:
    """Section 2.2.3: TNet trained without Adam, at learning rates from training photographs."""
    names = {"TNet, SGD": "sgd", "TNet, SGD with momentum": "sgd-momentum"}
    row = partial(with_seeds, profile, fingerprint, profile.extra_seeds)
    return {label: row(optimiser=name, lr=SGD_LR[name]) for label, name in names.items()}


def suspects(profile: Profile, fingerprint: str) -> Rows:
    """The runs that the six open questions ask for beyond the tables; expensive ones from three seeds on.

    One learning rate three times: two more sets of seeds at 5e-4 are what Table 1 would hold if
    Adam had never seen the learning rate that was set.
    """
    row = partial(with_seeds, profile, fingerprint)
    rows = {"BaseNet, never updated": row(network="BaseNet", optimiser="never-updated")}
    if profile.seeds >= FEWEST:
        rows["TNet, second set"] = row(first=profile.seeds)
        rows["TNet, third set"] = row(first=2 * profile.seeds)
    return rows | equal_training(profile, fingerprint)


def equal_training(profile: Profile, fingerprint: str) -> Rows:
    """TNet and UNet each at the other's learning rate, and both augmented; no rows below three seeds."""
    if profile.seeds < FEWEST:
        return {}
    row = partial(with_seeds, profile, fingerprint, profile.extra_seeds)
    return {
        "TNet at 1e-3": row(lr=UNET_LR),
        "UNet at 5e-4": row(network="UNet"),
        "TNet, augmented + cosine": row(**AUGMENTED),
        "UNet, augmented + cosine": row(network="UNet", **AUGMENTED),
    }


def ablations(profile: Profile, fingerprint: str) -> Rows:
    """Chapter 04: all rows that it compares, so that one sweep trains them."""
    return _joined((table2, extras, architecture, optimisers, equal_training), profile, fingerprint)


def schemes(profile: Profile, fingerprint: str) -> Rows:
    """Chapter 06: the same network learning from clean targets, from two noisy images, or from one."""
    row = partial(with_seeds, profile, fingerprint, profile.extra_seeds)
    return {
        "Noise2Clean": row(scheme="noise2clean"),
        "Noise2Noise": with_seeds(profile, fingerprint),
        "Neighbor2Neighbor": row(scheme="neighbor2neighbor"),
        "Noise2Void": row(scheme="noise2void"),
    }


def training_tricks(profile: Profile, fingerprint: str) -> Rows:
    """Chapter 06: TNet as the paper trains it, and ways to train it better, each alone and together.

    The average of the weights looks back over a fiftieth of the run (an epoch at the paper's size): one
    that looked back further would still hold the first, random weights at the end of a short run.
    """
    batch = profile.spec(fingerprint).batch
    averaging = round(max(1 - 50 / (math.ceil(profile.n_train / batch) * profile.epochs), 0.5), 6)
    row = partial(with_seeds, profile, fingerprint, profile.extra_seeds)
    rows = {
        "TNet": with_seeds(profile, fingerprint),
        "pixel mixing": row(augment=("mix",)),
        "input/target swap": row(augment=("swap",)),
        "flips and quarter turns": row(augment=("flip", "rotate")),
        "shuffled order": row(augment=("shuffle",)),
        "cosine schedule": row(schedule="cosine"),
        "weight averaging": row(averaging=averaging),
        "all together": row(
            augment=("flip", "mix", "rotate", "shuffle"), schedule="cosine", averaging=averaging
        ),
    }
    if profile.seeds >= FEWEST:
        return rows
    # Fewer rows where no interval can be given anyway.
    few = ("TNet", "pixel mixing", "flips and quarter turns", "all together")
    return {label: rows[label] for label in few}


def small_network(profile: Profile, fingerprint: str) -> Rows:
    """Chapter 06: the way from TNet to SmallNet, a change at a time, and both with more in their training."""
    row = partial(with_seeds, profile, fingerprint)
    small = partial(row, network="SmallNet")
    few = profile.extra_seeds
    final = profile.seeds if profile.seeds >= FEWEST else few  # half of a laptop's time, otherwise
    return {
        "TNet": row(),
        "three-level U-Net": small(few, options={"correction": False, "kernel": 0}),
        "three-level U-Net, correction": small(few, options={"kernel": 0}),
        "SmallNet": small(final),
        "TNet, augmented + cosine": row(few, **AUGMENTED),
        "SmallNet, augmented + cosine": small(final, **AUGMENTED),
    }


def data_sizes(profile: Profile, fingerprint: str, photo: Sequence[int]) -> dict[str, Rows]:
    """Chapter 06: Noise2Noise and Noise2Clean as photographs and pairs grow together.

    Every run sees as many images as a whole one. The last batch of an epoch may be short, so the number of
    steps differs.

    `photo` numbers the photograph of each training pair: n pairs come from the fewest photographs that
    hold them. Rows are named by the number of pairs; two sizes where no interval can be given anyway.
    """
    sizes = (100, 32, 10, 3, 1) if profile.seeds >= FEWEST else (10, 1)
    out: dict[str, Rows] = {"noise2noise": {}, "noise2clean": {}}
    for share in sizes:
        n = max(profile.n_train // share, profile.spec(fingerprint).batch)
        fewest = int(np.sort(photo)[n - 1]) + 1 if share > 1 else 0
        epochs = max(1, round(profile.n_train * profile.epochs / n))
        size = {"n_train": n, "n_photos": fewest, "epochs": epochs}
        for scheme in out:
            out[scheme][str(n)] = with_seeds(profile, fingerprint, profile.extra_seeds, scheme=scheme, **size)
    return out


def _joined(tables: Sequence[Callable[[Profile, str], Rows]], profile: Profile, fingerprint: str) -> Rows:
    return {label: specs for table in tables for label, specs in table(profile, fingerprint).items()}


def changes(profile: Profile, fingerprint: str) -> Rows:
    """Chapter 07: TNet and every row that changes one part of it, or has UNet in its place."""
    rows = _joined((table2, extras, architecture), profile, fingerprint)
    return {label: specs for label, specs in rows.items() if label != "BaseNet"}  # far below all others


#: The tables that claims are judged from.
JUDGED = (learning_rates, table2, extras, architecture, optimisers, suspects, schemes, training_tricks)


def judged(profile: Profile, fingerprint: str) -> Rows:
    """Chapter 07: all rows that claims are judged from."""
    return _joined(JUDGED, profile, fingerprint)


def unique(*tables: Rows) -> list[RunSpec]:
    """Return every run of some tables once, in their order."""
    return list(dict.fromkeys(spec for table in tables for specs in table.values() for spec in specs))


def all_runs(profile: Profile, dataset) -> list[RunSpec]:
    """Return every run on the report's own dataset, so that one sweep trains them all."""
    rows = [table(profile, dataset.fingerprint) for table in (*JUDGED, small_network)]
    rows += data_sizes(profile, dataset.fingerprint, dataset.train_photo).values()
    return [spec for spec in unique(*rows) if possible(spec, dataset)]


def possible(spec: RunSpec, dataset) -> bool:
    """Say whether a run can be made on a dataset: the authors' files hold no clean training images."""
    return dataset.clean_targets or spec.scheme != "noise2clean"
