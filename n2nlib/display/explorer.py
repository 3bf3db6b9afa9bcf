"""Explore without code: widgets around one picture, results at once, gradients as they become ready.

`show()` is all that a notebook needs. The computing is in `scene`; this module has the widgets only.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anywidget
import ipywidgets as w
import numpy as np
import traitlets

from n2nlib.data.decoding import decode
from n2nlib.display import scene as s
from n2nlib.errors import ReportError, unknown_name
from n2nlib.evaluation.metrics import psnr, ssim

#: The part of a photograph's shorter side that the window of a newly chosen one takes.
SHARE = 0.9
#: Seconds between the steps of what takes long: the kernel answers the widgets meanwhile.
PAUSE = 0.02
_WIDE = {"style": {"description_width": "6rem"}, "layout": {"width": "16rem"}}
_THUMBNAIL = {"object_fit": "contain", "object_position": "left top", "width": "9rem", "height": "9rem"}
STILL = (
    "*A still picture: the widgets need a running kernel. Open this notebook with `make lab` and run the "
    "cell above (Shift+Enter).*"
)


class Pictures(anywidget.AnyWidget):
    """Pictures beside each other that share one pixel, which a click or the arrow keys move.

    pictures: dicts of title, caption, alt, `png` (bytes) and, for a curtain before it, `over`. pixel: [row,
    column] of `side` x `side` pixels. ipywidgets has no picture that tells where it was clicked, hence
    anywidget.
    """

    _esm = Path(__file__).with_name("explorer.js").read_text(encoding="utf-8")
    _css = Path(__file__).with_name("explorer.css").read_text(encoding="utf-8")
    pictures = traitlets.List().tag(sync=True)
    pixel = traitlets.List([0, 0]).tag(sync=True)
    side = traitlets.Int(64).tag(sync=True)


class Explorer(w.VBox):
    """Widgets that choose a picture, its noise and two methods, and show what the methods make of it.

    first, second: of `scene.METHODS`. photograph: of `scene.photographs()`.
    Raises ReportError for a photograph or method that does not exist.
    """

    def __init__(self, first: str = "TNet", second: str = "UNet", photograph: str = "china"):
        self.photographs = s.photographs()
        for kind, name, known in (("photograph", photograph, self.photographs), ("method", first, s.METHODS),
                                  ("method", second, s.METHODS)):  # fmt: skip
            if name not in known:
                raise unknown_name(kind, name, known)
        self._held, self._seed, self._task = False, 0, None
        self._controls(first, second, photograph)
        self.results, self.maps = Pictures(), Pictures()
        for name in ("pixel", "side"):
            traitlets.link((self.results, name), (self.maps, name))
        super().__init__([self._panel(), self.message, self.results, self._gradients(), self.maps])
        self.add_class("n2n-explorer")
        self._observe()
        self._choose_photograph()

    # --- the widgets ---

    def _controls(self, first: str, second: str, photograph: str) -> None:
        self.photograph = _dropdown("Photograph", list(self.photographs), photograph)
        self.upload = w.FileUpload(accept="image/*", description="Your photograph", layout={"width": "auto"})
        self.side = _dropdown("Picture", [(f"{n} x {n} cells", n) for n in s.SIDES], 64)
        self.cell = w.IntSlider(6, 1, 6, description="Cell (pixels)", **_WIDE)
        self.down = w.FloatSlider(0.5, min=0, max=1, step=0.01, description="Window y", **_WIDE)
        self.across = w.FloatSlider(0.5, min=0, max=1, step=0.01, description="Window x", **_WIDE)
        self.noise = _dropdown("Noise", [(n.title, kind) for kind, n in s.NOISES.items()], "subpixel")
        self.strength = w.FloatSlider(0, max=1, description="Strength", disabled=True, **_WIDE)
        self.unit = w.Label()
        self.again = w.Button(description="Draw the noise again", layout={"width": "auto"})
        self.first, self.second = _dropdown("Left", s.METHODS, first), _dropdown("Right", s.METHODS, second)
        self.of = _dropdown("Gradient of", [("the loss", "loss"), ("the summed output", "output")], "loss")
        self.sigma = w.FloatSlider(0.1, min=0, max=0.5, step=0.01, description="Sigma", **_WIDE)
        self.samples = w.IntSlider(16, 1, 64, description="Samples", **_WIDE)
        self.message, self.thumbnail = w.Label(), w.Image(format="png", layout=_THUMBNAIL)

    def _panel(self) -> w.Widget:
        columns = [
            [self.photograph, self.upload, self.side, self.cell],
            [self.down, self.across, self.noise, self.strength, self.unit],
            [self.first, self.second, self.again],
        ]
        return w.HBox([*map(w.VBox, columns), self.thumbnail], layout={"flex_flow": "row wrap"})

    def _gradients(self) -> w.Widget:
        return w.HBox([self.of, self.sigma, self.samples], layout={"flex_flow": "row wrap"})

    def _observe(self) -> None:
        self.photograph.observe(self._choose_photograph, "value")
        self.upload.observe(self._take_upload, "value")
        self.side.observe(self._fit, "value")
        self.noise.observe(self._choose_noise, "value")
        self.again.on_click(self._draw_again)
        for control in (self.cell, self.down, self.across, self.strength, self.first, self.second):
            control.observe(self.update, "value")
        for control in (self.of, self.sigma, self.samples):
            control.observe(self.look, "value")
        self.results.observe(self.look, "pixel")

    # --- what they do ---

    def _choose_photograph(self, _=None) -> None:
        try:
            self.photo = self.photographs[self.photograph.value]()
        except ReportError as error:
            self.message.value = str(error)
            return
        self._fit()

    def _take_upload(self, change) -> None:
        """Decode an uploaded file and choose it.

        What is not a photograph is one sentence, and the picture stays.
        """
        if not change["new"]:
            return
        file = change["new"][-1]
        try:
            photo = decode(bytes(file["content"]), file["name"])
        except ReportError as error:
            self.message.value = str(error)
            return
        self.photographs[file["name"]] = lambda: photo
        with self._together():
            self.photograph.options = list(self.photographs)
            self.photograph.value = file["name"]
        self._choose_photograph()

    def _fit(self, _=None) -> None:
        """Choose the largest picture and cells that fit into the photograph, and show the result."""
        if self._held:
            return
        shorter = min(self.photo.shape[:2])
        with self._together():
            self.side.value = max(n for n in s.SIDES if n <= min(shorter, self.side.value) or n == s.SIDES[0])
            self.cell.max = shorter // self.side.value
            self.cell.value = max(1, int(SHARE * shorter / self.side.value))
            self.results.side, self.results.pixel = self.side.value, [self.side.value // 2] * 2
        self.update()

    def _choose_noise(self, _=None) -> None:
        noise = s.NOISES[self.noise.value]
        with self._together():
            self.strength.min, self.strength.max = min(noise.low, self.strength.min), noise.high
            self.strength.min, self.strength.step, self.strength.value = noise.low, noise.step, noise.value
            self.strength.disabled = not noise.strength
            self.unit.value = noise.strength
        self.update()

    def _draw_again(self, _=None) -> None:
        self._seed += 1
        self.update()

    @contextmanager
    def _together(self) -> Iterator[None]:
        """Set several widgets without an update after each."""
        held, self._held = self._held, True
        try:
            yield
        finally:
            self._held = held

    def update(self, _=None) -> None:
        """Rebuild the picture and show it, its results and their errors; gradients follow."""
        if self._held:
            return
        window = s.Window(self.side.value, self.cell.value, self.down.value, self.across.value)
        try:
            self.scene = s.scene(self.photo, window, self.noise.value, self.strength.value, self._seed)
        except ReportError as error:
            self.message.value = str(error)
            return
        self.message.value = ""
        self.thumbnail.value = s.thumbnail(self.photo, window)
        self.results.pictures = self._results()
        self.look()

    def _results(self) -> list[dict]:
        shown, names = self.scene, (self.first.value, self.second.value)
        images = {"noisy": shown.a} | {n: s.denoised(n, shown) for n in names}
        top = [_picture(n, _quality(i, shown), s.png(i[0])) for n, i in images.items()]
        errors = {n: s.error(i, shown) for n, i in images.items()}
        limit = max(1.0, *(float(np.percentile(e, 99.5)) for e in errors.values()))
        below = [_picture(f"error: {n}", f"mean {e.mean():.1f}, brightest {limit:.0f}",
                          s.dark_to_bright(e, limit))
                 for n, e in errors.items()]  # fmt: skip
        curtain = _picture(" | ".join(names), "", s.png(images[names[0]][0]))
        curtain["over"] = s.png(images[names[1]][0])
        clean = _picture("clean", "the mean of each cell", s.png(shown.clean[0]))
        if len(top) == 2:  # one method on both sides
            top, below = [*top, top[1]], [*below, below[1]]
        return [*top, clean, *below, curtain]

    def look(self, _=None) -> None:
        """Show rows of the Jacobian and SmoothGrad, step by step, as the kernel finds time.

        A later call replaces it.
        """
        if self._held:
            return
        if self._task is not None:
            self._task.cancel()
        steps = self._maps()
        try:
            self._task = asyncio.get_running_loop().create_task(_step_by_step(steps))
        except RuntimeError:  # no event loop, as in a script
            for _ in steps:
                pass

    def _maps(self) -> Iterator[None]:
        """Fill the four maps in, yielding after each step."""
        names, pixel = (self.first.value, self.second.value), tuple(self.results.pixel)
        of, sigma, samples = self.of.value, self.sigma.value, self.samples.value
        rows, smooth = [None, None], [None, None]
        for i, name in enumerate(names):
            for rows[i] in s.jacobian_row(name, self.scene, pixel):
                yield
            self.maps.pictures = _of_gradients(names, pixel, of, rows, smooth)
        for i, name in enumerate(names):
            if name in s.NETWORKS:
                for smooth[i] in s.smoothed_gradient(name, self.scene, of, sigma, samples):
                    yield
                self.maps.pictures = _of_gradients(names, pixel, of, rows, smooth)

    def still(self) -> bytes:
        """Return a picture of what is shown, as PNG, for where no kernel runs."""
        from matplotlib import pyplot as plt

        from n2nlib.display import pictures, style

        names = (self.first.value, self.second.value)
        images = [self.scene.a, *(s.denoised(n, self.scene) for n in names), self.scene.clean]
        quality = [float(psnr(self.scene.clean, i, data_range=255)[0]) for i in images[:3]]
        style.use()
        fig = pictures.picture_grid([[i[0] for i in images]], ["noisy", *names, "clean"], [[*quality, None]])
        content = io.BytesIO()
        fig.savefig(content, format="png", dpi=110, metadata={"Software": None})
        plt.close(fig)
        return content.getvalue()


async def _step_by_step(steps: Iterator[None]) -> None:
    await asyncio.sleep(PAUSE)
    for _ in steps:
        await asyncio.sleep(PAUSE)


def _of_gradients(names, pixel, of: str, rows, smooth) -> list[dict]:
    """Return the four maps; both rows have one scale, and so have both gradients.

    None is not yet, or never, there.
    Of a row the surroundings of its pixel are drawn, which hold nearly all of it.
    """
    # A filter that keeps brightness has an output gradient of 1 everywhere.
    centre = 0.0 if of == "loss" else 1.0
    found = []
    drawn = (f"row of pixel {pixel}", rows, 0.0), (f"gradient of the {of}", smooth, centre)
    for title, maps, middle in drawn:
        limit = max([float(np.abs(m - middle).max()) for m in maps if m is not None] or [0.0]) or 1.0
        for name, values in zip(names, maps, strict=True):
            if values is not None and maps is rows:
                values = s.surroundings(values, pixel)
            caption = f"blue {middle - limit:.2g}, white {middle:g}, red {middle + limit:.2g}"
            png = None if values is None else s.blue_to_red(values - middle, limit)
            waiting = "computing" if name in s.NETWORKS or maps is rows else "for networks only"
            picture = _picture(f"{name}: {title}", caption if png else waiting, png)
            found.append(picture | {"near": maps is rows})
    return found


def _quality(image: np.ndarray, shown: s.Scene) -> str:
    decibels, similarity = (f(shown.clean, image, data_range=255)[0] for f in (psnr, ssim))
    return f"{decibels:.2f} dB, SSIM {similarity:.3f}"


def _picture(title: str, caption: str, png: bytes | None) -> dict:
    return {"title": title, "caption": caption, "alt": f"{title}: {caption}", "png": png}


def _dropdown(description: str, options, value) -> w.Dropdown:
    return w.Dropdown(options=options, value=value, description=description, **_WIDE)


def show(first: str = "TNet", second: str = "UNet", photograph: str = "china") -> None:
    """Show the explorer in a notebook, after a still picture of it that is hidden while the widgets live."""
    from IPython.display import Image, Markdown, display

    explorer = Explorer(first, second, photograph)
    display(Image(explorer.still()), Markdown(STILL), explorer)
