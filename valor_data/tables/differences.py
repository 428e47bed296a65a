"""What differs between the catalogs of two releases, clip by clip."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from valor_data.errors import UserError
from valor_data.tables.engine import Connection, batches, connect, quoted

# What is compared, as a list of strings, so that every change is told in the same form.
_COMPARED = {
    "captions": "list_transform(captions, lambda c: c.text)",
    "media": "CASE WHEN sha256 IS NULL THEN [] ELSE [sha256] END",
    "split": "CASE WHEN split IS NULL THEN [] ELSE [split] END",
    "labels": "coalesce(labels, [])",
}
# Beside its text a caption has an id, an author, a language: another one of these is a change too.
_SEEN = {**_COMPARED, "captions": "captions"}
_NEEDED = ("clip_id", "captions", "sha256", "split", "labels")
KINDS = ("added", "removed", *_COMPARED)
"""What can have happened to a clip; the same clip may have changed in several ways."""


class Differences(NamedTuple):
    """Two catalogs, compared."""

    counts: dict[str, int]
    """`same`, then clips by each of `KINDS`."""
    rows: Iterator[pa.RecordBatch]
    """`clip_id, change, old, new`, the latter lists of strings; by clip_id, then change."""


@contextmanager
def differences(old: str, new: str) -> Iterator[Differences]:
    """Compare two files `catalog.parquet` of this machine; `rows` may be read as long as the `with` lasts.

    Memory does not grow with the catalogs: what does not fit is spilled. Raises UserError, naming the file,
    for one that cannot be read.
    """
    for path in (old, new):
        _check(path)
    with connect() as con:
        try:
            con.execute(_joined(old, new))
            counted = ", ".join(f"count(*) FILTER (is_{kind})" for kind in KINDS)
            anything = " OR ".join(f"is_{kind}" for kind in KINDS)
            (counts,) = con.execute(
                f"SELECT count(*) FILTER (NOT ({anything})), {counted} FROM joined"
            ).fetchall()
            con.execute(f"DELETE FROM joined WHERE NOT ({anything})")
            found = Differences(dict(zip(("same", *KINDS), counts, strict=True)), _rows(con, old, new))
        except duckdb.Error as error:
            raise _unreadable(old if _is_broken(old) else new, error) from error
        yield found


def _joined(old: str, new: str) -> str:
    """A row a clip with hashes alone, so that captions are in memory for no clip that stayed the same."""
    hashes = ", ".join(f"hash({value}) AS {kind}" for kind, value in _SEEN.items())
    changed = ", ".join(
        f"o.clip_id IS NOT NULL AND n.clip_id IS NOT NULL AND o.{kind} IS DISTINCT FROM n.{kind} AS is_{kind}"
        for kind in _SEEN
    )
    return f"""
        CREATE TEMP TABLE joined AS
        WITH o AS (SELECT clip_id, {hashes} FROM read_parquet({quoted(old)})),
             n AS (SELECT clip_id, {hashes} FROM read_parquet({quoted(new)}))
        SELECT coalesce(o.clip_id, n.clip_id) AS clip_id, o.clip_id IS NULL AS is_added,
            n.clip_id IS NULL AS is_removed, {changed}
        FROM o FULL JOIN n ON o.clip_id = n.clip_id
        """


def _rows(con: Connection, old: str, new: str) -> Iterator[pa.RecordBatch]:
    split = _COMPARED["split"]
    parts = [
        f"SELECT clip_id, 'added' AS change, []::VARCHAR[] AS old, {split} AS new "
        f"FROM read_parquet({quoted(new)}) SEMI JOIN (FROM joined WHERE is_added) USING (clip_id)",
        f"SELECT clip_id, 'removed', {split}, [] "
        f"FROM read_parquet({quoted(old)}) SEMI JOIN (FROM joined WHERE is_removed) USING (clip_id)",
    ]
    for kind, value in _COMPARED.items():
        sides = (
            f"(SELECT clip_id, {value} AS said FROM read_parquet({quoted(path)}))" for path in (old, new)
        )
        o, n = sides
        parts.append(
            f"SELECT j.clip_id, '{kind}', o.said, n.said FROM (FROM joined WHERE is_{kind}) AS j "
            f"JOIN {o} AS o ON o.clip_id = j.clip_id JOIN {n} AS n ON n.clip_id = j.clip_id"
        )
    yield from batches(con, f"{' UNION ALL '.join(parts)} ORDER BY clip_id, change")


def _check(path: str) -> None:
    try:
        known = pq.read_schema(path).names
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from None
    missing = [name for name in _NEEDED if name not in known]
    if missing:
        raise UserError(f"{path}: no catalog of a release: it has no column {missing[0]!r}")


def _is_broken(path: str) -> bool:
    try:
        with pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                file.read_row_group(group, columns=["clip_id", "captions", "labels"])
    except (pa.ArrowException, OSError):
        return True
    return False


def _unreadable(path: str, error: Exception) -> UserError:
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return UserError(f"{path}: not a readable catalog ({line}); see 'valor-data release verify'")
