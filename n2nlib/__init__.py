"""The library of the report on "Training a Noise2Noise Denoising Autoencoder with PyTorch"."""

from importlib import import_module

__version__ = "0.1.0"

#: Public name -> module; loaded when first used, so that planning does not import torch.
_PUBLIC = {
    "load_pretrained": "pretrained",
    "denoise": "denoising",
    "noisy_pair": "denoising",
    "train": "course",
    "Model": "course",
    "psnr": "evaluation.metrics",
    "ssim": "evaluation.metrics",
    "TNet": "models",
    "UNet": "models",
    "BaseNet": "models",
    "SmallNet": "models",
    "build": "models",
    "open_dataset": "data",
    "RunSpec": "spec",
    "RunStore": "runs.store",
    "Comparison": "analysis.comparison",
    "Study": "study",
}

__all__ = ["__version__", *_PUBLIC]


def __getattr__(name):
    if name in _PUBLIC:
        return getattr(import_module(f".{_PUBLIC[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
