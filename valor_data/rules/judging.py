"""Every clip by every rule, in the recipe's order."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from valor_data.recipe import Condition, Rule
from valor_data.rules.columns import NO_LABELS, Bools, Column, Labels, Places

Columns = Mapping[str, Column]


class Verdicts:
    """What is said of each clip. The first word against a clip stands."""

    def __init__(self, clips: int) -> None:
        self.kept: Bools = np.ones(clips, dtype=np.bool_)
        self.reasons = [""]
        """Every reason once; the first, for what is kept, is empty."""
        self.code: npt.NDArray[np.int32] = np.zeros(clips, dtype=np.int32)
        """Place of each clip's reason in `reasons`."""
        self.detail: npt.NDArray[np.object_] = np.full(clips, "", dtype=object)
        """What stands against what, such as `loudness_lufs -70 < -55`; empty when kept."""
        self.dropped: dict[str, int] = {}
        """Rule (as `describe` names it) -> clips that break it, whether or not another rule does too."""

    def reject(self, places: Places, reason: str, details: Sequence[str]) -> None:
        """Say why clips that are kept so far are rejected, with a detail for each."""
        if reason not in self.reasons:
            self.reasons.append(reason)
        self.kept[places] = False
        self.code[places] = self.reasons.index(reason)
        self.detail[places] = details

    def counts(self) -> dict[str, int]:
        """Reason -> clips rejected for it."""
        counted = np.bincount(self.code, minlength=len(self.reasons)).tolist()
        return {reason: count for reason, count in zip(self.reasons[1:], counted[1:], strict=True) if count}


def describe(rule: Rule) -> str:
    """A rule in one line: `inaudible: loudness_lufs >= -55`."""
    spared = f", except {', '.join(rule.except_labels)}" if rule.except_labels else ""
    return f"{rule.reason}: {_asked(rule)}{spared}"


def _asked(condition: Condition) -> str:
    if condition.metric is None:
        parts = [
            _asked(part) if part.metric is not None else f"({_asked(part)})"
            for part in condition.all or condition.any or ()
        ]
        return (" and " if condition.all else " or ").join(parts)
    wanted = []
    if condition.min is not None:
        wanted.append(f">= {condition.min:g}")
    if condition.max is not None:
        wanted.append(f"<= {condition.max:g}")
    if condition.equals is not None:
        wanted.append(f"= {_word(condition.equals)}")
    return f"{condition.metric} {' and '.join(wanted)}"


def decide(
    columns: Columns, rules: Sequence[Rule], verdicts: Verdicts, labels: Labels = NO_LABELS
) -> Verdicts:
    """Judge every clip by every rule: the first that it breaks gives the reason, unless something is said
    against it already."""
    for rule in rules:
        broken = breaks(columns, rule)
        if rule.except_labels:
            broken &= ~labels.have_one_of(rule.except_labels, len(broken))
        verdicts.dropped[describe(rule)] = int(broken.sum())
        places = np.flatnonzero(broken & verdicts.kept)
        if len(places):
            verdicts.reject(places, rule.reason, _details(columns, rule, places))
    return verdicts


def breaks(columns: Columns, condition: Condition) -> Bools:
    """True where a clip does not meet the condition; labels that spare it are not looked at."""
    if condition.metric is None:
        parts = [breaks(columns, part) for part in condition.all or condition.any or ()]
        broken: Bools = np.logical_or.reduce(parts) if condition.all else np.logical_and.reduce(parts)
        return broken
    values, words = columns[condition.metric]
    broken = np.isnan(values)
    if condition.missing == "keep":
        broken[:] = False
    with np.errstate(invalid="ignore"):  # nan is neither below nor above
        if condition.min is not None:
            broken |= values < condition.min
        if condition.max is not None:
            broken |= values > condition.max
    if condition.equals is not None:
        wanted = words.index(_word(condition.equals)) if _word(condition.equals) in words else -1
        broken |= ~np.isnan(values) & (values != wanted)
    return broken


def _details(columns: Columns, condition: Condition, places: Places) -> list[str]:
    """What each of some clips that break the condition breaks it with."""
    if condition.any:
        parts = [_details(columns, part, places) for part in condition.any]
        return [" and ".join(told) for told in zip(*parts, strict=True)]
    if condition.all:
        details: npt.NDArray[np.object_] = np.full(len(places), "", dtype=object)
        untold = np.ones(len(places), dtype=np.bool_)
        for part in condition.all:
            now = untold & breaks(columns, part)[places]
            if now.any():
                details[now] = _details(columns, part, places[now])
            untold &= ~now
        return list(details)
    column = columns[str(condition.metric)]
    return [
        f"{condition.metric} {_against(column, value, condition)}" for value in column.values[places].tolist()
    ]


def _against(column: Column, value: float, condition: Condition) -> str:
    """How a value that breaks the condition stands to it: `-70 < -55`."""
    if value != value:
        return "is not defined for this clip"
    if condition.equals is not None:
        return f"is {column.word(value)}, not {_word(condition.equals)}"
    if condition.min is not None and value < condition.min:
        return f"{value:.6g} < {condition.min:g}"
    return f"{value:.6g} > {condition.max:g}"


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
