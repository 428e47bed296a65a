"""All that led to the verdict on one clip."""

import re
from collections.abc import Iterator

from valor_data import rules
from valor_data.errors import UserError
from valor_data.layout import clip_id, parse_clip_id, parse_official_id
from valor_data.records import (
    MEASURES,
    Clip,
    Leak,
    Measures,
    Media,
    Neighbour,
    Outcome,
    Quarantine,
    TagMeasures,
    Verdict,
)
from valor_data.stages.decide.judge import BALANCE, QUARANTINED, tells_of_group
from valor_data.stages.decide.known import know
from valor_data.workspace import Workspace


def explain(workspace: Workspace, given: str) -> list[str]:
    """All that led to a clip's verdict, a line each: the clip, its fetch, its numbers by measurer, its
    groups and leaks, every rule.

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
    against = [str(one["reason"]) for one in barred]
    for held in tables.rows(Quarantine, clip_id=clip.clip_id):
        told = "a person found it harmless" if held.made_by == "person" else held.detail
        lines.append(f"safety    {held.cause}: {f'lifted: {told}' if held.lifted else 'quarantined'}")
        against += [] if held.lifted else [QUARANTINED]
    media = next(tables.rows(Media, clip_id=clip.clip_id, profile=recipe.profile), None)
    if media is None:
        return [*lines, _verdict(against, "none yet: the clip is not fetched with this recipe's profile")]
    known = know(workspace, [recipe], clip_id=clip.clip_id)
    if not len(known.clips):
        return [*lines, _verdict(against, "none yet: the clip is not measured")]
    for record in MEASURES:
        lines += _measured(_newest(workspace, record, media))
    for group in tables.rows(Neighbour, clip_id=clip.clip_id):
        if group.size > 1:  # else it has left its group
            told = f"one of {group.size}; {group.representative} stands for them"
            lines.append(f"group     {group.kind}: {told}")
    for leak in tables.rows(Leak, clip_id=clip.clip_id):
        if leak.how != "none":
            lines.append(f"leak      {leak.benchmark}: {leak.how} {leak.match}")
    standing = next(tables.rows(Verdict, clip_id=clip.clip_id, rules_digest=recipe.rules_digest), None)
    rows = sorted(recipe.effective_rules, key=tells_of_group)
    for rule in rows:
        if tells_of_group(rule):  # depends on the other clips of its group
            kept = not (standing and standing.reason == rule.reason)
            detail = "" if standing else "not asked yet: run 'valor-data filter'"
        else:
            said = rules.decide(known.columns, [rule], rules.Verdicts(1), known.labels)
            kept, detail = bool(said.kept[0]), str(said.detail[0])
        lines.append(
            f"rule      {'passes' if kept else 'BREAKS'}  {rules.describe(rule)}{detail and f'  ({detail})'}"
        )
        against += [] if kept else [rule.reason]
    if recipe.balance.per_label is not None and not against:
        told = standing.detail or "has room for it" if standing else "not asked yet: run 'valor-data filter'"
        lines.append(f"balance   {told}")
        against += [BALANCE] if standing and standing.reason == BALANCE else []
    return [*lines, _verdict(against, "kept")]


def _verdict(against: list[str], otherwise: str) -> str:
    return f"verdict   {f'rejected: {against[0]}' if against else otherwise}"


def _newest(workspace: Workspace, record: type[Measures], media: Media) -> Measures | None:
    """The row of the newest version on these very bytes."""
    rows = workspace.tables.rows(record, clip_id=media.clip_id, media_sha256=media.sha256)
    return max(rows, key=lambda row: (_version(row.made_by), row.made_at_us), default=None)


def _version(made_by: str) -> int:
    found = re.search(r"@([0-9]+)\Z", made_by)
    return int(found[1]) if found else 0


def _measured(row: Measures | None) -> Iterator[str]:
    if row is None:
        return
    yield f"measured  by {row.made_by}"
    if isinstance(row, TagMeasures):
        for tag, score in zip(row.tags, row.tag_scores, strict=True):
            yield f"tag       {tag} = {score:.3g}"
        return
    for name in type(row).model_fields:
        if name not in Measures.model_fields:
            yield f"measure   {name} = {_told(getattr(row, name))}"


def _told(value: object) -> str:
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _own_form(given: str) -> str:
    """A clip's id from either form that people have at hand, ours or VALOR's."""
    try:
        span = parse_official_id(given) if "." in given else parse_clip_id(given)
        return clip_id(*span)
    except ValueError as error:
        raise UserError(str(error)) from None
