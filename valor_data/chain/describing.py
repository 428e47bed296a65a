"""What a checkpoint says of clips and where it puts them: of files and releases, given back; of a workspace's
clips, into its tables. torch is loaded here, late."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from valor_data import layout
from valor_data.chain.given import Album, Given, Missing, given_of, into, is_recipe, of_workspace, shown
from valor_data.chain.notes import DEFAULTS, Notes, Options, writing
from valor_data.manifest import SplitName
from valor_data.outfile import replaced
from valor_data.recipe import Recipe
from valor_data.records import Caption, Embedding, Origin, Record, Report
from valor_data.tables import OtherModel
from valor_data.workspace import Workspace

if TYPE_CHECKING:
    from valor_data.train.describe import Looked, Model, Placed, Said, Unread

    T = TypeVar("T", Said, Placed)

_SAVED_ROWS, _SAVED_SECONDS = 1_024, 60.0
_MOST_TOLD = 20
_SCHEMA = pa.schema([("name", pa.string()), ("kind", pa.string()), ("vector", pa.list_(pa.float32()))])


def caption(
    checkpoint: str, what: Sequence[str], options: Options = DEFAULTS, *, split: SplitName | None = None
) -> "Iterator[Said | Unread]":
    """A caption of each file, and of each clip of a release or of one split of it.

    Raises UserError, before anything is decoded, for a checkpoint, file or release that is none.
    """
    from valor_data.train import checkpoint as checkpoints
    from valor_data.train import describe

    checkpoints.look(Path(checkpoint))
    given = given_of(what, split)
    model = describe.open_model(checkpoint)
    return chain(_revoked(given), describe.captions(model, _look(model, shown(model, given), options)))


def embed(
    checkpoint: str,
    what: Sequence[str],
    options: Options = DEFAULTS,
    *,
    texts: Sequence[str] = (),
    split: SplitName | None = None,
) -> "Iterator[Placed | Unread]":
    """The vectors of each file, of each clip of a release or of one split of it, and of texts.

    Raises UserError as `caption` does, and for a text without a word.
    """
    from valor_data.train import checkpoint as checkpoints
    from valor_data.train import describe

    checkpoints.look(Path(checkpoint))
    given = given_of(what, split)
    for text in texts:
        describe.check_text(text)
    model = describe.open_model(checkpoint)
    looked = _look(model, shown(model, given), options)
    found = describe.embeddings(model, looked)
    return chain(_revoked(given), found, describe.texts_placed(model, texts))


def write_embeddings(placed: "Iterable[Placed | Unread]", out: str) -> Report:
    """Vectors as a Parquet file, whole or not there, a row each: `name`, `kind` (v, a, av, t), `vector`. What
    cannot be read is told in the report. Raises UserError for a place that cannot be written to."""
    notes = Notes("embed", out)
    notes.counts["rows"] = 0
    with replaced(out, ".parquet") as path, pq.ParquetWriter(str(path), _SCHEMA, compression="zstd") as file:
        rows = (
            {"name": one.name, "kind": kind, "vector": vector}
            for one in _read(placed, notes)
            for kind, vector in one.vectors.items()
        )
        while some := list(islice(rows, _SAVED_ROWS)):
            file.write_table(pa.Table.from_pylist(some, _SCHEMA))
            notes.counts["rows"] += len(some)
    notes.outputs.append(out)
    return notes.report()


def caption_clips(
    checkpoint: str, what: Sequence[str], options: Options = DEFAULTS, *, split: SplitName | None = None
) -> Report:
    """Captions into the tables of a workspace, as a model's: `annotate` may offer them as drafts, and no
    release takes them. `what` is a recipe, whose kept clips are described; or releases, and files named by
    clip_id.

    What the checkpoint has said of a clip's bytes it is not asked again. Raises UserError where there is no
    workspace, or where it knows none of the clips.
    """
    from valor_data.train import checkpoint as checkpoints
    from valor_data.train import describe

    checkpoints.look(Path(checkpoint))
    recipe, given = into(what, options, split)
    model = describe.open_model(checkpoint)
    with writing("caption", recipe, options) as (workspace, notes):
        notes.counts["revoked"] = sum(given.revoked.values()) if given else 0
        missing = Missing(workspace, notes, model.identity, model.author)
        looked = _look(model, of_workspace(workspace, model, given), options, missing)
        with _saving(workspace, notes) as save:
            for said in _read(describe.captions(model, looked), notes):
                save([_caption(model, said, missing.revisions.pop(said.name, 0), recipe)])
        missing.check(what)
        notes.plan = (f'annotate.drafts = "{model.author}" in a recipe offers these captions as drafts',)
    return notes.report()


def embed_clips(
    checkpoint: str, what: Sequence[str], options: Options = DEFAULTS, *, split: SplitName | None = None
) -> Report:
    """Vectors into the tables of a workspace, by which `catalog similar` ranks: of picture, sound and both,
    and of each clip's first releasable caption. For the rest as `caption_clips`."""
    from valor_data.train import checkpoint as checkpoints
    from valor_data.train import describe

    checkpoints.look(Path(checkpoint))
    recipe, given = into(what, options, split)
    model = describe.open_model(checkpoint)
    with writing("embed", recipe, options) as (workspace, notes):
        notes.warnings += map(_other_told, workspace.tables.other_models(model.identity))
        notes.counts["revoked"] = sum(given.revoked.values()) if given else 0
        missing = Missing(workspace, notes, model.identity, None)
        looked = _look(model, of_workspace(workspace, model, given), options, missing)
        with _saving(workspace, notes) as save:
            for placed in _read(describe.embeddings(model, looked), notes):
                save(_embeddings(model, placed))
        missing.check(what)
        notes.counts["texts"] = _embed_captions(workspace, model)
    return notes.report()


def goes_to_tables(what: Sequence[str], workspace: str | None) -> bool:
    """Whether what is described goes into a workspace: one is named, or a recipe is given."""
    return workspace is not None or any(map(is_recipe, what))


def _look(
    model: "Model", album: Album, options: Options, missing: Missing | None = None
) -> "Iterator[Looked]":
    from valor_data.train import describe
    from valor_data.train.looking import workers_for

    return describe.looked_at(
        model,
        album.sources,
        missing.of(album.tasks) if missing else album.tasks,
        workers=workers_for(album.many, options.workers),
        total=album.many,
        progress=options.progress and album.many > 1,
    )


def _revoked(given: Given) -> "Iterator[Unread]":
    from valor_data.train.describe import Unread

    for release, count in given.revoked.items():
        yield Unread(release, f"{count} of its clips were taken down; nobody may read them")


def _read(rows: "Iterable[T | Unread]", notes: Notes) -> "Iterator[T]":
    """What was read; the rest is counted, and the first of it told. A person's own file that cannot be read
    makes the report not ok."""
    from valor_data.train.describe import Unread

    notes.counts["unreadable"] = 0
    for row in rows:
        if not isinstance(row, Unread):
            yield row
            continue
        notes.counts["unreadable"] += 1
        notes.ok = notes.ok and not Path(row.name).is_file()
        if notes.counts["unreadable"] <= _MOST_TOLD:
            notes.warnings.append(f"{row.name}: {row.why}")


@contextmanager
def _saving(workspace: Workspace, notes: Notes) -> "Iterator[Callable[[Sequence[Record]], None]]":
    """Takes the rows of one clip after the other; they are saved some at a time, and what is there is saved
    however the block ends."""
    waiting: list[Record] = []
    clips, since = 0, time.monotonic()

    def flush() -> None:
        nonlocal clips, since
        if waiting:
            workspace.require_lock()
            workspace.tables.append(waiting)
            notes.counts["new"] += clips
        waiting.clear()
        clips, since = 0, time.monotonic()

    def save(rows: Sequence[Record]) -> None:
        nonlocal clips
        waiting.extend(rows)
        clips += 1
        if len(waiting) >= _SAVED_ROWS or time.monotonic() - since >= _SAVED_SECONDS:
            flush()

    try:
        yield save
    finally:
        flush()


def _caption(model: "Model", said: "Said", replaced_revision: int, recipe: Recipe) -> Caption:
    return Caption(
        caption_id=layout.caption_id(said.name, Origin.MODEL, model.author, ""),
        clip_id=said.name,
        text=said.text,
        author=model.author,
        origin=Origin.MODEL,
        language=recipe.captions.language,
        modalities_seen=said.senses,
        revision=replaced_revision + 1,
        made_by=model.identity,
    )


def _embeddings(model: "Model", placed: "Placed") -> list[Embedding]:
    """Without that of a caption that came along: the workspace's own captions count."""
    return [
        Embedding(
            clip_id=placed.name,
            kind=kind,
            model=model.identity,
            vector=tuple(vector_C.tolist()),
            made_by=model.identity,
        )
        for kind, vector_C in placed.vectors.items()
        if kind != "t"
    ]


def _embed_captions(workspace: Workspace, model: "Model") -> int:
    """Put each clip's first releasable caption in the model's space, where it does not stand there yet."""
    from valor_data.train import describe

    made = 0
    for batch in workspace.tables.untold(model.identity):
        clips, texts = (list(map(str, batch[name].to_pylist())) for name in ("clip_id", "text"))
        vectors_BC, _ = describe.text_embeddings(model, texts)
        workspace.require_lock()
        made += workspace.tables.append(
            Embedding(clip_id=clip, kind="t", model=model.identity, vector=tuple(row), made_by=model.identity)
            for clip, row in zip(clips, vectors_BC.tolist(), strict=True)
        )
    return made


def _other_told(other: OtherModel) -> str:
    return (
        f"embeddings of {other.model} ({other.width} wide, {other.clips} clips) are there too: each model "
        "has a space of its own, and 'catalog similar' ranks by each"
    )
