"""Sentences of chapter 05 on change and background, in all their branches."""

from __future__ import annotations

import numpy as np
import pytest

from n2nlib.analysis.image_statistics import ImageStatistics
from n2nlib.display import saliency_words

PHOTO = np.repeat(np.arange(10), 2)


def measured(spread=0.01, **arrays):
    """Three seeds on 20 images around each value."""
    noise = spread * np.random.default_rng(0).normal(size=(3, 20))
    return {name: value + noise for name, value in arrays.items()} | {"photo": PHOTO}


@pytest.mark.parametrize(
    "share, towards, spread, half, moved",
    [
        (0.19, 0.96, 0.01, "less than half, so most of the change is elsewhere", "(more than half)"),
        (0.60, 0.20, 0.01, "more than half, so TNet mainly changes them", "(fewer than half)"),
        (0.50, 0.50, 0.3, "not significantly different from half", "(not significantly different from half)"),
    ],
)
def test_the_change_is_told_by_its_share_and_direction(share, towards, spread, half, moved):
    found = ImageStatistics({"TNet": measured(spread, change_share=share, towards=towards)})
    told = saliency_words.changes(found)
    assert half in told and moved in told and "Gaussian" not in told
    both = found | ImageStatistics({"Gaussian": measured(change_share=0.18)})
    assert "of TNet's change (Gaussian filter: 18 %): " in saliency_words.changes(both)


@pytest.mark.parametrize(
    "log, spread, text",
    [
        (0.1, 0.01, "the background weighs more, as the paper says"),
        (-0.1, 0.01, "the object weighs more, unlike in the paper's square"),
        (0.0, 0.3, "neither side weighs more significantly"),
    ],
)
def test_the_side_that_weighs_more_is_named(log, spread, text):
    told = saliency_words.background(ImageStatistics({"TNet": measured(spread, background=log)}))
    assert told.startswith("Background over object: ") and told.endswith(f"; {text}.")


def test_without_tnet_or_an_image_nothing_is_told():
    nan = np.full((1, 20), np.nan)
    for found in ({}, {"TNet": {"change_share": nan, "towards": nan, "background": nan, "photo": PHOTO}}):
        assert saliency_words.changes(ImageStatistics(found)) == ""
        assert saliency_words.background(ImageStatistics(found)) == ""
