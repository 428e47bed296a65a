"""Who is who: the one file that links a pseudonym to an account, and nothing else does.

`annotation/people.json` in the workspace. Releases, tables and reports hold pseudonyms; who deletes the file,
or one entry of it, has cut the link for good.
"""

import json
import secrets
from typing import Any

from valor_data import layout
from valor_data.errors import UserError
from valor_data.store import Store
from valor_data.workspace import Workspace

_PERSONAL = ("completed_by", "created_username", "updated_by", "last_created_by", "annotators")
"""Keys of raw answers that lead to an account."""


class People:
    """Accounts of one server and their pseudonyms, such as `ann-3f9a2c71`."""

    def __init__(self, store: Store, server: str) -> None:
        self._store = store
        try:
            self._all = _read(store)
        except FileNotFoundError:
            self._all = {}
        self._ours = self._all.setdefault(server, {})

    def pseudonym(self, account: int) -> str:
        """The pseudonym of an account; drawn and kept when it is first asked for."""
        known = self._ours.get(str(account))
        if known is None:
            known = self._ours[str(account)] = f"ann-{secrets.token_hex(4)}"
            self._save()
        return known

    def _save(self) -> None:
        self._store.put_bytes(layout.PEOPLE, json.dumps(self._all, indent=1, sort_keys=True).encode())


def forget(workspace: Workspace, pseudonym: str) -> int:
    """Cut the link from a pseudonym to an account for good: in the file of links, and in the raw answers, of
    which those by this person lose what leads to the account; the number of raw files that changed.

    Captions stay, under the pseudonym. Raises UserError where nobody has it.
    """
    store = workspace.store
    try:
        links = _read(store)
    except FileNotFoundError:
        links = {}
    accounts = {int(a) for known in links.values() for a, name in known.items() if name == pseudonym}
    if not accounts:
        raise UserError(f"{pseudonym}: nobody has this pseudonym; {layout.PEOPLE} lists those there are")
    changed = 0
    for key in list(store.list(layout.PULLS)):
        tasks = json.loads(store.get_bytes(key))
        if _without(tasks, accounts):
            store.put_bytes(key, json.dumps(tasks, ensure_ascii=False, indent=1).encode())
            changed += 1
    # Last: a run that is cut short finds the accounts again.
    kept = {
        server: {account: name for account, name in known.items() if name != pseudonym}
        for server, known in links.items()
    }
    store.put_bytes(layout.PEOPLE, json.dumps(kept, indent=1, sort_keys=True).encode())
    return changed


def _without(value: Any, accounts: set[int]) -> bool:
    """Take what leads to some accounts out of raw answers; whether there was any."""
    if isinstance(value, list):
        return sum(_without(one, accounts) for one in value) > 0  # all of them, not up to the first
    if not isinstance(value, dict):
        return False
    found = sum(_without(one, accounts) for one in value.values()) > 0
    for key in _PERSONAL:
        if key in value and _leads_to(value[key], accounts):
            found = True
            for personal in _PERSONAL:
                value.pop(personal, None)
    return found


def _leads_to(value: Any, accounts: set[int]) -> bool:
    if isinstance(value, list):
        return any(_leads_to(one, accounts) for one in value)
    if isinstance(value, dict):
        return any(_leads_to(value.get(key), accounts) for key in ("id", "user_id"))
    return isinstance(value, int) and value in accounts


def _read(store: Store) -> dict[str, dict[str, str]]:
    links: dict[str, dict[str, str]] = json.loads(store.get_bytes(layout.PEOPLE))
    return links
