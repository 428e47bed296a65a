"""The form of a list, from its content: text -> one of `recipe.FORMS`."""

import itertools
import json
import re
from collections.abc import Callable, Iterator

from valor_data import layout
from valor_data.errors import UserError
from valor_data.recipe import FORMS
from valor_data.segments import columns, delimited
from valor_data.segments.source import Source

DELIMITERS = ",\t;|"
_LINES_LOOKED_AT = 50
_OFFICIAL_KEY = re.compile(r'"[^"]+_\d+(?:\.\d+)?_\d+(?:\.\d+)?"\s*:')
_ANNOTATIONS = re.compile(r'"annotations"\s*:\s*\[')
_NAMES_A_VIDEO = ("video_id", "url", "clip_id")
_AUDIOCAPS = {
    "caption_id": "audiocap_id",
    "video_id": "youtube_id",
    "start": "start_time",
    "caption": "caption",
}


def detect(path: str, encoding: str | None = None) -> str:
    """The form of the list at a path or address. Raises UserError that names what stands there."""
    return form_of(Source(path, encoding))


def form_of(source: Source) -> str:
    """The form of an opened list. Raises UserError where no form fits or there is no row."""
    if source.is_parquet:
        return "parquet"
    text = source.head()
    begin = text.lstrip()
    if not begin:
        raise UserError(f"{source.shown}: holds no rows, only blank lines.")
    if begin.startswith("<"):
        raise UserError(
            f"{source.shown}: this is a web page (HTML or XML), not a list; download the file itself."
        )
    if begin.startswith("{"):
        return _json_object(source, begin)
    if begin.startswith("["):
        return _json_list(source, begin)
    return _lines(source, text)


def header_of(line: str) -> tuple[str, list[str]] | None:
    """(delimiter, names) where a line is the header of a table that names videos; else None."""
    known: list[tuple[int, str, list[str]]] = []
    for delimiter in DELIMITERS:
        names = [name.strip() for name in delimited.fields_of(line, delimiter)]
        found = columns.recognise(names)[0]
        if names_a_video(found):
            known.append((len(found), delimiter, names))
    if not known:
        return None
    _, delimiter, names = max(known, key=lambda one: one[0])
    return delimiter, names


def names_a_video(found: dict[str, str]) -> bool:
    """True where one of the recognised columns says which video a row is about."""
    return not found.keys().isdisjoint(_NAMES_A_VIDEO)


def _json_object(source: Source, begin: str) -> str:
    first, rest = _first_value(begin)
    if isinstance(first, dict) and names_a_video(columns.recognise(first)[0]):
        if "\n" in begin[: len(begin) - len(rest)]:
            raise _unknown(
                source, "a JSON object over several lines; write one object a line, or a list [...]"
            )
        return "jsonl"
    if _ANNOTATIONS.search(begin):
        return "valor-desc"
    if _OFFICIAL_KEY.search(begin):
        return "valor-mapper"
    if first == {}:
        raise UserError(f"{source.shown}: holds no rows, only {{}}.")
    raise _unknown(source, f"a JSON object that names no video: {begin[:60]!r}")


def _json_list(source: Source, begin: str) -> str:
    first, _ = _first_value(begin[1:].lstrip())
    if isinstance(first, str):
        return "valor-ids"
    if isinstance(first, dict):
        found = columns.recognise(first)[0]
        if names_a_video(found):
            spans = {"url", "clip_id", "start", "start_ms"} & set(found)
            return "jsonl" if spans or not _is_official(first[found["video_id"]]) else "valor-desc"
    if begin[1:].lstrip()[:1] == "]":
        raise UserError(f"{source.shown}: holds no rows, only [].")
    raise _unknown(source, f"a JSON list whose elements name no video: {begin[:60]!r}")


def _first_value(text: str) -> tuple[object, str]:
    """(the JSON value that a text begins with, what follows); None where it is broken or cut."""
    try:
        value, end = json.JSONDecoder(strict=False).raw_decode(text)
    except (ValueError, RecursionError):
        return None, text
    return value, text[end:]


def _is_official(value: object) -> bool:
    try:
        layout.parse_official_id(value if isinstance(value, str) else "")
    except ValueError:
        return False
    return True


def _lines(source: Source, text: str) -> str:
    lines = list(itertools.islice(_data_lines(text), _LINES_LOOKED_AT))
    if not lines:
        raise UserError(f"{source.shown}: holds no rows, only comments.")
    header = header_of(lines[0])
    if header:
        found = columns.recognise(header[1])[0]
        is_audiocaps = header[0] == "," and found.items() >= _AUDIOCAPS.items()
        return "audiocaps-csv" if is_audiocaps else "table"
    votes = [(sum(map(test, lines)), form) for form, test in _TESTS.items()]
    most, form = max(votes, key=lambda vote: vote[0])
    if most * 2 > len(lines):
        return form
    if len(text) >= len(lines[0]) > 4000:
        raise _unknown(source, "one very long line")
    raise _unknown(source, f"a first line {lines[0].strip()[:60]!r} that is no header with url or video_id")


def _data_lines(text: str) -> Iterator[str]:
    """Lines with data; the last of many is left out, for the head may cut it."""
    lines = text.splitlines()
    whole = lines if len(lines) < 2 or text.endswith(("\n", "\r")) else lines[:-1]
    return (line for line in whole if line.strip() and not delimited.is_comment(line))


def _is_audioset(line: str) -> bool:
    fields = delimited.fields_of(line, ",")
    return len(fields) == 4 and _is_number(fields[1]) and _is_number(fields[2])


def _is_vggsound(line: str) -> bool:
    fields = delimited.fields_of(line, ",")
    return (
        len(fields) == 4
        and _is_number(fields[1])
        and not _is_number(fields[2])
        and columns.split_of(fields[3]) is not None
    )


def _is_address(line: str) -> bool:
    word = line.strip()
    address, _, _ = word.partition("#t=")  # which may end in two times with a comma
    if re.search(r"[,;\t|]\s*\d+(\.\d+)?\s*([,;\t|]|$)", address) or re.search(r"\s", word):
        return False  # a row of a table that lacks its header
    return bool(
        layout.YOUTUBE_ID.match(word) or layout.youtube_id(word) or re.match(r"https?://", word, re.I)
    )


def _is_number(text: str) -> bool:
    try:
        layout.milliseconds(text)
    except ValueError:
        return False
    return True


_TESTS: dict[str, Callable[[str], bool]] = {
    "audioset-csv": _is_audioset,
    "vggsound-csv": _is_vggsound,
    "urls": _is_address,
}


def _unknown(source: Source, seen: str) -> UserError:
    return UserError(
        f"{source.shown}: not recognised as a segment list: {seen}. Add a header line such as "
        f"'url,start,end,caption', or name the form in the recipe; known: {', '.join(FORMS)}."
    )
