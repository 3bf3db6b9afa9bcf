"""The published numbers: exact values, as printed in the paper."""

import statistics
import tomllib
from pathlib import Path

import pytest

from n2nlib import paper
from n2nlib.errors import ReportError


def test_abstract_and_conclusion():
    assert paper.value("abstract.psnr") == paper.value("conclusion.psnr") == 25.32
    assert paper.value("abstract.psnr_sd") == paper.value("conclusion.psnr_sd") == 0.01
    assert paper.value("abstract.parameters") == 43_064
    assert paper.value("abstract.times_fewer") == 20
    assert paper.value("conclusion.parameters_thousand") == 43


def test_table1_as_printed():
    table = paper.table1()
    assert list(table.index) == ["1e-4", "5e-4", "9e-4"]
    assert table.lr.tolist() == [1e-4, 5e-4, 9e-4]
    assert table.psnr.tolist() == [25.31, 25.33, 25.32]
    assert table.psnr_sd.tolist() == [0.01, 0.02, 0.02]
    assert table.loss.tolist() == [0.70896, 0.70859, 0.70869]
    assert table.loss_sd.tolist() == [0.00035, 0.00056, 0.00083]


def test_table2_as_printed():
    table = paper.table2()
    assert list(table.index) == ["BaseNet", "UNet", "TNet", "TNet+L1", "TNet+BN"]
    assert table.parameters_thousand.tolist() == [167.0, 991.0, 43.0, 43.0, 43.5]
    assert table.residual.tolist() == [False, True, True, True, True]
    assert table.loss.tolist() == ["L2", "L2", "L2", "L1", "L2"]
    assert table.batch_norm.tolist() == [False, False, False, False, True]
    assert table.psnr.tolist() == [6.95, 25.24, 25.32, 25.29, 24.45]
    assert table.psnr_sd.tolist() == [0.32, 0.08, 0.01, 0.01, 0.05]


def test_training_as_described():
    assert [paper.value(f"training.{k}") for k in ("pairs", "epochs", "validation_images", "seeds")] == [
        50_000,
        50,
        1_000,
        5,
    ]
    assert paper.value("training.lr") == 5e-4 and paper.value("training.lr_unet") == 1e-3


@pytest.mark.parametrize("row", ["UNet", "TNet", "TNet+L1", "TNet+BN"])
def test_individual_runs_make_the_table(row):
    """Mean and sample sd of the five runs are the printed ones: half a unit of the last digit, or a cut instead of a rounding."""
    runs = paper.value(f"seeds.{row}")
    assert len(runs) == paper.value("table2.seeds") == 5
    assert statistics.mean(runs) == pytest.approx(paper.value(f"table2.{row}.psnr"), abs=0.0101)
    assert statistics.stdev(runs) == pytest.approx(paper.value(f"table2.{row}.psnr_sd"), abs=0.0051)


def test_published_loss_is_an_mse():
    """0.709 = 1563 x MSE / 32, to the printed digits."""
    loss = (
        paper.value("published_loss.mse")
        * paper.value("published_loss.batches")
        / paper.value("published_loss.batch")
    )
    assert loss == pytest.approx(paper.value("published_loss.value"), abs=5e-4)


def test_peers_and_calibration():
    assert len(paper.peers()) == 7
    assert paper.peers().psnr.max() == 25.81
    assert paper.calibration().noisy_psnr.tolist() == [21.04, 20.8, 20.58]


def test_every_number_has_its_place():
    groups = tomllib.loads(Path(paper.__file__).with_name("paper.toml").read_text(encoding="utf-8"))
    assert groups["table2"]["place"] == "Table 2" and groups["abstract"]["place"] == "Abstract"
    assert groups["seeds"]["place"] == "the authors' public notebooks"
    assert [name for name, group in groups.items() if "place" not in group] == ["paper"]


@pytest.mark.parametrize(
    "key, near",
    [
        ("table2.Tnet.psnr", "table2.TNet"),
        ("tabel1.5e-4", "table1"),
        ("table1.5e-4.pnsr", "table1.5e-4.psnr"),
    ],
)
def test_unknown_key_names_the_nearest(key, near):
    with pytest.raises(ReportError, match=f"did you mean '{near}'"):
        paper.value(key)


def test_a_group_is_not_a_number():
    with pytest.raises(ReportError, match="is a group"):
        paper.value("table2.TNet")
    with pytest.raises(ReportError, match="holds nothing inside"):
        paper.value("abstract.psnr.sd")
