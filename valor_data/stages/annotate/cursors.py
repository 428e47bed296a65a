"""How far the projects of each server were read: `annotation/pulled.json` in the workspace."""

import json
from typing import TypedDict

from valor_data import layout
from valor_data.store import Store


class Cursor(TypedDict):
    """How far a project was read."""

    latest_us: int
    """Latest change that was seen, by the server's clock."""
    read_s: float
    """When, by ours; 0: long enough ago."""


def name_of(server: str, project_id: int) -> str:
    """Under which a project's cursor stands."""
    return f"{server}#{project_id}"


def read(store: Store) -> dict[str, Cursor]:
    """The cursors by name; none before the first pull."""
    try:
        found: dict[str, Cursor] = json.loads(store.get_bytes(layout.PULLED))
    except FileNotFoundError:
        return {}
    return found


def write(store: Store, cursors: dict[str, Cursor]) -> None:
    """Keep them."""
    store.put_bytes(layout.PULLED, json.dumps(cursors, indent=1, sort_keys=True).encode())


def rewind(store: Store, name: str) -> None:
    """Let the next pull read a project from its beginning."""
    cursors = read(store)
    if cursors.pop(name, None) is not None:
        write(store, cursors)
