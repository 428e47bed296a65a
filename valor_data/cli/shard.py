"""`shard`: kept, captioned, split clips to a release."""

import typer

from valor_data.cli import options, show
from valor_data.cli.options import (
    Engine,
    EngineName,
    Json,
    RecipePath,
    TakeOver,
    Workers,
    WorkspaceRoot,
)


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(shard)


def shard(
    recipe: RecipePath,
    workspace: WorkspaceRoot = None,
    workers: Workers = None,
    engine: Engine = EngineName.LOCAL,
    take_over: TakeOver = False,
    as_json: Json = False,
) -> None:
    """Write a WebDataset release; the same inputs give the same bytes.

    Example: valor-data shard desc_test.json
    """
    from valor_data import chain

    loaded, chosen = options.read(recipe, workspace, workers, engine, take_over=take_over)
    show.report(chain.shard(loaded, chosen), as_json=as_json)
