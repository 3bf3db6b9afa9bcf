"""Networks on other data: whole photographs, equal noise, and datasets that grow with their photographs."""

import numpy as np
import pytest

from n2nlib import experiments
from n2nlib.data import Pairs, open_dataset
from n2nlib.errors import DatasetError
from n2nlib.evaluation import classical, transfer
from n2nlib.evaluation.metrics import denoise, psnr
from n2nlib.models import build
from n2nlib.profiles import profile


def test_a_whole_photograph_is_sampled_fairly_and_always_alike():
    photograph = next(p for p in open_dataset("bundled").photographs("val") if p.name == "chelsea.png")
    height, width = photograph.load().shape[:2]
    for cell in transfer.CELLS:
        noisy, clean = transfer.whole(photograph, cell)
        assert noisy.shape == clean.shape == (1, 3, height // cell, width // cell)
        assert np.array_equal(noisy, transfer.whole(photograph, cell)[0])
        error = (noisy.astype(float) - clean).mean(axis=1)
        assert abs(error.mean()) < 4 * error.std() / error.size**0.5  # the mean of as many independent draws
    assert transfer.whole(photograph, height // 10) is None


def test_gaussian_noise_of_equal_psnr():
    level = 21.0
    kind, sigma = transfer.equal_noise(level).split(":")
    assert kind == "gaussian"
    assert 20 * np.log10(255 / float(sigma)) == pytest.approx(level, abs=0.02)  # sigma has one decimal
    dataset = open_dataset("bundled", n_train=1, n_val=60, noise=f"{kind}:{sigma}")
    # quantised to 8 bits, noise beyond black and white is lost, so the PSNR can only be higher
    assert 0 < psnr(dataset.val.clean, dataset.val.a, data_range=255).mean() - level < 1.5


def test_nothing_is_downloaded_to_judge(tmp_path, monkeypatch):
    monkeypatch.setenv("N2N_PHOTOS", str(tmp_path))
    dataset = open_dataset("imagenet-sample", n_train=8, n_val=8)
    assert not dataset.at_hand and open_dataset("bundled").at_hand
    with pytest.raises(DatasetError, match="imagenet-sample are not on this machine. Set N2N_PHOTOS"):
        transfer.judge([build("SmallNet")], dataset)


def test_networks_are_judged_on_any_validation_images():
    dataset, networks = (
        open_dataset("bundled", n_train=1, n_val=6),
        [build("SmallNet", seed=seed) for seed in (0, 1)],
    )
    found = transfer.judge(networks, dataset)
    for network, values in zip(networks, found["psnr"], strict=True):
        np.testing.assert_array_equal(
            values, psnr(dataset.val.clean, denoise(network, dataset.val.a), data_range=255)
        )
    np.testing.assert_array_equal(found["noisy"], psnr(dataset.val.clean, dataset.val.a, data_range=255))
    np.testing.assert_array_equal(found["photo"], dataset.val.photo)


def test_every_method_restores_one_image():
    noisy = np.random.default_rng(0).integers(0, 256, (1, 3, 20, 24), dtype=np.uint8)
    networks = {"SmallNet": [build("SmallNet", seed=seed) for seed in (0, 1)], "TNet": []}
    found = transfer.restored(noisy, networks, {"gaussian": {"sigma": 0.7}})
    assert list(found) == ["noisy", "Gaussian", "SmallNet"] and [
        len(images) for images in found.values()
    ] == [1, 1, 2]
    np.testing.assert_array_equal(found["Gaussian"][0], classical.apply("gaussian", noisy, sigma=0.7))
    np.testing.assert_array_equal(found["SmallNet"][1], denoise(networks["SmallNet"][1], noisy))
    assert all(
        image.shape == noisy.shape and image.dtype == np.uint8
        for images in found.values()
        for image in images
    )


@pytest.mark.parametrize(
    "dataset, label, counterpart",
    [
        ("bundled", "bundled", "imagenet-sample"),
        ("imagenet-sample", "imagenet-sample", "bundled"),
        ("folder:/a/<b>:c", "this folder", "bundled"),
        ("epfl:/a", "the authors' files", "bundled"),
    ],
)
def test_labels_hold_no_path(dataset, label, counterpart):
    assert transfer.label(dataset) == label and transfer.counterpart(dataset) == counterpart


@pytest.mark.parametrize("photographs", [1, 6, 900, 50_000])
def test_data_sizes_hold_the_pairs_that_they_ask_for(photographs):
    size = profile("paper")
    photo = np.random.default_rng(0).permutation(np.arange(size.n_train) % photographs).astype(np.int32)
    image = np.zeros((size.n_train, 1, 1, 1), np.uint8)
    pairs = Pairs("", image, image, image, photo)
    for rows in experiments.data_sizes(size, "f", photo).values():
        for spec, *_ in rows.values():
            assert len(pairs.subset(spec.n_train, spec.n_photos)) == spec.n_train
            if spec.n_photos > 1:  # one photograph fewer would not do
                assert (photo < spec.n_photos - 1).sum() < spec.n_train
            assert (
                abs(spec.images / (size.n_train * size.epochs) - 1) < 0.01
            )  # as many images, in whole epochs
            steps = np.ceil(spec.n_train / spec.batch) * spec.epochs
            whole = np.ceil(size.n_train / spec.batch) * size.epochs
            assert abs(steps / whole - 1) < 0.05  # the last batch of an epoch may be short
