"""`pretrain` and `evaluate`: the reference trainer."""

import os
from enum import StrEnum
from typing import Annotated

import typer

from valor_data.cli import show
from valor_data.cli.options import DryRun, Json


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
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Train VALOR's MGA and MGC on releases; the same command goes on where a run stopped.

    --dry-run opens releases and vocabulary, and tells what training would take: work, memory, hours of known
    GPUs, cores of loaders.

    Example: valor-data pretrain pretrain-tiny.toml --dry-run
    """
    from valor_data import chain

    report = chain.pretrain(config, dry_run=dry_run)
    if os.environ.get("RANK", "0") == "0":  # of the processes that torchrun starts, one tells
        show.report(report, as_json=as_json)


def evaluate(
    checkpoint: Annotated[str, typer.Argument(metavar="CHECKPOINT", help="Folder of a checkpoint.")],
    release: Annotated[str, typer.Argument(metavar="RELEASE", help="Folder or URL of a release.")],
    split: Annotated[SplitOf, typer.Option("--split", help="Which split of it.")] = SplitOf.TEST,
    subset: Annotated[
        str | None, typer.Option("--subset", help="Only clips of this subset of the release.")
    ] = None,
    against: Annotated[
        str | None,
        typer.Option("--against", help="Folder of another checkpoint, to compare clip by clip."),
    ] = None,
    dual_softmax: Annotated[
        bool,
        typer.Option("--dual-softmax", help="Weigh scores by all queries at once, as VALOR's best rows."),
    ] = False,
    sentences: Annotated[
        str | None,
        typer.Option("--sentences", help="Sentence model of Hugging Face: captions by embeddings too."),
    ] = None,
    questions: Annotated[
        str | None, typer.Option("--questions", help="A list of questions: VALOR-32K-AVQA, JSONL, ...")
    ] = None,
    expected: Annotated[
        str | None,
        typer.Option("--expected", help="A list that the split should hold, such as desc_test.json."),
    ] = None,
    attested: Annotated[
        str | None, typer.Option("--attested", help="What `release attest` wrote of the copies scored.")
    ] = None,
    necessity: Annotated[
        bool,
        typer.Option("--necessity", help="Spoil sound and picture: does the caption of a clip need them?"),
    ] = False,
    out: Annotated[
        str | None, typer.Option("--out", help="File of --necessity (.parquet); else necessity.parquet.")
    ] = None,
    workspace: Annotated[
        str | None, typer.Option("--workspace", help="Keep what --necessity finds in its tables too.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Score a checkpoint: retrieval between texts and clips, captions, answers, with intervals.

    Example: valor-data evaluate run/best releases/demo-0.1.0
    """
    from valor_data import chain

    report = chain.evaluate(
        checkpoint,
        release,
        split.value,
        subset,
        against=against,
        dual_softmax=dual_softmax,
        sentences=sentences,
        questions=questions,
        expected=expected,
        attested=attested,
        necessity=necessity,
        out=out,
        workspace=workspace,
    )
    show.report(report, as_json=as_json)
