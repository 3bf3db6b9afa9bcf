"""What one training run is: `RunSpec` and its identity."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

from n2nlib.errors import ReportError, unknown_name, whole_number

#: Raised by hand whenever the same RunSpec would train to other weights (tests/test_semantics.py watches it).
SEMANTICS = 1

#: Fields whose key in the JSON that the identity is hashed from is an older name.
JSON_NAMES = {"dataset": "corpus"}

SCHEMES = ("noise2noise", "noise2clean", "noise2void", "neighbor2neighbor")
AUGMENTATIONS = ("mix", "swap", "flip", "rotate", "shuffle")
SCHEDULES = ("constant", "cosine")
PRECISIONS = ("fp32", "bf16")
#: `sgd-momentum` has momentum 0.9. `never-updated` is the loop whose Adam was built on another network's
#: parameters: it computes losses and moves nothing.
OPTIMISERS = ("adam", "sgd", "sgd-momentum", "never-updated")


@dataclass(frozen=True)
class RunSpec:
    """One training run, frozen and hashable; its `id` names it in the run store.

    Sizes count images; `lr` is the optimiser's learning rate; `seed` is the number of the initial weights
    (0 is a seed). `options` go to the network's constructor. Defaults are the paper's (section 2.3, Table
    2): a field left at its default does not enter the identity, so that a field added later leaves every
    stored run valid.

    Raises ReportError for a value of the wrong type, an impossible size, and an unknown name in every
    field but `network`, `options` and `loss`, which are looked up when the run is built (`models.build`,
    `training.schemes`).
    """

    dataset: str  # fingerprint of the dataset, not its name
    n_train: int
    epochs: int
    network: str = "TNet"
    options: Mapping[str, Any] = field(default_factory=dict)
    loss: str = "L2"
    lr: float = 5e-4
    seed: int = 0
    batch: int = 32
    scheme: str = "noise2noise"
    augment: tuple[str, ...] = ()
    schedule: str = "constant"
    averaging: float = 0.0  # decay of an exponential moving average of the weights; 0 is none
    optimiser: str = "adam"
    precision: str = "fp32"
    n_photos: int = 0  # train on pairs of the first n photographs only; 0 is all

    def __post_init__(self):
        for name in ("dataset", "network", "loss"):
            if not isinstance(getattr(self, name), str):
                raise ReportError(f"RunSpec.{name} is {getattr(self, name)!r}: expected a string.")
        object.__setattr__(self, "options", _frozen(self.options))
        names = self.augment
        listed = isinstance(names, Collection) and not isinstance(names, str)
        if not listed or not all(isinstance(a, str) for a in names):
            raise ReportError(f"RunSpec.augment is {names!r}: expected a list of names, like ['mix'].")
        object.__setattr__(self, "augment", tuple(sorted(set(names))))
        for kind, name, known in [
            ("scheme", self.scheme, SCHEMES),
            ("schedule", self.schedule, SCHEDULES),
            ("optimiser", self.optimiser, OPTIMISERS),
            ("precision", self.precision, PRECISIONS),
            *(("augmentation", a, AUGMENTATIONS) for a in self.augment),
        ]:
            if name not in known:
                raise unknown_name(kind, name, known)
        for name, least in (("n_train", 1), ("epochs", 1), ("batch", 1), ("seed", 0), ("n_photos", 0)):
            # An int, since NumPy integers are not JSON-serialisable.
            object.__setattr__(self, name, whole_number(f"RunSpec.{name}", getattr(self, name), least))
        for name, what in (
            ("lr", "a learning rate between 0 and 1"),
            ("averaging", "a decay of 0 (none) up to below 1"),
        ):
            value = getattr(self, name)
            number = isinstance(value, Real) and not isinstance(value, bool)
            if not number or not 0 <= value < 1 or (name == "lr" and value == 0):
                raise ReportError(f"RunSpec.{name} is {value!r}: expected {what}.")
            object.__setattr__(self, name, float(value))

    @property
    def id(self) -> str:
        """The run's identity: 16 hexadecimal digits of SHA-256 over spec, dataset and training semantics."""
        return identity(self.to_dict())

    @property
    def images(self) -> int:
        """Training images that the run sees in all."""
        return self.n_train * self.epochs

    def changes(self, *but: str) -> dict[str, Any]:
        """Return the fields that differ from their defaults, except those named, as plain JSON values."""
        out = {}
        for f in dataclasses.fields(self):
            value = getattr(self, f.name)
            default = f.default_factory() if f.default_factory is not dataclasses.MISSING else f.default
            if value != default and f.name not in but:
                out[f.name] = _plain(value)
        return out

    def to_dict(self) -> dict[str, Any]:
        """Return what the identity is hashed from: `changes` under the keys of `JSON_NAMES`."""
        return {JSON_NAMES.get(name, name): value for name, value in self.changes().items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunSpec:
        """Build a spec from the mapping of `to_dict` or `changes`.

        Raises ReportError for an unknown key, with the nearest known one.
        """
        known = {f.name for f in dataclasses.fields(cls)}
        names = {key: name for name, key in JSON_NAMES.items()}
        values = {names.get(key, key): value for key, value in values.items()}
        for key in values:
            if key not in known:
                raise unknown_name("RunSpec field", key, known)
        return cls(**values)

    def replace(self, **changes) -> RunSpec:
        """Return the spec with some fields changed."""
        return self.from_dict(
            {**{f.name: getattr(self, f.name) for f in dataclasses.fields(self)}, **changes}
        )


def identity(values: Mapping[str, Any], semantics: int = SEMANTICS) -> str:
    """Return the id of the run whose `RunSpec.to_dict` is given, also in another version's fields."""
    text = json.dumps({"semantics": semantics, **values}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, tuple) else value


def _frozen(options: Mapping[str, Any]) -> _Frozen:
    """Return options in the one form that an identity is made of: plain JSON values, 0.0 as 0.

    Raises ReportError for anything that is no mapping of such values.
    """

    def number(text: str) -> float | int:
        return int(value) if (value := float(text)).is_integer() else value

    try:
        # NumPy scalars are not JSON-serialisable.
        text = json.dumps({**options}, allow_nan=False, default=lambda value: value.item())
        return _Frozen(json.loads(text, parse_float=number))
    except (AttributeError, TypeError, ValueError):
        raise ReportError(
            f"RunSpec.options is {options!r}: expected plain values by name, like {{'dropout': 0.1}}."
        ) from None


class _Frozen(dict):
    """A small read-only mapping that can be hashed and pickled."""

    def __hash__(self):  # type: ignore[override]
        return hash(json.dumps(self, sort_keys=True))

    def _refuse(self, *_, **__):
        raise TypeError("the options of a RunSpec cannot be changed: use spec.replace(options=...)")

    __setitem__ = __delitem__ = update = pop = popitem = clear = setdefault = _refuse

    def __reduce__(self):
        return (_Frozen, (dict(self),))
