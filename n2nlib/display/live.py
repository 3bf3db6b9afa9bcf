"""Learning curves that grow while runs train."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns

from n2nlib.display.style import COLUMN
from n2nlib.spec import RunSpec


class LiveCurves:
    """Validation PSNR (dB) of labelled runs against images seen, redrawn while they train.

    Called with a run's spec and a row of its history after each epoch, as `sweep`'s `on_epoch`.
    """

    def __init__(self, specs: Mapping[str, RunSpec]):
        self.labels = {spec: label for label, spec in specs.items()}
        self.points = {label: [] for label in specs}
        self.shown = None

    def __call__(self, spec: RunSpec, row: Mapping[str, float]) -> None:
        self.points[self.labels[spec]].append((row["images"], row["psnr"]))
        self.draw()

    def finish(self, histories: Mapping[str, pd.DataFrame]) -> None:
        """Draw whole histories: those of runs that were stored already, too."""
        self.points = {
            label: list(zip(h["images"], h["psnr"], strict=True)) for label, h in histories.items()
        }
        self.draw()

    def draw(self) -> None:
        from IPython.display import display

        rows = [(label, *point) for label, points in self.points.items() for point in points]
        frame = pd.DataFrame(rows, columns=["run", "training images seen", "validation PSNR (dB)"])
        fig, ax = plt.subplots(figsize=(COLUMN * 1.4, 2.8))
        sns.lineplot(frame, x="training images seen", y="validation PSNR (dB)", hue="run", marker="o", ax=ax)
        plt.close(fig)  # or the inline backend would show it a second time
        if self.shown is None:
            self.shown = display(fig, display_id=True)
        else:
            self.shown.update(fig)
