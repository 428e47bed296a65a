"""Writing a catalog in one of the forms that others read."""

import shutil
import zipfile
from collections import Counter
from collections.abc import Iterator
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import NamedTuple

from valor_data.errors import UserError, without_secrets
from valor_data.outfile import replaced
from valor_data.stages.catalog import forms
from valor_data.stages.catalog.forms import COLUMNS, Row
from valor_data.stages.catalog.source import Source, open_source


class Form(StrEnum):
    """What `catalog export` writes; `forms` says what each holds."""

    VALOR = "valor"
    CSV = "csv"
    JSONL = "jsonl"
    HF = "hf"
    COCO = "coco"


_FILES = {Form.CSV: (".csv",), Form.JSONL: (".jsonl",), Form.COCO: (".json",)}
"""Forms that are one file, and how its name ends."""


class Exported(NamedTuple):
    """What was written."""

    clips: int
    captions: int
    unsplit: int
    """Clips that have no split."""
    path: str


def export(root: str, form: Form, out: str, *, media: bool = False) -> Exported:
    """Write the captioned clips of a workspace or release that may be shown and that no rule rejected.

    Nothing stands at `out` until all is written; a file there is replaced, a folder is not. `media`: with the
    clips themselves, for `hf` of a workspace. Raises UserError for an `out` that cannot serve, and where no
    clip has a caption.
    """
    if media and form is not Form.HF:
        raise UserError(f"--media goes with the form hf, not {form.value}")
    counts: Counter[str] = Counter()
    with replaced(out, *_FILES.get(form, ())) as temporary, open_source(root) as source:
        if media and source.is_release:
            raise UserError("--media is for a workspace; a release's shards: load_dataset('webdataset', ...)")
        _write(form, source, temporary, counts, media=media)
        if not counts["clips"]:
            raise UserError(f"{root}: no captioned clip to export; 'valor-data annotate' brings captions")
    return Exported(counts["clips"], counts["captions"], counts["unsplit"], out)


def _write(form: Form, source: Source, path: Path, counts: Counter[str], *, media: bool) -> None:
    clips = _counted(source, counts, media=media)
    match form:
        case Form.VALOR if path.suffix == ".zip":
            folder = path.with_suffix("")
            try:
                folder.mkdir()
                forms.valor(clips, folder)
                _zip(folder, path)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
        case Form.VALOR:
            path.mkdir()
            forms.valor(clips, path)
        case Form.CSV:
            forms.as_csv(clips, path)
        case Form.JSONL:
            forms.jsonl(clips, path)
        case Form.HF if media:
            path.mkdir()
            forms.hugging_face_media(clips, path, source.name, partial(_copy, source))
        case Form.HF:
            path.mkdir()
            forms.hugging_face(clips, path, source.name)
        case Form.COCO:
            forms.coco(lambda: _counted(source, counts, media=False), path, source.name, source.version)


def _counted(source: Source, counts: Counter[str], *, media: bool) -> Iterator[Row]:
    """The clips to write, and their counts."""
    counts.clear()
    extra = ("kept", "object_key") if media else ("kept",)
    for batch in source.rows((*COLUMNS, *extra)):
        for row in batch.to_pylist():
            if row["captions"] and row.get("kept") is not False and (not media or row["object_key"]):
                counts["clips"] += 1
                counts["captions"] += len(row["captions"])
                counts["unsplit"] += row["split"] is None
                yield row | {"url": without_secrets(row["url"])}  # an export is made to be given away


def _copy(source: Source, clip: Row, path: Path) -> None:
    with source.store.open_read(clip["object_key"]) as file, path.open("wb") as copy:
        shutil.copyfileobj(file, copy)


def _zip(folder: Path, path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for file in sorted(folder.iterdir()):
            # Without a clock, so that the same captions give the same bytes.
            entry = zipfile.ZipInfo(file.name)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            with file.open("rb") as plain, packed.open(entry, "w", force_zip64=True) as place:
                shutil.copyfileobj(plain, place)
