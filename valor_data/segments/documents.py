"""JSON, JSON lines and Parquet -> values, one by one, in constant memory."""

import contextlib
import itertools
import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, TextIO

from valor_data.errors import UserError
from valor_data.segments.source import Source

if TYPE_CHECKING:
    import pyarrow.parquet as pq

_BLOCK = 1 << 18
_SPACE = " \t\r\n"
_PARQUET_ROWS = 8192

Value = tuple[int, Any, str]
"""(row number, from 1; the value; how it stands in the text, cut)"""


class JsonStream:
    """Walks a JSON text of any size. A text that breaks off or is no JSON is a UserError."""

    def __init__(self, text: TextIO, shown: str) -> None:
        self._text, self._shown = text, shown
        self._buffer, self._at, self._ended = "", 0, False
        self._decode = json.JSONDecoder(strict=False).raw_decode  # line ends inside strings are harmless
        self._row = 0

    def items(self) -> Iterator[Value]:
        """The elements of the list that begins here."""
        self._take("[")
        if self.peek() == "]":
            self._take("]")
            return
        while True:
            self._row += 1
            yield self._row, *self._value()
            if self._take(",]") == "]":
                return

    def annotations(self) -> Iterator[Value]:
        """The elements of the top object's `annotations`."""
        for key in self._keys():
            if key == "annotations" and self.peek() == "[":
                yield from self.items()
            else:
                self._value()

    def members(self) -> Iterator[tuple[int, str, Any, str]]:
        """(row number, key, value, text) of the top object."""
        for key in self._keys():
            self._row += 1
            value, text = self._value()
            yield self._row, key, value, f"{json.dumps(key, ensure_ascii=False)}: {text}"

    def end(self) -> None:
        """Refuses what stands behind the value: it would be lost."""
        if self.peek():
            raise self._broken("there is more text behind the end of the JSON value")

    def peek(self) -> str:
        """The next sign that is no space; empty at the end."""
        while True:
            while self._at < len(self._buffer) and self._buffer[self._at] in _SPACE:
                self._at += 1
            if self._at < len(self._buffer):
                return self._buffer[self._at]
            if self._ended:
                return ""
            self._more()

    def _keys(self) -> Iterator[str]:
        self._take("{")
        if self.peek() == "}":
            self._take("}")
            return
        while True:
            if self.peek() != '"':
                raise self._broken("a key in double quotes is missing")
            key, _ = self._value()
            self._take(":")
            yield key
            if self._take(",}") == "}":
                return

    def _take(self, signs: str) -> str:
        found = self.peek()
        if not found or found not in signs:
            raise self._broken(f"{' or '.join(signs)} expected" + (f", {found!r} found" if found else ""))
        self._at += 1
        return found

    def _value(self) -> tuple[Any, str]:
        self.peek()
        while True:
            try:
                value, end = self._decode(self._buffer, self._at)
            except RecursionError:
                raise self._broken("nested too deeply") from None
            except ValueError as error:
                if self._ended or not self._may_go_on(error):
                    raise self._broken(str(error).split(":")[0]) from None
                self._more()
                continue
            if end == len(self._buffer) and not self._ended:
                self._more()  # a number may go on
                continue
            text = self._buffer[self._at : min(end, self._at + 300)]
            self._at = end
            return value, text

    def _may_go_on(self, error: ValueError) -> bool:
        """True where the fault may be only that the buffer ends here."""
        if not isinstance(error, json.JSONDecodeError):
            return False
        return error.msg.startswith("Unterminated string") or error.pos > len(self._buffer) - 16

    def _more(self) -> None:
        """Reads on: at least as much as waits, so that a huge value costs no quadratic time."""
        rest = self._buffer[self._at :]
        block = self._text.read(max(_BLOCK, len(rest)))
        self._buffer, self._at, self._ended = rest + block, 0, not block

    def _broken(self, why: str) -> UserError:
        where = f"the text breaks off in row {self._row}" if not self.peek() else f"row {self._row}"
        return UserError(f"{self._shown}: not valid JSON: {where}: {why}. Is the file whole?")


def json_lines(lines: Iterable[str]) -> Iterator[Value]:
    """(line number, value, line); a ValueError in place of the value where the line is no JSON."""
    for number, line in enumerate(lines, 1):
        if line.isspace():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            value = ValueError(f"not valid JSON: {str(error).split(':')[0]}")
        yield number, value, line


@contextlib.contextmanager
def _parquet(source: Source) -> Iterator["pq.ParquetFile"]:
    import pyarrow as pa  # heavy, and only for this form
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(source.path, pre_buffer=False) as file:  # else a row group stands in memory
            yield file
    except pa.ArrowException as error:
        raise UserError(f"{source.shown}: not readable as Parquet: {error}. Is the file whole?") from error


def parquet_columns(source: Source) -> list[str]:
    """Names of a Parquet file's columns. Raises UserError where it is none."""
    with _parquet(source) as file:
        return list(file.schema_arrow.names)


def parquet_rows(source: Source, names: list[str]) -> Iterator[tuple[int, tuple[Any, ...]]]:
    """(row number, values of the named columns)."""
    with _parquet(source) as file:
        number = itertools.count(1)
        for batch in file.iter_batches(_PARQUET_ROWS, columns=names):
            columns = [batch.column(name).to_pylist() for name in names]
            for values in zip(*columns, strict=True):
                yield next(number), values
