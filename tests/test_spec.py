"""What a run is: anything can be asked for, and is a spec with one identity or one sentence that says why not."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from n2nlib.analysis.comparison import same_start
from n2nlib.errors import ReportError
from n2nlib.models import NETWORKS, build, count_parameters
from n2nlib.runs import archive
from n2nlib.runs.store import RunStore
from n2nlib.spec import RunSpec
from n2nlib.study import Study

SIZE = {"dataset": "c" * 16, "n_train": 64, "epochs": 1}


def one_sentence(error) -> bool:
    text = str(error.value)
    return text.endswith(".") and "\n" not in text


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"lr": "fast"}, "lr is 'fast': expected a learning rate"),
        ({"lr": None}, "lr is None: expected a learning rate"),
        ({"lr": True}, "lr is True"),
        ({"lr": 0}, "lr is 0: expected a learning rate"),
        ({"lr": float("nan")}, "lr is nan"),
        ({"averaging": "0.9"}, "averaging is '0.9': expected a decay"),
        ({"averaging": 1}, "averaging is 1: expected a decay"),
        ({"averaging": False}, "averaging is False"),
        ({"options": None}, "options is None: expected plain values by name"),
        ({"options": ["dropout"]}, r"options is \['dropout'\]"),
        ({"options": {"dropout": {1, 2}}}, "options is"),
        ({"options": {"dropout": float("nan")}}, "options is"),
        ({"augment": None}, "augment is None: expected a list of names"),
        ({"augment": "mix"}, "augment is 'mix': expected a list of names"),
        ({"augment": [["mix"]]}, "augment is"),
        ({"dataset": 3}, "dataset is 3: expected a string"),
        ({"network": None}, "network is None: expected a string"),
        ({"loss": None}, "loss is None: expected a string"),
        ({"epochs": 1.5}, "epochs is 1.5: expected a whole number"),
    ],
)
def test_what_is_no_spec_is_one_sentence(changes, says):
    with pytest.raises(ReportError, match=says) as error:
        RunSpec(**SIZE | changes)
    assert one_sentence(error)


ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 70), st.floats(), st.text(max_size=3), st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2), st.sampled_from(["mix", "L1", "cosine", "bf16", ("flip",)]),
)  # fmt: skip
FIELDS = sorted(RunSpec.__dataclass_fields__)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(FIELDS), ANYTHING, max_size=3))
def test_any_value_in_any_field_is_a_spec_or_a_sentence(changes):
    try:
        spec = RunSpec(**SIZE | changes)
    except ReportError as error:
        assert "\n" not in str(error).strip()
        return
    again = RunSpec.from_dict(json.loads(json.dumps(spec.to_dict())))
    assert again == spec and again.id == spec.id and hash(again) == hash(spec)
    assert pickle.loads(pickle.dumps(spec)) == spec


@pytest.mark.parametrize(
    ("network", "options", "says"),
    [
        ("TNet", {"embedding": -3}, "embedding is -3, and at least 1 is needed"),
        ("TNet", {"embedding": 0}, "embedding is 0"),
        ("TNet", {"embedding": "32"}, "option embedding of TNet is '32': expected a whole number"),
        ("TNet", {"embedding": True}, "expected a whole number"),
        ("TNet", {"batch_norm": "no"}, "option batch_norm of TNet is 'no': expected True or False"),
        ("TNet", {"skips": 1}, "expected True or False"),
        ("TNet", {"dropout": None}, "option dropout of TNet is None: expected a number"),
        ("TNet", {"pool": 2}, "option pool of TNet is 2: expected a string"),
        ("UNet", {"shared_decoder": "yes"}, "expected True or False"),
        ("SmallNet", {"width": -2}, "width is -2"),
        ("SmallNet", {"width": 0}, "width is 0"),
        ("SmallNet", {"levels": 0}, "levels is 0"),
        ("SmallNet", {"convs": 0}, "convs is 0"),
        ("SmallNet", {"deep": 0}, "deep is 0"),
        ("SmallNet", {"kernel": -3}, "kernel -3"),
        ("SmallNet", {"kernel": 3.5}, "expected a whole number"),
    ],
)
def test_what_is_no_network_is_one_sentence(network, options, says):
    with pytest.raises(ReportError, match=says) as error:
        build(network, **options)
    assert one_sentence(error)


SOME = {
    "bool": st.booleans(), "int": st.integers(-1, 4), "float": st.floats(-0.5, 1.5),
    "str": st.sampled_from(["max", "average", "stride", "relu", "leaky", "nearest", "bilinear", "x"]),
}  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_options_are_a_network_or_a_sentence(data):
    import inspect

    name = data.draw(st.sampled_from(sorted(NETWORKS)))
    types = {k: p.annotation for k, p in inspect.signature(NETWORKS[name]).parameters.items()}
    options = {
        k: data.draw(st.one_of(SOME[t], ANYTHING) if data.draw(st.booleans()) else SOME[t])
        for k, t in types.items()
        if data.draw(st.booleans())
    }
    try:
        network = build(name, seed=0, **options)
    except ReportError as error:
        assert "\n" not in str(error)
        return
    assert count_parameters(network) > 0
    assert all(isinstance(v, bool) == (types[k] == "bool") for k, v in options.items())


def test_a_network_of_ones_own_is_held_to_its_annotations(monkeypatch):
    import torch

    class Mine(torch.nn.Module):
        def __init__(self, width: int, depth=1, wide: int | None = None):
            super().__init__()
            self.conv = torch.nn.Conv2d(3, width, 3)

    monkeypatch.setitem(NETWORKS, "Mine", Mine)
    assert build("Mine", width=2, depth="any", wide=None).conv.out_channels == 2
    for options, says in [
        ({"width": 2.5}, "expected a whole number"),
        ({"width": -2}, "Mine cannot be built with"),
        ({}, "Mine cannot be built with"),
    ]:
        with pytest.raises(ReportError, match=says):
            build("Mine", **options)


# --- one network, one identity ------------------------------------------------------------------------------


@pytest.fixture
def study(results):
    return Study.open("explore", dataset="bundled", profile="smoke", device="cpu")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {"options": {"batch_norm": False}}),
        ({}, {"options": {"dropout": 0}}),
        ({}, {"options": {"dropout": 0.0, "embedding": 32.0, "pool": "max"}}),
        ({"options": {"batch_norm": True}}, {"options": {"batch_norm": np.True_, "dropout": 0}}),
        ({"options": {"embedding": 64}}, {"options": {"embedding": np.float32(64)}}),
        (
            {"network": "SmallNet", "options": {"kernel": 0}},
            {"network": "SmallNet", "options": {"kernel": 0, "width": 16, "correction": True}},
        ),
    ],
)
def test_one_network_has_one_identity_however_it_is_asked_for(study, one, other):
    a, b = study.spec(**one), study.spec(**other)
    assert a == b and hash(a) == hash(b) and a.id == b.id and same_start(a, b)


def test_what_does_not_fit_is_said_when_it_is_asked_for(study):
    for options, says in [
        ({"skips": 1}, "expected True or False"),
        ({"batchnorm": True}, "did you mean 'batch_norm'"),
    ]:
        with pytest.raises(ReportError, match=says):
            study.spec(options=options)


@given(
    st.dictionaries(
        st.text(max_size=3),
        st.one_of(st.integers(-(2**53), 2**53), st.floats(allow_nan=False, allow_infinity=False)),
    )
)
def test_numbers_that_are_equal_are_written_alike(options):
    ints = {k: int(v) if float(v).is_integer() else v for k, v in options.items()}
    floats = {k: np.float64(v) for k, v in options.items()}
    a, b = (RunSpec(**SIZE, options=o) for o in (ints, floats))
    assert a == b and a.id == b.id and hash(a) == hash(b) and dict(a.options) == options


def test_stored_runs_keep_their_names():
    """Every run of the checkout's store reads back as the spec that was written, under the identity that it has."""
    files = [f for layer in RunStore().layers for f in sorted(layer.glob("runs/[0-9a-f]*.zip"))]
    for file in files:
        written = json.loads(archive.read(file, "spec.json"))
        spec = RunSpec.from_dict(written)
        assert spec.id == file.stem and spec.to_dict() == written, file
    assert files


STORED = [
    ("0097b7af0eaf60ee", {"corpus": "d6923ab1888def10", "epochs": 10, "n_train": 8000, "seed": 9}),
    (
        "04d4f9b42a5576fa",
        {"corpus": "d6923ab1888def10", "epochs": 10, "n_train": 8000, "scheme": "noise2clean", "seed": 2},
    ),
    (
        "092b9a91c39aad3c",
        {"corpus": "d6923ab1888def10", "epochs": 10, "n_train": 8000, "options": {"dropout": 0.1}, "seed": 2},
    ),
    (
        "013359980aec3c5a",
        {
            "augment": ["flip", "mix", "rotate"],
            "corpus": "d6923ab1888def10",
            "epochs": 10,
            "lr": 0.001,
            "n_train": 8000,
            "network": "UNet",
            "schedule": "cosine",
        },
    ),
    (
        "127070746cc7e11d",
        {
            "corpus": "d6923ab1888def10",
            "epochs": 10,
            "lr": 0.001,
            "n_train": 8000,
            "network": "UNet",
            "options": {"shared_decoder": True},
            "seed": 2,
        },
    ),
    (
        "2e39c0c7f0d19810",
        {"corpus": "d6923ab1888def10", "epochs": 10, "n_train": 8000, "network": "UNet", "seed": 1},
    ),
    (
        "1cd71c7a3c6c6f16",
        {
            "corpus": "d6923ab1888def10",
            "epochs": 10,
            "n_train": 8000,
            "network": "BaseNet",
            "optimiser": "never-updated",
            "seed": 1,
        },
    ),
    (
        "20a8dcde71c60027",
        {
            "corpus": "d6923ab1888def10",
            "epochs": 10,
            "n_train": 8000,
            "network": "BaseNet",
            "precision": "bf16",
            "seed": 1,
        },
    ),
    (
        "08a9d45fdd7bb97c",
        {
            "corpus": "6a4c963c54348651",
            "epochs": 1,
            "lr": 0.002,
            "n_train": 6400,
            "network": "SmallNet",
            "options": {
                "activation": "relu",
                "convs": 1,
                "correction": False,
                "deep": 26,
                "down": "average",
                "kernel": 3,
                "levels": 3,
                "up": "nearest",
                "width": 16,
            },
        },
    ),
    (
        "1268ecd3cbca0a05",
        {
            "corpus": "d6923ab1888def10",
            "epochs": 10,
            "n_train": 8000,
            "network": "SmallNet",
            "options": {"kernel": 0},
        },
    ),
    (
        "1a22dec7855e3fda",
        {
            "corpus": "3e2a6ed28175f2e8",
            "epochs": 50,
            "n_train": 50000,
            "network": "SmallNet",
            "precision": "bf16",
            "seed": 2,
        },
    ),
]


@pytest.mark.parametrize("identity, fields", STORED)
def test_the_identity_of_a_stored_run_never_changes(identity, fields):
    """Moving code, renaming a module or adding a field must leave every stored run valid."""
    assert RunSpec.from_dict(fields).id == identity


def test_a_dataset_has_its_older_key_in_the_identity_only():
    spec = RunSpec("c" * 16, n_train=64, epochs=1, augment=["flip"], options={"dropout": 0.1})
    changes = {"augment": ["flip"], "options": {"dropout": 0.1}}
    assert spec.changes("dataset", "n_train", "epochs") == changes
    assert spec.to_dict() == {"corpus": "c" * 16, "n_train": 64, "epochs": 1, **changes}
    assert RunSpec.from_dict(spec.to_dict()) == RunSpec.from_dict(spec.changes()) == spec
