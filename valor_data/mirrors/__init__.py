"""The door to other places that hold the bytes: folders, object stores, addresses, tars, datasets.

    with Mirrors(recipe.mirrors, scratch) as mirrors, mirrors.find(clip, "before") as places:
        for found in places:
            ...

A mirror that is not there is told when the mirrors are opened; what it holds is read when the first
clip is asked of it.
"""

from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing
from pathlib import Path
from types import TracebackType
from typing import Literal, NamedTuple, Protocol, Self

from valor_data.errors import ItemError, RetryableError
from valor_data.mirrors.scratch import Got, Scratch
from valor_data.recipe import Mirror
from valor_data.records import Clip


class Found(NamedTuple):
    """A file with a clip's bytes. It lives until the next one is asked for."""

    path: Path
    is_clip: bool
    """True: the ready clip, whose span is [0, end - start); False: a whole video to cut from."""
    name: str
    """The mirror's name, for `Media.origin`."""
    note: str
    """Where in the mirror it lies."""
    audio: Path | None = None
    """Its sound, where the mirror keeps it apart; for a video that has none of its own."""


class _Opened(Protocol):
    @property
    def remarks(self) -> Sequence[str]: ...

    def find(self, clip: Clip) -> AbstractContextManager[Got | None]: ...

    def close(self) -> None: ...


class Mirrors:
    """A worker's mirrors. Copies lie in `scratch` while they are used; none is larger than `most_mb`
    or takes longer than `limit_s`. Raises UserError where a mirror is not there."""

    def __init__(
        self, mirrors: Sequence[Mirror], scratch: Path, *, most_mb: int = 4000, limit_s: float = 300.0
    ) -> None:
        self._open = ExitStack()
        self._mirrors: list[tuple[Mirror, _Opened]] = []
        with self._open:
            space = Scratch(scratch, most_mb, limit_s)
            for number, mirror in enumerate(mirrors):
                opened = _open(mirror, f"mirrors[{number}].at", space)
                self._open.callback(opened.close)
                self._mirrors.append((mirror, opened))
            self._open = self._open.pop_all()  # all could be opened: they stay so

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    @property
    def remarks(self) -> list[str]:
        """What a person should know of the mirrors read so far: links refused, tars cut short."""
        return [remark for _, opened in self._mirrors for remark in opened.remarks]

    def find(self, clip: Clip, when: Literal["before", "after"]) -> closing[Generator[Found, None, None]]:
        """What the mirrors have of a clip, in the recipe's order; nothing where none has it.

        A mirror's fault (ItemError, RetryableError) is raised once all others were asked: another may
        have the clip.
        """
        return closing(self._each(clip, when))

    def _each(self, clip: Clip, when: str) -> Generator[Found, None, None]:
        faults: list[ItemError | RetryableError] = []
        for mirror, opened in self._mirrors:
            if mirror.when != when:
                continue
            try:
                with opened.find(clip) as got:
                    if got is not None:
                        is_clip = mirror.holds == "clips"
                        yield Found(got.path, is_clip, mirror.name or mirror.kind, got.note, got.audio)
            except (ItemError, RetryableError) as error:
                faults.append(error)
        if faults:
            raise faults[0]


def _open(mirror: Mirror, label: str, scratch: Scratch) -> _Opened:
    """Each kind's libraries are loaded only where it is used."""
    if mirror.kind == "http":
        from valor_data.mirrors.template import Template

        return Template(mirror, label, scratch)
    if mirror.kind == "tar":
        from valor_data.mirrors.tars import Tars

        return Tars(mirror, label, scratch)
    if mirror.kind == "huggingface":
        from valor_data.mirrors.dataset import Dataset

        return Dataset(mirror, label, scratch)
    from valor_data.mirrors.tree import Tree

    return Tree(mirror, label, scratch)
