"""The tables of a workspace: Parquet parts as truth, DuckDB to ask them. The only SQL of the project.

parts       which files are in force; how a part comes to be
views       the latest row of each key, as SQL written from the records; the `.sql` files over them
engine      a DuckDB connection over the parts, for one query
compaction  many parts become one
staging     a segment list on its way into `clips`, `list_members`, `splits`, `captions`
todo        what is missing or stale
permission  who is to be left out
retraction  what was taken down, and the rewriting of parts without it
availability  which clips of which list are to be had
measured    what rules ask of the measured clips
spreads     how measures are spread over them
overview    what a report tells of a workspace
queries     what sharding and reporting ask, and what deciding writes
deriving    what a training set's media are made of, and are missing
likeness    prints of clips, and which of them lie in a benchmark's videos
safety      what stands against showing a clip
catalog     catalog.parquet
statistics  a catalog in numbers
alike       prints and embeddings, streamed
undescribed  what a model has not looked at yet
provenance  who stands behind the clips of a release
differences what differs between two catalogs
sandbox     the user's SELECT
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pyarrow as pa

from valor_data.errors import Reason
from valor_data.recipe import Recipe, Rights
from valor_data.records import TABLES, Clip, Media, OptOut, Record
from valor_data.rules import Spread
from valor_data.schema import arrow_schema
from valor_data.tables import (
    alike,
    availability,
    catalog,
    compaction,
    deriving,
    likeness,
    measured,
    overview,
    permission,
    provenance,
    queries,
    retraction,
    safety,
    sandbox,
    spreads,
    staging,
    todo,
    typed,
    undescribed,
)
from valor_data.tables.availability import Availability, Group
from valor_data.tables.catalog import made_of
from valor_data.tables.engine import Connection, Engine
from valor_data.tables.likeness import BenchmarkClip
from valor_data.tables.overview import Asked, Drawn, Overview
from valor_data.tables.parts import Parts
from valor_data.tables.provenance import Provenance
from valor_data.tables.retraction import Listed
from valor_data.tables.staging import CaptionCounts, MergeCounts, SegmentStaging
from valor_data.tables.statistics import HIDING, Counts, Histogram, Statistics, statistics
from valor_data.tables.todo import HostWork, Sizes
from valor_data.tables.undescribed import OtherModel, Standing
from valor_data.tables.views import catalog_sql

if TYPE_CHECKING:  # DuckDB loads it for `read`: it takes as long to load as all the rest of a short query
    import pandas as pd

__all__ = [
    "HIDING", "Asked", "Availability", "BenchmarkClip", "CaptionCounts", "Counts", "Drawn", "Group",
    "Histogram", "HostWork", "Listed", "MergeCounts", "OtherModel", "Overview", "Provenance",
    "SegmentStaging", "Sizes", "Standing", "Statistics", "Tables", "catalog_sql", "made_of", "statistics",
]  # fmt: skip

R = TypeVar("R", bound=Record)


class Tables:
    """The tables under one root. May be used from several threads; one process writes at a time.

    Every query reads the latest row of each key. Faults: FatalError for a full disk, a corrupt part
    (named, with the mend), or too little memory.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._engine = Engine(parts)

    @classmethod
    def open(cls, root: str) -> "Tables":
        """The tables under a folder or fsspec URL; touches neither disk nor network."""
        return cls(Parts(root))

    def append(self, rows: Iterable[Record]) -> int:
        """Save rows of one table as one part and stamp them; their number. Of rows with the same key
        the last counts. No row, no part."""
        listed = list(rows)
        if not listed:
            return 0
        record = type(listed[0])
        if any(type(row) is not record for row in listed):
            raise ValueError("one append takes rows of one table")
        return self.append_arrow(record.table, typed.as_table(record, listed))

    def append_arrow(self, table: str, rows: pa.Table) -> int:
        """The same for an Arrow table with the record's columns in any order; `made_at_us` is filled in."""
        record = TABLES[table]
        rows = rows.drop_columns(["made_at_us"]) if "made_at_us" in rows.column_names else rows
        rows = typed.last_of_each(rows, record.key)
        with self._parts.writing(table, arrow_schema(record)) as part:
            part.write(rows)
        return part.rows

    def rows(self, record: type[R], **equals: object) -> Iterator[R]:
        """Typed rows by key, streamed; with `column=value` only those that have it."""
        unknown = [name for name in equals if name not in record.model_fields]
        if unknown:
            raise ValueError(f"{record.table} has no column {unknown[0]!r}")
        where = " AND ".join(f"{name} IS NOT DISTINCT FROM ${name}" for name in equals) or "true"
        sql = f"FROM {record.table} WHERE {where} ORDER BY {', '.join(record.key)}"
        return typed.records(record, self._engine.stream([record.table], sql, equals or None))

    def read(self, table: str) -> "pd.DataFrame":
        """A whole table, by key."""
        sql = f"FROM {table} ORDER BY {', '.join(TABLES[table].key)}"

        def work(con: Connection) -> "pd.DataFrame":
            frame: pd.DataFrame = con.sql(sql).df()
            return frame

        return self._engine.run([table], work)

    def count(self, table: str) -> int:
        """Number of keys in a table."""

        def work(con: Connection) -> int:
            ((count,),) = con.execute(f"SELECT count(*) FROM {table}").fetchall()
            return int(count)

        return self._engine.run([table], work)

    def has_rows(self, table: str) -> bool:
        """Whether a table holds any row."""
        return any(batch.num_rows for batch in self._engine.stream([table], f"FROM {table}_rows LIMIT 1"))

    def compact(self) -> None:
        """Make one part of many where it is worth it. A crash anywhere in it loses and doubles nothing."""
        compaction.compact(self._parts, self._engine)

    def segment_staging(self) -> AbstractContextManager[SegmentStaging]:
        """A place to gather one segment list (`add`) and to write what it adds (`merge`)."""
        return staging.segment_staging(self._parts, self._engine)

    def unfetched(self, stage: str, again: Collection[Reason]) -> tuple[int, Iterator[list[Clip]]]:
        """See `todo.unfetched`."""
        return todo.unfetched(self._engine, stage, again)

    def work_by_host(
        self, stage: str, again: Collection[Reason], limit: int | None
    ) -> tuple[int, list[HostWork]]:
        """See `todo.work_by_host`."""
        return todo.work_by_host(self._engine, stage, again, limit)

    def sizes(self, profile: str) -> Sizes:
        """See `todo.sizes`."""
        return todo.sizes(self._engine, profile)

    def copy_to(self, root: str, tables: Collection[str]) -> None:
        """Copy some tables into a folder, for a trial that must not write here."""
        for table in tables:
            self._parts.copy_to(table, Parts(root))

    def unmeasured(
        self, profile: str, measurers: Mapping[str, str], stage: str
    ) -> tuple[int, Iterator[tuple[Media, tuple[str, ...]]]]:
        """See `todo.unmeasured`."""
        return todo.unmeasured(self._engine, profile, measurers, stage)

    def count_unmeasured(self, profile: str, measurers: Mapping[str, str], stage: str) -> int:
        """See `todo.count_unmeasured`."""
        return todo.count_unmeasured(self._engine, profile, measurers, stage)

    def measured(
        self,
        profile: str,
        metrics: Collection[str],
        *,
        labels: bool = False,
        benchmarks: Sequence[str] = (),
        tagger: str = "",
        clip_id: str | None = None,
    ) -> pa.Table:
        """See `measured.measured`."""
        return measured.measured(
            self._engine,
            profile,
            metrics,
            labels=labels,
            benchmarks=benchmarks,
            tagger=tagger,
            clip_id=clip_id,
        )

    def prints_digest(self, profile: str | None) -> str:
        """See `likeness.prints_digest`."""
        return likeness.prints_digest(self._engine, profile)

    def prints(self, profile: str | None) -> pa.Table:
        """See `likeness.prints`."""
        return likeness.prints(self._engine, profile)

    def prints_between(self, first: str, last: str) -> pa.Table:
        """See `likeness.prints_between`."""
        return likeness.prints_between(self._engine, first, last)

    def shared_videos(self, benchmark: Iterable[BenchmarkClip]) -> pa.Table:
        """See `likeness.shared_videos`."""
        return likeness.shared_videos(self._engine, benchmark)

    def safety(self, profile: str, made_by: str) -> pa.Table:
        """See `safety.safety`."""
        return safety.safety(self._engine, profile, made_by)

    def classes_heard(self) -> list[str]:
        """See `queries.classes_heard`."""
        return queries.classes_heard(self._engine)

    def save_verdicts(self, verdicts: pa.Table, rules_digest: str, made_by: str) -> int:
        """See `queries.save_verdicts`."""
        return queries.save_verdicts(self._engine, verdicts, rules_digest, made_by)

    def funnel(
        self, profile: str, rules_digest: str, checkers: int = 1, max_rejects: int = 0
    ) -> tuple[dict[str, int], dict[str, dict[str, int]]]:
        """See `queries.funnel`."""
        return queries.funnel(self._engine, profile, rules_digest, checkers, max_rejects)

    def releasable(
        self, profile: str, rules_digest: str, checkers: int, max_rejects: int, require_caption: bool
    ) -> Iterator[pa.RecordBatch]:
        """See `queries.releasable`."""
        return queries.releasable(self._engine, profile, rules_digest, checkers, max_rejects, require_caption)

    def underived(self, recipe: Recipe, stage: str) -> tuple[int, Iterator[Media]]:
        """See `deriving.underived`."""
        return deriving.underived(self._engine, recipe, stage)

    def derived(self, recipe: Recipe) -> pa.Table:
        """See `deriving.derived`."""
        return deriving.derived(self._engine, recipe)

    def reject_opted_out(self, stage: str, made_by: str) -> int:
        """See `permission.reject_opted_out`."""
        return permission.reject_opted_out(self._engine, stage, made_by)

    def barred(self, rights: Rights, profile: str, clip_id: str | None = None) -> pa.Table:
        """See `permission.barred`."""
        return permission.barred(self._engine, rights, profile, clip_id)

    def reject_retracted(self, stage: str, made_by: str) -> int:
        """See `retraction.reject_retracted`."""
        return retraction.reject_retracted(self._engine, stage, made_by)

    def listed(self, clips: Collection[str], videos: Collection[str]) -> Listed:
        """See `retraction.listed`."""
        return retraction.listed(self._engine, clips, videos)

    def purge(
        self, clips: Collection[str], videos: Collection[str], spare: Collection[str] = ()
    ) -> dict[str, int]:
        """See `retraction.purge`."""
        return retraction.purge(self._parts, self._engine, clips, videos, spare)

    def availability(self, profile: str) -> Availability:
        """See `availability.availability`."""
        return availability.availability(self._engine, profile)

    def available(self, profile: str) -> tuple[dict[str, int], list[Group]]:
        """See `availability.standing`."""
        return availability.standing(self._engine, profile)

    def spreads(
        self,
        profile: str,
        thresholds: Mapping[str, Sequence[float]],
        *,
        benchmarks: Sequence[str] = (),
        tagger: str = "",
    ) -> dict[str, Spread]:
        """See `spreads.spreads`."""
        return spreads.spreads(self._engine, profile, thresholds, benchmarks=benchmarks, tagger=tagger)

    def overview(self, asked: Asked, barred: Collection[str], wishes: Collection[OptOut]) -> Overview:
        """See `overview.overview`."""
        return overview.overview(self._engine, asked, barred, wishes)

    def provenance(self, clips: pa.Table) -> Provenance:
        """See `provenance.provenance`."""
        return provenance.provenance(self._engine, clips)

    def asked_since(self, since_us: int) -> set[str]:
        """See `permission.asked_since`."""
        return permission.asked_since(self._engine, since_us)

    def videos_at(self, addresses: Collection[str]) -> dict[str, set[str]]:
        """See `permission.videos_at`."""
        return permission.videos_at(self._engine, addresses)

    def existing_objects(self) -> set[str]:
        """See `queries.existing_objects`."""
        return queries.existing_objects(self._engine)

    def write_catalog(self, key: str) -> int:
        """See `catalog.write_catalog`."""
        return catalog.write_catalog(self._parts, self._engine, key)

    def write_catalog_file(self, path: Path) -> int:
        """See `catalog.write_file`."""
        return catalog.write_file(self._parts, self._engine, path)

    def each_print(self) -> Iterator[pa.RecordBatch]:
        """See `alike.each_print`."""
        return alike.each_print(self._engine)

    def each_embedding(self, kind: str, model: str) -> Iterator[pa.RecordBatch]:
        """See `alike.each_embedding`."""
        return alike.each_embedding(self._engine, kind, model)

    def standing(
        self, clips: Collection[str], made_by: str, author: str | None = None
    ) -> dict[str, Standing]:
        """See `undescribed.standing`."""
        return undescribed.standing(self._engine, clips, made_by, author)

    def untold(self, model: str) -> Iterator[pa.RecordBatch]:
        """See `undescribed.untold`."""
        return undescribed.untold(self._engine, model)

    def other_models(self, model: str) -> list[OtherModel]:
        """See `undescribed.other_models`."""
        return undescribed.other_models(self._engine, model)

    def first_captions(self, clips: Collection[str]) -> dict[str, str]:
        """See `alike.first_captions`."""
        return alike.first_captions(self._engine, clips)

    def digest(self) -> str:
        """See `catalog.tables_digest`."""
        return catalog.tables_digest(self._parts)

    def sql(self, query: str) -> pa.Table:
        """The user's SELECT over the views. Raises UserError in one line; see `sandbox`."""
        return sandbox.select(self._parts, self._engine, query)
