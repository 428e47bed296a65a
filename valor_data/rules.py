"""The verdict: measured columns in, kept or rejected with a reason out. Pure and vectorised."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from valor_data.errors import UserError
from valor_data.recipe import Rule

Column = npt.NDArray[Any]
"""One value a clip: float64 with nan for "not defined", or object with None for it."""


class Verdicts(NamedTuple):
    """One entry a clip, in the order of the columns."""

    kept: npt.NDArray[np.bool_]
    reason: list[str]
    """Reason of the first rule broken; empty when kept."""
    detail: list[str]
    """The value against the rule, such as `loudness_lufs -70 < -55`."""
    dropped: dict[str, int]
    """Rule (as `describe` names it) -> clips that break it, whether or not another rule does too."""


def describe(rule: Rule) -> str:
    """A rule in one line: `inaudible: loudness_lufs >= -55`."""
    wanted = []
    if rule.min is not None:
        wanted.append(f">= {rule.min:g}")
    if rule.max is not None:
        wanted.append(f"<= {rule.max:g}")
    if rule.equals is not None:
        wanted.append(f"= {_word(rule.equals)}")
    return f"{rule.reason}: {rule.metric} {' and '.join(wanted)}"


def decide(columns: Mapping[str, Column], rules: Sequence[Rule], clips: int) -> Verdicts:
    """Judge every clip by every rule; the first broken rule, in the recipe's order, gives the reason.

    Raises UserError for a metric that no measures table has.
    """
    kept = np.ones(clips, dtype=np.bool_)
    reason = [""] * clips
    detail = [""] * clips
    dropped: dict[str, int] = {}
    for rule in rules:
        column = _column(columns, rule.metric)
        broken = breaks(column, rule)
        dropped[describe(rule)] = int(broken.sum())
        for index in np.flatnonzero(broken & kept).tolist():
            reason[index] = rule.reason
            detail[index] = f"{rule.metric} {against(column[index], rule)}"
        kept &= ~broken
    return Verdicts(kept, reason, detail, dropped)


def breaks(column: Column, rule: Rule) -> npt.NDArray[np.bool_]:
    """True where a value breaks the rule."""
    if column.dtype == object:
        missing = np.array([value is None for value in column], dtype=np.bool_)
    else:
        missing = np.isnan(column)
    broken = missing & (rule.missing == "reject")
    there = ~missing
    if rule.equals is not None:
        broken |= there & (column != rule.equals)
    if rule.min is not None or rule.max is not None:
        if column.dtype == object:
            raise UserError(f"rule on {rule.metric!r}: min and max need a number; use equals")
        with np.errstate(invalid="ignore"):
            if rule.min is not None:
                broken |= there & (column < rule.min)
            if rule.max is not None:
                broken |= there & (column > rule.max)
    return broken


def against(value: Any, rule: Rule) -> str:
    """How a value that breaks the rule stands to it: `-70 < -55`."""
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return "is not defined for this clip"
    if rule.equals is not None and value != rule.equals:
        return f"is {_word(value)}, not {_word(rule.equals)}"
    if rule.min is not None and value < rule.min:
        return f"{value:.4g} < {rule.min:g}"
    return f"{value:.4g} > {rule.max:g}"


def _column(columns: Mapping[str, Column], metric: str) -> Column:
    if metric not in columns:
        known = ", ".join(sorted(name for name in columns if name != "clip_id"))
        raise UserError(f"rule on {metric!r}: no such measure; known: {known}")
    return columns[metric]


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
