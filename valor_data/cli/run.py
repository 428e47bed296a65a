"""`run`, `status` and `report`: the chain as a whole."""

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
    """Register the commands."""
    app.command()(run)
    app.command()(status)
    app.command()(report)


def run(
    recipe: RecipePath,
    workspace: WorkspaceRoot = None,
    workers: Workers = None,
    engine: Engine = EngineName.LOCAL,
    limit: Limit = None,
    dry_run: DryRun = False,
    take_over: TakeOver = False,
    as_json: Json = False,
) -> None:
    """Run the chain: fetch, filter, catalog, shard, verify; each step does only what is missing.

    Example: valor-data run valor32k.toml --limit 50
    """
    from valor_data import chain

    loaded, chosen = options.read(recipe, workspace, workers, engine, limit, dry_run, take_over)
    show.report(chain.run(loaded, chosen), as_json=as_json)


def status(
    recipe: RecipePath,
    workspace: WorkspaceRoot = None,
    as_json: Json = False,
    availability: Annotated[
        str | None,
        typer.Option(
            "--availability",
            metavar="FOLDER",
            help="Also write there what of each list is available: Parquet, CSV and a page.",
        ),
    ] = None,
) -> None:
    """Show the funnel so far, with the reasons of every loss.

    Example: valor-data status valor32k.toml --availability published
    """
    from valor_data import chain

    loaded, chosen = options.read(recipe, workspace)
    show.report(chain.status(loaded, chosen, availability=availability), as_json=as_json)


def report(recipe: RecipePath, workspace: WorkspaceRoot = None, as_json: Json = False) -> None:
    """Write one HTML page on the dataset: funnel, measures, captions, clips to look at. It works offline.

    Example: valor-data report valor32k.toml
    """
    from valor_data import chain

    loaded, chosen = options.read(recipe, workspace)
    show.report(chain.report(loaded, chosen), as_json=as_json)
