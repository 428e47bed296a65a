"""The index of a workspace's captions, and where it lies.

    $XDG_CACHE_HOME/valor-data/search/<16 hex of the workspace>/<16 hex of its captions>/

An index is built under a temporary name and renamed, so that two processes may build one at once and a
killed one leaves none. It is never changed: other captions make another, and the one before goes.
"""

import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import tantivy

from valor_data import layout, text
from valor_data.errors import FatalError, UserError
from valor_data.search.query import FIELDS, All, Either, Field, Node, Start, Words, parse

_VERSION = "1"
"""Of what is written into an index."""
_TRIES = 3
_HEAP_BYTES = 128_000_000
_ABANDONED_S = 86_400
_STEMS = "stems"
_SPECIAL = re.compile(r"[^\w\s]")


class Entry(NamedTuple):
    """A caption, and what it can be filtered by."""

    clip_id: str
    caption_id: str
    text: str
    author: str
    origin: str
    language: str
    modalities: str
    source: str
    video_id: str
    split: str
    """Empty: none."""
    labels: tuple[str, ...]


class Hit(NamedTuple):
    """A caption that was found."""

    score: float
    """BM25 of what was asked for; filters count nothing."""
    clip_id: str
    caption: str
    split: str
    labels: list[str]
    author: str
    language: str
    caption_id: str


class Index:
    """An index that is complete. Threads may search it at once."""

    def __init__(self, folder: Path) -> None:
        """Raises ValueError for a folder that holds none."""
        self._index = tantivy.Index.open(str(folder))
        self._schema = self._index.schema
        self._searcher = self._index.searcher()
        self._stems = _stems()

    @classmethod
    def cached(cls, root: str, digest: str, entries: Callable[[], Iterable[Entry]]) -> "Index":
        """The index of the captions that `digest` names, of the workspace or release at `root`; it is built
        of `entries()` where the cache lacks it or cannot be read.

        Raises UserError where the cache cannot be written, FatalError where the disk is full.
        """
        home = _home(root)
        folder = home / layout.digest([_VERSION, version("tantivy"), digest])[:16]
        for _ in range(_TRIES):
            try:
                return cls(folder)
            except (OSError, ValueError):  # not there, not whole, or removed this moment
                shutil.rmtree(folder, ignore_errors=True)
            try:
                _build(home, folder, entries())
            except (OSError, ValueError) as error:  # tantivy tells of a full disk by a ValueError
                told = " ".join(str(error).split())[:200]
                raise UserError(
                    f"{home}: the index for searching cannot be written ({told}); name another folder in "
                    "XDG_CACHE_HOME"
                ) from error
        raise FatalError(f"{folder}: the index does not open; delete the folder and search again")

    def search(self, query: str, limit: int) -> list[Hit]:
        """The captions that say most of what is asked for, best first. Raises UserError for a query that
        cannot be read."""
        found = self._searcher.search(self._wanted(parse(query)), limit, count=False)
        return [self._hit(score, address) for score, address in found.hits]

    def _hit(self, score: float, address: tantivy.DocAddress) -> Hit:
        (told,) = self._searcher.doc(address)["told"]
        return Hit(round(float(score), 4), *json.loads(bytes(told)))

    def _wanted(self, node: Node) -> tantivy.Query:
        query, schema = tantivy.Query, self._schema
        match node:
            case Words((word,)):
                return query.term_query(schema, "caption", self._stem(word))
            case Words(words):
                return query.phrase_query(schema, "caption", [self._stem(word) for word in words])
            case Start(beginning):
                return query.regex_query(schema, "word", f"{_literal(beginning)}.*")
            case Field(name, value, starts):
                if starts:
                    found = query.regex_query(schema, name, f"{_literal(value)}.*")
                else:
                    found = query.term_query(schema, name, value)
                return query.const_score_query(found, 0.0)
            case All(parts):
                return query.boolean_query([(tantivy.Occur.Must, self._wanted(part)) for part in parts])
            case Either(parts):
                return query.boolean_query([(tantivy.Occur.Should, self._wanted(part)) for part in parts])
        clauses = [(tantivy.Occur.Must, self._wanted(part)) for part in node.must]
        clauses += [(tantivy.Occur.MustNot, self._wanted(part)) for part in node.never]
        if node.wished:
            clauses.append((tantivy.Occur.Must, self._wanted(Either(node.wished))))
        elif not node.must:
            clauses.append((tantivy.Occur.Must, query.const_score_query(query.all_query(), 0.0)))
        return query.boolean_query(clauses)

    def _stem(self, word: str) -> str:
        return str(self._stems.analyze(word)[0])


def forget(root: str) -> None:
    """Remove whatever the cache of this machine holds of a workspace or release."""
    shutil.rmtree(_home(root), ignore_errors=True)


def _home(root: str) -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache, "valor-data", "search", layout.digest(root)[:16])


def _build(home: Path, folder: Path, entries: Iterable[Entry]) -> None:
    """Write an index as `folder`, and remove the others of its workspace."""
    temporary = home / layout.temporary_name()
    temporary.mkdir(parents=True, mode=0o700)
    try:
        index = tantivy.Index(_schema(), str(temporary))
        index.register_tokenizer(_STEMS, _stems())
        # One thread: with two, captions of the same score would come in another order each time.
        writer = index.writer(_HEAP_BYTES, 1)
        for entry in entries:
            writer.add_document(_document(entry))
        writer.commit()
        writer.wait_merging_threads()
        with suppress(OSError):  # another process was faster
            temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    for other in home.iterdir():
        whole = not other.name.startswith(layout.TEMPORARY)
        if other != folder and (whole or time.time() - other.stat().st_mtime > _ABANDONED_S):
            shutil.rmtree(other, ignore_errors=True)


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("caption", tokenizer_name=_STEMS)
    builder.add_text_field("word", tokenizer_name="whitespace", index_option="basic")
    for name in FIELDS:
        builder.add_text_field(name, tokenizer_name="raw", index_option="basic")
    builder.add_bytes_field("told", stored=True, indexed=False)
    return builder.build()


def _stems() -> tantivy.TextAnalyzer:
    """Splits at spaces, and makes one of regular English forms; words of other languages stay nearly as
    they are."""
    split = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace())
    return split.filter(tantivy.Filter.stemmer("english")).build()


def _document(entry: Entry) -> tantivy.Document:
    said = " ".join(text.words(entry.text))
    document = tantivy.Document()
    document.add_text("caption", said)
    document.add_text("word", said)
    for name in ("author", "origin", "language", "modalities", "source", "split"):
        document.add_text(name, getattr(entry, name).casefold())
    document.add_text("clip", entry.clip_id.casefold())
    document.add_text("video", entry.video_id.casefold())
    for label in entry.labels:
        document.add_text("label", label.casefold())
    told = Hit(
        0.0,
        entry.clip_id,
        entry.text,
        entry.split,
        list(entry.labels),
        entry.author,
        entry.language,
        entry.caption_id,
    )
    document.add_bytes("told", json.dumps(told[1:], ensure_ascii=False).encode())
    return document


def _literal(value: str) -> str:
    return _SPECIAL.sub(lambda found: f"\\{found[0]}", value)
