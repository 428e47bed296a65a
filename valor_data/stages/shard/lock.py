"""The lock of a release, from its facts and the prints in the tables."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from valor_data import layout
from valor_data.shards.lock import GROUP, SCHEMA, LockWriter, note_of
from valor_data.store import Store
from valor_data.tables import Tables

_PRINTED = ("media_sha256", "sound", "picture")


def write_lock(tables: Tables, facts: pa.Table, path: Path) -> None:
    """Write the lock of the clips in `facts`; ten thousand of them are in memory at a time."""
    facts = facts.select([name for name in facts.column_names if name in SCHEMA.names])
    order = pc.sort_indices(facts["clip_id"])
    with LockWriter(path) as writer:
        for start in range(0, facts.num_rows, GROUP):
            some = facts.take(order.slice(start, GROUP)).combine_chunks()
            writer.write(_with_prints(tables, some))


def warnings(release: Store) -> list[str]:
    """What the lock of a release lacks, in words."""
    try:
        with release.open_read(layout.LOCK) as file:
            note = note_of(file)
    except FileNotFoundError:  # a release from before there were locks
        return []
    if not note.unprinted:
        return []
    return [
        f"{layout.LOCK}: {note.unprinted} of {note.clips} clips have no prints, such as "
        f'{", ".join(note.such_as)}: only equal bytes can attest a copy of them; add "prints" to '
        "measure.also and run 'valor-data filter'"
    ]


def _with_prints(tables: Tables, facts: pa.Table) -> pa.Table:
    """Rows of the lock for some clips, by clip_id; without prints where none are of the clip's own bytes."""
    names = facts["clip_id"]
    printed = tables.prints_between(str(names[0].as_py()), str(names[-1].as_py()))
    # A payload that was made of the media says what it was made of.
    source = facts["media_sha256"] if "media_sha256" in facts.column_names else facts["sha256"]
    own = pa.array(map("{} {}".format, names.to_pylist(), source.to_pylist()), pa.string())
    theirs = pa.array(
        map("{} {}".format, printed["clip_id"].to_pylist(), printed["media_sha256"].to_pylist()), pa.string()
    )
    place = pc.index_in(own, value_set=theirs)
    columns: dict[str, Any] = {name: printed[name].take(place) for name in _PRINTED}
    for field in SCHEMA:
        if field.name not in columns:
            there = field.name in facts.column_names
            columns[field.name] = facts[field.name] if there else pa.nulls(facts.num_rows, field.type)
    return pa.table(columns)
