"""The trainer: a run by its config, and what a checkpoint can do. torch is loaded here, late."""

from pathlib import Path

from valor_data import segments
from valor_data.chain import necessity as needs
from valor_data.chain.notes import Notes
from valor_data.errors import UserError
from valor_data.manifest import SplitName
from valor_data.recipe.fetching import ListSpec
from valor_data.records import Report, Segment

_SECONDS = 10.0
"""Of a clip in a list that tells starts only."""


def pretrain(config: str, *, dry_run: bool = False, progress: bool = True) -> Report:
    """Train by a TOML, or go on where the run stopped; a SIGTERM ends it with a checkpoint.

    `dry_run`: open releases and vocabulary, and tell what training would take; `details` of the report hold
    every figure.
    """
    from valor_data.train import config as configs
    from valor_data.train import rehearse, use

    read = configs.load(config)
    notes = Notes("pretrain", read.out)
    if dry_run:
        told = rehearse.rehearse(read)
        notes.counts |= told.counts
        notes.plan, notes.details = told.lines, told.details
        notes.warnings += told.warnings
        return notes.report()
    trained = use.pretrain(read, progress=progress)
    notes.counts |= {
        "steps": trained.steps,
        "unreadable": len(trained.faults),
        "truncated": trained.truncated,
        **trained.asked,
    }
    notes.outputs.append(str(trained.run))
    notes.plan = tuple(f"{name:<12}{value:>10.4f}" for name, value in trained.losses.items())
    notes.warnings += [f"{clip}: {fault}" for clip, fault in sorted(trained.faults.items())[:20]]
    if trained.stopped:
        notes.ok = False
        notes.warnings.append(
            f"stopped by a signal after {trained.steps} of {read.optim.steps} steps; the same command goes "
            "on from its checkpoint"
        )
    return notes.report()


def evaluate(
    checkpoint: str,
    release: str,
    split: SplitName,
    subset: str | None = None,
    *,
    against: str | None = None,
    dual_softmax: bool = False,
    sentences: str | None = None,
    questions: str | None = None,
    expected: str | None = None,
    attested: str | None = None,
    necessity: bool = False,
    out: str | None = None,
    workspace: str | None = None,
    progress: bool = True,
) -> Report:
    """Retrieval, captions and answers of a split of a release, with intervals, and what they were made on.

    `subset`: only its clips, which are then found among one another. `against`: another checkpoint, compared
    clip by clip. `sentences`: a model by whose sentence embeddings captions are compared too. `questions`: a
    list of questions. `expected`: a segment list that the split should hold. `attested`: a statement of
    `release attest`. `necessity`: what each clip's captions need of its sound and picture too, written to the
    Parquet file `out`, and to the tables of a `workspace` where one is named. `details` of the report hold
    every figure, caption and answer.
    """
    from valor_data.train import checkpoint as checkpoints
    from valor_data.train import scores, table

    notes = Notes("evaluate", release)
    wanted = None if expected is None else _listed(expected, split, notes)
    asked = scores.Asked(subset, dual_softmax, against, sentences, questions, attested, wanted)
    with needs.place(necessity, out, workspace, release) as place:
        told = scores.tell(checkpoint, release, split, asked, progress=progress)
        needed = place.fill(checkpoint, release, split, told.written, notes, progress) if place else []
    of_split = told.coverage[0]
    notes.counts |= {"clips": told.whole.clips, "captions": told.whole.captions}
    notes.counts |= {"missing": of_split.clips - of_split.scored, "truncated": told.truncated}
    notes.counts |= {"questions": len(told.answers)} if questions else {}
    notes.plan = (*table.lines(told), *needed)
    notes.details = {"checkpoint": checkpoints.identity(Path(checkpoint)), **table.plain(told)}
    notes.warnings += [f"{clip}: not scored: {why}" for clip, why in list(of_split.missing.items())[:20]]
    return notes.report()


def _listed(path: str, split: SplitName, notes: Notes) -> tuple[str, set[str]]:
    """Name and clips of a segment list; of one that names splits, those of this split."""
    reader = segments.open_list(ListSpec(path=path), _SECONDS)
    rows = [row for row in reader if isinstance(row, Segment)]
    clips = {row.clip_id for row in rows if (row.split or reader.split) in (None, split)}
    if not clips:
        raise UserError(f"--expected {path}: none of its {len(rows)} clips is of split {split}")
    bad = sum(1 for row in reader if not isinstance(row, Segment))
    if bad:
        notes.warnings.append(f"--expected {reader.name}: {bad} rows cannot be read, and count for nothing")
    return reader.name, clips
