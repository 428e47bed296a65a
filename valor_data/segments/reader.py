"""A segment list, opened: what it is, and its rows."""

import operator
import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from valor_data.errors import UserError
from valor_data.recipe import ListSpec
from valor_data.records import Segment
from valor_data.segments import columns, delimited, documents, forms
from valor_data.segments.rows import Bad, Rows, bad, captions_of, time_ms
from valor_data.segments.source import Source

_AUTHORS = {
    "valor-desc": "valor",
    "valor-ids": "valor",
    "valor-mapper": "valor",
    "audiocaps-csv": "audiocaps",
}
_MANY = 100

Row = Segment | Bad


class SegmentReader:
    """Iterate for `Segment | Bad` in file order, any number of times, in constant memory.

    Beyond UserError at opening, iteration raises UserError where the file turns out damaged (a JSON
    list that breaks off).
    """

    form: str
    """Name of the form, one of `recipe.FORMS`."""
    name: str
    """File name without its folder."""
    sha256: str
    """Of the file as it lies there, packed or not."""
    encoding: str
    """Text encoding it is read in; empty for Parquet."""
    author: str
    """Author of its captions: the recipe's, else the form's (`valor`, `audiocaps`), else the list's stem."""
    split: str | None
    """Split of rows that name none: the recipe's, else, for VALOR's forms only, the word train, val or
    test in the file's name (`desc_val.json`)."""

    def __init__(self, spec: ListSpec, seconds: float, *, addresses: bool = True) -> None:
        self._source = Source(spec.path, spec.encoding)
        self.form = forms.form_of(self._source) if spec.form == "auto" else spec.form
        self.name, self.sha256, self.encoding = self._source.name, self._source.sha256, self._source.encoding
        if (self.form == "parquet") != self._source.is_parquet:
            what = "a Parquet file" if self._source.is_parquet else "no Parquet file"
            raise UserError(f"{self._source.shown}: form = {self.form!r}, but this is {what}.")
        self.author = spec.author or _AUTHORS.get(self.form) or self.name.split(".")[0] or self.name
        self.split = spec.split or (_split_in(self.name) if self.form.startswith("valor-") else None)
        self._rows = Rows(seconds, addresses=addresses)
        self._plans: dict[tuple[str, ...], dict[str, str]] = {}
        self._ignored: dict[str, None] = {}
        if next(iter(self), None) is None:
            raise UserError(f"{self._source.shown}: holds no rows (form {self.form}).")

    @property
    def ignored_columns(self) -> tuple[str, ...]:
        """Columns that nobody reads, as met so far (at most 100): a table's are known at once."""
        return tuple(self._ignored)

    def __iter__(self) -> Iterator[Row]:
        with self._source.told():
            yield from _FORMS[self.form](self)

    def _audioset(self) -> Iterator[Row]:
        make, mids = self._rows.segment, self._rows.mids
        with self._source.text() as text:
            for line, fields, raw in delimited.rows(text, ",", comments=True, one_line=True):
                try:
                    _expect(4, fields)
                    video_id, start, end, labels = fields
                    yield make(line, video_id.strip(), time_ms(start), time_ms(end), labels=mids(labels))
                except ValueError as error:
                    yield bad(line, error, raw[0])

    def _vggsound(self) -> Iterator[Row]:
        with self._source.text() as text:
            for line, fields, raw in delimited.rows(text, ",", comments=True, one_line=True):
                try:
                    _expect(4, fields)
                    video_id, start, label, split = fields
                    cells = {"video_id": video_id, "start": start, "labels": [label], "split": split}
                    yield self._rows.from_columns(line, cells)
                except ValueError as error:
                    yield bad(line, error, raw[0])

    def _table(self) -> Iterator[Row]:
        with self._source.text() as text:
            number, first = _first_data_line(text)
            found = forms.header_of(first)
            if found is None:
                raise UserError(
                    f"{self._source.shown}: line {number} is no header with one of url, video_id, clip_id: "
                    f"{first.strip()[:80]!r}. Add a header line such as 'url,start,end,caption'."
                )
            delimiter, header = found
            names, take = self._plan_of_table(header)
            for line, fields, raw in delimited.rows(text, delimiter, first_line=number + 1):
                try:
                    _expect(len(header), fields)
                    yield self._rows.from_columns(line, dict(zip(names, take(fields), strict=True)))
                except ValueError as error:
                    yield bad(line, error, "".join(raw))

    def _parquet(self) -> Iterator[Row]:
        header = documents.parquet_columns(self._source)
        chosen = self._plan(tuple(header))
        if not forms.names_a_video(chosen):
            raise UserError(
                f"{self._source.shown}: no column url, video_id or clip_id; it has {', '.join(header)[:200]}."
            )
        for row, values in documents.parquet_rows(self._source, list(chosen.values())):
            try:
                yield self._rows.from_columns(row, dict(zip(chosen, values, strict=True)))
            except ValueError as error:
                yield bad(row, error, repr(values))

    def _jsonl(self) -> Iterator[Row]:
        if self._source.head().lstrip()[:1] == "[":
            yield from self._json("items", self._from_object)
            return
        with self._source.text() as text:
            for line, value, raw in documents.json_lines(text):
                yield self._told(line, raw, self._from_object, value)

    def _desc(self) -> Iterator[Row]:
        annotations = self._source.head().lstrip()[:1] == "{"
        return self._json("annotations" if annotations else "items", self._from_object)

    def _ids(self) -> Iterator[Row]:
        return self._json("items", self._rows.official)

    def _json(self, walk: str, make: Callable[[int, Any], Segment]) -> Iterator[Row]:
        with self._source.text() as text:
            stream = documents.JsonStream(text, self._source.shown)
            for row, value, raw in getattr(stream, walk)():
                yield self._told(row, raw, make, value)
            stream.end()

    def _mapper(self) -> Iterator[Row]:
        with self._source.text() as text:
            stream = documents.JsonStream(text, self._source.shown)
            for row, key, value, raw in stream.members():
                yield self._told(row, raw, partial(self._from_member, key), value)
            stream.end()

    def _urls(self) -> Iterator[Row]:
        with self._source.text() as text:
            for line, raw in enumerate(text, 1):
                if raw.strip() and not delimited.is_comment(raw):
                    yield self._told(line, raw, self._from_address, raw.strip())

    def _told(self, line: int, raw: str, make: Callable[[int, Any], Segment], value: Any) -> Row:
        try:
            if isinstance(value, ValueError):
                raise value
            return make(line, value)
        except ValueError as error:
            return bad(line, error, raw)

    def _from_object(self, line: int, value: Any) -> Segment:
        if not isinstance(value, dict):
            raise ValueError("not a JSON object")
        plan = self._plan(tuple(value))
        return self._rows.from_columns(line, {ours: value[theirs] for ours, theirs in plan.items()})

    def _from_member(self, key: str, line: int, value: Any) -> Segment:
        return self._rows.official(line, key, captions_of(value))

    def _from_address(self, line: int, word: str) -> Segment:
        if re.search(r"\s", word):
            raise ValueError("more than one word; a list of addresses has one a line")
        return self._rows.from_columns(line, {"url": word})

    def _plan_of_table(
        self, header: list[str]
    ) -> tuple[tuple[str, ...], Callable[[list[str]], tuple[str, ...]]]:
        """(our names, a function that takes their fields out of a row)."""
        chosen = self._plan(tuple(header))
        twice = [name for name in chosen.values() if header.count(name) > 1]
        if twice:
            raise UserError(
                f"{self._source.shown}: column {twice[0]!r} stands twice in the header; rename one."
            )
        indexes = [header.index(name) for name in chosen.values()]
        if len(indexes) == 1:
            return tuple(chosen), lambda fields: (fields[indexes[0]],)
        return tuple(chosen), operator.itemgetter(*indexes)

    def _plan(self, header: tuple[str, ...]) -> dict[str, str]:
        """{our name: the list's}, remembered for rows with the same keys."""
        plan = self._plans.get(header)
        if plan is None:
            plan, ignored = columns.recognise(header)
            self._ignored.update(dict.fromkeys(ignored[: _MANY - len(self._ignored)]))
            if len(self._plans) < _MANY:
                self._plans[header] = plan
        return plan


def open_list(spec: ListSpec, seconds: float, *, addresses: bool = True) -> SegmentReader:
    """Open a segment list: a local path or an http(s) address, packed with gzip, bzip2, xz or not.

    `seconds`: length of a clip that has a start only. `addresses` false: for captions of clips that
    are known already, a row may name its video by an id alone (`Segment.url` is then empty).
    Raises UserError, in one line with file and mend, for a file that cannot be read, that is no list
    or that holds no row.
    """
    return SegmentReader(spec, seconds, addresses=addresses)


def _expect(count: int, fields: list[str]) -> None:
    if len(fields) != count:
        if not fields:
            raise ValueError(
                "a quote is not closed or not doubled inside quotes, or a field is over 131,072 letters"
            )
        raise ValueError(f"{len(fields)} fields where {count} are due")


def _first_data_line(lines: Iterable[str]) -> tuple[int, str]:
    for number, line in enumerate(lines, 1):
        if line.strip() and not delimited.is_comment(line):
            return number, line
    return 0, ""


def _split_in(name: str) -> str | None:
    words = re.split(r"[^a-z]+", Path(name).name.lower())
    found = {split for word in words if (split := columns.split_of(word))}
    return found.pop() if len(found) == 1 else None


_FORMS: dict[str, Callable[[SegmentReader], Iterator[Row]]] = {
    "audioset-csv": SegmentReader._audioset,
    "valor-desc": SegmentReader._desc,
    "valor-ids": SegmentReader._ids,
    "valor-mapper": SegmentReader._mapper,
    "audiocaps-csv": SegmentReader._table,
    "vggsound-csv": SegmentReader._vggsound,
    "table": SegmentReader._table,
    "jsonl": SegmentReader._jsonl,
    "parquet": SegmentReader._parquet,
    "urls": SegmentReader._urls,
}
