"""Opening, fingerprints and the cache of built pairs."""

import errno
import json
import pickle
import subprocess
import sys

import numpy as np
import pytest

from n2nlib.data import building, open_dataset, photos, sampling
from n2nlib.data.bench import bench_pairs, bench_plain
from n2nlib.errors import DatasetError


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("N2N_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("bundeld", "unknown dataset 'bundeld': did you mean 'bundled'"),
        ("imagenet", "did you mean 'imagenet-sample'"),
        ("folder", "did you mean 'folder:PATH'"),
        ("epfl:", "unknown dataset"),
        ("bundled:x", "unknown dataset"),
    ],
)
def test_unknown_names_are_refused(name, sentence):
    with pytest.raises(DatasetError, match=sentence):
        open_dataset(name)


@pytest.mark.parametrize(
    "sizes",
    [{"n_train": 0}, {"n_val": -1}, {"n_train": 2.5}, {"n_val": True}, {"seed": -1}, {"n_train": "9"}],
)
def test_impossible_sizes_are_refused(sizes):
    with pytest.raises(DatasetError, match="expected a whole number of at least"):
        open_dataset("bundled", **sizes)


def test_opening_builds_nothing_and_building_is_cached(own_cache, monkeypatch):
    dataset = open_dataset("bundled", 40, 10)
    assert not own_cache.exists()
    train = dataset.train
    assert train is dataset.train and isinstance(train.a, np.memmap)
    assert sorted(p.name for p in (own_cache / "datasets").iterdir()) == [dataset.fingerprint]
    assert sorted(p.name for p in (own_cache / "datasets" / dataset.fingerprint).iterdir()) == ["train"]

    def never(*_, **__):
        raise AssertionError("built twice")

    monkeypatch.setattr("n2nlib.data.build", never)
    again = open_dataset("bundled", 40, 10).train
    assert np.array_equal(again.a, train.a) and np.array_equal(again.photo, train.photo)


def test_fingerprint_changes_with_everything_that_changes_the_bytes(monkeypatch):
    first = open_dataset("bundled", 40, 10)
    others = [
        open_dataset("bundled", 41, 10),
        open_dataset("bundled", 40, 11),
        open_dataset("bundled", 40, 10, seed=1),
        open_dataset("bundled", 40, 10, noise="impulse:0.1"),
        open_dataset("imagenet-sample", 40, 10),
    ]
    monkeypatch.setattr(sampling, "SAMPLER_VERSION", 10**6)
    others.append(open_dataset("bundled", 40, 10))
    assert len({c.fingerprint for c in [first, *others]}) == 7
    assert json.loads(json.dumps(first.recipe)) == first.recipe


def test_stored_order_mixes_photographs_and_is_shared_by_all_arrays():
    pairs = open_dataset("bundled", 500, 10).train
    # 100 pairs of each of 5 scenes in random order: neighbours share a scene with probability 1/5.
    same = (pairs.photo[1:] == pairs.photo[:-1]).mean()
    assert abs(same - 0.2) < 4 * np.sqrt(0.2 * 0.8 / 499)
    # Noisy images lie around their own clean image, nearer than around their neighbour's.
    own = np.abs(pairs.a.astype(float) - pairs.clean).mean()
    other = np.abs(pairs.a.astype(float) - np.roll(pairs.clean, 1, axis=0)).mean()
    assert own < other / 2


def test_subset_takes_the_first_pairs_of_the_first_photographs():
    pairs = open_dataset("bundled", 50, 10).train
    assert np.array_equal(pairs.subset(7).a, pairs.a[:7])
    few = pairs.subset(12, n_photos=2)
    assert len(few) == 12 and set(few.photo) <= {0, 1}
    assert np.array_equal(few.clean, pairs.clean[np.isin(pairs.photo, [0, 1])][:12])
    with pytest.raises(
        DatasetError, match="holds 20 pairs of its first 2 photographs, fewer than the 21 asked for"
    ):
        pairs.subset(21, n_photos=2)
    with pytest.raises(DatasetError, match="holds 50 pairs, fewer than the 51"):
        pairs.subset(51)


def test_a_dataset_pickles_without_its_arrays():
    dataset = open_dataset("bundled", 400, 10)
    value = dataset.train.a[3].copy()
    data = pickle.dumps(dataset)
    assert len(data) < 5_000
    assert np.array_equal(pickle.loads(data).train.a[3], value)


def test_a_half_written_or_foreign_cache_is_made_anew(own_cache):
    dataset = open_dataset("bundled", 40, 10)
    expected = np.array(dataset.train.a)
    place = own_cache / "datasets" / dataset.fingerprint / "train"
    whole = (place / "a.npy").read_bytes()

    def damage(name, data):
        (place / name).unlink()  # a new file: the old one is still mapped
        if data is not None:
            (place / name).write_bytes(data)

    for name, data in [
        ("a.npy", whole[: len(whole) // 2]),
        ("a.npy", b""),
        ("clean.npy", None),
        ("meta.json", None),
        ("meta.json", b"{}"),
        ("b.npy", b"junk"),
        ("photo.npy", whole),
    ]:
        damage(name, data)
        again = open_dataset("bundled", 40, 10).train
        assert np.array_equal(again.a, expected) and again.clean.shape == (40, 3, 32, 32), (name, data)
    assert not list(place.parent.glob(".*"))


def test_another_version_of_the_decoder_builds_anew(own_cache, monkeypatch):
    dataset = open_dataset("bundled", 40, 10)
    dataset.train  # noqa: B018
    monkeypatch.setattr(building, "decoder", lambda: "pillow 0.0")
    assert open_dataset("bundled", 40, 10).train.a.shape == (40, 3, 32, 32)
    assert "0.0" in (own_cache / "datasets" / dataset.fingerprint / "train/meta.json").read_text()


def test_a_full_disk_is_one_sentence_and_leaves_nothing(own_cache):
    # A limit on file size, as a real failing write: pairs of 40 images need 123 kB a file.
    code = (
        "import resource; from n2nlib.data import open_dataset; from n2nlib.errors import DatasetError\n"
        "dataset = open_dataset('bundled', 40, 10)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "try:\n    dataset.train\nexcept DatasetError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert (
        "cannot be written" in done.stdout and "set N2N_CACHE" in done.stdout and done.stdout.count("\n") == 1
    )
    assert not [p for p in (own_cache / "datasets").rglob("*") if p.is_file()]
    assert open_dataset("bundled", 40, 10).train.a.shape == (40, 3, 32, 32)


def test_a_disk_that_is_full_from_the_start_is_one_sentence(monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(building.tempfile, "mkdtemp", full)
    with pytest.raises(
        DatasetError, match=r"cannot be written \(No space left on device\): .* set N2N_CACHE to"
    ):
        open_dataset("bundled", 40, 10).train  # noqa: B018


def test_two_builders_at_once_agree(own_cache):
    dataset = open_dataset("bundled", 40, 10)
    first = np.array(dataset.train.a)

    def make_while_another_finishes():
        arrays = building.build(photos.bundled().train, 40, fractions=(0.2, 1.0), split="train", seed=0)
        return arrays

    place = own_cache / "datasets" / dataset.fingerprint / "train"
    building._write(place, make_while_another_finishes())  # the place is taken by the same, complete pairs
    assert np.array_equal(np.load(place / "a.npy"), first)
    assert not list(place.parent.glob(".*"))


def test_pairs_are_made_much_faster_than_by_a_plain_loop():
    # The measured ratio is about 75; a quarter of it would still be worth the vectorising on a busy machine.
    assert bench_pairs(1_000) > 15 * bench_plain(10)
