"""`caption` and `embed`: what a checkpoint says of clips, and where it puts them and texts."""

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from valor_data.cli import show
from valor_data.cli.options import Json, TakeOver, Workers
from valor_data.cli.train import SplitOf
from valor_data.errors import UserError

if TYPE_CHECKING:
    from valor_data.train.describe import Placed, Said, Unread

    T = TypeVar("T", Said, Placed)

_MOST_TOLD = 20
_SHOWN_NUMBERS = 4

Checkpoint = Annotated[str, typer.Argument(metavar="CHECKPOINT", help="Folder of a checkpoint.")]
_WHAT = "Video or sound files, releases (folder or URL), or a recipe for the kept clips of its workspace."
Split = Annotated[SplitOf | None, typer.Option("--split", help="Only this split of a release; else all.")]
Into = Annotated[
    str | None,
    typer.Option("--workspace", help="Folder or URL of the workspace whose tables take the rows."),
]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(caption)
    app.command()(embed)


def caption(
    checkpoint: Checkpoint,
    what: Annotated[list[str], typer.Argument(metavar="WHAT", help=_WHAT)],
    split: Split = None,
    workspace: Into = None,
    workers: Workers = None,
    take_over: TakeOver = False,
    as_json: Json = False,
) -> None:
    """Write a caption for each clip: a line each, or as drafts into the tables of a workspace.

    A film of any length is one clip, seen in a few frames: cut long ones first. A recipe, or --workspace,
    hands rows to the tables, where `annotate` finds them; what is there is not made again.

    Example: valor-data caption run/best holiday.mp4
    """
    from valor_data import chain

    options = chain.Options(workspace=workspace, workers=workers, take_over=take_over)
    if chain.goes_to_tables(what, workspace):
        show.report(
            chain.caption_clips(checkpoint, what, options, split=split.value if split else None),
            as_json=as_json,
        )
        return
    told = _Told(alone=len(what) == 1)
    rows = told.read(chain.caption(checkpoint, what, options, split=split.value if split else None))
    if as_json:
        _print_json({"name": one.name, "caption": one.text, "senses": one.senses} for one in rows)
    else:
        for one in rows:
            print(f"{one.name}\t{one.text}", flush=True)
    told.end()


def embed(
    checkpoint: Checkpoint,
    what: Annotated[list[str] | None, typer.Argument(metavar="WHAT", help=_WHAT)] = None,
    text: Annotated[list[str] | None, typer.Option("--text", help="A text, as often as you like.")] = None,
    split: Split = None,
    workspace: Into = None,
    workers: Workers = None,
    take_over: TakeOver = False,
    as_json: Json = False,
    out: Annotated[str | None, typer.Option("--out", help="Write all vectors to a .parquet file.")] = None,
) -> None:
    """Put clips and texts in the model's common space: vectors of length one, whose products are cosines.

    Kinds: v picture, a sound, av both, t text. A recipe, or --workspace, hands rows to the tables, and
    `catalog similar` ranks by them; what is there is not made again. Without --json or --out the first
    numbers of each vector are shown.

    Example: valor-data embed run/best holiday.mp4 --text "waves break on a beach" --json
    """
    from valor_data import chain

    what, text = what or [], text or []
    if not what and not text:
        raise UserError("nothing to embed: name files, a release or a recipe, or give --text")
    options = chain.Options(workspace=workspace, workers=workers, take_over=take_over)
    if chain.goes_to_tables(what, workspace):
        if text or out:
            raise UserError(
                f"{'--text' if text else '--out'}: goes into no workspace; leave it out, or the other"
            )
        show.report(
            chain.embed_clips(checkpoint, what, options, split=split.value if split else None),
            as_json=as_json,
        )
        return
    rows = chain.embed(checkpoint, what, options, texts=text, split=split.value if split else None)
    if out:
        show.report(chain.write_embeddings(rows, out), as_json=as_json)
        return
    told = _Told(alone=len(what) == 1 and not text)
    vectors = ((one.name, kind, vector) for one in told.read(rows) for kind, vector in one.vectors.items())
    if as_json:
        _print_json(
            {"name": name, "kind": kind, "vector": [_number(value) for value in row.tolist()]}
            for name, kind, row in vectors
        )
    else:
        for name, kind, row in vectors:
            numbers = " ".join(f"{value:+.4f}" for value in row[:_SHOWN_NUMBERS].tolist())
            print(f"{name}\t{kind}\t{len(row)}\t{numbers} ...", flush=True)
    told.end()


class _Told:
    """What could not be read, told on stderr as it comes up."""

    def __init__(self, *, alone: bool) -> None:
        self._alone, self._unread, self._bad_files = alone, 0, 0

    def read(self, rows: "Iterable[T | Unread]") -> "Iterator[T]":
        """What could be read. Raises UserError for the only file that was given."""
        from valor_data.train.describe import Placed, Unread

        for row in rows:
            if not isinstance(row, Unread):
                if isinstance(row, Placed) and row.cut:
                    print(
                        f"warning: {row.name!r}: its end is lost: too many words for this model",
                        file=sys.stderr,
                    )
                yield row
                continue
            is_file = Path(row.name).is_file()
            if is_file and self._alone:
                raise UserError(f"{row.name}: {row.why}")
            self._unread += 1
            self._bad_files += is_file
            if self._unread <= _MOST_TOLD:
                print(f"problem: {row.name}: {row.why}", file=sys.stderr)

    def end(self) -> None:
        """Exit code 1 where one of several files could not be read."""
        if self._unread > _MOST_TOLD:
            print(f"problem: {self._unread - _MOST_TOLD:,} more could not be read", file=sys.stderr)
        if self._bad_files:
            raise typer.Exit(1)


def _number(value: float) -> float:
    """With the digits that 32 bits hold, and no more."""
    return float(f"{value:.8g}")


def _print_json(rows: Iterable[dict[str, object]]) -> None:
    """A list of objects, each printed when it is there: all may not fit in memory."""
    opening = "["
    for row in rows:
        print(f"{opening}{json.dumps(row, ensure_ascii=False)}", end="", flush=True)
        opening = ",\n "
    print("[]" if opening == "[" else "]")
