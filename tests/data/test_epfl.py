"""The authors' file format: read without executing anything, refused with a sentence when it is something else."""

import os
import pickle

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from n2nlib.data import epfl, open_dataset
from n2nlib.errors import DatasetError, ReportError


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("N2N_CACHE", str(tmp_path / "cache"))


def images(n, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (n, 3, 32, 32), dtype=np.uint8))


@pytest.fixture
def files(tmp_path):
    """A folder in the authors' format: 12 training pairs, 5 validation pairs."""
    return write(tmp_path / "epfl", 12, 5)


def write(folder, n_train, n_val):
    folder.mkdir()
    torch.save((images(n_train, 1), images(n_train, 2)), folder / "train_data.pkl")
    torch.save((images(n_val, 3), images(n_val, 4)), folder / "val_data.pkl")
    return folder


def test_reads_prefixes_of_both_files(files):
    dataset = open_dataset(f"epfl:{files}", 10, 4)
    train, val = dataset.train, dataset.val
    assert np.array_equal(train.a, images(12, 1)[:10]) and np.array_equal(train.b, images(12, 2)[:10])
    assert np.array_equal(val.a, images(5, 3)[:4]) and np.array_equal(val.clean, images(5, 4)[:4])
    assert train.clean is None and val.b is None
    assert train.photo.dtype == np.int32 and np.array_equal(val.photo, np.arange(4))
    assert len(train.subset(3)) == 3
    with pytest.raises(DatasetError, match="holds pairs only, no photographs"):
        dataset.photographs("train")
    assert len(pickle.dumps(dataset)) < 2_000


def test_files_that_are_not_the_authors_are_a_warning_and_theirs_are_not(files, monkeypatch):
    dataset = open_dataset(f"epfl:{files}", 10, 4)
    assert len(dataset.warnings) == 3 and not dataset.authentic
    assert "train_data.pkl is not the authors' train_data.pkl" in dataset.warnings[0]
    sums = {
        split: (len((files / name).read_bytes()), dataset.recipe["epfl"][split])
        for split, name in epfl.FILES.items()
    }
    published = {
        f"files.{s}_{what}": v
        for s, pair in sums.items()
        for what, v in zip(("bytes", "sha256"), pair, strict=True)
    }
    monkeypatch.setattr(epfl.paper, "value", published.__getitem__)
    theirs = open_dataset(f"epfl:{files}", 10, 4)
    assert theirs.warnings == [epfl.UNKNOWN_PHOTOGRAPHS] and theirs.authentic


def test_fingerprint_follows_files_and_sizes_only(files, tmp_path):
    first = open_dataset(f"epfl:{files}", 10, 4, seed=0).fingerprint
    files.rename(tmp_path / "elsewhere")
    assert open_dataset(f"epfl:{tmp_path / 'elsewhere'}", 10, 4, seed=1).fingerprint == first
    assert open_dataset(f"epfl:{tmp_path / 'elsewhere'}", 9, 4).fingerprint != first


def test_missing_files_too_many_pairs_and_other_noise_are_refused(files, tmp_path):
    with pytest.raises(DatasetError, match="holds 12 pairs, fewer than the 13 asked for"):
        open_dataset(f"epfl:{files}", 13, 4).train  # noqa: B018
    with pytest.raises(DatasetError, match="no clean training images"):
        open_dataset(f"epfl:{files}", 5, 4, noise="gaussian:25")
    (files / "val_data.pkl").unlink()
    with pytest.raises(
        DatasetError, match="val_data.pkl cannot be read.*must hold train_data.pkl and val_data.pkl"
    ):
        open_dataset(f"epfl:{files}", 5, 4)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ((images(4), images(4).float()), r"float32 tensor \(4, 3, 32, 32\): expected uint8"),
        ((images(4), images(4)[:, :, :30]), r"uint8 tensor \(4, 3, 30, 32\)"),
        ((images(4), images(3)), "4 images in its first tensor and 3 in its second"),
        ((images(4), images(4)[:0]), r"uint8 tensor \(0, 3, 32, 32\)"),
        ((images(4),) * 3, "does not hold two tensors"),
        (images(4), "does not hold two tensors"),
        ({"noisy": images(4)}, "does not hold two tensors"),
        ((images(4), "clean"), "does not hold two tensors"),
    ],
)
def test_wrong_contents_are_refused(files, content, sentence):
    torch.save(content, files / "train_data.pkl")
    with pytest.raises(DatasetError, match=sentence):
        open_dataset(f"epfl:{files}", 3, 4).train  # noqa: B018


class Evil:
    def __reduce__(self):
        return (os.mkdir, (os.environ["N2N_EVIL"],))


@pytest.mark.parametrize(
    "write",
    [
        torch.save,
        lambda x, path: path.write_bytes(pickle.dumps(x)),
        lambda x, path: torch.save(x, path, _use_new_zipfile_serialization=False),
    ],
)
def test_code_in_a_pickle_is_never_run(files, tmp_path, monkeypatch, write):
    monkeypatch.setenv("N2N_EVIL", str(tmp_path / "evil"))
    write((images(4), Evil()), files / "train_data.pkl")
    with pytest.raises(DatasetError, match="not a readable file of two tensors"):
        open_dataset(f"epfl:{files}", 3, 4).train  # noqa: B018
    assert not (tmp_path / "evil").exists()


def test_a_copy_in_torchs_old_format_is_read(files):
    torch.save((images(12, 1), images(12, 2)), files / "train_data.pkl", _use_new_zipfile_serialization=False)
    assert np.array_equal(open_dataset(f"epfl:{files}", 10, 4).train.b, images(12, 2)[:10])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cut=st.floats(0, 0.99),
    junk=st.binary(max_size=40),
    mode=st.sampled_from(["cut", "junk", "append to cut"]),
)
def test_truncated_or_foreign_bytes_are_refused(tmp_path_factory, cut, junk, mode):
    path = tmp_path_factory.mktemp("broken") / "train_data.pkl"
    torch.save((images(4, 1), images(4, 2)), path)
    data = path.read_bytes()
    kept = data[: int(cut * len(data))]
    path.write_bytes({"cut": kept, "junk": junk, "append to cut": kept + junk}[mode])
    with pytest.raises(DatasetError, match="not a readable file of two tensors"):
        epfl.read(path.parent, "train", 2)


def test_the_authors_file_size_is_that_of_50000_pairs(tmp_path):
    # Their size is the pixels and about 900 bytes of wrapping.
    from n2nlib import paper

    torch.save((images(4), images(4)), tmp_path / "x.pkl")
    wrapping = (tmp_path / "x.pkl").stat().st_size - 2 * 4 * 3072
    assert abs(paper.value("files.train_bytes") - 2 * 50_000 * 3072 - wrapping) < 1_500


def test_runs_that_need_clean_targets_are_left_out(tmp_path, results):
    """The authors' training file holds no clean images: nothing that learns from them is asked for."""
    from n2nlib import experiments
    from n2nlib.report.plan import Build, Settings
    from n2nlib.study import Study

    folder = write(tmp_path / "epfl", 256, 40)
    study = Study.open("06_beyond", dataset=f"epfl:{folder}", profile="smoke", device="cpu")
    clean = experiments.schemes(study.profile, study.fingerprint)["Noise2Clean"]
    assert study.prepare(clean) == [] and study.runs({"Noise2Clean": clean}) == {}
    with pytest.raises(ReportError, match="holds no clean training images for noise2clean: choose another"):
        study.run(clean)
    wanted = Build(Settings(f"epfl:{folder}", "smoke", "cpu")).wanted
    assert wanted and "noise2clean" not in {s.scheme for s in wanted}


def test_photographs_of_the_authors_files_are_unknown(files):
    dataset = open_dataset(f"epfl:{files}", 10, 4)
    assert not dataset.photographs_known and dataset.warnings[-1] == epfl.UNKNOWN_PHOTOGRAPHS
