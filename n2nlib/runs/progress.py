"""Progress of long work: a bar in a terminal and in JupyterLab, a line now and then elsewhere.

All of it goes to stderr, which notebooks' tests and the report leave out. Under papermill the lines reach the
terminal through `report.run`, which passes on what begins like them.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from n2nlib.runs import speed
from n2nlib.spec import RunSpec

#: Seconds between two lines, to the first one, and from one line about finished runs to the next.
EVERY, FIRST, GAP = 30.0, 10.0, 5.0
#: Seconds of training after which this sweep's own rates are believed.
ENOUGH = 1.0
#: How lines begin that a chapter's process passes on to the terminal.
BEGINNINGS = ("training", "still ", "search")


def say(text: str) -> None:
    """Print a line of progress."""
    print(text, file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    """Return a time as a reader says it: 8 s, 3 min, 2 h 10 min, 517 h."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min" if minutes < 600 else f"{round(minutes / 60)} h"


def live() -> bool:
    """Whether a moving bar can be displayed: on a terminal, or in a Jupyter notebook.

    A kernel under papermill, nbclient or nbval has no such server.
    """
    if "ipykernel" in sys.modules:
        return "JPY_SESSION_NAME" in os.environ
    return sys.stderr is not None and sys.stderr.isatty()


@contextmanager
def still(what: str, quiet: bool = False) -> Iterator[None]:
    """Report every 30 seconds (first after 10) that something without a bar is under way."""
    ended, start = threading.Event(), time.monotonic()

    def watch() -> None:
        wait = FIRST
        while not ended.wait(wait):
            say(f"still {what}, {duration(time.monotonic() - start)}")
            wait = EVERY

    thread = threading.Thread(target=watch, daemon=True)
    if not quiet:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        if not quiet:
            thread.join()


class Meter:
    """Adds up images and their time; a training calls it with the images since its last call.

    `report(images, timed, seconds)`: images done, how many of them were timed, and in how many seconds. The
    images of a checkpoint, which the first call reports, were not timed.
    """

    def __init__(self, report: Callable[[int, int, float], None]):
        self.report, self.last = report, None

    def __call__(self, images: int) -> None:
        now = time.monotonic()
        timed = self.last is not None and images > 0
        self.report(images, images if timed else 0, now - self.last if timed else 0.0)
        self.last = None if images < 0 else now  # less than nothing: the training begins again


class Progress:
    """The progress of a sweep, over runs of networks whose images cost differently."""

    def __init__(self, specs: Sequence[RunSpec], device: str, quiet: bool = False):
        self.device, self.quiet = device, quiet
        self.runs, self.done, self.failed = len(specs), 0, 0
        self.total = Counter()  # kind of run -> images
        for s in specs:
            self.total[speed.kind(s)] += speed.work(s)
        self.kinds = list(self.total)
        self.slots = 1  # how many groups train at a time; set by the sweep
        self.images, self.timed, self.seconds = (dict.fromkeys(self.kinds, 0) for _ in range(3))
        self.before = speed.noted(device)
        self.what = f"training {self.runs} run{'s' * (self.runs > 1)}"
        self.share, self.bar, self.opened = 0.0, None, False
        self.start = self.said = time.monotonic()
        self.due = self.start + FIRST

    def __enter__(self):
        if live() and not self.quiet:
            from tqdm.auto import tqdm

            shape = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}{postfix}"
            self.bar = tqdm(total=1.0, desc=self.what, bar_format=shape)
        return self

    def __exit__(self, kind, *_):
        took = time.monotonic() - self.start
        if self.bar is not None:
            self.bar.close()
        elif not self.quiet and self.opened and kind is None:
            say(f"training: {self._runs()} in {duration(took)}")
        speed.note(self.device, self.measured(speed.WORTH_NOTING))

    def open(self) -> None:
        """Announce the training, once it is known how many groups train at a time."""
        if self.quiet or self.bar is not None or self.opened:
            return
        self.opened = True
        left = self.left()
        expected = (
            f"about {duration(left)} at the speed noted on this machine" if left is not None
            else "the time left follows after the first seconds"
        )  # fmt: skip
        say(f"{self.what}, {self.total.total():,} images: {expected}")

    def meter(self, spec: RunSpec) -> Meter:
        """Return what the training of a group of runs like this one calls in this process."""
        k = speed.kind(spec)

        def report(images: int, timed: int, seconds: float) -> None:
            self.images[k] += images
            self.timed[k] += timed
            self.seconds[k] += seconds
            self.tick()

        return Meter(report)

    def set(self, counted: Mapping[str, tuple[int, int, float]]) -> None:
        """Take over what other processes have counted: kind -> images, timed, seconds."""
        for k, values in counted.items():
            self.images[k], self.timed[k], self.seconds[k] = values
        self.tick()

    def finished(self, runs: int = 1, failed: int = 0) -> None:
        """Note that some runs are done, or have failed."""
        self.done, self.failed = self.done + runs, self.failed + failed
        if self.bar is None and time.monotonic() - self.said >= GAP:
            self.due = 0.0
        self.tick()

    def _runs(self) -> str:
        return f"{self.done} of {self.runs} runs done" + (f", {self.failed} failed" if self.failed else "")

    def measured(self, seconds: float) -> dict[str, float]:
        """Return images/s of the kinds that this sweep has timed for so many seconds."""
        long_enough = (k for k in self.kinds if self.seconds[k] >= seconds and self.timed[k])
        return {k: self.timed[k] / self.seconds[k] for k in long_enough}

    def rates(self) -> dict[str, float]:
        """Return images/s by kind: of this sweep where it has measured long enough, else as noted before."""
        return self.before | self.measured(ENOUGH)

    def left(self) -> float | None:
        """Return the seconds that are left, or None where nothing was measured."""
        rates = self.rates()
        if not rates:
            return None
        slots = max(1, min(self.slots, self.runs - self.done - self.failed))
        return sum(max(0, self.total[k] - self.images[k]) / speed.rate(k, rates) for k in self.kinds) / slots

    def tick(self) -> None:
        """Show where things stand, if it is time to."""
        if self.quiet:
            return
        now = time.monotonic()
        if self.bar is None and now < self.due:
            return
        rates = self.rates()
        cost = {k: 1 / (speed.rate(k, rates) or 1 / speed.COST.get(k.split("/")[0], 1.0)) for k in self.kinds}
        whole = sum(cost[k] * self.total[k] for k in self.kinds)
        share = sum(cost[k] * min(self.images[k], self.total[k]) for k in self.kinds) / whole
        self.share = max(self.share, min(1.0, share))  # a better estimate of the whole must not turn it back
        left = self.left()
        rest = f", about {duration(left)} left" if left is not None and self.share < 1 else ""
        if self.bar is not None:
            self.bar.set_postfix_str(f"{self._runs()}{rest}", refresh=False)
            self.bar.update(self.share - self.bar.n)
            return
        self.open()
        say(f"training: {self._runs()}, {100 * self.share:.0f} % of the work{rest}")
        self.due, self.said = now + EVERY, now
