"""All that `evaluate` tells of a checkpoint on a release: its figures with intervals, what they were made on,
and how it stands beside another checkpoint.
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from valor_data.errors import UserError
from valor_data.manifest import SplitName
from valor_data.shards import ReleaseReader
from valor_data.store import Store
from valor_data.train import answers, evaluate, ground, questions, use
from valor_data.train import checkpoint as checkpoints
from valor_data.train.answers import Accuracy, Answered, Asker
from valor_data.train.evaluate import Scored, Table
from valor_data.train.ground import Coverage, Encoder, Ground, Statement
from valor_data.train.intervals import Difference, Interval, difference, interval
from valor_data.train.meaning import Meaning
from valor_data.train.questions import Question

QUESTIONS = "questions"
"""Name of the table of answers, where two checkpoints are compared."""


class Asked(NamedTuple):
    """What is to be told beside retrieval and captions."""

    subset: str | None = None
    """Score only its clips."""
    dual_softmax: bool = False
    """Weigh scores by how much each clip prefers a text to all others."""
    against: str | None = None
    """Folder of another checkpoint."""
    sentences: str | None = None
    """A sentence model's name or folder."""
    questions: str | None = None
    """A list of questions about the clips."""
    attested: str | None = None
    """A statement of `release attest`."""
    expected: tuple[str, Collection[str]] | None = None
    """Name and clips of a list that the split should hold."""


class Figures(NamedTuple):
    """Figures of some clips."""

    clips: int
    captions: int
    tables: dict[str, dict[str, Interval]]
    """`T-AV` and the like, `AV-T` for the other way, and `captions` -> figure -> value with its interval."""


class Beside(NamedTuple):
    """A figure of two checkpoints over the same clips."""

    other: float
    this: float
    difference: Difference
    """This less the other."""


class Against(NamedTuple):
    """Another checkpoint over the clips that both could score."""

    checkpoint: str
    clips: int
    tables: dict[str, dict[str, Beside]]


class Told(NamedTuple):
    """All of it."""

    ground: Ground
    attested: Statement | None
    coverage: tuple[Coverage, ...]
    """Of the split, or the subset; and of a list, where one was given."""
    encoders: dict[str, Encoder]
    truncated: int
    """Captions that lost their end."""
    dual_softmax: bool
    whole: Figures
    subsets: dict[str, Figures]
    accuracy: dict[str, Accuracy]
    """Modality, or `all` -> how often questions are answered right."""
    commonest: str
    """The answer that is right most often."""
    unanswered: dict[str, str]
    """Number of a question -> why it was not asked."""
    against: Against | None
    left_out: tuple[str, ...]
    """Figures that are not here, and why."""
    written: dict[str, str]
    """clip_id -> the model's caption."""
    answers: list[Answered]


class _Passed(NamedTuple):
    """What a checkpoint's pass over the clips gave."""

    scored: Scored
    answers: list[Answered]
    temperature: float | None
    """Where scores are to be weighed by dual softmax."""
    encoders: dict[str, Encoder]

    def tables(self, only: Collection[str] | None = None) -> dict[str, Table]:
        """All figures of some clips."""
        of_clips = evaluate.part(self.scored, only, dual_softmax=self.temperature).tables
        asked = [one for one in self.answers if only is None or one.clip_id in only]
        return of_clips | ({QUESTIONS: answers.measures(asked)} if asked else {})


def tell(checkpoint: str, release: str, split: SplitName, asked: Asked, *, progress: bool = True) -> Told:
    """Score a checkpoint on a split of a release.

    Raises UserError, before the clips are looked at, for what is wrong with any file that is named.
    """
    reader = ReleaseReader(Store.open(release), split)
    of = ground.ground(release, split)
    subsets = ground.subsets(reader)
    only = None if asked.subset is None else _of_subset(subsets, asked.subset)
    clips = [sample.key for sample in reader if only is None or sample.key in only]
    said = ground.statement(asked.attested) if asked.attested else None
    listed = questions.read(asked.questions) if asked.questions else []
    by_clip, unanswered = questions.by_clip(listed, clips)
    if listed and not by_clip:
        why = next(iter(unanswered.values()))
        raise UserError(
            f"--questions {asked.questions}: none is about a clip of this split; the first: {why}"
        )
    for folder in filter(None, (checkpoint, asked.against)):
        checkpoints.look(Path(folder))

    ours = _passed(checkpoint, reader, only, asked, by_clip, progress=progress)
    scored, faults = ours.scored, ours.scored.faults
    here = set(scored.clip_ids)
    unanswered |= {
        one.number: faults[clip] for clip in by_clip.keys() & faults.keys() for one in by_clip[clip]
    }
    if said is not None:
        said = said._replace(others={clip: state for clip, state in said.others.items() if clip in here})
    coverage = [ground.of_split(release, split, clips, faults)]
    if asked.expected is not None:
        name, wanted = asked.expected
        coverage.append(ground.of_list(name, wanted, release, split, scored.clip_ids, faults))
    return Told(
        ground=of,
        attested=said,
        coverage=tuple(coverage),
        encoders=ours.encoders,
        truncated=scored.truncated,
        dual_softmax=asked.dual_softmax,
        whole=_figures(ours, None),
        subsets={} if only else {name: _figures(ours, some) for name, some in subsets.items() if some & here},
        accuracy=answers.accuracies(ours.answers),
        commonest=answers.commonest(ours.answers),
        unanswered=unanswered,
        against=_against(asked.against, ours, reader, only, asked, by_clip, progress=progress),
        left_out=tuple(scored.left_out),
        written=scored.written,
        answers=ours.answers,
    )


def _passed(
    checkpoint: str, reader: ReleaseReader, only: Collection[str] | None, asked: Asked,
    by_clip: Mapping[str, Sequence[Question]], *, progress: bool,
) -> _Passed:  # fmt: skip
    opened = use.open_checkpoint(checkpoint)
    model, config, words = opened
    device = model.temperature.device
    asker = Asker(model, words, by_clip, config.data.words) if by_clip else None
    scored = evaluate.score(
        *opened,
        reader,
        only=only,
        nearness=Meaning(asked.sentences, device) if asked.sentences else None,
        asker=asker,
        progress=progress,
    )
    temperature = model.temperature.item() if asked.dual_softmax else None
    said = asker.answers() if asker is not None else []
    return _Passed(scored, said, temperature, ground.encoders(config.model))


def _figures(passed: _Passed, only: Collection[str] | None) -> Figures:
    part = evaluate.part(passed.scored, only, dual_softmax=passed.temperature)
    tables = {
        kind: {name: interval(measure) for name, measure in table.items()}
        for kind, table in part.tables.items()
    }
    return Figures(part.clips, part.captions, tables)


def _against(
    checkpoint: str | None, ours: _Passed, reader: ReleaseReader, only: Collection[str] | None, asked: Asked,
    by_clip: Mapping[str, Sequence[Question]], *, progress: bool,
) -> Against | None:  # fmt: skip
    """Both over the clips that both could read, which may differ, for they may look at other sizes."""
    if checkpoint is None:
        return None
    theirs = _passed(checkpoint, reader, only, asked, by_clip, progress=progress)
    common = set(ours.scored.clip_ids) & set(theirs.scored.clip_ids)
    if not common:
        raise UserError(f"--against {checkpoint}: no clip could be scored by both checkpoints")
    this, other = ours.tables(common), theirs.tables(common)
    tables = {
        kind: {
            name: Beside(there.figure(there.values_N), here.figure(here.values_N), difference(there, here))
            for name, here in this[kind].items()
            if (there := other[kind].get(name)) is not None
        }
        for kind in this
        if kind in other
    }
    return Against(checkpoint, len(common), tables)


def _of_subset(subsets: Mapping[str, frozenset[str]], subset: str) -> frozenset[str]:
    if subset not in subsets:
        raise UserError(
            f"no clip of this split is in a subset {subset!r}; it has: {', '.join(subsets) or 'none'}"
        )
    return subsets[subset]
