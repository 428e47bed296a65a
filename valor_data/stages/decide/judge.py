"""Rights, quarantine, rules and balance over all measured clips, in one vectorised pass."""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from valor_data import rules
from valor_data.recipe import GROUPS, TAG, Recipe, Rule
from valor_data.records import Quarantine
from valor_data.stages.decide.known import Known, know, metrics_of
from valor_data.workspace import Workspace

QUARANTINED = "quarantined"
BALANCE = "balance"


class Decision(NamedTuple):
    """What the rules did to the measured clips."""

    measured: int
    kept: int
    reasons: dict[str, int]
    """Reason -> clips rejected for it."""
    alarms: list[str]
    """One line for each rule that drops a larger share than the recipe allows, for each word in a rule that
    no clip has, and for what a cap on labels cannot reach."""
    changed: int
    """Verdicts that differ from the standing ones."""


class Judged(NamedTuple):
    """What a recipe says of the clips."""

    verdicts: rules.Verdicts
    unlabelled: int
    """Kept clips without a label; 0 where no cap is asked for."""


def decide(workspace: Workspace) -> Decision:
    """Judge all measured clips of the recipe's profile and save what changed."""
    recipe = workspace.recipe
    known = know(workspace, [recipe])
    verdicts, unlabelled = judge(workspace, recipe, known)
    table = pa.table(
        {
            "clip_id": known.clips,
            "kept": pa.array(verdicts.kept),
            "reason": pa.array(verdicts.reasons).take(verdicts.code),
            "detail": pa.array(verdicts.detail, pa.string()),
        }
    )
    changed = workspace.tables.save_verdicts(table, recipe.rules_digest, made_by="rules@1")
    measured = len(known.clips)
    limit = recipe.filter.max_drop_share
    alarms = [
        f"rule '{rule}' drops {count} of {measured} clips ({count / measured:.0%}), "
        f"more than filter.max_drop_share = {limit:g}: is the threshold right?"
        for rule, count in verdicts.dropped.items()
        if count > limit * measured
    ]
    alarms += _unheard_of(workspace, known)
    if unlabelled:
        alarms.append(f"balance: {unlabelled} kept clips have no label, so that no cap reaches them")
    return Decision(measured, int(verdicts.kept.sum()), verdicts.counts(), alarms, changed)


def _unheard_of(workspace: Workspace, known: Known) -> Iterator[str]:
    """A line for each label or class in the recipe's own rules that no clip has: it may be misspelt."""
    labels = {name.casefold(): name for name in known.labels.names}
    for rule in workspace.recipe.rules or ():
        for label in rule.except_labels or ():
            if label.casefold() not in labels:
                yield f"rule {rule.reason!r} spares {label!r}: no clip has that label{_near(label, labels)}"
    for name in metrics_of(workspace.recipe):
        if name.startswith(TAG) and not (known.columns[name].values > 0).any():
            classes = {word.casefold(): word for word in workspace.tables.classes_heard()}
            near = _near(name.removeprefix(TAG), classes)
            yield f"rule on {name!r}: the tagger heard that class in no clip{near}"


def _near(word: str, known: Mapping[str, str]) -> str:
    near = difflib.get_close_matches(word.casefold(), known, n=1)
    return f"; did you mean {known[near[0]]!r}?" if near else ""


def judge(workspace: Workspace, recipe: Recipe, known: Known) -> Judged:
    """What a recipe says of the measured clips. No rule is asked where an owner, the recipe's policy on
    rights, or a quarantine keeps a clip out; rules on groups come behind the others, and last the balance,
    over what is kept."""
    verdicts = rules.Verdicts(len(known.clips))
    barred = workspace.tables.barred(recipe.rights, workspace.recipe.profile)
    _keep_out(verdicts, known, zip(*(barred[name].to_pylist() for name in _BARRED), strict=True))
    held = workspace.tables.rows(Quarantine, lifted=False)
    _keep_out(verdicts, known, ((row.clip_id, QUARANTINED, row.cause) for row in held))
    alone = [rule for rule in recipe.effective_rules if not tells_of_group(rule)]
    rules.decide(known.columns, alone, verdicts, known.labels)
    # Only now is it known who of a group is left to stand for it.
    grouped = [rule for rule in recipe.effective_rules if tells_of_group(rule)]
    rules.decide(known.columns | known.elected(verdicts.kept), grouped, verdicts, known.labels)
    per_label = recipe.balance.per_label
    if per_label is None:
        return Judged(verdicts, 0)
    cap = rules.over_the_cap(verdicts.kept, known.labels, known.names, per_label, recipe.balance.seed)
    details = [f"label {label!r} has its {per_label} clips without it" for label in cap.rarest]
    verdicts.reject(cap.over, BALANCE, details)
    return Judged(verdicts, cap.unlabelled)


def tells_of_group(rule: Rule) -> bool:
    """Whether a rule asks what else is in a clip's group."""
    return any(leaf.metric in GROUPS for leaf in rule.leaves())


_BARRED = ("clip_id", "reason", "detail")


def _keep_out(verdicts: rules.Verdicts, known: Known, rows: Iterable[tuple[str, str, str]]) -> None:
    """Reject clips by (clip_id, reason, detail), of whose several rows the first counts."""
    listed = list(rows)
    places = known.places(pa.chunked_array([pa.array([clip for clip, _, _ in listed], pa.string())]))
    for place, (_, reason, detail) in zip(places, listed, strict=True):
        if place is not None and verdicts.kept[place]:  # None: it is not measured
            verdicts.reject(np.array([place]), reason, [detail])
