"""What annotators are asked, and what they answer."""

from typing import Annotated, Literal

from pydantic import Field

from valor_data.records.row import ClipId, Ms, Record, Words

Mode = Literal["av", "muted", "screen-off"]
"""What is shown: picture and sound, the picture alone, the sound alone."""
Flag = Literal["cannot_hear", "cannot_see", "broken", "unsafe", "not_sure"]
Flags = Annotated[tuple[Flag, ...], Field(strict=False)]


class LabelTask(Record):
    """One question to one person: write a caption, with a draft or without, check one, or take the test. It
    stands on the server under `task_id`."""

    table = "label_tasks"
    key = ("task_id",)

    task_id: str
    """24 hex digits of all that makes it this question; the server's own numbers are used again."""
    clip_id: ClipId
    stage: Literal["qualify", "caption", "draft", "review"]
    mode: Mode = "av"
    slot: int = 0
    """Of several people who are asked the same, each has a slot of his own."""
    turn: int = 1
    """Second and later ones: the caption of the turn before was rejected, or its text was faulty. `qualify`:
    which attempt."""
    kind: Literal["work", "gold", "audit"] = "work"
    """`gold`: the right answer is known. `audit`: a random sample of what was accepted."""
    expected: Literal["accept", "reject", ""] = ""
    """The right answer of a gold one."""
    caption_id: str = ""
    """The caption to check."""
    revision: int = 0
    """Revision of it that is shown."""
    not_for: str = ""
    """Who must not get it: nobody checks a caption of his own, or writes one again."""
    hints: Words = ()
    """Labels that are shown beside the clip. What is shown is copied, so it is known."""
    draft: str = ""
    """`draft`: what stood in the field at first; empty in the arm without drafts."""
    planted: str = ""
    """A word in the draft that was made wrong on purpose."""
    withdrawn: bool = False
    """Taken from the server: nobody is to be shown the clip any more."""


class Answer(Record):
    """What one person said to one question. Changed or deleted on the server: a new revision."""

    table = "answers"
    key = ("answer_id",)
    history = True

    answer_id: str
    """24 hex digits of task and person."""
    task_id: str
    clip_id: ClipId
    annotator: str
    """Pseudonym; who it is stands in one file that is no part of any table or release."""
    text: str = ""
    """The caption, or in a review the corrected one."""
    flags: Flags = ()
    heard: Words = ()
    """`qualify`: the boxes that were ticked for what is heard."""
    verdict: Literal["accept", "fix", "reject", ""] = ""
    reasons: Words = ()
    """Why a checker did not accept."""
    odd: Words = ()
    """What was odd about the form of the answer; docs/annotating.md tells the words."""
    event_spans_ms: Annotated[tuple[int, ...], Field(strict=False)] = ()
    """Start and end of each timed event, one after the other."""
    event_senses: Words = ()
    """`a`, `v` or `av`: heard, seen or both; one an event."""
    skipped: bool = False
    lead_ms: Ms = 0
    """Time that the page was open, as the server counts it."""
    answered_at_us: int = 0
    """When it was last changed, as the server says."""
    revision: int = 1
    deleted: bool = False


class Qualified(Record):
    """How somebody did in the test, as it was first judged: an answer that is changed later moves nothing."""

    table = "qualifications"
    key = ("annotator",)
    history = True

    annotator: str
    """Pseudonym."""
    attempts: int
    """Attempts that are over."""
    annulled: int = 0
    """Of them, those that do not count: so many more there may be."""
    passed_tasks: int
    """Of the last attempt."""
    tasks: int
    """All that an attempt has."""
    passed: bool


class CaptionFault(Record):
    """What is wrong with the text of a caption: of one that was checked and is good, nothing."""

    table = "caption_faults"
    key = ("caption_id",)

    caption_id: str
    revision: int
    faults: Words = ()
    """Kinds, each told in `valor_data.text`."""
    sends_back: bool = False
    """Whether somebody else is asked for a better one."""
