"""A recipe and a root, opened: the store, the tables, and the right to write.

    with Workspace.open(recipe, "./valor32k", write=True) as workspace:
        workspace.tables.append(rows)

One run writes a workspace at a time; readers take no lock. In a folder the lock is `flock` on
`.lock`, which the kernel frees when its holder dies. In an object store it is the object `lock.json`,
made exclusively and renewed by a heartbeat: one that has not beaten for a minute may be taken over.
"""

import errno
import fcntl
import json
import os
import re
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, Protocol, Self

from valor_data import layout
from valor_data.errors import FatalError, UserError, ValorDataError
from valor_data.recipe import Recipe
from valor_data.records import Report
from valor_data.store import Store
from valor_data.tables import Tables

BEAT_SECONDS = 15.0
STALE_SECONDS = 60.0
_FILE = ".lock"
_OBJECT = "lock.json"
_UNFINISHED = "unfinished.json"  # there while a remote writer works, and after it died


class Workspace:
    """What stages work in. `unclean`: the writer before this one did not end well."""

    def __init__(self, recipe: Recipe, store: Store, lock: "_Lock | None") -> None:
        self.recipe = recipe
        self.root = store.root
        self.store = store
        self.tables = Tables.open(store.root)
        self.unclean = lock is not None and lock.unclean
        self.run_id = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
        self._lock = lock

    @classmethod
    @contextmanager
    def open(
        cls, recipe: Recipe, root: str | None, *, write: bool, take_over: bool = False
    ) -> Iterator[Self]:
        """The workspace at `root`, or else at the recipe's own; a writer makes the folder and locks it.

        A writer that leaves the `with` by an exception leaves the workspace unclean: the next one
        is told. Raises UserError where the root cannot serve, or another run writes there.
        """
        root = root or recipe.workspace
        if not root:
            raise UserError("no workspace is named: give --workspace, or 'workspace' in the recipe")
        store = Store.open(root if "://" in root else str(Path(root).expanduser()))
        if not write:
            if store.is_local and not Path(store.root).is_dir():
                raise UserError(f"{root}: no workspace there; 'valor-data fetch RECIPE' makes one")
            yield cls(recipe, store, None)
            return
        lock: _Lock = _FileLock(store) if store.is_local else _ObjectLock(store, take_over)
        clean = False
        try:
            yield cls(recipe, store, lock)
            clean = True
        finally:
            lock.release(clean=clean)

    def require_lock(self) -> None:
        """Called before each batch. Raises FatalError once another run has taken the workspace over."""
        if self._lock is None:
            raise RuntimeError(f"{self.root} was opened for reading")
        self._lock.check()

    def save_report(self, report: Report) -> str:
        """Keep a Report under `runs/`; its key."""
        key = layout.run_key(f"{self.run_id}-{re.sub(r'[^a-z0-9]+', '-', report.command)}")
        self.store.put_bytes(key, report.model_dump_json(indent=2).encode())
        return key


class _Lock(Protocol):
    unclean: bool

    def check(self) -> None: ...

    def release(self, *, clean: bool) -> None: ...


class _FileLock:
    """`flock`; the file says who holds it, and is emptied by a holder that ends well."""

    def __init__(self, store: Store) -> None:
        root = Path(store.root)
        self._path = root / _FILE
        self._descriptor = _open_lock(self._path)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = _Holder.parse(os.pread(self._descriptor, 4096, 0))
            os.close(self._descriptor)
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                raise UserError(
                    f"{root}: {holder} is writing there; wait for its end, or name another --workspace"
                ) from None
            raise UserError(
                f"{root}: this file system has no locks ({error.strerror}); name one that has, or s3://..."
            ) from error
        self.unclean = os.fstat(self._descriptor).st_size > 0
        try:
            self._write(_Holder.me().dump())
        except FatalError:
            os.close(self._descriptor)
            raise

    def check(self) -> None:
        try:
            same = os.path.samestat(self._path.stat(), os.fstat(self._descriptor))
        except FileNotFoundError:
            same = False
        if not same:
            raise FatalError(f"{self._path} is gone: somebody removed the lock of this run")

    def release(self, *, clean: bool) -> None:
        if clean:
            self._write(b"")
        os.close(self._descriptor)

    def _write(self, content: bytes) -> None:
        try:
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, content, 0)
        except OSError as error:
            raise FatalError(
                f"{self._path}: {error.strerror}; free some space and run the command again"
            ) from error


class _ObjectLock:
    """An object with an owner and a heartbeat; another object says that work is unfinished."""

    def __init__(self, store: Store, take_over: bool) -> None:
        self._store = store
        self._me = _Holder.me()
        while not store.create_exclusive(_OBJECT, self._me.dump()):
            holder = self._holder()
            if holder is None:
                continue  # it was freed a moment ago
            _refuse(store.root, holder, take_over)
            store.put_bytes(_OBJECT, self._me.dump())
            break
        self.unclean = store.exists(_UNFINISHED)
        store.put_bytes(_UNFINISHED, self._me.dump())
        self._ended = threading.Event()
        self._heart = threading.Thread(target=self._beat, name="workspace lock", daemon=True)
        self._heart.start()

    def check(self) -> None:
        holder = self._holder()
        if holder is None:
            raise FatalError(f"{self._store.path(_OBJECT)} is gone: somebody removed the lock of this run")
        if holder.owner != self._me.owner:
            raise FatalError(f"{self._store.root}: {holder} has taken this workspace over")

    def release(self, *, clean: bool) -> None:
        self._ended.set()
        self._heart.join()
        try:
            self.check()
            # The lock goes last: who gets it next shall see what is true by then.
            self._store.delete([_UNFINISHED, _OBJECT] if clean else [_OBJECT])
        except ValorDataError:
            if clean:
                raise

    def _beat(self) -> None:
        while not self._ended.wait(BEAT_SECONDS):
            # A fault may pass by the next beat; a lock that is lost shows at the next batch.
            with suppress(ValorDataError, OSError):
                self.check()
                self._store.put_bytes(_OBJECT, self._me.dump())

    def _holder(self) -> "_Holder | None":
        try:
            return _Holder.parse(self._store.get_bytes(_OBJECT))
        except FileNotFoundError:
            return None


def _refuse(root: str, holder: "_Holder", take_over: bool) -> None:
    """Raises UserError unless a silent holder is to be taken over."""
    silent = time.time() - holder.beat
    if silent < STALE_SECONDS and take_over:
        raise UserError(
            f"{root}: {holder} gave a sign of life {max(0.0, silent):.0f} s ago; "
            f"--take-over serves after {STALE_SECONDS:.0f} s of silence: try again in "
            f"{min(STALE_SECONDS, STALE_SECONDS - silent):.0f} s"
        )
    if silent < STALE_SECONDS:
        raise UserError(f"{root}: {holder} is writing there; wait for its end, or name another --workspace")
    if not take_over:
        raise UserError(
            f"{root}: {holder} has been silent for {silent:.0f} s; if it is dead, run again with --take-over"
        )


class _Holder(NamedTuple):
    """Who holds a lock."""

    pid: int
    host: str
    since: str
    owner: str
    beat: float
    """Unix time of the last sign of life, by the holder's clock."""

    @classmethod
    def me(cls) -> Self:
        since = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
        return cls(os.getpid(), socket.gethostname(), since, secrets.token_hex(8), 0.0)

    @classmethod
    def parse(cls, content: bytes) -> Self:
        try:
            return cls(**json.loads(content))
        except (ValueError, TypeError):  # caught between its creation and its first bytes
            return cls(0, "an unknown host", "a moment ago", "", time.time())

    def dump(self) -> bytes:
        return json.dumps({**self._asdict(), "beat": time.time()}).encode()

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} (since {self.since})"


def _open_lock(path: Path) -> int:
    """The lock's file in a root that is made where only itself is missing. Raises UserError."""
    root = path.parent
    if not root.parent.is_dir():
        raise UserError(f"{root}: its parent folder is missing; make it first: mkdir -p {root.parent}")
    try:
        root.mkdir(exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise FatalError(
                f"{root}: the disk is full; free some space and run the command again"
            ) from error
        raise UserError(
            f"{root}: not writable ({error.strerror}); mend its rights, or name another --workspace"
        ) from error
