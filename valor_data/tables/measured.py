"""What rules ask of the measured clips: only the columns that they name, for joins over millions cost."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import pyarrow as pa

from valor_data.recipe import LEAK, TAG, metric
from valor_data.tables.engine import Connection, Engine

LABELS = "labels"
"""Name of the column with a clip's labels; no metric is called so."""
_SOUND = "audio_measures"
_LEAKS = ("none", "print", "video", "clip")
"""From the weakest to the strongest."""

# The newest version counts, and of its rows the newest: as one number, for comparing two costs more. A hash
# stands for the sha256: 8 bytes a clip in place of 64 letters.
_NEWEST = """\
{table}_now AS (
    SELECT clip_id, sha{newest} FROM (
        SELECT *, hash(media_sha256) AS sha,
            coalesce(try_cast(regexp_extract(made_by, '@([0-9]+)$', 1) AS DOUBLE), 0) * 4e15
                + made_at_us + if(made_by = {before}, 1e18, 0) AS age
        FROM {table}_rows WHERE {which}
    ) GROUP BY clip_id, sha
)"""

_MEDIA = """\
media_now AS (
    SELECT clip_id, max_by(hash(sha256), age) AS sha{newest}
    FROM (SELECT *, made_at_us AS age FROM media_rows WHERE profile = $profile AND {which})
    GROUP BY clip_id
)"""

_GROUPS = """\
neighbours_now AS (
    SELECT clip_id,
        max(representative) FILTER (kind = 'both' AND size > 1) AS duplicate,
        max(representative) FILTER (kind = 'audio' AND size > 1) AS shares_sound,
        max(representative) FILTER (kind = 'video' AND size > 1) AS shares_picture
    FROM neighbours WHERE {which} GROUP BY clip_id
)"""

_LABELLED = """\
clips_now AS (
    SELECT clip_id, max_by(labels, made_at_us) AS labels FROM clips_rows WHERE {which} GROUP BY clip_id
)"""


class _Source(NamedTuple):
    """A table that is asked: how, and which columns of the answer are wanted."""

    sql: str
    columns: list[str]
    same_bytes: bool


def measured(
    engine: Engine,
    profile: str,
    metrics: Collection[str],
    *,
    labels: bool = False,
    benchmarks: Sequence[str] = (),
    tagger: str = "",
    clip_id: str | None = None,
) -> pa.Table:
    """`clip_id` and the metrics of each clip whose current bytes were measured, by the newest versions; with
    `labels` its labels too. Null: not defined, or never measured.

    A clip is measured once its sound is, for that always comes first. `duplicate` and its like give the name
    of the group that a clip stands in. `benchmarks`: those that `leak` tells of. `tagger`: whose tags
    count before others'. `clip_id`: only that clip.
    """
    tables, sql = select(metrics, labels=labels, benchmarks=benchmarks, tagger=tagger, clip_id=clip_id)
    params = {"profile": profile} | ({} if clip_id is None else {"clip_id": clip_id})

    def work(con: Connection) -> pa.Table:
        found: pa.Table = con.sql(sql, params=params).to_arrow_table()
        return found

    return engine.run(tables, work)


def select(
    metrics: Collection[str],
    *,
    labels: bool = False,
    benchmarks: Sequence[str] = (),
    tagger: str = "",
    clip_id: str | None = None,
) -> tuple[list[str], str]:
    """The same as tables and a SELECT over them; its parameters: `$profile`, and of one clip `$clip_id`."""
    wanted = dict.fromkeys(metrics)
    by_table: dict[str, list[str]] = {"media": [], _SOUND: []}
    for name in wanted:
        by_table.setdefault(metric(name).table, []).append(name)
    if labels or "label_agreement" in wanted:
        by_table["clips"] = []
    sources = {table: _source(table, names, benchmarks, tagger) for table, names in by_table.items()}
    which = "true" if clip_id is None else "clip_id = $clip_id"
    told = ", ".join(source.sql.replace("{which}", which) for source in sources.values())
    shown = ["media_now.clip_id", *(column for source in sources.values() for column in source.columns)]
    if labels:
        shown.append(f"coalesce(clips_now.labels, []) AS {LABELS}")
    joins = [
        f"{'' if table == _SOUND else 'LEFT '}JOIN {table}_now ON {table}_now.clip_id = media_now.clip_id"
        + (f" AND {table}_now.sha = media_now.sha" if source.same_bytes else "")
        for table, source in sources.items()
        if table != "media"
    ]
    return list(sources), f"WITH {told} SELECT {', '.join(shown)} FROM media_now {' '.join(joins)}"


def _source(table: str, names: Sequence[str], benchmarks: Sequence[str], tagger: str) -> _Source:
    if table == "clips":
        return _Source(_LABELLED, [], same_bytes=False)
    if table == "neighbours":
        columns = [f"neighbours_now.{name} AS {name}" for name in names]
        return _Source(_GROUPS, columns, same_bytes=False)
    if table == "leaks":
        return _leaks(names, benchmarks)
    if table == "tag_measures":
        columns = [f"{_tagged(name)} AS {_name(name)}" for name in names]
        return _Source(_newest(table, ("tags", "tag_scores"), before=tagger), columns, same_bytes=True)
    columns = [f"{table}_now.{name}" for name in names]
    if table == "media":
        return _Source(_MEDIA.replace("{newest}", _latest(names)), columns, same_bytes=False)
    return _Source(_newest(table, names), columns, same_bytes=True)


def _newest(table: str, names: Sequence[str], before: str = "") -> str:
    """`before`: whose rows count before all others."""
    sql = _NEWEST.replace("{table}", table).replace("{newest}", _latest(names))
    return sql.replace("{before}", _quoted(before))


def _latest(names: Sequence[str]) -> str:
    return "".join(f", arg_max_null({name}, age) AS {name}" for name in names)


def _tagged(name: str) -> str:
    """A class's score, or the largest among the labels; 0 where the tagger kept none of them."""
    heard = "list_transform(tag_measures_now.tags, lambda word: lower(word))"
    if name.startswith(TAG):
        asked = "true"
        score = (
            f"tag_measures_now.tag_scores[list_position({heard}, lower({_quoted(name.removeprefix(TAG))}))]"
        )
    else:
        asked = "len(clips_now.labels) > 0"
        one = f"lambda label: tag_measures_now.tag_scores[list_position({heard}, lower(label))]"
        score = f"list_max(list_transform(clips_now.labels, {one}))"
    return f"CASE WHEN tag_measures_now.clip_id IS NOT NULL AND {asked} THEN coalesce({score}, 0) END"


def _leaks(names: Sequence[str], benchmarks: Sequence[str]) -> _Source:
    ranks = f"list_position({list(_LEAKS)!r}, how) - 1"
    packed, shown = [], []
    for place, name in enumerate(names):
        asked = [name.removeprefix(LEAK)] if name.startswith(LEAK) else benchmarks
        among = f"benchmark IN ({', '.join(map(_quoted, asked))})" if asked else "false"
        packed.append(f"max({ranks}) FILTER ({among}) AS leak_{place}")
        shown.append(f"({list(_LEAKS)!r})[1 + coalesce(leaks_now.leak_{place}, 0)] AS {_name(name)}")
    sql = f"leaks_now AS (SELECT clip_id, {', '.join(packed)} FROM leaks WHERE {{which}} GROUP BY clip_id)"
    return _Source(sql, shown, same_bytes=False)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _name(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
