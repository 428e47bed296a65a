"""Clips that nobody shall be shown: by lists of hashes, by a model's score against the recipe's limit, or by
one word of a person.

What a machine put there moves with the recipe's lists and limits; what a person put there or took out stays
so.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from valor_data.errors import UserError
from valor_data.recipe import Recipe
from valor_data.records import Clip, Quarantine
from valor_data.scorers import signing
from valor_data.scorers.hashes import HashList
from valor_data.scorers.pdq import LEAST_QUALITY, Pdq
from valor_data.workspace import Workspace

_MACHINE, _PERSON = "safety-rules@1", "person"
_GONE = "no longer beyond a limit or on a list"


def quarantine(workspace: Workspace) -> int:
    """Put away what the recipe's lists and limits name, and let go what they put away and name no longer; the
    number of clips that are put away. A recipe that does not ask for a cause lets nothing go that has it, and
    nothing goes whose current bytes were not looked at.

    Raises UserError that names the file and line of a hash list that is none.
    """
    tables = workspace.tables
    standing = {(row.clip_id, row.cause): row for row in tables.rows(Quarantine)}
    safety = workspace.recipe.safety
    asked = {"nsfw": safety.nsfw_max is not None, "text": safety.text_max is not None}
    asked["hash_list"] = bool(safety.hash_lists)
    found: dict[tuple[str, Any], str] = {}
    looked_at: set[object] = set()
    if (made_by := signing.of_safety(safety)) is not None:
        numbers = tables.safety(workspace.recipe.profile, made_by)
        found = dict(_found(workspace.recipe, numbers))
        # Bytes that nobody has looked at yet are no proof that a clip is harmless.
        looked_at = set(numbers.filter(numbers["looked_at"])["clip_id"].to_pylist())
    rows = [
        Quarantine(clip_id=clip, cause=cause, detail=detail, made_by=_MACHINE)
        for (clip, cause), detail in found.items()
        if _is_news(standing.get((clip, cause)), detail)
    ]
    rows += [
        row.model_copy(update={"lifted": True, "detail": _GONE})
        for key, row in standing.items()
        if asked.get(row.cause) and row.made_by == _MACHINE and not row.lifted
        if key not in found and row.clip_id in looked_at
    ]
    tables.append(rows)
    return len({row.clip_id for row in tables.rows(Quarantine) if not row.lifted})


def by_hand(workspace: Workspace, clips: Sequence[str], *, lift: bool) -> None:
    """A person's word: clips are unsafe, or were looked at and are not.

    Raises UserError for a clip that no list named, or, to lift, one that is not in quarantine; nothing is
    written then.
    """
    rows: list[Quarantine] = []
    for clip in clips:
        if next(workspace.tables.rows(Clip, clip_id=clip), None) is None:
            raise UserError(f"{clip}: no such clip in {workspace.root}; see 'valor-data status'")
        if not lift:
            rows.append(Quarantine(clip_id=clip, cause="person", detail="unsafe", made_by=_PERSON))
            continue
        there = [row for row in workspace.tables.rows(Quarantine, clip_id=clip) if not row.lifted]
        if not there:
            raise UserError(f"{clip}: not in quarantine; see catalog sql 'select * from quarantine'")
        rows += [row.model_copy(update={"lifted": True, "made_by": _PERSON}) for row in there]
    workspace.tables.append(rows)


def _is_news(row: Quarantine | None, detail: str) -> bool:
    """Whether a machine's finding changes anything: a person's "harmless" holds for what it was about."""
    if row is None:
        return True
    if row.lifted and row.made_by == _PERSON:
        return row.cause == "hash_list" and row.detail != detail
    return row.lifted or (row.made_by == _MACHINE and row.detail != detail)


def _found(recipe: Recipe, numbers: pa.Table) -> Iterator[tuple[tuple[str, Any], str]]:
    for cause, column, most in (
        ("nsfw", "nsfw_score", recipe.safety.nsfw_max),
        ("text", "text_share", recipe.safety.text_max),
    ):
        for clip, value in _beyond(numbers, column, most):
            yield (clip, cause), f"{column} {value:.3g} > {most:g}"
    lists = [(Path(path).name, HashList.read(Path(path))) for path in recipe.safety.hash_lists]
    if not lists:
        return
    for row in numbers.select(["clip_id", "sha256", "md5", "pdq_hashes"]).to_batches():
        for clip, sha256, md5, hashes in zip(*(column.to_pylist() for column in row.columns), strict=True):
            entry = next(filter(None, (_listed(*one, sha256, md5, hashes or ()) for one in lists)), None)
            if entry is not None:
                yield (clip, "hash_list"), entry


def _beyond(numbers: pa.Table, column: str, most: float | None) -> Iterator[tuple[str, float]]:
    if most is None:
        return
    for clip, value in zip(numbers["clip_id"].to_pylist(), numbers[column].to_pylist(), strict=True):
        if isinstance(value, float) and value > most:
            yield str(clip), value


def _listed(name: str, hashes: HashList, sha256: str, md5: str | None, pdq: Sequence[str]) -> str | None:
    """The entry that a clip matches, in words; the hash itself is not told on."""
    exact = hashes.match_bytes(sha256, md5)
    if exact is not None:
        return f"{name} line {exact.line}: {exact.kind}"
    for digits in pdq:
        found = hashes.match_picture(Pdq(bytes.fromhex(digits), LEAST_QUALITY))
        if found is not None:
            entry, distance = found
            return f"{name} line {entry.line}: pdq, {distance} bits apart"
    return None
