"""What of the kept clips may be released, by what owners and hosts state now."""

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from valor_data.errors import UserError
from valor_data.records import Clip, Video
from valor_data.stages.shard.plan import values
from valor_data.workspace import Workspace

Recheck = Callable[[Sequence[Clip]], Iterable[Video]]
"""Given one clip of each video, what is stated of the videos now; one that cannot be asked is left out."""

_DAY_US = 86_400_000_000
_AT_A_TIME = 32


class Permitted(NamedTuple):
    """What a release may hold."""

    rows: pa.Table
    reasons: dict[str, int]
    """Reason -> fetched clips that it keeps out, whatever the rules say of them."""


def permitted(workspace: Workspace, rows: pa.Table, recheck: Recheck | None) -> Permitted:
    """The releasable rows without those that an owner or the recipe's policy keeps out. Where a policy
    requires a signal, what was stated longer ago than `rights.recheck_days` is asked again first.

    Raises UserError where that cannot be: a release vouches for what is stated now.
    """
    recipe, tables = workspace.recipe, workspace.tables
    barred = tables.barred(recipe.rights, recipe.profile)
    if recipe.rights.asks:
        since_us = time.time_ns() // 1000 - round(recipe.rights.recheck_days * _DAY_US)
        old = _old(workspace, _without(rows, barred), since_us)
        if old and recheck is not None:
            answers = iter(recheck(old))
            while some := list(itertools.islice(answers, _AT_A_TIME)):
                tables.append(some)  # hours of asking are not lost with the last question
            barred = tables.barred(recipe.rights, recipe.profile)
            old = _old(workspace, _without(rows, barred), since_us)
        if old:
            raise UserError(
                f"{workspace.root}: the rights of {len(old)} videos, such as {old[0].video_id}, were read "
                f"more than rights.recheck_days = {recipe.rights.recheck_days:g} days ago, or never, and "
                "could not be asked again; run the command again later, or change [rights]"
            )
    reasons = Counter(str(reason) for reason in barred["reason"].to_pylist())
    return Permitted(_without(rows, barred), dict(reasons.most_common()))


def _without(rows: pa.Table, barred: pa.Table) -> pa.Table:
    if not barred.num_rows:
        return rows  # a filter copies
    return rows.filter(pc.invert(pc.is_in(rows["clip_id"], value_set=barred["clip_id"])))


def _old(workspace: Workspace, rows: pa.Table, since_us: int) -> list[Clip]:
    """One clip of each video that was not asked about since."""
    seen = workspace.tables.asked_since(since_us)
    names = [name for name in Clip.model_fields if name not in {"made_by", "made_at_us"}]
    old: list[Clip] = []
    for one in values(rows, *names):
        facts = dict(zip(names, one, strict=True))
        if facts["video_id"] not in seen:
            seen.add(facts["video_id"])
            old.append(Clip.model_validate({**facts, "made_by": "shard@1"}))
    return old
