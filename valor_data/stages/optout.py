"""Wishes to stay out: files of videos and channels become rows that no later step passes over.

A wish is never taken back by a line that goes missing: the tables only add. Whoever wants back in is
a matter between people.
"""

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import urldefrag, urlsplit

from valor_data import layout
from valor_data.errors import UserError
from valor_data.records import OptOut
from valor_data.workspace import Workspace

_CHANNEL = re.compile(r"UC[A-Za-z0-9_-]{22}\Z")
_WORD = re.compile(r"[^\s,;]+\Z")
_SPREADSHEET = re.compile(r"#[^\s,;|]{1,12}[!?]|#N/A")  # what is left of an id that begins with a dash
_COLUMNS = {"video_id": "video", "channel_id": "channel"}
_KNOWN = (
    "a line is a YouTube id, the address of a video, a channel's id (UC...), or channel:<id>; "
    "of other videos, video:<video_id>"
)


class _Wish(NamedTuple):
    scope: Literal["video", "channel", "address"]
    value: str


def load(workspace: Workspace) -> int:
    """Take the recipe's opt-out files into the tables, and reject every clip of a video or channel that
    stands there, from these files or from earlier ones; the number of clips that this rejects anew.

    Raises UserError that names the file and the line that is no wish; nothing is written then.
    """
    workspace.tables.append(unheeded(workspace))
    return workspace.tables.reject_opted_out(f"fetch/{workspace.recipe.profile}", "opt_out@1")


def unheeded(workspace: Workspace) -> list[OptOut]:
    """The wishes in the recipe's files that the tables do not have yet; nothing is written.

    Raises UserError as `load` does.
    """
    recipe, tables = workspace.recipe, workspace.tables
    read = [(Path(path).name, list(_wishes(Path(path)))) for path in recipe.rights.opt_out]
    addresses = {wish.value for _, wishes in read for wish in wishes if wish.scope == "address"}
    at = tables.videos_at(addresses)
    standing = {(row.scope, row.value) for row in tables.rows(OptOut)}
    new: dict[tuple[str, str], OptOut] = {}
    for name, wishes in read:
        for scope, value in (one for wish in wishes for one in _named(wish, at)):
            if (scope, value) not in standing:
                row = OptOut.model_validate({"scope": scope, "value": value, "made_by": f"opt_out:{name}"})
                new.setdefault((scope, value), row)
    return list(new.values())


def _named(wish: _Wish, at: dict[str, set[str]]) -> Iterator[tuple[str, str]]:
    """(scope, value) as the table has it: an address stands for the videos that lists put there."""
    if wish.scope != "address":
        yield wish
        return
    for video in sorted({layout.video_id("url", wish.value), *at.get(wish.value, ())}):
        yield "video", video


def _wishes(path: Path) -> Iterator[_Wish]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "not UTF-8 text"
        raise UserError(f"{path}: not readable: {why}; check rights.opt_out in the recipe") from None
    told = [(number, line) for number, line in enumerate(map(_without_remark, lines), 1) if line]
    header = _header(told[0][1]) if told else None
    for number, line in told[1:] if header else told:
        try:
            yield _in_columns(line, *header) if header else _wish(line)
        except ValueError as error:
            raise UserError(f"{path}:{number}: {error}") from None


def _without_remark(line: str) -> str:
    line = line.strip()
    if line.startswith("#"):
        return line if _SPREADSHEET.match(line) else ""
    return re.split(r"\s#", line, maxsplit=1)[0].rstrip()


def _header(line: str) -> tuple[str, list[str]] | None:
    """(delimiter, columns) where the line is a header that names ids."""
    delimiter = next((sign for sign in ",;\t" if sign in line), ",")
    columns = [name.strip().strip('"').lower() for name in line.split(delimiter)]
    return (delimiter, columns) if _COLUMNS.keys() & set(columns) else None


def _in_columns(line: str, delimiter: str, columns: list[str]) -> _Wish:
    fields = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True))
    given = {name: field.strip() for name, field in zip(columns, fields, strict=False) if field.strip()}
    found = [(scope, given[column]) for column, scope in _COLUMNS.items() if column in given]
    if len(found) != 1:
        what = "both a video and a channel" if found else "neither a video nor a channel"
        raise ValueError(f"names {what}; fill in either video_id or channel_id")
    scope, value = found[0]
    try:
        wish = _wish(value)
    except ValueError:
        wish = _wish(f"{scope}:{value}")
    if (wish.scope == "channel") != (scope == "channel"):
        raise ValueError(f"{value!r} is no {scope}; {_KNOWN}")
    return wish


def _wish(text: str) -> _Wish:
    if _SPREADSHEET.match(text):
        raise ValueError(f"{text!r}: a spreadsheet took the id for a formula; restore the original id")
    scope, _, value = text.partition(":")
    value = value.strip()
    if scope in ("channel", "video") and _WORD.match(value) and "//" not in value:
        return _Wish("channel" if scope == "channel" else "video", value)
    if layout.YOUTUBE_ID.match(text):
        return _Wish("video", text)
    if _CHANNEL.match(text):
        return _Wish("channel", text)
    return _at(text)


def _at(text: str) -> _Wish:
    """What an address names."""
    if video := layout.youtube_id(text):
        return _Wish("video", video)
    try:
        parts = urlsplit(text if "://" in text else f"https://{text}")
        host = (parts.hostname or "").lower()
    except ValueError:
        raise ValueError(f"{text!r} is no address; {_KNOWN}") from None
    if host == "youtu.be" or host == "youtube.com" or host.endswith(".youtube.com"):
        path = [part for part in parts.path.split("/") if part]
        if path[:1] == ["channel"] and len(path) > 1 and _CHANNEL.match(path[1]):
            return _Wish("channel", path[1])
        raise ValueError(
            f"{text!r} names neither a video nor a channel's id. A channel's name may change hands: give "
            "channel:<id>, which stands in the source of its page and, once fetched, in videos.channel_id"
        )
    if "://" not in text or not host or re.search(r"\s", text):
        raise ValueError(f"{text!r}: {_KNOWN}")
    address, fragment = urldefrag(text)
    return _Wish("address", address if not fragment or fragment.startswith("t=") else text)
