"""What a source's list of questions gives to learn from: clips, each with a question and its answers."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from valor_data.errors import UserError
from valor_data.train import questions
from valor_data.train.config import Source
from valor_data.train.sources import Reader


class Asked(NamedTuple):
    """A question about a clip."""

    clip: int
    """Its number in the source."""
    text: str
    answers: tuple[str, ...]


class Asking(NamedTuple):
    """A list of questions beside the clips that it is about."""

    name: str
    """Of its file."""
    items: tuple[Asked, ...]
    """In the order of the clips' first questions, which every process finds alike."""
    unanswered: int
    """Questions that the list has no answer to."""
    missing: dict[str, str]
    """Number of a question -> why it has no clip."""

    @property
    def clips(self) -> int:
        """That are asked about."""
        return len({one.clip for one in self.items})

    @property
    def texts(self) -> Iterable[str]:
        """All that is asked and answered."""
        return (text for one in self.items for text in (one.text, *one.answers))


def askings(sources: Sequence[Source], readers: Sequence[Reader]) -> list[Asking | None]:
    """Of each source, beside its clips; None of one that teaches its captions.

    Raises UserError for a list that is not readable, or none of whose questions can be learned from.
    """
    return [
        _asking(source, reader) if source.questions else None
        for source, reader in zip(sources, readers, strict=True)
    ]


def tally(asked: Iterable[Asking | None]) -> dict[str, int]:
    """Questions that are learned from, and those that are not; nothing where there is no list."""
    lists = [one for one in asked if one is not None]
    if not lists:
        return {}
    return {
        "questions": sum(len(one.items) for one in lists),
        "unanswered": sum(one.unanswered for one in lists),
        "without_clip": sum(len(one.missing) for one in lists),
    }


def left_out(asked: Iterable[Asking | None]) -> list[str]:
    """A line for each list of which some questions are not learned from."""
    return [
        f"{one.name}: {one.unanswered} questions have no answer, {len(one.missing)} no clip"
        + (f"; the first of these: {next(iter(one.missing.values()))}" if one.missing else "")
        for one in asked
        if one is not None and (one.unanswered or one.missing)
    ]


def _asking(source: Source, reader: Reader) -> Asking:
    where = f"data.sources: questions {source.questions}"
    listed = questions.read(source.questions, "data.sources: questions", unanswered=True)
    answered = [one for one in listed if one.answers]
    if not answered:
        raise UserError(f"{where}: none of {len(listed)} questions has an answer to learn")
    number_of = {sample.key: number for number, sample in enumerate(reader)}
    found, missing = questions.by_clip(answered, number_of)
    if not found:
        why = next(iter(missing.values()))
        raise UserError(
            f"{where}: none is about a clip of {source.release}, split {source.split}; the first: {why}"
        )
    items = tuple(
        Asked(number_of[clip], one.text, one.answers) for clip, several in found.items() for one in several
    )
    return Asking(Path(source.questions).name, items, len(listed) - len(answered), missing)
