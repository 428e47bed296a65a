"""`pretrain` and `evaluate`: the reference trainer."""

import os
from enum import StrEnum
from typing import Annotated

import typer

from valor_data.cli import show
from valor_data.cli.options import Json


class SplitOf(StrEnum):
    """Splits of a release."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(pretrain)
    app.command()(evaluate)


def pretrain(
    config: Annotated[str, typer.Argument(metavar="CONFIG", help="A trainer's TOML.")],
    as_json: Json = False,
) -> None:
    """Train VALOR's MGA and MGC on releases; the same command goes on where a run stopped.

    Example: valor-data pretrain pretrain-tiny.toml
    """
    from valor_data import chain

    report = chain.pretrain(config)
    if os.environ.get("RANK", "0") == "0":  # of the processes that torchrun starts, one tells
        show.report(report, as_json=as_json)


def evaluate(
    checkpoint: Annotated[str, typer.Argument(metavar="CHECKPOINT", help="Folder of a checkpoint.")],
    release: Annotated[str, typer.Argument(metavar="RELEASE", help="Folder or URL of a release.")],
    split: Annotated[SplitOf, typer.Option("--split", help="Which split of it.")] = SplitOf.TEST,
    subset: Annotated[
        str | None, typer.Option("--subset", help="Only clips of this subset of the release.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Score a checkpoint: retrieval between texts and clips, and captions, with intervals.

    Example: valor-data evaluate run/best releases/demo-0.1.0
    """
    from valor_data import chain

    show.report(chain.evaluate(checkpoint, release, split.value, subset), as_json=as_json)
