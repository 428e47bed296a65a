"""CSV and TSV text -> fields, with the physical line where each row begins.

A quote that is never closed swallows the rows after it, in silence, with a plain csv reader. Here
such a row alone is refused: what it swallowed is read again from the next line.
"""

import csv
import re
from collections import deque
from collections.abc import Iterable, Iterator

EXCEL_ERROR = re.compile(r"#[^\s,;|]{1,12}[!?]|#N/A")
"""What a spreadsheet makes of `-2Abohj8VY`, such as `#NAME?`: not the beginning of a comment."""
_SPACE_AFTER_QUOTE = re.compile(r'"[ \t]+(?=[,;|\t\r\n]|$)')

Row = tuple[int, list[str], list[str]]
"""(line of its beginning, from 1; fields, none where they cannot be told apart; its physical lines)"""


class _Tape:
    """Hands lines to the csv reader, keeps those of the row, takes back those of another row."""

    def __init__(self, lines: Iterable[str], *, comments: bool) -> None:
        self.row: list[str] = []
        self._lines = iter(lines)
        self._back: deque[str] = deque()
        self._comments = comments

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._back.popleft() if self._back else next(self._lines)
        self.row.append(line)
        return "\n" if line[:1] == "#" and self._comments and is_comment(line) else line

    def keep_first(self) -> str:
        self._back.extendleft(reversed(self.row[1:]))
        self.row = self.row[:1]
        return self.row[0]


def rows(
    lines: Iterable[str],
    delimiter: str,
    *,
    first_line: int = 1,
    comments: bool = False,
    one_line: bool = False,
) -> Iterator[Row]:
    """Rows with data; blank ones are none, nor are `#` lines where `comments` holds.

    `one_line`: no field of this form holds a line end, so one that seems to is a stray quote.
    """
    tape = _Tape(lines, comments=comments)
    reader = csv.reader(tape, delimiter=delimiter, skipinitialspace=delimiter != "\t", strict=True)
    line = first_line
    while True:
        tape.row = []
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error:
            fields = _alone(tape.keep_first(), delimiter)
        else:
            if one_line and len(tape.row) > 1:
                fields = _alone(tape.keep_first(), delimiter)
            elif not any(fields) and not any(map(str.strip, fields)):
                line += len(tape.row)
                continue
        yield line, fields, tape.row
        line += len(tape.row)


def fields_of(line: str, delimiter: str) -> list[str]:
    """The fields of one line by itself; none where its quotes do not close."""
    return _alone(line, delimiter)


def is_comment(line: str) -> bool:
    """True for a `#` line that no spreadsheet made of a row."""
    return line[:1] == "#" and not EXCEL_ERROR.match(line)


def _alone(line: str, delimiter: str) -> list[str]:
    """One physical line, forgiving spaces after a closing quote and, in TSV, quotes that are text."""
    strict = csv.reader(
        [_SPACE_AFTER_QUOTE.sub('"', line)],
        delimiter=delimiter,
        skipinitialspace=delimiter != "\t",
        strict=True,
    )
    try:
        return next(strict, [])
    except csv.Error:
        if delimiter != "\t":
            return []
    return next(csv.reader([line], delimiter=delimiter, quoting=csv.QUOTE_NONE), [])
