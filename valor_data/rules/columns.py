"""What is known of the clips, as arrays with one entry a clip."""

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Bools = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]


class Column(NamedTuple):
    """One metric: a number a clip, or the place of its word in `words`."""

    values: Numbers
    """nan: not defined for this clip, or never measured."""
    words: tuple[str, ...] = ()
    """Empty where the values are numbers; `("false", "true")` for what is true or not."""

    def word(self, value: float) -> str:
        """A value as people read it."""
        return self.words[int(value)] if self.words else f"{value:.6g}"


YES_NO = ("false", "true")


class Labels(NamedTuple):
    """Which clip has which labels: one entry a pair, no pair twice."""

    names: tuple[str, ...]
    clip: Places
    """Place of the clip."""
    label: Places
    """Place of the label in `names`."""

    def have_one_of(self, names: Collection[str], clips: int) -> Bools:
        """Clips with one of some labels, in letters of either case."""
        wanted = {name.casefold() for name in names}
        chosen = np.array([name.casefold() in wanted for name in self.names], dtype=np.bool_)
        found = np.zeros(clips, dtype=np.bool_)
        if chosen.any():
            found[self.clip[chosen[self.label]]] = True
        return found


NO_LABELS = Labels((), np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.intp))
