"""What TNet does to noisy pixels, and which side of an edge weighs more.

Three more statements of the paper's section 3.

- `smoothgrad.change_share`: the share of the change |f(a) - a| that falls on the noisy pixels (the
  noisiest 5 %).
- `smoothgrad.towards_surroundings`: the share of noisy pixels whose grey value ends nearer to the mean of
  their quiet neighbours in the noisy image than it was.
- `smoothgrad.background_ratio`: |SmoothGrad of the output| within 3 pixels of an edge pixel, the mean on the
  side of the background over that on the side of the object, summed over the edge pixels of an image,
  averaged over images geometrically. **Background** is the side whose grey value is nearer to that of the
  border of the image.
"""

from __future__ import annotations

import numpy as np

from n2nlib.evaluation.saliency import DISC, edge_pixels, error_map, grey, noisiest, surroundings

#: Width of the border of an image whose grey value stands for the background.
BORDER = 2


def change(noisy: np.ndarray, clean: np.ndarray, denoised: np.ndarray) -> dict[str, np.ndarray]:
    """Return `change_share` and `towards` of each image, (N,) each and NaN where no pixel is noisy.

    noisy, clean: uint8 (N,3,H,W); denoised: (N,3,H,W) on a [0, 1] scale.
    """
    positive = noisiest(error_map(noisy, clean))
    moved = np.abs(denoised - noisy / 255.0).mean(1)  # (N,3,H,W) -> (N,H,W)
    before, after = grey(noisy), denoised.mean(1)
    around = surroundings(before, positive)
    with np.errstate(invalid="ignore", divide="ignore"):
        nearer = np.abs(after - around) < np.abs(before - around) - 1e-9  # more than rounding
        known = positive & np.isfinite(around)
        share = (moved * positive).sum((1, 2)) / moved.sum((1, 2))
        towards = (nearer & known).sum((1, 2)) / known.sum((1, 2))
    return {"change_share": np.where(positive.any((1, 2)), share, np.nan), "towards": towards}


def background(clean: np.ndarray, influence: np.ndarray) -> np.ndarray:
    """Return the logarithm of background over object for each image.

    uint8 (N,3,H,W), (N,H,W) -> (N,), NaN without edges.
    """
    light = grey(clean)
    inside = np.zeros(light.shape[1:], bool)
    inside[BORDER:-BORDER, BORDER:-BORDER] = True
    out = np.full(len(clean), np.nan)
    for i, (pixels, own) in enumerate(edge_pixels(clean)):
        if not len(pixels):
            continue
        at = pixels[:, None] + np.array(DISC)  # (K,28,2)
        values, weights = (image[i][at[..., 0], at[..., 1]] for image in (light, influence))
        border = light[i][~inside].mean()
        sides = [_means(values, side) for side in (own, ~own)]
        far = [np.abs(side - border) for side in sides]
        behind = np.where((far[0] < far[1])[:, None], own, ~own)
        out[i] = np.log(_means(weights, behind).sum() / _means(weights, ~behind).sum())
    return out


def _means(values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Return the mean of the chosen values of each row."""
    return (values * chosen).sum(1) / chosen.sum(1)
