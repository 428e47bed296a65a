"""Lists of questions about clips: VALOR-32K-AVQA in its forms, VALOR's own, and a plain one.

    {"clip": "<id>", "question": "What barks?", "answers": ["a dog", "dog"], "modality": "audio"}

That is a line of the plain form; `answer` may stand for one answer, and `modality` be left out. Also read:
AVQA v2 (JSON or JSON lines, flat or with the `questions` of a clip together; the right option and all its
rephrasings count), AVQA v1 (CSV with `answer_1`, ..., `mcq_1`, `correct_mcq`, `mode`), and VALOR's JSON
object of id -> list of questions. A clip is named by clip_id, by official id, or by the id of a video of
which the split has one clip.
"""

import csv
import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from valor_data import layout
from valor_data.errors import UserError
from valor_data.train.words import clean

MODALITIES = ("audio", "visual", "audio-visual", "not stated")
"""What a question needs."""
_SPELLED = {
    "audio": "audio", "sound": "audio", "a": "audio",
    "visual": "visual", "video": "visual", "vision": "visual", "v": "visual",
    "audio-visual": "audio-visual", "audiovisual": "audio-visual", "both": "audio-visual",
    "av": "audio-visual",
}  # fmt: skip


class Question(NamedTuple):
    """One question about a clip."""

    number: str
    """Its id in the list, or its place there."""
    clip: str
    """As the list names it."""
    text: str
    answers: tuple[str, ...]
    """Each of them right; lower case, without punctuation. None only where that was asked for."""
    modality: str
    """One of `MODALITIES`."""


def read(path: str, named: str = "--questions", *, unanswered: bool = False) -> list[Question]:
    """The questions of a list that `named` has named; with `unanswered` also those without an answer.

    Raises UserError that names file, row and mend.
    """
    where = f"{named} {path}"
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{where}: not readable: {error}") from None
    try:
        rows = list(_rows(text))
    except (json.JSONDecodeError, RecursionError, csv.Error) as error:
        raise UserError(f"{where}: not readable as JSON, JSON lines or CSV: {error}") from None
    if not rows:
        raise UserError(f"{where}: holds no questions")
    found = [
        _question(row, place, f"{where}: row {place}", unanswered=unanswered)
        for place, row in enumerate(rows, 1)
    ]
    if len({one.number for one in found}) < len(found):  # ids of several lists put together
        found = [one._replace(number=str(place)) for place, one in enumerate(found, 1)]
    return found


def by_clip(
    questions: Collection[Question], clips: Collection[str]
) -> tuple[dict[str, list[Question]], dict[str, str]]:
    """clip_id -> its questions; and number -> why a question has no clip among these."""
    here = set(clips)
    of_video: dict[str, list[str]] = {}
    for clip in clips:
        with suppress(ValueError):  # tars of others have keys of any form
            of_video.setdefault(layout.parse_clip_id(clip).video_id, []).append(clip)
    found: dict[str, list[Question]] = {}
    missing: dict[str, str] = {}
    for question in questions:
        named = {question.clip, _from_official(question.clip)} & here
        candidates = sorted(named) or of_video.get(question.clip, [])
        if len(candidates) == 1:
            found.setdefault(candidates[0], []).append(question)
        else:
            several = f"video {question.clip} has {len(candidates)} clips in the split"
            missing[question.number] = several if candidates else f"no clip {question.clip} in the split"
    return found, missing


def _from_official(name: str) -> str:
    try:
        return layout.clip_id(*layout.parse_official_id(name))
    except ValueError:
        return ""


def _rows(text: str) -> Iterator[Any]:
    """The rows of any form, each with its clip."""
    head = text.lstrip()[:1]
    if head == "[":
        for one in json.loads(text):
            yield from _apart(one)
    elif head == "{":
        try:
            whole = json.loads(text)
        except json.JSONDecodeError:  # several objects, one a line
            whole = None
        if isinstance(whole, dict) and not {"question", "questions"} & whole.keys():
            for clip, several in whole.items():
                yield from (
                    {**one, "clip": clip} if isinstance(one, dict) else one for one in _listed(several)
                )
        else:
            for line in text.splitlines() if whole is None else [text]:
                if line.strip():
                    yield from _apart(json.loads(line))
    else:
        yield from csv.DictReader(text.splitlines(keepends=True))


def _apart(one: Any) -> Iterator[Any]:
    """A row by itself, or the questions that stand together in it."""
    if isinstance(one, dict) and "questions" in one:
        shared = {name: value for name, value in one.items() if name != "questions"}
        yield from (
            {**shared, **each} if isinstance(each, dict) else each for each in _listed(one["questions"])
        )
    else:
        yield one


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _question(row: Any, number: int, where: str, *, unanswered: bool) -> Question:
    if not isinstance(row, dict):
        raise UserError(
            f"{where}: {str(row)[:60]!r} is no question; give an object with clip, question, answers"
        )
    clip = next((str(row[name]) for name in ("clip", "clip_id", "video_id") if row.get(name)), "")
    if row.get("start_time") and row.get("end_time"):
        clip = f"{clip}_{row['start_time']}_{row['end_time']}"
    text = str(row.get("question") or "").strip()
    answers = tuple(dict.fromkeys(said for said in map(clean, _answers(row)) if said))
    needed = (("clip", clip), ("question", text), ("answers", answers or unanswered))
    lacking = [name for name, value in needed if not value]
    if lacking:
        raise UserError(f"{where}: it lacks {' and '.join(lacking)}; mend the row, or leave it out")
    spelled = str(row.get("modality") or row.get("mode") or "").strip().lower()
    told = row.get("id", row.get("question_id"))
    return Question(
        str(number if told is None else told), clip, text, answers, _SPELLED.get(spelled, MODALITIES[-1])
    )


def _answers(row: Mapping[str, Any]) -> Iterator[str]:
    """Every answer that counts as right, the chosen option first."""
    listed = [row.get(f"mcq_{place}") for place in range(1, 5)]
    for options, chosen in (
        (row.get("options"), row.get("correct_answer_idx")),
        (listed, row.get("correct_mcq")),
    ):
        try:
            place = int(str(chosen))
        except ValueError:
            continue
        if isinstance(options, list) and 0 <= place < len(options):
            yield str(options[place] or "")
    for name in ("answer", "answers", "rephrased_answers", "answer_1", "answer_2", "answer_3"):
        yield from (str(one) for one in _listed(row.get(name)) if one is not None)
