"""Where somebody's copies lie, and what is seen of one: workers open, hash and decode them."""

import hashlib
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from valor_data import layout, prints
from valor_data.errors import ItemError, Reason, UserError
from valor_data.media.observe import Observation, Wanted, observe
from valor_data.records import Media
from valor_data.runner.stage import Done
from valor_data.shards.release import ReleaseReader
from valor_data.stages.attest.judging import Locked, Seen
from valor_data.store import Store
from valor_data.tables import Tables


class Copies(NamedTuple):
    """Somebody's copies, by clip_id."""

    root: str
    keys: dict[str, str]
    """Key of the file in the store at `root`; empty: a sample of the release there."""
    unnamed: int
    """Files whose names are no ids."""


class Item(NamedTuple):
    """A copy to look at, as it travels to a worker."""

    clip: Locked
    key: str

    @property
    def clip_id(self) -> str:
        return self.clip.clip_id


def find_copies(place: str) -> Copies:
    """The copies in a release, a workspace, or a folder of files named by clip_id or official id.

    Raises UserError where there is none at all.
    """
    store = Store.open(place)
    if store.exists(layout.MANIFEST):
        with ReleaseReader(store) as reader:
            return Copies(store.root, {sample.key: "" for sample in reader}, 0)
    keys: dict[str, str] = {}
    unnamed = 0
    if next(iter(store.list(layout.table_prefix(Media.table))), None):
        newest: dict[str, tuple[int, str]] = {}
        for row in Tables.open(store.root).rows(Media):
            newest[row.clip_id] = max(newest.get(row.clip_id, (0, "")), (row.made_at_us, row.object_key))
        keys = {clip: key for clip, (_, key) in newest.items()}
    else:
        for key in store.list(""):
            clip = _named(PurePosixPath(key).stem)
            if clip is None:
                unnamed += 1
            else:
                keys.setdefault(clip, key)
    if not keys:
        raise UserError(
            f"{place}: no copies there; give a release, a workspace, or a folder of media files named by "
            "clip_id or official id"
        )
    return Copies(store.root, keys, unnamed)


class Looking:
    """What a worker does: hash a copy and, where its bytes are others, decode it."""

    def __init__(self, root: str) -> None:
        self._root = root

    @contextmanager
    def open_worker(self) -> Iterator[Callable[[Sequence[Item]], Iterable[Done[Seen]]]]:
        """The function that looks at copies."""
        store = Store.open(self._root)
        with ExitStack() as handles:
            reader = cache(lambda: handles.enter_context(ReleaseReader(store)))

            def look(items: Sequence[Item]) -> Iterator[Done[Seen]]:
                for item in items:
                    try:
                        yield Done(item.clip_id, _seen_in(store, reader, item))
                    except ItemError as error:
                        yield Done(item.clip_id, error=error)
                    except FileNotFoundError:
                        yield Done(item.clip_id, error=ItemError(Reason.LOST, f"{item.key} is gone"))

            yield look


def _seen_in(store: Store, reader: Callable[[], ReleaseReader], item: Item) -> Seen:
    if item.key:
        with store.local(item.key) as path:
            return _seen(item.clip, path, None)
    members = reader().by_id(item.clip_id).members
    with tempfile.TemporaryDirectory(prefix="valor-data-") as folder:
        media = Path(folder, "copy.mp4")
        media.write_bytes(members["mp4"])
        sound = Path(folder, "copy.flac") if "flac" in members else None
        if sound is not None:
            sound.write_bytes(members["flac"])
        return _seen(item.clip, media, sound)


def _seen(clip: Locked, media: Path, sound: Path | None) -> Seen:
    """`sound`: a file of its own, where the payload keeps it apart."""
    digest = _sha256(media)
    own = digest == clip.sha256 and (clip.sound_sha256 is None if sound is None else True)
    if sound is not None:
        own = own and _sha256(sound) == clip.sound_sha256
    if own or (sound is None and digest == clip.media_sha256):
        return Seen(same_bytes=True)
    seen = observe(media, Wanted(sound=sound is None, picture=True))
    heard = observe(sound, Wanted(sound=True)) if sound is not None else seen
    if seen.picture is None and heard.sound is None:
        raise ItemError(Reason.NOT_MEDIA, "neither sound nor picture can be decoded")
    skew = _skew(seen) if sound is None else None
    return Seen(
        same_bytes=False,
        sound=prints.sound(heard.sound.spectra.voice_WF, heard.sound.hertz_F) if heard.sound else None,
        picture=prints.picture(seen.picture.mean_THV) if seen.picture else None,
        av_skew_ms=skew,
    )


def _skew(seen: Observation) -> float | None:
    if seen.sound is None or seen.picture is None:
        return None
    if seen.sound.first_ms is None or seen.picture.first_ms is None:
        return None
    return seen.sound.first_ms - seen.picture.first_ms


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _named(stem: str) -> str | None:
    """The clip that a file's name names."""
    for read in (layout.parse_clip_id, layout.parse_official_id):
        try:
            return layout.clip_id(*read(stem))
        except ValueError:
            continue
    return None
