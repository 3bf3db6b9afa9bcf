"""`Pairs`: the arrays that a network is trained and measured on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from n2nlib.errors import DatasetError


@dataclass(frozen=True, eq=False)
class Pairs:
    """Noisy pairs of N images, in stored order.

    a, b: two independent noisy images of each scene; clean: what both are drawn around; each uint8 (N, 3,
    32, 32). The authors' files hold no clean training image and one noisy validation image: there `clean`
    or `b` is None. photo: int32 (N,), the number of the photograph that each pair was cut from (the cluster
    of the bootstrap).
    """

    name: str
    a: np.ndarray
    b: np.ndarray | None
    clean: np.ndarray | None
    photo: np.ndarray

    def __len__(self) -> int:
        return len(self.a)

    def subset(self, n: int, n_photos: int = 0) -> Pairs:
        """Return the first n pairs among those of the first `n_photos` photographs (0: all).

        Raises DatasetError when there are fewer than n.
        """
        keep, there = slice(0, n), len(self)
        if n_photos:
            keep = np.flatnonzero(np.asarray(self.photo) < n_photos)[:n]
            there = len(keep)
        if there < n:
            of = f" of its first {n_photos} photographs" if n_photos else ""
            raise DatasetError(f"{self.name} holds {there} pairs{of}, fewer than the {n} asked for.")
        arrays = {name: getattr(self, name) for name in ("a", "b", "clean", "photo")}
        return replace(self, **{name: None if v is None else v[keep] for name, v in arrays.items()})
