"""Clips that are alike, clips that a benchmark holds, and clips that stand in a list which is a subset.

All look at all clips at once, so they are done anew when a print or a list has changed, and left alone when
none has.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from valor_data import layout, neighbours, segments
from valor_data.errors import UserError
from valor_data.recipe import Benchmark, ListSpec
from valor_data.records import Clip, Compared, Leak, Neighbour, Segment, SubsetMember
from valor_data.store import Store
from valor_data.tables import BenchmarkClip, Tables
from valor_data.workspace import Workspace

_BY = "neighbours@1"


class Found(NamedTuple):
    """What stands in the tables now."""

    duplicates: int
    """Clips that are another clip in sound and picture."""
    leaked: int
    """Clips that a benchmark holds, by whatever sign."""
    warnings: list[str]


def compare(workspace: Workspace) -> Found:
    """Groups of near-duplicates among the prints of the recipe's profile, leaks of its benchmarks, and its
    subsets.

    Raises UserError for a list or workspace that cannot be read.
    """
    tables, recipe = workspace.tables, workspace.recipe
    if "prints" in recipe.measure.also:
        digest = layout.digest([_BY, recipe.profile, tables.prints_digest(recipe.profile)])
        if not _is_done(tables, "neighbours", digest):
            _group(tables, recipe.profile)
            tables.append([Compared(what="neighbours", digest=digest, made_by=_BY)])
    theirs = [_Theirs(workspace, benchmark) for benchmark in recipe.benchmarks]
    if theirs:
        content = [tables.prints_digest(recipe.profile), tables.count("clips"), [t.digest for t in theirs]]
        digest = f"{recipe.benchmarks_digest}-{layout.digest([_BY, recipe.profile, *content])}"
        if not _is_done(tables, "leaks", digest):
            _guard(tables, recipe.profile, theirs)
            tables.append([Compared(what="leaks", digest=digest, made_by=_BY)])
    doubles = (row for row in tables.rows(Neighbour, kind="both") if row.representative != row.clip_id)
    names = {benchmark.name for benchmark in recipe.benchmarks}
    leaked = {row.clip_id for row in tables.rows(Leak) if row.benchmark in names and row.how != "none"}
    warnings = [line for one in theirs for line in one.warnings] + mark_subsets(workspace)
    return Found(sum(1 for _ in doubles), len(leaked), warnings)


def before_splits(workspace: Workspace) -> list[str]:
    """Bring up to date what splits depend on: the subsets and, where a benchmark must be kept out of some of
    them, all that `compare` does. What was wrong with the lists."""
    guarded = any(one.not_in for one in workspace.recipe.benchmarks)
    return compare(workspace).warnings if guarded else mark_subsets(workspace)


def mark_subsets(workspace: Workspace) -> list[str]:
    """Write which clips stand in the recipe's subsets, and only in those; what was wrong with their lists.

    Raises UserError for a list that cannot be read.
    """
    tables, recipe = workspace.tables, workspace.recipe
    if not recipe.subsets and not tables.has_rows(SubsetMember.table):
        return []
    seconds = recipe.segments.seconds
    lists = [_List(f"subset {one.name!r}", one.path, seconds) for one in recipe.subsets]
    told = [[one.name, one.match, listed.sha256] for one, listed in zip(recipe.subsets, lists, strict=True)]
    digest = layout.digest([_BY, tables.count("clips"), told])
    if _is_done(tables, "subsets", digest):
        return []
    now: set[tuple[str, str]] = set()
    for one, listed in zip(recipe.subsets, lists, strict=True):
        found = tables.shared_videos(map(_span, listed.segments()))
        hows = ("clip", "video") if one.match == "video" else ("clip",)
        now |= {(one.name, row["clip_id"]) for row in found.to_pylist() if row["how"] in hows}
    before = {(row.subset, row.clip_id) for row in tables.rows(SubsetMember, member=True)}
    tables.append(
        SubsetMember(subset=name, clip_id=clip, member=(name, clip) in now, made_by=_BY)
        for name, clip in sorted(now ^ before)
    )
    tables.append([Compared(what="subsets", digest=digest, made_by=_BY)])
    return [line for listed in lists for line in listed.warnings]


def _is_done(tables: Tables, what: str, digest: str) -> bool:
    return any(row.digest == digest for row in tables.rows(Compared, what=what))


def _group(tables: Tables, profile: str) -> None:
    """Write the groups that changed; a clip that has left one becomes a group of its own."""
    clips, pictures, sounds = _prints(tables.prints(profile))
    grouped = neighbours.near_duplicates(clips, pictures, sounds)
    sizes = Counter((one.kind, one.representative) for one in grouped)
    now = {
        (one.clip_id, one.kind): (one.representative, sizes[one.kind, one.representative]) for one in grouped
    }
    before = {(row.clip_id, row.kind): (row.representative, row.size) for row in tables.rows(Neighbour)}
    now |= {key: (key[0], 1) for key in before.keys() - now.keys()}
    tables.append(
        Neighbour(clip_id=clip, kind=kind, representative=stands, size=size, made_by=_BY)
        for (clip, kind), (stands, size) in now.items()
        if before.get((clip, kind)) != (stands, size)
    )


def _guard(tables: Tables, profile: str, theirs: "Iterable[_Theirs]") -> None:
    """Write the leaks that changed: by id first, then by print where no id tells of it."""
    now: dict[tuple[str, str], tuple[str, str]] = {}
    ours = _prints(tables.prints(profile))
    for benchmark in theirs:
        prints = benchmark.prints()
        if prints is not None:
            for leak in neighbours.leaks(*ours, *prints):
                if leak.kind == "both":
                    now.setdefault((leak.clip_id, benchmark.name), ("print", leak.benchmark_id))
        shared = tables.shared_videos(benchmark.clips())
        for row in shared.to_pylist():
            if row["how"] == "clip" or (row["clip_id"], benchmark.name) not in now:
                now[row["clip_id"], benchmark.name] = (row["how"], row["match"])
    before = {(row.clip_id, row.benchmark): (row.how, row.match) for row in tables.rows(Leak)}
    now |= {key: ("none", match) for key, (_, match) in before.items() if key not in now}
    tables.append(
        Leak.model_validate({"clip_id": clip, "benchmark": name, "how": how, "match": match, "made_by": _BY})
        for (clip, name), (how, match) in now.items()
        if before.get((clip, name)) != (how, match)
    )


def _prints(table: pa.Table) -> tuple[list[str], neighbours.Prints, neighbours.Prints]:
    clips = [str(clip) for clip in table["clip_id"].to_pylist()]
    return clips, _packed(table["picture"]), _packed(table["sound"])


def _packed(column: "pa.ChunkedArray[Any]") -> neighbours.Prints:
    """The prints where they lie in Arrow's memory: a million would not fit twice."""
    whole: Any = column.cast(pa.large_binary()).combine_chunks()
    packed = whole.fill_null(b"")
    _, offsets, data = packed.buffers()
    starts = np.frombuffer(offsets, np.int64)[packed.offset : packed.offset + len(packed) + 1]
    held = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
    return neighbours.Prints(starts, held)


class _List:
    """Somebody's segment list. `warnings` say what was wrong with it, once it is read."""

    def __init__(self, told: str, path: str, seconds: float) -> None:
        self.warnings: list[str] = []
        self._told = told
        self._reader = segments.open_list(ListSpec(path=path), seconds)
        self.sha256 = self._reader.sha256

    def segments(self) -> Iterator[Segment]:
        """Its good rows. Raises UserError where none is."""
        good = bad = 0
        first = ""
        for row in self._reader:
            if isinstance(row, Segment):
                good += 1
                yield row
            else:
                bad += 1
                first = first or f"line {row.line}: {row.reason}"
        told = f"{self._told}: {self._reader.name}: {bad} of {good + bad} rows refused; {first}"
        if bad and not good:
            raise UserError(f"{told}. Mend the list: nothing can be compared with it.")
        if bad:
            self.warnings.append(told)


def _span(row: Segment | Clip) -> BenchmarkClip:
    return BenchmarkClip(row.clip_id, row.video_id, row.start_ms, row.end_ms)


class _Theirs:
    """One benchmark's clips and prints."""

    def __init__(self, workspace: Workspace, benchmark: Benchmark) -> None:
        self.name = benchmark.name
        self._list: _List | None = None
        if benchmark.path is not None:
            seconds = workspace.recipe.segments.seconds
            self._list = _List(f"benchmark {benchmark.name!r}", benchmark.path, seconds)
        self._tables: Tables | None = None
        if benchmark.workspace is not None:
            if not any(Store.open(benchmark.workspace).list(layout.TABLES)):
                raise UserError(
                    f"benchmark {benchmark.name!r}: {benchmark.workspace}: no workspace there; name one that "
                    "has fetched and measured the benchmark's clips"
                )
            self._tables = Tables.open(benchmark.workspace)
        known = self._list.sha256 if self._list else None
        printed = self._tables.prints_digest(None) if self._tables else None
        self.digest = [benchmark.name, known, printed]

    def clips(self) -> Iterator[BenchmarkClip]:
        """The spans that it names. Raises UserError for a list of which no row can be read."""
        listed = self._list.segments() if self._list else iter(())
        fetched = self._tables.rows(Clip) if self._tables else iter(())
        return map(_span, chain[Segment | Clip](listed, fetched))

    @property
    def warnings(self) -> list[str]:
        """What was wrong with its list, once that is read."""
        return self._list.warnings if self._list else []

    def prints(self) -> tuple[list[str], neighbours.Prints, neighbours.Prints] | None:
        """Those that its workspace has measured; None without one."""
        return _prints(self._tables.prints(None)) if self._tables else None
