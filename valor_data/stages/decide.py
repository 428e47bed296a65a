"""Numbers to verdicts: the recipe's rules over all measured clips, in one vectorised pass."""

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from valor_data import rules
from valor_data.errors import UserError
from valor_data.layout import clip_id, parse_clip_id, parse_official_id
from valor_data.recipe import MEASURES, Rule
from valor_data.records import AudioMeasures, Clip, Media, Outcome
from valor_data.workspace import Workspace


class Decision(NamedTuple):
    """What the rules did to the measured clips."""

    measured: int
    kept: int
    reasons: dict[str, int]
    """Reason -> clips rejected for it."""
    alarms: list[str]
    """One line for each rule that drops a larger share than the recipe allows."""
    changed: int
    """Verdicts that differ from the standing ones."""


def decide(workspace: Workspace) -> Decision:
    """Judge all measured clips of the recipe's profile and save what changed. No rule is asked where an
    owner, or the recipe's policy on rights, keeps a clip out."""
    recipe = workspace.recipe
    measured = workspace.tables.measured(recipe.profile)
    verdicts = rules.decide(columns(measured), recipe.rules, measured.num_rows)
    _keep_out(verdicts, measured["clip_id"], workspace.tables.barred(recipe.rights, recipe.profile))
    table = pa.table(
        {
            "clip_id": measured["clip_id"].combine_chunks(),
            "kept": pa.array(verdicts.kept),
            "reason": pa.array(verdicts.reason, pa.string()),
            "detail": pa.array(verdicts.detail, pa.string()),
        }
    )
    changed = workspace.tables.save_verdicts(table, recipe.rules_digest, made_by="rules@1")
    reasons: dict[str, int] = {}
    for reason in verdicts.reason:
        if reason:
            reasons[reason] = reasons.get(reason, 0) + 1
    limit = recipe.filter.max_drop_share
    alarms = [
        f"rule '{rule}' drops {count} of {measured.num_rows} clips ({count / measured.num_rows:.0%}), "
        f"more than filter.max_drop_share = {limit:g}: is the threshold right?"
        for rule, count in verdicts.dropped.items()
        if count > limit * measured.num_rows
    ]
    return Decision(measured.num_rows, int(verdicts.kept.sum()), reasons, alarms, changed)


def _keep_out(verdicts: rules.Verdicts, clips: "pa.ChunkedArray[Any]", barred: pa.Table) -> None:
    places = pc.index_in(barred["clip_id"], value_set=clips).to_pylist()
    for place, reason, detail in zip(
        places, barred["reason"].to_pylist(), barred["detail"].to_pylist(), strict=True
    ):
        if place is not None:  # else it is not measured
            verdicts.kept[place] = False
            verdicts.reason[place], verdicts.detail[place] = str(reason), str(detail)


def columns(measured: pa.Table) -> dict[str, rules.Column]:
    """The measured columns as the rules want them: numbers with nan, all else with None."""
    made: dict[str, rules.Column] = {}
    for field in measured.schema:
        column = measured[field.name]
        if pa.types.is_integer(field.type) or pa.types.is_floating(field.type):
            made[field.name] = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
        else:
            made[field.name] = np.array(column.to_pylist(), dtype=object)
    return made


def explain(workspace: Workspace, given: str) -> list[str]:
    """All that led to a clip's verdict, a line each: the clip, its fetch, its numbers, every rule.

    `given` is a clip_id, or the id in VALOR's form. Raises UserError for one that no list named.
    """
    tables, recipe = workspace.tables, workspace.recipe
    clip = next(tables.rows(Clip, clip_id=_own_form(given)), None)
    if clip is None:
        raise UserError(f"{given}: no such clip in {workspace.root}; see 'valor-data status'")
    lines = [f"clip      {clip.clip_id}  {clip.start_ms / 1000:.3f}-{clip.end_ms / 1000:.3f} s of {clip.url}"]
    if clip.labels:
        lines.append(f"labels    {', '.join(clip.labels)}")
    for outcome in tables.rows(Outcome, clip_id=clip.clip_id):
        why = f": {outcome.reason}: {outcome.message}" if outcome.reason else ""
        lines.append(f"{outcome.stage.split('/')[0]:<9} {outcome.status}{why}")
    barred = tables.barred(recipe.rights, recipe.profile, clip.clip_id).to_pylist()
    lines += [f"rights    {one['reason']}: {one['detail']}" for one in barred]
    media = next(tables.rows(Media, clip_id=clip.clip_id, profile=recipe.profile), None)
    if media is None:
        return [*lines, _without_numbers(barred, "the clip is not fetched with this recipe's profile")]
    found = [m for m in tables.rows(AudioMeasures, clip_id=clip.clip_id) if m.media_sha256 == media.sha256]
    if not found:
        return [*lines, _without_numbers(barred, "the clip is not measured")]
    numbers = found[-1].model_dump()
    lines += [f"measure   {name} = {_number(value)}" for name, value in numbers.items() if name in _SHOWN]
    broken = [rule for rule in recipe.rules if _broken(rule, numbers)]
    lines += [
        f"rule      {'BREAKS' if rule in broken else 'passes'}  {rules.describe(rule)}"
        for rule in recipe.rules
    ]
    against = [*(one["reason"] for one in barred), *(rule.reason for rule in broken)]
    return [*lines, f"verdict   {f'rejected: {against[0]}' if against else 'kept'}"]


_SHOWN = set(MEASURES)


def _without_numbers(barred: list[dict[str, str]], why: str) -> str:
    return f"verdict   rejected: {barred[0]['reason']}" if barred else f"verdict   none yet: {why}"


def _broken(rule: Rule, numbers: dict[str, object]) -> bool:
    if rule.metric not in numbers:
        known = ", ".join(sorted(_SHOWN))
        raise UserError(f"rule on {rule.metric!r}: no such measure; known: {known}")
    value = numbers[rule.metric]
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    return bool(rules.breaks(np.array([value], dtype=np.float64 if numeric else object), rule)[0])


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _own_form(given: str) -> str:
    """A clip's id from either form that people have at hand, ours or VALOR's."""
    try:
        span = parse_official_id(given) if "." in given else parse_clip_id(given)
        return clip_id(*span)
    except ValueError as error:
        raise UserError(str(error)) from None
