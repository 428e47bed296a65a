"""`fetch`: segments to clips."""

from typing import Annotated

import typer

from valor_data.cli import options, show
from valor_data.cli.options import (
    DryRun,
    Engine,
    EngineName,
    Json,
    Limit,
    RecipePath,
    TakeOver,
    Workers,
    WorkspaceRoot,
)


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(fetch)


def fetch(
    recipe: RecipePath,
    workspace: WorkspaceRoot = None,
    workers: Workers = None,
    engine: Engine = EngineName.LOCAL,
    limit: Limit = None,
    dry_run: DryRun = False,
    take_over: TakeOver = False,
    as_json: Json = False,
    retry: Annotated[
        str | None,
        typer.Option(
            "--retry",
            metavar="REASONS",
            help="Ask again for clips lost for these reasons or classes, comma apart; else the recipe's.",
        ),
    ] = None,
) -> None:
    """Fetch the clips of the recipe's segment lists; what is done is never fetched again.

    Example: valor-data fetch desc_test.json --limit 20
    """
    from valor_data import chain

    loaded, chosen = options.read(recipe, workspace, workers, engine, limit, dry_run, take_over)
    words = tuple(word.strip() for word in retry.split(",")) if retry is not None else None
    show.report(chain.fetch(loaded, chosen, retry=words), as_json=as_json)
