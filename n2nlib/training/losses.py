"""The objectives of sections 2.3.1 and 2.3.2: (B,3,H,W) each in [0, 1] -> a scalar."""

from __future__ import annotations

import torch.nn.functional as F

from n2nlib.errors import unknown_name


def l2(prediction, noisy_target):
    """Mean squared error: its optimum against noisy targets is their mean, the clean image."""
    return F.mse_loss(prediction, noisy_target)


def l1(prediction, noisy_target):
    """Mean absolute error: its optimum against noisy targets is their median."""
    return F.l1_loss(prediction, noisy_target)


def l_hdr(prediction, noisy_target):
    """L_HDR of Lehtinen et al. (2018, section 3.4): error relative to the output's brightness.

    The denominator carries no gradient; 0.01 keeps it from zero, as there. Brightness is never negative,
    predictions with a leaky last layer are: those count as black, or one of -0.01 would divide by zero.
    """
    brightness = prediction.detach().clamp(min=0)
    return ((prediction - noisy_target) ** 2 / (brightness + 0.01) ** 2).mean()


LOSSES = {"L2": l2, "L1": l1, "L_HDR": l_hdr}


def loss(name: str):
    """Return the loss of that name: a function of (prediction, noisy_target).

    Raises ReportError for an unknown name.
    """
    if name not in LOSSES:
        raise unknown_name("loss", name, LOSSES)
    return LOSSES[name]
