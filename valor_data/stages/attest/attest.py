"""All clips of a lock against all copies, a row group at a time."""

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
from tqdm import tqdm

from valor_data import layout, neighbours
from valor_data.errors import FatalError, UserError
from valor_data.manifest import Manifest
from valor_data.outfile import replaced
from valor_data.runner.engines import InlineEngine, Job, LocalEngine
from valor_data.runner.interrupts import Interrupts
from valor_data.runner.stage import Done
from valor_data.runner.worker import Ended, Stop
from valor_data.shards import manifest_of, revoked_of
from valor_data.shards.lock import read_lock
from valor_data.stages.attest.copies import Copies, Item, Looking, find_copies
from valor_data.stages.attest.judging import Judged, Locked, Seen, State, judge
from valor_data.stages.attest.statement import render, statement
from valor_data.store import Store

_SECONDS = 180.0
"""A decode takes tenths of the clip's length; this only ends a hang."""


class Attested(NamedTuple):
    """What was found."""

    said: dict[str, Any]
    """The statement."""
    judged: list[Judged]
    retracted: int
    """Clips of the lock that were taken down: nobody's copies of them are asked for."""
    unnamed: int
    """Files among the copies whose names are no ids."""


def attest(release: str, place: str, *, workers: int | None = None, progress: bool = True) -> Attested:
    """Look at the copies in `place`, another release, a workspace or a folder, of every clip of a release, a
    folder or URL. Memory holds a row group of the lock, and the prints of the copies that are none.

    Raises UserError where there is no release, no lock in it, or no copy; FatalError for a broken lock.
    """
    store = Store.open(release)
    manifest = _with_lock(store)
    copies = find_copies(place)
    judged: list[Judged] = []
    suspects: list[tuple[Locked, Seen]] = []
    retracted = 0
    revoked = revoked_of(store, manifest)
    with store.local(layout.LOCK) as path:
        with path.open("rb") as file:
            lock_sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        if lock_sha256 not in [file.sha256 for file in manifest.files if file.path == layout.LOCK]:
            raise FatalError(
                f"{store.path(layout.LOCK)}: is not the one that {layout.MANIFEST} names: it was changed, "
                "or is of another version; get the release again"
            )
        with tqdm(
            total=manifest.counts["clips"], desc="attest", unit="clip", disable=None if progress else True
        ) as bar:
            looking = _Looker(copies.root, workers)
            with looking:
                for clips in _groups(path):
                    asked = [clip for clip in clips if revoked is None or not revoked.holds(clip.clip_id)]
                    retracted += len(clips) - len(asked)
                    for clip, seen in looking.look(asked, copies, bar):
                        one = seen if isinstance(seen, Judged) else judge(clip, seen)
                        judged.append(one)
                        if one.state is State.DIFFERENT and isinstance(seen, Seen):
                            suspects.append((clip, seen))
        swaps = _swaps(path, suspects)
    judged = [swaps.get(one.clip_id, one) for one in judged]
    return Attested(statement(manifest, lock_sha256, judged), judged, retracted, copies.unnamed)


def write(attested: Attested, path: Path) -> None:
    """Write the statement; a file that stands is replaced."""
    with replaced(path) as temporary:
        temporary.write_bytes(render(attested.said))


def _with_lock(store: Store) -> Manifest:
    said = manifest_of(store)
    if not store.exists(layout.LOCK):
        raise UserError(
            f"{store.root}: this release has no {layout.LOCK}, so only its own hashes attest a copy of it"
        )
    return said


def _groups(path: Path) -> Iterator[list[Locked]]:
    try:
        for rows in read_lock(path):
            columns = rows.select(list(Locked._fields)).to_pydict()
            yield [Locked(*one) for one in zip(*columns.values(), strict=True)]
    except (pa.ArrowException, OSError) as error:
        raise FatalError(
            f"{path}: not readable ({str(error).splitlines()[0]}); get the release's {layout.LOCK} again"
        ) from None


class _Looker:
    """A pool of processes that look at copies."""

    def __init__(self, root: str, workers: int | None) -> None:
        self._interrupts = Interrupts()
        engine = LocalEngine if Store.open(root).crosses_processes else InlineEngine
        self._pool = engine(Looking(root), workers, self._interrupts, None)

    def __enter__(self) -> "_Looker":
        self._interrupts.__enter__()
        self._pool.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._pool.__exit__(kind, *rest)
        self._interrupts.__exit__()

    def look(
        self, clips: Iterable[Locked], copies: Copies, bar: "tqdm[Any]"
    ) -> Iterator[tuple[Locked, Seen | Judged]]:
        """What was seen of each clip's copy; a judgement where there is none, or it cannot be read."""
        waiting: deque[Item] = deque()
        for clip in clips:
            if clip.clip_id in copies.keys:
                waiting.append(Item(clip, copies.keys[clip.clip_id]))
            else:
                bar.update()
                yield clip, Judged(clip.clip_id, State.MISSING)
        running: dict[Job, Item] = {}
        answered: set[Job] = set()
        while waiting or running:
            self._interrupts.check()
            while waiting and self._pool.free:
                item = waiting.popleft()
                job = Job((item,), _SECONDS)
                running[job] = item
                self._pool.submit(job)
            for job, event in self._pool.wait(1.0):
                item = running[job]
                match event:
                    case Stop(error):
                        raise error
                    case Done(value=Seen() as seen):
                        answered.add(job)
                        bar.update()
                        yield item.clip, seen
                    case Done(error=error) | Ended(error=error):
                        if error is not None and job not in answered:
                            answered.add(job)
                            bar.update()
                            yield item.clip, Judged(item.clip_id, State.UNREADABLE, str(error))
                if isinstance(event, Ended):
                    running.pop(job)


def _swaps(path: Path, suspects: list[tuple[Locked, Seen]]) -> dict[str, Judged]:
    """Of copies that are not what they should be, those that are other clips of the release, in sound, in
    picture or in both."""
    if not suspects:
        return {}
    ids = [clip.clip_id for clip, _ in suspects]
    pictures = neighbours.Prints.of(seen.picture for _, seen in suspects)
    sounds = neighbours.Prints.of(seen.sound for _, seen in suspects)
    own = {clip_id: set[str]() for clip_id in ids}
    others: dict[str, dict[str, str]] = {clip_id: {} for clip_id in ids}
    for clips in _groups(path):
        found = neighbours.leaks(
            ids,
            pictures,
            sounds,
            [clip.clip_id for clip in clips],
            neighbours.Prints.of(clip.picture for clip in clips),
            neighbours.Prints.of(clip.sound for clip in clips),
        )
        for clip_id, other, kind in found:
            if other == clip_id:
                own[clip_id].add(kind)
            else:
                others[clip_id].setdefault(kind, other)
    told = {clip_id: _swapped(own[clip_id], others[clip_id]) for clip_id in ids}
    return {clip_id: Judged(clip_id, State.SWAPPED, words) for clip_id, words in told.items() if words}


def _swapped(own: set[str], others: dict[str, str]) -> str:
    """In words, what a copy has of other clips, beside what it has of its own; nothing where it has none."""
    if "both" in others:
        return f"is {others['both']}"
    found = [
        f"{what} of {others[kind]}"
        for kind, what in (("audio", "sound"), ("video", "picture"))
        if kind in others and kind not in own
    ]
    return ", ".join(found)
