"""Tables and a workspace that live in memory: for tests of what is done with them."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from valor_data.records import Outcome, Record, Status

R = TypeVar("R", bound=Record)


class MemoryTables:
    """Rows in the order they came; the latest of a key wins, as on disk."""

    def __init__(self) -> None:
        self.appended: list[list[Record]] = []

    def append(self, rows: Iterable[Record]) -> int:
        batch = list(rows)
        self.appended.append(batch)
        return len(batch)

    def rows(self, record: type[R]) -> Iterator[R]:
        latest: dict[tuple[object, ...], R] = {}
        for batch in self.appended:
            for row in batch:
                if isinstance(row, record):
                    latest[tuple(getattr(row, name) for name in row.key)] = row
        return iter(latest.values())


class MemoryWorkspace:
    """As much of a workspace as the runner touches."""

    def __init__(self) -> None:
        self.tables = MemoryTables()
        self.saved: dict[str, object] = {}
        self.lock_checks = 0

    def require_lock(self) -> None:
        self.lock_checks += 1

    @property
    def ledger(self) -> dict[str, Outcome]:
        return {row.clip_id: row for row in self.tables.rows(Outcome)}

    def open_clips(self, clip_ids: Iterable[str]) -> set[str]:
        """Clips still to do: what a stage's query gives."""
        rows = {clip: self.ledger.get(clip) for clip in clip_ids}
        return {clip for clip, row in rows.items() if row is None or row.status is Status.FAILED}
