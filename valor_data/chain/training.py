"""The trainer: a run by its config, and what a checkpoint can do. torch is loaded here, late."""

from valor_data.chain.notes import Notes
from valor_data.manifest import SplitName
from valor_data.records import Report


def pretrain(config: str, *, progress: bool = True) -> Report:
    """Train by a TOML, or go on where the run stopped; a SIGTERM ends it with a checkpoint."""
    from valor_data.train import config as configs
    from valor_data.train import use

    read = configs.load(config)
    notes = Notes("pretrain", read.out)
    trained = use.pretrain(read, progress=progress)
    notes.counts |= {
        "steps": trained.steps,
        "unreadable": len(trained.faults),
        "truncated": trained.truncated,
    }
    notes.outputs.append(str(trained.run))
    notes.plan = tuple(f"{name:<12}{value:>10.4f}" for name, value in trained.losses.items())
    notes.warnings += [f"{clip}: {fault}" for clip, fault in sorted(trained.faults.items())[:20]]
    if trained.stopped:
        notes.warnings.append("stopped by a signal; the same command goes on from its checkpoint")
    return notes.report()


def evaluate(checkpoint: str, release: str, split: SplitName, subset: str | None = None) -> Report:
    """Retrieval and captions of a split of a release, with intervals, what is missing, and what it was
    scored on."""
    from valor_data.train import use
    from valor_data.train.intervals import Interval

    notes = Notes("evaluate", release)
    opened = use.open_checkpoint(checkpoint)
    told = use.score(opened, release, split, subset)
    notes.counts |= {"clips": told.clips, "captions": told.captions, "missing": len(told.missing)}

    def line(what: str, value: Interval) -> str:
        return f"{what:<22}{value.value:>8.2f}   95 %: {value.low:.2f} to {value.high:.2f}"

    lines = [
        line(f"{direction} {name}", value)
        for direction, figures in told.retrieval.items()
        for name, value in figures.items()
    ]
    lines += [line(name, value) for name, value in told.captioning.items()]
    notes.plan = tuple(lines)
    notes.warnings += [f"{clip}: not scored: {why}" for clip, why in sorted(told.missing.items())[:20]]
    return notes.report()
