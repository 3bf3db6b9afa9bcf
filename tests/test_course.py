"""`train` on pairs of one's own, the course's `Model`, and the examples in docstrings."""

from __future__ import annotations

import doctest
import inspect
from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest
import torch

from n2nlib import Model, RunSpec, load_pretrained, open_dataset, train
from n2nlib.errors import ReportError
from n2nlib.evaluation import metrics
from n2nlib.training.plain import train_plain


@pytest.fixture(scope="module")
def dataset():
    return open_dataset("bundled", n_train=64, n_val=12)


def test_train_is_the_engine(dataset):
    spec, rows = RunSpec("mine", n_train=48, epochs=2, network="SmallNet", seed=3), []
    network, history = train(spec, dataset.train, dataset.val, "cpu", lambda _, row: rows.append(row))
    expected, losses = train_plain(spec, dataset.train)
    np.testing.assert_allclose(
        metrics.psnr(dataset.val.clean, metrics.denoise(network, dataset.val.a), 255),
        metrics.psnr(dataset.val.clean, metrics.denoise(expected, dataset.val.a), 255),
        atol=1e-2,
    )
    assert not network.training and history.loss.tolist() == [row["loss"] for row in rows]
    assert history.loss[0] == pytest.approx(np.mean(losses[:2]), rel=1e-4)
    train_ = dataset.train
    for arguments, says in (
        ((spec, dataset.train, None), "validation is a NoneType: expected Pairs"),
        (("TNet", dataset.train, dataset.val), "spec is a str: expected RunSpec"),
        ((spec.replace(n_train=65), dataset.train, dataset.val), "fewer than the 65"),
        ((spec, replace(train_, a=train_.a / 255), dataset.val), "pairs.a is float64 .*expected uint8"),
        (
            (spec, replace(train_, b=train_.b[:63]), dataset.val),
            r"pairs.a .64.* pairs.b .63.* differ in shape",
        ),
        ((spec, train_, dataset.val.subset(0)), r"validation.a is uint8 .0, 3.*expected uint8"),
    ):
        with pytest.raises(ReportError, match=says):
            train(*arguments, device="cpu")


def test_the_courses_interface():
    names = {
        name: list(inspect.signature(getattr(Model, name)).parameters)[1:]
        for name in ("__init__", "load_pretrained_model", "train", "predict")
    }
    assert names == {
        "__init__": [], "load_pretrained_model": [],
        "train": ["train_input", "train_target", "num_epochs"], "predict": ["test_input"],
    }  # fmt: skip


def test_a_model_trains_as_the_textbook_loop_and_goes_on_from_where_it_is(dataset):
    a, b = (torch.from_numpy(np.array(x)) for x in (dataset.train.a, dataset.train.b))
    model, spec = Model(), RunSpec("mine", n_train=64, epochs=2)
    model.train(a, b, 1)
    model.train(a.float(), b.float(), num_epochs=1)
    expected, _ = train_plain(spec, dataset.train)
    for mine, theirs in zip(model.network.cpu().parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-5)


def test_a_model_predicts_in_kind(dataset):
    model, noisy = Model(), torch.from_numpy(np.array(dataset.val.a))
    model.load_pretrained_model()
    found = model.predict(noisy)
    assert np.array_equal(found, metrics.denoise(load_pretrained("tnet"), noisy.numpy()))
    real = model.predict(noisy.float())
    assert real.dtype == torch.float32 and (real - found.float()).abs().max() < 1.001
    for images, says in (
        (noisy[0], r"test_input is \(3, 32, 32\): expected a tensor \(N, 3, H, W\)"),
        (np.zeros((1, 3, 5, 5)), "test_input is ndarray"),
        (noisy.float() * 2, "expected 0 to 255"),
    ):
        with pytest.raises(ReportError, match=says):
            model.predict(images)
    with pytest.raises(ReportError, match="differ in shape"):
        model.train(noisy, noisy[:2], 1)


def test_a_model_refuses_what_it_cannot_train_on(dataset):
    model, noisy = Model(), torch.from_numpy(np.array(dataset.val.a))
    before = [p.clone() for p in model.network.parameters()]
    for images, epochs, says in (
        *((noisy, n, rf"num_epochs is {n!r}: .*of at least 1") for n in (1.5, "1", 0, -1, True, None)),
        (noisy.float() / 255, 1, "train_input has values from 0 to 1: expected 0 to 255; multiply by 255"),
        (noisy.float() * torch.nan, 1, "from nan to nan: expected 0 to 255"),
        (noisy * 1j, 1, "train_input is a torch.strided tensor of torch.complex64: expected dense real"),
        (noisy > 0, 1, "tensor of torch.bool"),
        (noisy.to_sparse(), 1, "is a torch.sparse_coo tensor of torch.uint8"),
        (noisy[:, :, :0], 1, r"is \(12, 3, 0, 32\): expected a tensor"),
    ):
        with pytest.raises(ReportError, match=says):
            model.train(images, images, epochs)
    with pytest.raises(ReportError, match="multiply by 255"):
        model.predict(noisy.double() / 255)
    assert all(map(torch.equal, before, model.network.parameters()))
    assert not model.predict(torch.zeros(1, 3, 5, 5)).isnan().any()  # black images have no scale
    model.train(noisy[:2], noisy[:2], np.int64(1))
    assert not all(map(torch.equal, before, model.network.parameters()))


@pytest.mark.parametrize("name", ["course", "denoising", "images", "pretrained"])
def test_examples_in_docstrings(name):
    found = doctest.testmod(import_module(f"n2nlib.{name}"))
    assert found.failed == 0 and (found.attempted > 0 or name == "images")
