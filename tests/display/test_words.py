"""Sentences made from results, in all their branches: none says more than its intervals and its size carry."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from test_comparison import comparison, runs

from n2nlib import paper
from n2nlib.analysis.image_statistics import ImageStatistics
from n2nlib.analysis.intervals import Interval
from n2nlib.display import beyond_words, data_words, saliency_words, words
from n2nlib.profiles import PROFILES


@pytest.mark.parametrize(
    "items, text", [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")]
)
def test_lists(items, text):
    assert words.listed(items) == text


def test_outcome_names_sides_only_where_intervals_show_them():
    rows = comparison({"TNet": runs((25.0, 25.1, 25.2)), "L1": runs((24.5, 24.6, 24.7)), "wide": runs((24.0, 25.1, 26.3)),
                       "BN": runs((24.3, 24.4, 24.5)), "up": runs((25.5, 25.6, 25.7))})  # fmt: skip
    assert words.outcome(rows) == (
        "End below TNet: L1 (-0.50 [-0.50, -0.50] dB) and BN (-0.70 [-0.70, -0.70] dB). Ends above TNet: up (+0.50 [+0.50, +0.50] dB). "
        "Ends not significantly different from TNet: wide (+0.03 [-2.58, +2.64] dB)."
    )
    assert "no confidence interval" in words.outcome(
        comparison({"TNet": runs((25.0, 25.1)), "L1": runs((24.5, 24.6))})
    )
    assert words.outcome(comparison({})) == ""


@pytest.mark.parametrize(
    "d, text",
    [
        (Interval(0.3, 0.1, 0.5, 3, "t"), "A ends above B (0.30 [0.10, 0.50] dB)."),
        (Interval(-0.3, -0.5, -0.1, 3, "t"), "A ends below B (-0.30 [-0.50, -0.10] dB)."),
        (Interval(0.3, -0.1, 0.5, 3, "t"), "A and B do not differ significantly (0.30 [-0.10, 0.50] dB)."),
        (
            Interval(0.3, None, None, 1, "t"),
            "There is no confidence interval, so nothing is said of A and B.",
        ),
    ],
)
def test_pairs(d, text):
    assert words.pair("A", "B", d) == text


def test_size_notes():
    small = words.size_note(PROFILES["smoke"])
    assert (
        small.startswith("**The paper's claims are not tested at this size.**") and "at most 2 seeds" in small
    )
    assert "512 training images" in small
    assert words.size_note(PROFILES["paper"]) == ""
    assert "not tested" in words.size_note(PROFILES["overnight"]) and "seeds" not in words.size_note(
        PROFILES["overnight"]
    )


def test_best_rate():
    rates = comparison({"1e-4": runs((25.0, 25.1), loss=0.01), "5e-4": runs((25.3, 25.4), loss=0.02)}, "5e-4")
    assert words.best_rate(rates).startswith(
        "Here 5e-4 ends highest in PSNR and 1e-4 lowest in training loss. The means lie within 0.30 dB"
    )
    rates = comparison({"1e-4": runs((25.0, 25.1, 25.2)), "5e-4": runs((25.3, 25.4), loss=0.01)}, "5e-4")
    text = words.best_rate(rates)
    assert text.startswith("Here 5e-4 ends best in PSNR and in training loss.")
    assert text.endswith("Fewer than 3 seeds are stored at 5e-4.")
    assert words.best_rate(comparison({"5e-4": runs((25.0,))}, "5e-4")) == ""


def test_last_gain():
    assert words.last_gain(comparison({"TNet": runs((25.0, 25.2))})).startswith(
        "Over the last 50 % of the training images the mean PSNR moved by +1.00 dB at TNet."
    )
    assert words.last_gain(comparison({})) == ""


def test_printed_columns_follow_the_papers_numbers():
    text = words.printed_columns()
    assert (
        "p = 0.23 for PSNR and p = 0.63 for the loss" in text
        and "do not differ by more than repetitions" in text
    )
    assert f"{paper.value('table2.TNet.psnr'):.2f} dB in Table 2" in text


def test_nearest_range():
    def ranges(*rows):
        return pd.DataFrame([("the paper", 0.02), *rows], columns=["columns", "range (dB)"])

    rates, one = ("three rates", 0.5), ("one rate", 0.03)
    assert words.nearest_range(ranges(), whole=True) == ""
    assert "does not yet test how the published table was made" in words.nearest_range(
        ranges(rates, one), whole=False
    )
    assert "**one rate** comes nearest" in words.nearest_range(ranges(rates, one), whole=True)
    assert words.nearest_range(ranges(rates), whole=True).endswith("ours within 0.50 dB for three rates.")


# --- chapter 04 ---


def test_rows_that_are_absent_are_named():
    assert words.absent(comparison({"TNet": runs((25.0,))})) == ""
    rows = comparison({"TNet": runs((25.0,))}, absent=["UNet", "BaseNet"])
    assert words.absent(rows) == "Rows without stored runs are omitted: UNet; BaseNet."


def test_the_noisy_level():
    rows = comparison({"TNet": runs((25.0,))})
    assert words.noisy_level(rows) == "The noisy images have 20.70 dB on average."
    assert words.noisy_level(comparison({})) == ""


@pytest.mark.parametrize(
    "labels, says",
    [((), "no run of either is stored"), (("UNet",), "only runs of UNet are stored"),
     (("UNet", "UNet (shared decoder)"), "Both are trained below")],
)  # fmt: skip
def test_the_ratio_of_parameters(labels, says):
    sizes = pd.DataFrame({
        "network": ["TNet", "UNet", "UNet (shared decoder)"],
        "parameters": [100, 2300, 1340],
        "times TNet's": [1, 23, 13.4],
    })  # fmt: skip
    text = words.parameter_ratio(sizes, comparison({label: runs((25.0,)) for label in labels}))
    assert "each use: 23.0 times TNet's." in text and "trains 1,340 weights, 13.4 times TNet's." in text
    assert says in text
    assert f'"{paper.value("abstract.times_fewer")}x fewer parameters"' in text


def test_what_lower_precision_may_have_shifted():
    bf16 = [SimpleNamespace(**vars(run) | {"arithmetic": "bf16"}) for run in runs((25.0, 25.1))]
    lower = comparison({"TNet": bf16})
    kind = lower.rows["TNet"][0].spec
    small, large = Interval(-0.01, -0.04, 0.02, 3, "t"), Interval(0.1, -0.5, 0.5, 3, "t")
    effects = [(kind, "bf16", small), (kind.replace(epochs=1), "bf16", large)]
    text = words.precision_note(effects, lower)
    assert "measured for TNet. Shifts of 0.04 dB cannot be excluded" in text
    assert "no row is stored both in fp32 and in lower precision" in words.precision_note(effects[1:], lower)
    assert words.precision_note(effects, comparison({"TNet": runs((25.0,))})) == ""
    assert words.precision_note([], comparison({})) == ""


def test_equal_training():
    shown, none = Interval(-0.5, -0.6, -0.4, 3, "t"), Interval(0.1, None, None, 2, "t")
    text = words.equal_training({"as in Table 2": shown, "both at 1e-3": none}, PROFILES["paper"])
    assert text == "As in Table 2: TNet ends below UNet (-0.50 [-0.60, -0.40] dB)."
    text = words.equal_training({"both": none}, PROFILES["smoke"])
    assert text.startswith("Equal learning rates and augmentation are **not tested at this size**: 2 seeds")
    assert words.equal_training({}, PROFILES["paper"]) == ""


def test_where_times_were_measured():
    text = words.timed({"machine": "a processor, 2 cores"})
    assert text == "Times: one run in fp32 on one core of a processor, 2 cores, measured by `make bench`."
    assert "has not been run" in words.timed(None)


@pytest.mark.parametrize("noise, says", [(1, "in 2 of these 2"), (9, "in none of these 2")])
def test_windows_of_figure_2(noise, says):
    clean = np.full((2, 3, 4, 4), 100, np.uint8)
    arrays = {"clean": clean, "noisy": clean + 20, "TNet": clean + noise, "UNet": clean + 5}
    pictures = {"names": ["a", "b"], "arrays": arrays}
    rows = comparison({"TNet": runs((25.0,)), "UNet": runs((25.5,), network="UNet")})
    text = words.examples(pictures, rows)
    assert says in text and "25.00 dB for TNet and 25.50 dB for UNet; the noisy images have 20.70 dB." in text
    assert words.examples({}, rows) == "" and words.examples(pictures, rows.select("TNet")) == ""


# --- chapter 06 ---


def test_rows_below_the_noisy_image_are_named():
    rows = comparison({"TNet": runs((25.0, 25.1)), "BaseNet": runs((20.0,)), "worse": runs((19.0,))})
    assert (
        beyond_words.below_noisy(rows) == "The noisy images have 20.70 dB; BaseNet and worse end below that."
    )
    assert beyond_words.below_noisy(rows.select("TNet", "BaseNet")).endswith("BaseNet ends below that.")
    assert beyond_words.below_noisy(rows.select("TNet")).endswith("every row ends above that.")
    assert beyond_words.below_noisy(comparison({})) == ""


def sizes_of(first, last, photographs=1):
    return pd.DataFrame(
        {"pairs": [80, 8000], "photographs": [photographs, 900], "gap (dB)": [first.signed(), last.signed()]}
    )


def test_gap():
    few, sure = Interval(0.5, -0.1, 1.1, 3, "t"), Interval(0.02, 0.01, 0.03, 3, "t")
    assert beyond_words.gap(sizes_of(few, sure)) == (
        "With 80 pairs from 1 photograph the gap is +0.50 [-0.10, +1.10] dB; with all 8,000 pairs from 900 photographs it is "
        "+0.02 [+0.01, +0.03] dB. With the whole set, clean targets are significantly better, by 0.03 dB at most."
    )
    assert beyond_words.gap(sizes_of(few, few)).endswith(
        "clean targets are not significantly better; the interval allows 1.10 dB."
    )
    assert beyond_words.gap(sizes_of(few, Interval(-0.2, -0.3, -0.1, 3, "t"))).endswith(
        "the interval allows 0.00 dB."
    )
    assert beyond_words.gap(sizes_of(few, Interval(0.1, None, None, 1, "t"), 2)).endswith(
        "nothing is said of a trend."
    )
    assert "from 2 photographs" in beyond_words.gap(sizes_of(few, sure, 2))
    assert beyond_words.gap(sizes_of(few, sure).head(0)) == ""


def test_schedules_are_not_judged_from_short_runs():
    short = comparison(
        {"TNet": runs((25.0,), epochs=2), "cosine": runs((25.0,), epochs=2, schedule="cosine")}
    )
    assert beyond_words.schedule_note(short).startswith("These are effects after 100,000 training images.")
    assert beyond_words.schedule_note(comparison({"TNet": runs((25.0,)), "cosine": runs((25.0,))})) == ""
    assert beyond_words.schedule_note(comparison({})) == ""


def test_best_single_change():
    rows = {"TNet": runs((25.0, 25.1, 25.2)), "swap": runs((25.1, 25.2, 25.3)), "mix": runs((25.05, 25.15, 25.25)),
            "all": runs((25.3, 25.4, 25.5))}  # fmt: skip
    assert beyond_words.best_single(comparison(rows), "all") == (
        "The largest significant gain of a single change is *swap* with +0.10 dB; the row *all* has +0.30 dB."
    )
    assert (
        beyond_words.best_single(comparison(rows | {"swap": runs((24.0, 25.1, 27.0))}), "all") == ""
    )  # the largest is not significant
    assert beyond_words.best_single(comparison({k: rows[k] for k in ("TNet", "swap")}), "all") == ""
    assert (
        beyond_words.best_single(comparison({k: v[:2] for k, v in rows.items()}), "all") == ""
    )  # no intervals


def test_cost_of_a_network():
    sizes = {
        "TNet": {"parameters": 43064, "MACs (M)": 5.5},
        "SmallNet": {"parameters": 41607, "MACs (M)": 18.15},
    }
    assert (
        beyond_words.network_cost(sizes)
        == "SmallNet has 41,607 parameters and TNet 43,064; an image costs SmallNet 3.3 times TNet's MACs."
    )
    assert beyond_words.network_cost({"TNet": sizes["TNet"]}) == ""


def test_small_network():
    small, more = "SmallNet", words.MORE
    steps = {"layout": ("U", "TNet"), "correction": (small, "U")}
    rows = {"TNet": runs((25.0, 25.1, 25.2)), "U": runs((25.1, 25.2, 25.3), network=small, options={"kernel": 0}),
            small: runs((25.5, 25.6, 25.7), network=small), f"{small}, {more}": runs((25.6, 25.7, 25.8), network=small)}  # fmt: skip
    text = beyond_words.small_network(comparison(rows), steps)
    assert f"SmallNet, {more} ends above SmallNet (+0.10 [+0.10, +0.10] dB)." in text
    assert (
        f"TNet, {more} was not run at this size" in text
        and "Step by step: layout +0.10 [" in text
        and "; correction +0.40 [" in text
    )
    both = beyond_words.small_network(comparison(rows | {f"TNet, {more}": runs((25.0, 25.1, 25.2))}), steps)
    assert f"SmallNet, {more} ends above TNet, {more} (+0.60 [" in both and "not run" not in both
    assert beyond_words.small_network(comparison({"TNet": rows["TNet"]}), steps) == ""
    assert f"{paper.peers().parameters[paper.peers().psnr.idxmax()]:,} parameters" in beyond_words.peers()


def test_search():
    tried = pd.DataFrame({"state": ["complete", "too large", "pruned", "complete"], "parameters": 1, "width": [16, 24, 8, 16],
                          "lr": [5e-4, 1e-3, 1e-3, 2e-3], "psnr@1": 20.0, "psnr@9": [24.9, None, None, 25.0]})  # fmt: skip
    best = tried[tried["state"] == "complete"].sort_values("psnr@9", ascending=False)
    assert beyond_words.search(tried, best, {"width": 16}) == (
        "4 trials: 2 trained to the end, 1 stopped early, 1 not trained because they have more parameters than TNet. All of the best "
        "have width = 16. The first trial is SmallNet as it stands, -0.10 dB from the best. With one seed per trial, the order of the "
        "first few is chance."
    )
    late = tried.assign(state=["pruned", "pruned", "pruned", "complete"])
    assert beyond_words.search(late, late.tail(1), {}).endswith(
        "The first trial is SmallNet as it stands; it was stopped early."
    )
    assert beyond_words.search(tried.head(0), best.head(0), {}) == ""


# --- chapter 01 ---


def noise_found(**changes):
    """What `measurements.noise` returns, as far as sentences read it."""
    return {
        "images": 1_000,
        "psnr": 20.82,
        "mean_error": (0.05, 0.02),
        "kurtosis": 10.2,
        "channels": {"RG": 0.92, "RB": 0.83, "GB": None},
        "by_detail": {"sd": [4.0, 20.0, 48.0]},
        "pair_correlation": None,
    } | changes


def test_noise():
    text = data_words.noise(noise_found())
    assert (
        text.startswith("The mean error of 1,000 validation images is 2.5 standard errors from zero.")
        and "12 times that in the flattest." in text
        and "tails are heavier" in text
    )
    text = data_words.noise(noise_found(by_detail={"sd": [0.0, 48.0]}, kurtosis=2.9))
    assert (
        "48.0 grey levels (standard deviation) and absent from the flattest." in text
        and "tails are no heavier" in text
    )
    assert data_words.noise(noise_found(kurtosis=None)).startswith("These images have no noise")


def test_the_authors_noise_is_compared_only_with_another_dataset():
    text = data_words.authors_noise(noise_found(), own=False)
    assert text.startswith(
        "Correlation between channels is 0.83 to 0.92 here and 0.85 to 0.93 in the authors' pairs; kurtosis is 10 here and about 11"
    )
    assert "The noisy images are 0.10 dB better than the authors'." in text
    assert "1.72 dB worse" in data_words.authors_noise(noise_found(psnr=19.0), own=False)
    assert (
        data_words.authors_noise(noise_found(), own=True)
        == data_words.authors_noise(noise_found(kurtosis=None), own=False)
        == ""
    )


def test_sampling():
    draws = pd.DataFrame(
        {"draws": [1, 4096], "error": [16.0, 0.25], "expected": [16.0, 0.254], "worst_z": [1.0, 4.2]}
    )
    same = {"share": 0.0250, "expected": 0.0240, "se": 0.0005}
    text = data_words.sampling(draws, same, noise_found())
    assert text.startswith("After 4,096 draws the mean is 0.25 grey levels") and text.endswith(
        "2.0 standard errors from the 2.40 % of independent uniform draws."
    )
    assert data_words.sampling(draws, same, noise_found(pair_correlation=(-0.0001, 0.002))).endswith(
        "correlate with +0.000 ± 0.002 over the validation images."
    )


def test_other_noises():
    def one(mean, clipped, zero_mean=True):
        return {"mean_error": (mean, 0.1), "clipped_mean_error": (clipped, 0.1), "zero_mean": zero_mean}

    labels = {
        "gaussian:25": "Gaussian, sd 25",
        "bernoulli:0.5": "Bernoulli, half",
        "impulse:0.1": "impulse, a tenth",
    }
    found = {
        "gaussian:25": one(0.01, 0.1),
        "bernoulli:0.5": one(0.02, -23.1),
        "impulse:0.1": one(0.9, 0.9, zero_mean=False),
    }
    text = data_words.other_noises(found, labels)
    assert (
        text.startswith("Before clipping, the mean error of impulse noise is more than four")
        and "moves Bernoulli noise most, by -23.1 grey" in text
    )
    del found["impulse:0.1"]
    assert data_words.other_noises(found, labels).startswith(
        "Before clipping, no mean error is more than four"
    )


# --- chapter 05 ---


def statistics(**subjects):
    """`ImageStatistics` of given intervals: label -> statistic -> Interval; differences under "a - b"."""

    class Given(ImageStatistics):
        def average(self, label, statistic):
            return self.found.get(label, {}).get(statistic)

        def difference(self, label, other, statistic):
            return self.found[f"{label} - {other}"][statistic].signed(3)

    return Given(subjects["found"])


def interval(value, half=0.01):
    return (
        Interval(value, None, None, 2, "t")
        if half is None
        else Interval(value, value - half, value + half, 5, "t")
    )


NAN = Interval(float("nan"), None, None, 0, "no image qualifies")


def test_networks_that_are_looked_at():
    assert saliency_words.looked_at(comparison({})) == ""
    both = comparison({"TNet": runs((25.0, 25.1)), "UNet": runs((26.0,), network="UNet")})
    assert saliency_words.looked_at(both) == (
        "Networks: TNet (2 seeds, 25.00 dB for the first) and UNet (26.00 dB), after 2,500,000 training "
        "images. "
        "Pictures show the first TNet."
    )
    assert "TNet (1 seed, 25.00 dB for the first) (no run of UNet is stored" in saliency_words.looked_at(
        comparison({"TNet": runs((25.0,))})
    )


@pytest.mark.parametrize(
    "d, text",
    [
        (interval(1.2), "above"),
        (interval(0.8), "below"),
        (interval(1.005), "neither"),
        (interval(1.2, None), "too few photographs"),
        (NAN, "no image qualifies"),
        (None, "no image qualifies"),
    ],
)
def test_sides_of_a_reference(d, text):
    assert words.side(d, 1, "above", "below", "neither").startswith(text)


def test_noisy_pixels():
    def text(change, pixel, ring):
        return saliency_words.noisy_pixels(
            statistics(
                found={
                    "TNet": {"output_gradient_ratio": pixel, "ring_ratio": ring},
                    "TNet - Gaussian": {"change_auc": change, "loss_gradient_auc": change},
                    "noisy image": {"loss_gradient_auc": interval(1.0, 0)},
                }
            )
        )

    paper = text(interval(0.05), interval(0.9), interval(1.1))
    assert (
        "is +0.050 [+0.040, +0.060]: TNet finds the noisy pixels better." in paper
        and "itself reaches 1.000 by construction" in paper
    )
    assert (
        "lower, as the paper says, by 10.0 %" in paper
        and "around them 1.100 [1.090, 1.110] (higher, as the paper says, by 10.0 %)" in paper
    )
    other = text(interval(-0.05), interval(1.1), interval(0.9))
    assert (
        "TNet finds the noisy pixels worse" in other
        and "(higher, by 10.0 %)" in other
        and "(lower, by 10.0 %)" in other
    )
    neither = text(interval(0.005), interval(1.005), interval(1.005))
    assert (
        "the two do not differ significantly" in neither
        and neither.count("not significantly different from 1") == 2
    )
    assert text(NAN, NAN, NAN) == "No image has noisy pixels to look at: **not tested on these photographs**."
    assert text(interval(0.05), NAN, NAN).count("no image qualifies") == 2 and "nan" not in text(
        interval(0.05), NAN, NAN
    )
    assert "too few photographs" in text(interval(0.05, None), interval(0.9, None), interval(1.1, None))
    assert saliency_words.noisy_pixels(statistics(found={})) == ""


def test_what_was_learnt():
    def text(last, shuffled):
        found = statistics(
            found={
                "TNet": {"loss_gradient_auc": interval(0.8)},
                "TNet, shuffled weights": {"loss_gradient_auc": shuffled},
            }
        )
        return saliency_words.learnt(np.array([[1.0, 1.0], last]), found)

    gone = text([0.0, 0.06], interval(0.505))
    assert (
        "is 0.00 for the loss and 0.06 for the output. As a whole the maps depend on the learnt weights."
        in gone
    )
    assert gone.endswith(
        "with an AUC of 0.505 [0.495, 0.515] (trained: 0.800 [0.790, 0.810]): not significantly above chance."
    )
    assert "comes from how a map is made" in text([0.3, 0.0], interval(0.505))
    assert text([0.0, 0.0], interval(0.7)).endswith("no evidence of learning.") and text(
        [0.0, 0.0], interval(0.4)
    ).endswith("below chance.")
    undefined = text([float("nan"), 0.0], NAN)
    assert "undefined for the loss" in undefined and "nan" not in undefined.replace("undefined", "")
    assert saliency_words.learnt(None, statistics(found={})) == ""


def test_content_awareness():
    def text(tnet, untrained=1.0, change=0.1, bilateral=1.03):
        def at(x):
            return {"same_side": x if isinstance(x, Interval) else interval(x)}

        return saliency_words.content_awareness(
            statistics(
                found={
                    "TNet": at(tnet),
                    "TNet, untrained": at(untrained),
                    "TNet - TNet, untrained": at(change),
                    "bilateral": at(bilateral),
                    "non-local means": at(1.3),
                }
            )
        )

    assert "TNet is above the 1" in text(1.3) and "is at 1.000, so training increased it." in text(1.3)
    assert "bilateral is at 1.030 and non-local means is at 1.300." in text(1.3)
    assert "TNet is below the 1" in text(0.8, 0.7) and "training decreased it" in text(0.8, 0.7, change=-0.1)
    assert "no significant effect of training" in text(1.3, change=0.005)
    assert "does not differ significantly from the 1" in text(1.005)
    assert "a value above 1 alone does not show that anything was learnt" in text(1.02, 1.04)
    assert "bilateral is without a value" in text(1.3, bilateral=NAN)
    assert text(NAN).endswith("**not tested on these photographs**.")
    assert saliency_words.content_awareness(statistics(found={})) == ""
