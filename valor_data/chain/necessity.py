"""What captions need of their clips, by a checkpoint: told, written to a file, kept in tables."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from valor_data.chain.given import into
from valor_data.chain.notes import Notes, Options, writing
from valor_data.errors import UserError
from valor_data.manifest import SplitName
from valor_data.outfile import replaced
from valor_data.records import Necessity
from valor_data.schema import arrow_schema
from valor_data.shards import ReleaseReader
from valor_data.store import Store
from valor_data.workspace import Workspace

FILE = "necessity.parquet"
"""Where it is written, where no other name is given."""
_COLUMNS = ("clip_id", "needs_audio", "needs_video", "needs_timing", "made_by")
_TOLD = {
    "needs_audio": "muted, or another clip's sound",
    "needs_video": "black, or another clip's picture",
    "needs_timing": "its sound shifted in time",
}


@contextmanager
def place(asked: bool, out: str | None, workspace: str | None, release: str) -> "Iterator[Place | None]":
    """Where it goes, looked at before anything is computed; None where nobody asks for it.

    Raises UserError for a file that cannot be written, and for a workspace that is none.
    """
    if not asked:
        for name, given in (("--out", out), ("--workspace", workspace)):
            if given is not None:
                raise UserError(f"{name}: it is for what --necessity finds; give that too, or leave it out")
        yield None
        return
    out = out or FILE
    with ExitStack() as stack:
        path = stack.enter_context(replaced(out, ".parquet"))
        opened = None
        if workspace is not None:
            options = Options(workspace=workspace)
            recipe, _ = into([release], options, None)
            opened, _ = stack.enter_context(writing("evaluate", recipe, options))
        yield Place(path, out, opened)


class Place:
    """A file, and the tables of a workspace."""

    def __init__(self, path: Path, out: str, workspace: Workspace | None) -> None:
        self._path, self._out, self._workspace = path, out, workspace

    def fill(
        self,
        checkpoint: str,
        release: str,
        split: SplitName,
        only: Collection[str],
        notes: Notes,
        progress: bool,
    ) -> list[str]:
        """Spoil the clips that `only` names, ask the model, keep what it answers; the means, a line each."""
        from valor_data.train import describe, necessity

        model = describe.open_model(checkpoint)
        reader = ReleaseReader(Store.open(release), split)
        taken = necessity.take(model.opened, reader, frozenset(only), progress=progress)
        rows = [
            Necessity(
                clip_id=one.clip_id,
                needs_audio=one.audio,
                needs_video=one.video,
                needs_timing=one.timing,
                made_by=model.identity,
            )
            for one in necessity.needs_of(model.opened, taken)
        ]
        schema = pa.schema([arrow_schema(Necessity).field(name) for name in _COLUMNS])
        table = pa.Table.from_pylist([row.model_dump(include=set(_COLUMNS)) for row in rows], schema)
        pq.write_table(table, str(self._path))
        notes.outputs.append(self._out)
        if self._workspace is not None:
            self._keep(self._workspace, rows, notes)
        return _lines(rows)

    def _keep(self, workspace: Workspace, rows: Sequence[Necessity], notes: Notes) -> None:
        """Rows of the clips that the workspace knows and may show."""
        found = workspace.tables.standing({row.clip_id for row in rows}, rows[0].made_by) if rows else {}
        known = [row for row in rows if found[row.clip_id].state in ("missing", "there")]
        if not known:
            raise UserError(
                f"{workspace.root}: none of the {len(rows)} clips is in this workspace; name the one that "
                "the release was made from"
            )
        workspace.tables.append(known)
        notes.counts["kept_in_tables"] = len(known)


def _lines(rows: Sequence[Necessity]) -> list[str]:
    from valor_data.train.intervals import Measure, interval

    lines = [
        "",
        "share of spoilt clips that captions like less: 1, they need it; 0.5, it makes no difference",
    ]
    for name, words in _TOLD.items():
        values = {row.clip_id: value for row in rows if (value := getattr(row, name)) is not None}
        if values:
            found = interval(Measure(np.array(list(values.values())), list(values)))
            lines.append(f"{name:<14}{found.value:.3f} ({found.low:.3f}-{found.high:.3f})  {words}")
    return lines
