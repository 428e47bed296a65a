"""The forms that a catalog is exported to. Each takes clips one by one, and holds none of them.

valor   what VALOR released (`desc_*.json`) and what its code reads (`*_id.json`, `txt_mapper.json`,
        `capanno_*.json`), as a folder or a .zip
csv     a row a caption
jsonl   a line a clip
hf      a folder for Hugging Face `datasets`: Parquet, or with media files beside `metadata.jsonl`
coco    the caption form of COCO: images, which are our clips, and annotations
"""

import csv
import hashlib
import json
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self, TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from valor_data import layout

Row = dict[str, Any]
"""A clip as the catalog has it."""

COLUMNS = (
    "clip_id", "source", "video_id", "start_ms", "end_ms", "url", "labels", "licence", "split", "caption",
    "captions",
)  # fmt: skip
_CSV = (
    "video_id", "start", "end", "url", "split", "labels", "licence", "caption_id", "caption", "language",
    "author", "origin",
)  # fmt: skip
_SAID = ("caption_id", "text", "author", "origin", "language", "modalities_seen")
_TYPES: dict[str, pa.DataType] = {
    "start_ms": pa.int64(),
    "end_ms": pa.int64(),
    "labels": pa.list_(pa.string()),
    "captions": pa.list_(pa.struct([(name, pa.string()) for name in _SAID])),
}
_SCHEMA = pa.schema([(name, _TYPES.get(name, pa.string())) for name in COLUMNS])
_GROUP = 10_000
_EXACT = 52
"""Bits of an id that every reader of JSON keeps exactly."""


def valor(clips: Iterable[Row], folder: Path) -> None:
    """The official files of VALOR. What has no split stands in `desc.json`, `id.json` and `capanno.json`."""
    with ExitStack() as stack:
        files: dict[str, _Json] = {}

        def to(kind: str, split: str | None) -> _Json:
            parts = [part for part in ((split, kind) if kind == "id" else (kind, split)) if part]
            name = f"{'_'.join(parts)}.json"
            if name not in files:
                opened = stack.enter_context((folder / name).open("w", encoding="utf-8"))
                around = ('{"annotations": [', "]}") if kind == "capanno" else ("[", "]")
                files[name] = stack.enter_context(_Json(opened, *around))
            return files[name]

        mapper = stack.enter_context((folder / "txt_mapper.json").open("w", encoding="utf-8"))
        texts_of = stack.enter_context(_Json(mapper, "{", "}"))
        for clip in clips:
            name, split, texts = layout.official_id(clip["clip_id"]), clip["split"], _texts(clip)
            to("id", split).add(name)
            texts_of.add_pair(name, texts[0] if len(texts) == 1 else texts)
            for text in texts:
                to("desc", split).add({"video_id": name, "desc": text})
                to("capanno", split).add({"video_id": name, "caption": text})


def as_csv(clips: Iterable[Row], path: Path) -> None:
    """A row a caption; our own reader takes it as a segment list."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(_CSV)
        for clip in clips:
            start, end = (f"{clip[name] / 1000:.3f}" for name in ("start_ms", "end_ms"))
            labels = _labels(clip["labels"])
            of_clip = (clip["video_id"], start, end, clip["url"], clip["split"], labels, clip["licence"])
            for said in clip["captions"]:
                of_caption = (said[name] for name in ("caption_id", "text", "language", "author", "origin"))
                rows.writerow((*of_clip, *of_caption))


def jsonl(clips: Iterable[Row], path: Path) -> None:
    """A line a clip; our own reader takes it as a segment list."""
    with path.open("w", encoding="utf-8") as file:
        for clip in clips:
            file.write(f"{_line(clip)}\n")


def hugging_face(clips: Iterable[Row], folder: Path, title: str) -> None:
    """A folder that `datasets.load_dataset(folder)` reads: a Parquet file for each split."""
    (folder / "data").mkdir()
    waiting: dict[str, list[Row]] = {}
    with ExitStack() as stack:
        writers: dict[str, pq.ParquetWriter] = {}

        def flush(split: str) -> None:
            if split not in writers:
                path = folder / "data" / f"{split}-00000-of-00001.parquet"
                writers[split] = stack.enter_context(pq.ParquetWriter(path, _SCHEMA, compression="zstd"))
            writers[split].write_table(pa.Table.from_pylist(waiting.pop(split), schema=_SCHEMA))

        for clip in clips:
            split = _split(clip)
            waiting.setdefault(split, []).append(clip)
            if len(waiting[split]) == _GROUP:
                flush(split)
        for split in [*waiting]:
            flush(split)
    _describe(folder, title, {split: f"data/{split}-*.parquet" for split in writers})


def hugging_face_media(
    clips: Iterable[Row], folder: Path, title: str, copy: Callable[[Row, Path], None]
) -> None:
    """The same with the clips themselves: a folder for each split with its files and `metadata.jsonl`; `copy`
    writes one."""
    with ExitStack() as stack:
        told: dict[str, TextIO] = {}
        for clip in clips:
            split = _split(clip)
            if split not in told:
                (folder / split).mkdir()
                path = folder / split / "metadata.jsonl"
                told[split] = stack.enter_context(path.open("w", encoding="utf-8"))
            name = f"{clip['clip_id']}.mp4"
            copy(clip, folder / split / name)
            told[split].write(f"{_line(clip, file_name=name)}\n")
    _describe(folder, title, {split: f"{split}/**" for split in told})


def coco(clips: Callable[[], Iterable[Row]], path: Path, title: str, version: str) -> None:
    """COCO's caption form. An image is a clip. Ids are hashes of ours: they stay when clips are added."""
    taken: set[int] = set()
    with path.open("w", encoding="utf-8") as file:
        info = _text({"description": title, "version": version})
        file.write(f'{{"info": {info}, "licenses": [], "images": ')
        with _Json(file, "[", "]") as images:
            for clip in clips():
                images.add({
                    "id": _number(clip["clip_id"], taken),
                    "file_name": f"{clip['clip_id']}.mp4",
                    "clip_id": clip["clip_id"],
                    "video_id": clip["video_id"],
                    "start_ms": clip["start_ms"],
                    "end_ms": clip["end_ms"],
                    "split": clip["split"],
                    "coco_url": clip["url"],
                })  # fmt: skip
        file.write(', "annotations": ')
        taken.clear()
        with _Json(file, "[", "]") as annotations:
            images_again: set[int] = set()
            for clip in clips():
                image = _number(clip["clip_id"], images_again)
                for said in clip["captions"]:
                    annotations.add({
                        "id": _number(said["caption_id"], taken),
                        "image_id": image,
                        "caption": said["text"],
                        "caption_id": said["caption_id"],
                    })  # fmt: skip
        file.write("}\n")


class _Json:
    """A JSON list or object that is written item by item."""

    def __init__(self, file: TextIO, opening: str, closing: str) -> None:
        self._file, self._opening, self._closing = file, opening, closing
        self._between = "\n"

    def __enter__(self) -> Self:
        self._file.write(self._opening)
        return self

    def __exit__(self, *_: object) -> None:
        self._file.write(f"\n{self._closing}")

    def add(self, value: object) -> None:
        self._file.write(f"{self._between}{_text(value)}")
        self._between = ",\n"

    def add_pair(self, key: str, value: object) -> None:
        self._file.write(f"{self._between}{_text(key)}: {_text(value)}")
        self._between = ",\n"


def _line(clip: Row, **more: str) -> str:
    start, end = (clip[name] / 1000 for name in ("start_ms", "end_ms"))
    return _text({
        **more,
        "clip_id": clip["clip_id"],
        "video_id": clip["video_id"],
        "start": start,
        "end": end,
        "url": clip["url"],
        "split": clip["split"],
        "labels": clip["labels"],
        "licence": clip["licence"],
        "captions": _texts(clip),
        "caption_ids": [said["caption_id"] for said in clip["captions"]],
        "languages": [said["language"] for said in clip["captions"]],
    })  # fmt: skip


def _labels(labels: list[str]) -> str:
    """Names between `;`; where one holds what parts them, a list in JSON. Our reader takes both."""
    plain = not any(mark in label for label in labels for mark in ";|[")
    return ";".join(labels) if plain else json.dumps(labels, ensure_ascii=False)


def _texts(clip: Row) -> list[str]:
    return [said["text"] for said in clip["captions"]]


def _split(clip: Row) -> str:
    return clip["split"] or "unsplit"


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _number(name: str, taken: set[int]) -> int:
    """A number that stands for an id, always the same but for the rare one that another has taken."""
    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) >> (64 - _EXACT)
    while number in taken:
        number += 1
    taken.add(number)
    return number


def _describe(folder: Path, title: str, files: dict[str, str]) -> None:
    """The card by which `datasets` finds the splits under our names."""
    told = "".join(f"  - split: {split}\n    path: {_text(path)}\n" for split, path in files.items())
    head = f"---\npretty_name: {_text(title)}\nconfigs:\n- config_name: default\n  data_files:\n{told}---\n"
    (folder / "README.md").write_text(f"{head}\n# {title}\n", encoding="utf-8")
