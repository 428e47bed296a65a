"""The test before the work: what its file says, whether an answer is right, and who has passed."""

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from valor_data import layout
from valor_data.errors import UserError
from valor_data.recipe import Recipe
from valor_data.records import Answer, ClipId, Flag, LabelTask, Qualified, Share
from valor_data.text import bases, words

FILE = "qualification.json"
_BY = "qualifying@1"
_NO_CAPTION = frozenset({"broken", "unsafe"})
"""Flags that take the caption off the page, and what is heard too."""
_SECONDS = 10

Word = Annotated[str, Field(min_length=1, pattern=r"\w")]


class _Part(BaseModel):
    """Closed, so that a mistyped key is told."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Shown(_Part):
    """The clip of a task: rendered, or one of the workspace."""

    clip_id: ClipId | None = None
    visual: str | None = None
    sound: str | None = None
    seed: int = 0

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.clip_id is None) == (self.visual is None):
            raise ValueError("give either {visual, sound, seed} or {clip_id}")
        return self

    @property
    def id(self) -> str:
        """Of a rendered one: made of all that makes it this clip."""
        if self.clip_id is not None:
            return self.clip_id
        name = layout.digest([self.visual, self.sound, self.seed])[:16]
        return layout.clip_id(f"{layout.QUALIFY}-{name}", 0, _SECONDS * 1000)


class Task(_Part):
    """A clip, and what a careful person says of it."""

    clip: Shown
    flags: tuple[Flag, ...] = ()
    heard: tuple[str, ...] = ()
    must_name: tuple[Annotated[tuple[Word, ...], Field(min_length=1)], ...] = ()
    must_not_name: tuple[Word, ...] = ()

    @model_validator(mode="after")
    def _asks_what_the_page_shows(self) -> Self:
        silent = next((flag for flag in self.flags if flag in _NO_CAPTION or flag == "cannot_hear"), None)
        if silent and self.heard:
            raise ValueError(f"with the flag {silent} nobody is asked what is heard; leave heard empty")
        if not silent and not self.heard:
            raise ValueError("heard is empty; give the boxes that are right, such as ['silence']")
        if not self.wants_caption and (self.must_name or self.must_not_name):
            raise ValueError("with these flags there is no caption; leave out must_name and must_not_name")
        return self

    @property
    def wants_caption(self) -> bool:
        """Whether the page asks for one."""
        return _NO_CAPTION.isdisjoint(self.flags)


class Test(_Part):
    """The file."""

    __test__ = False  # no case of pytest

    about: tuple[str, ...] = ()
    pass_mark: Share
    attempts: Annotated[int, Field(ge=1)]
    min_words: Annotated[int, Field(ge=1)]
    max_words: Annotated[int, Field(ge=1)]
    tasks: Annotated[tuple[Task, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.min_words > self.max_words:
            raise ValueError("min_words is more than max_words")
        ids = [task.clip.id for task in self.tasks]
        twice = next((place for place, one in enumerate(ids) if one in ids[:place]), None)
        if twice is not None:
            raise ValueError(f"task {twice + 1} shows the clip of task {ids.index(ids[twice]) + 1} again")
        return self

    def questions(self, attempt: int) -> list[LabelTask]:
        """What is asked in an attempt, a task each."""
        return [
            LabelTask(
                task_id=layout.digest(["qualify", task.clip.id, attempt])[:24],
                clip_id=task.clip.id,
                stage="qualify",
                turn=attempt,
                made_by=_BY,
            )
            for task in self.tasks
        ]


def file_of(recipe: Recipe) -> Path:
    """The test of a recipe: its own folder's, or the one that ships."""
    own = Path(recipe.annotate.pages, FILE) if recipe.annotate.pages else None
    return own if own is not None and own.is_file() else layout.asset("annotation", FILE)


def read(path: Path) -> Test:
    """The test in a file. Raises UserError that names the file, the task, the key and the mend."""
    try:
        return Test.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path}: not readable: {error.strerror}") from None
    except ValidationError as error:
        told = "; ".join(_explain(one) for one in error.errors(include_url=False))
        raise UserError(f"{path}: {told}") from None


def faults(test: Test, task: Task, answer: Answer) -> list[str]:
    """What is wrong with an answer; nothing: the task is passed."""
    if answer.skipped:
        return ["skipped"]
    found = []
    if set(answer.flags) != set(task.flags):
        found.append(f"flags: {_listed(answer.flags)} for {_listed(task.flags)}")
    if set(answer.heard) != set(task.heard):
        found.append(f"heard: {_listed(answer.heard)} for {_listed(task.heard)}")
    if not task.wants_caption:
        return found
    told = words(answer.text)
    found += [
        f"names no {' or '.join(one)}" for one in task.must_name if not any(_names(told, w) for w in one)
    ]
    found += [f"names {word}" for word in task.must_not_name if _names(told, word)]
    count = _count(answer.text)
    if not test.min_words <= count <= test.max_words:
        found.append(f"{count} words for {test.min_words} to {test.max_words}")
    return found


def judge(
    test: Test, annotator: str, said: Mapping[str, Answer], before: Qualified | None
) -> Qualified | None:
    """How somebody stands by the answers (task_id -> answer) of today; None where nothing is new.

    An attempt is judged once all its tasks are answered, and counts as it was then.
    """
    row = before
    while row is None or not row.passed:
        attempt = row.attempts + 1 if row else 1
        answers = [said.get(one.task_id) for one in test.questions(attempt)]
        given = [one for one in answers if one is not None and not one.deleted]
        annulled = row.annulled if row else 0
        if attempt > test.attempts + annulled or len(given) < len(answers):
            break
        right = sum(not faults(test, *pair) for pair in zip(test.tasks, given, strict=True))
        row = Qualified(
            annotator=annotator,
            attempts=attempt,
            annulled=annulled,
            passed_tasks=right,
            tasks=len(given),
            passed=right >= test.pass_mark * len(given) - 1e-9,
            made_by=_BY,
        )
    return row if row is not before else None


def is_out(test: Test, row: Qualified | None) -> bool:
    """Whether somebody has failed for good."""
    return row is not None and not row.passed and row.attempts >= test.attempts + row.annulled


def _names(told: Sequence[str], wanted: str) -> bool:
    """Whether a word or phrase stands in a text, each of its words in any regular form."""
    parts = words(wanted)
    starts = range(len(told) - len(parts) + 1)
    return any(all(part in bases(told[start + n]) for n, part in enumerate(parts)) for start in starts)


def _count(text: str) -> int:
    """Words as the page counts them while somebody types."""
    return sum(any(letter.isalnum() for letter in word) for word in text.split())


def _listed(given: Sequence[str]) -> str:
    return "+".join(sorted(given)) or "none"


def _explain(fault: Any) -> str:
    loc = list(fault["loc"])
    places = [f"task {loc[1] + 1}"] if loc[:1] == ["tasks"] and len(loc) > 1 else []
    parts = loc[2:] if places else loc
    told = str(fault["msg"]).removeprefix("Value error, ")
    if fault["type"] == "extra_forbidden":
        model = Shown if parts[:1] == ["clip"] else Task if places else Test
        near = difflib.get_close_matches(str(parts[-1]), model.model_fields, n=1, cutoff=0.5)
        told = f"no such key; {f'did you mean {near[0]!r}?' if near else 'take it out'}"
    elif fault["type"] == "missing":
        told = "is missing; add it"
    key = "".join(f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in parts).lstrip(".")
    return ": ".join([*places, *([f"key {key!r}"] if key else []), told])
