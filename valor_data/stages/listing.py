"""Read the recipe's segment lists into the tables: clips, splits, captions, and every bad row."""

from collections.abc import Iterator

from valor_data import layout, segments
from valor_data.errors import UserError
from valor_data.recipe import ListSpec
from valor_data.records import BadRow, Segment, SegmentList
from valor_data.workspace import Workspace

_BAD_ROWS_AT_A_TIME = 10_000


def list_segments(workspace: Workspace) -> list[SegmentList]:
    """Every list of the recipe, each read to its end once; a list that stands in the tables is not
    read again unless its content or its settings change.

    Raises UserError for a list that cannot be read, and for the first bad row where the recipe is
    strict.
    """
    recipe = workspace.recipe
    if not recipe.segments.lists:
        raise UserError(f"recipe {recipe.name!r} names no list: add [[segments.lists]] with path = ...")
    return [_read(workspace, spec) for spec in recipe.segments.lists]


def _read(workspace: Workspace, spec: ListSpec) -> SegmentList:
    tables, settings = workspace.tables, workspace.recipe.segments
    reader = segments.open_list(spec, settings.seconds)
    list_id = layout.digest([reader.sha256, spec.model_dump(exclude={"path"}), settings.seconds])[:24]
    for known in tables.rows(SegmentList, list_id=list_id):
        return known
    rejects = _Rejects(workspace, list_id, reader.name, strict=settings.strict)
    with tables.segment_staging() as staging:
        staging.add(rejects.good(reader))
        merged = staging.merge(reader.name, reader.author, spec.language, reader.split)
    rejects.flush()
    read = SegmentList(
        list_id=list_id,
        name=reader.name,
        form=reader.form,
        rows=merged.rows + rejects.count,
        clips=merged.clips,
        duplicates=merged.duplicates,
        bad_rows=rejects.count,
        made_by=f"list:{reader.name}",
    )
    tables.append([read])  # last: a list without this row is read again
    return read


class _Rejects:
    """Sorts bad rows out of a stream of rows and saves them as it goes."""

    def __init__(self, workspace: Workspace, list_id: str, name: str, *, strict: bool) -> None:
        self.count = 0
        self._workspace, self._list_id, self._name, self._strict = workspace, list_id, name, strict
        self._waiting: list[BadRow] = []

    def good(self, reader: segments.SegmentReader) -> Iterator[Segment]:
        for row in reader:
            if isinstance(row, Segment):
                yield row
            else:
                self._refuse(row)

    def _refuse(self, bad: segments.Bad) -> None:
        if self._strict:
            raise UserError(
                f"{self._name}:{bad.line}: {bad.reason}. Mend the row, or set segments.strict = false."
            )
        self.count += 1
        self._waiting.append(
            BadRow(
                list_id=self._list_id,
                line=bad.line,
                reason=bad.reason,
                text=bad.text,
                made_by=f"list:{self._name}",
            )
        )
        if len(self._waiting) >= _BAD_ROWS_AT_A_TIME:
            self.flush()

    def flush(self) -> None:
        self._workspace.tables.append(self._waiting)
        self._waiting = []
