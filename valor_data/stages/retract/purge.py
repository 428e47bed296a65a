"""No copy left: media objects of every profile, raw exports, pages and reports, and rows of every table."""

import json
import re
from collections.abc import Collection
from typing import Any, NamedTuple

from valor_data import layout
from valor_data.stages.retract.revoke import Gone
from valor_data.store import Store
from valor_data.workspace import Workspace

_RUNS = "runs/"
_ID = re.compile(r"[A-Za-z0-9_-]+_\d+(?:\.\d{3})?_\d+(?:\.\d{3})?")


class Purged(NamedTuple):
    """What went, in numbers."""

    objects: int
    """Media objects, of every profile and payload."""
    exports: int
    """Tasks in what was pulled from the annotation server."""
    pages: int
    """Pages and reports of runs that named a clip."""
    rows: dict[str, int]
    """Table -> rows."""


def purge(workspace: Workspace, gone: Gone, spare: Collection[str] = ()) -> Purged:
    """Remove every copy of what was taken down but those in releases. Tables of `spare` keep their rows for
    now. Repeating it is harmless."""
    store = workspace.store
    keys = [key for key in store.list(layout.OBJECTS) if _is_gone(_clip_of(key), gone)]
    workspace.require_lock()
    store.delete(keys)
    exports = sum(_purge_export(store, key, gone) for key in list(store.list(layout.PULLS)))
    pages = sum(_purge_page(store, key, gone) for key in list(store.list(_RUNS)))
    workspace.require_lock()
    rows = workspace.tables.purge(gone.clips, gone.videos, spare)
    return Purged(len(keys), exports, pages, rows)


def _clip_of(key: str) -> str:
    return key.rsplit("/", 1)[-1].split(".", 1)[0]


def _is_gone(clip: str, gone: Gone) -> bool:
    if clip in gone.clips:
        return True
    try:
        return layout.parse_clip_id(clip).video_id in gone.videos
    except ValueError:  # a rendered clip of the test before the work
        return False


def _purge_export(store: Store, key: str, gone: Gone) -> int:
    """Take the tasks of these clips out of one raw export."""
    tasks: list[dict[str, Any]] = json.loads(store.get_bytes(key))
    kept = [task for task in tasks if not _is_gone(str((task.get("data") or {}).get("clip_id")), gone)]
    if len(kept) == len(tasks):
        return 0
    if kept:
        store.put_bytes(key, json.dumps(kept, ensure_ascii=False, indent=1).encode())
    else:
        store.delete([key])
    return len(tasks) - len(kept)


def _purge_page(store: Store, key: str, gone: Gone) -> int:
    """Delete a page that names one of these clips, for its command makes it anew; of a report take the lines
    that do."""
    text = store.get_bytes(key).decode(errors="replace")
    if not _names(text, gone):
        return 0
    if not key.endswith(".json"):
        store.delete([key])
        return 1
    report = json.loads(text)
    for name, value in report.items():
        if isinstance(value, list):
            report[name] = [line for line in value if not _names(str(line), gone)]
    store.put_bytes(key, json.dumps(report, ensure_ascii=False, indent=2).encode())
    return 1


def _names(text: str, gone: Gone) -> bool:
    """Whether a text names one of the clips, in either form."""
    return any(_is_gone(_plain(found), gone) for found in set(_ID.findall(text)))


def _plain(found: str) -> str:
    if "." not in found:
        return found
    try:
        return layout.clip_id(*layout.parse_official_id(found))
    except ValueError:
        return found
