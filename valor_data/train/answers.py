"""Question answering as VALOR does it: the question as a prompt that is seen whole, the answer generated
greedily from the whole vocabulary, right where it is, word for word, one of the answers (section 5.1.2).

Beside the model stand two that see and hear nothing: the same model with the question alone, and the one
answer that is right most often in this very list.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch

from valor_data.train.batch import Item, encode
from valor_data.train.generate import at_once, by_senses, generate
from valor_data.train.intervals import Difference, Interval, Measure, difference, interval
from valor_data.train.model import Seen, Texts, Valor
from valor_data.train.questions import MODALITIES, Question
from valor_data.train.words import Words, clean

_AT_A_TIME = 32
"""Questions that are answered together."""


class Answered(NamedTuple):
    """A question and what the model said to it."""

    question: Question
    clip_id: str
    said: str
    said_alone: str
    """To the question without the clip."""


class Accuracy(NamedTuple):
    """How often answers are right, in percent."""

    questions: int
    clips: int
    model: Interval
    text_alone: Interval
    commonest: Interval
    """The one answer that is right most often, to everything."""
    gain: Difference
    """What the clip brings: the model less its text alone, question by question."""


class Asker:
    """Asks a model about clips as they go by."""

    def __init__(
        self, model: Valor, words: Words, questions: Mapping[str, Sequence[Question]], most: int
    ) -> None:
        """`questions`: by clip_id; `most`: word pieces of a question, more are cut off."""
        self._model, self._words, self._questions, self._most = model, words, questions, most
        self._said: list[tuple[Question, str, str]] = []

    def ask(self, seen: Seen, items: Sequence[Item]) -> None:
        """Answer the questions about some clips, each by all that its clip has."""
        device = seen.has_video_B.device
        most = min(_AT_A_TIME, at_once(self._model, seen))
        for name, rows in by_senses(seen).items():
            asked = [(row, one) for row in rows for one in self._questions.get(items[row].clip_id, ())]
            for start in range(0, len(asked), most):
                some = asked[start : start + most]
                of_clips = seen.rows(torch.tensor([row for row, _ in some], device=device))
                prompt = self._prompt([one.text for _, one in some])
                said = generate(self._model, of_clips, self._words.vocabulary, name, beams=1, prompt=prompt)
                for (row, one), told in zip(some, said, strict=True):
                    self._said.append((one, items[row].clip_id, self._words.join(told.ids)))

    def answers(self) -> list[Answered]:
        """All answers so far, with those that the same questions get without a clip."""
        texts = list(dict.fromkeys(one.text for one, _, _ in self._said))
        alone: dict[str, str] = {}
        for start in range(0, len(texts), _AT_A_TIME):
            some = texts[start : start + _AT_A_TIME]
            said = generate(self._model, None, self._words.vocabulary, beams=1, prompt=self._prompt(some))
            alone |= {text: self._words.join(told.ids) for text, told in zip(some, said, strict=True)}
        # In an order that does not depend on which clips went by together.
        return sorted(Answered(one, clip, said, alone[one.text]) for one, clip, said in self._said)

    def _prompt(self, texts: Sequence[str]) -> Texts:
        prompt, _ = encode(self._words, texts, self._most)
        device = self._model.temperature.device
        return Texts(prompt.words_BL.to(device), prompt.mask_BL.to(device))


def commonest(answered: Sequence[Answered]) -> str:
    """The answer that is right most often; chosen with a sight of the answers, so no prior does better."""
    counts = Counter(answer for one in answered for answer in one.question.answers)
    return min(counts, key=lambda answer: (-counts[answer], answer)) if counts else ""


def measures(answered: Sequence[Answered]) -> dict[str, Measure]:
    """Modality, or `all` -> right answers in percent, an item a question."""
    found = {}
    for name in ("all", *MODALITIES):
        some = [one for one in answered if name in ("all", one.question.modality)]
        if some:
            found[name] = _right(some, [one.said for one in some])
    return found


def accuracies(answered: Sequence[Answered]) -> dict[str, Accuracy]:
    """Modality, or `all` -> how often the model is right, beside the two that see and hear nothing."""
    usual = commonest(answered)
    found = {}
    for name, model in measures(answered).items():
        some = [one for one in answered if name in ("all", one.question.modality)]
        alone = _right(some, [one.said_alone for one in some])
        prior = _right(some, [usual] * len(some))
        found[name] = Accuracy(
            len(some), len(set(model.clips_N)),
            interval(model), interval(alone), interval(prior), difference(alone, model),
        )  # fmt: skip
    return found


def _right(answered: Sequence[Answered], said: Sequence[str]) -> Measure:
    right = [clean(text) in one.question.answers for one, text in zip(answered, said, strict=True)]
    return Measure(100.0 * np.array(right, np.float64), [one.clip_id for one in answered])
