"""Which clips change side under another recipe's rules; no verdict is written."""

from collections import Counter
from typing import Any, NamedTuple

import numpy as np

from valor_data.recipe import Recipe
from valor_data.rules import Verdicts
from valor_data.stages.decide.judge import judge
from valor_data.stages.decide.known import Known, know
from valor_data.workspace import Workspace

_SHOWN = 20
_OTHER_SAFETY = (
    "[safety] differs: both sides have this workspace's quarantine, which 'valor-data filter' fills anew"
)


class Moved(NamedTuple):
    """A clip that one recipe keeps and the other rejects."""

    clip_id: str
    reason: str
    detail: str


class Comparison(NamedTuple):
    """Two recipes over the same measured clips."""

    measured: int
    kept: int
    """By the first recipe."""
    other_kept: int
    dropped: list[Moved]
    """Kept by the first and rejected by the other, whose reasons these are; by clip_id."""
    regained: list[Moved]
    """Rejected by the first, for these reasons, and kept by the other."""
    notes: tuple[str, ...] = ()
    """What the comparison does not tell."""

    def as_json(self) -> dict[str, Any]:
        """All of it."""
        return {
            "measured": self.measured,
            "kept": self.kept,
            "other_kept": self.other_kept,
            "dropped": [clip._asdict() for clip in self.dropped],
            "regained": [clip._asdict() for clip in self.regained],
            "notes": list(self.notes),
        }

    def lines(self) -> list[str]:
        """For people: the counts, and some of the clips."""
        return [
            f"{self.measured:,} measured clips: {self.kept:,} kept here, {self.other_kept:,} there",
            *_side("kept here, rejected there", self.dropped),
            *_side("rejected here, kept there", self.regained),
            *self.notes,
        ]


def _side(head: str, moved: list[Moved]) -> list[str]:
    lines = [f"{head}: {len(moved):,}"]
    for reason, count in Counter(clip.reason for clip in moved).most_common():
        lines.append(f"  {reason:<20}{count:>12,}")
    lines += [f"    {clip.clip_id}  {clip.reason}: {clip.detail}" for clip in moved[:_SHOWN]]
    if len(moved) > _SHOWN:
        lines.append(f"    and {len(moved) - _SHOWN:,} more: --json lists all")
    return lines


def compare(workspace: Workspace, other: Recipe) -> Comparison:
    """Judge all measured clips of the workspace's profile by its recipe and by another, in memory."""
    known = know(workspace, [workspace.recipe, other])
    ours, theirs = (judge(workspace, recipe, known).verdicts for recipe in (workspace.recipe, other))
    return Comparison(
        len(known.clips),
        int(ours.kept.sum()),
        int(theirs.kept.sum()),
        _moved(known, ours, theirs),
        _moved(known, theirs, ours),
        () if workspace.recipe.safety == other.safety else (_OTHER_SAFETY,),
    )


def _moved(known: Known, keeps: Verdicts, rejects: Verdicts) -> list[Moved]:
    places = np.flatnonzero(keeps.kept & ~rejects.kept)
    reasons = [rejects.reasons[code] for code in rejects.code[places].tolist()]
    return sorted(
        Moved(*row) for row in zip(known.names(places), reasons, rejects.detail[places].tolist(), strict=True)
    )
