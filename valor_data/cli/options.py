"""The arguments and options that commands share, spelled the same everywhere."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from valor_data.chain import Options
    from valor_data.recipe import Recipe


class EngineName(StrEnum):
    """Where the work runs."""

    LOCAL = "local"
    INLINE = "inline"
    RAY = "ray"


RecipePath = Annotated[
    str,
    typer.Argument(
        metavar="RECIPE", help="A recipe (.toml), or a bare segment list with the default recipe."
    ),
]
WorkspaceRoot = Annotated[
    str | None,
    typer.Option(
        "--workspace", help="Folder or URL of the workspace; else the recipe's, else ./<recipe stem>."
    ),
]
Workers = Annotated[int | None, typer.Option("--workers", min=1, help="Worker processes; else one per core.")]
Engine = Annotated[
    EngineName,
    typer.Option("--engine", help="Worker processes here, this process alone, or a Ray cluster."),
]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="At most so many clips in this run.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the plan and its counts; write nothing.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
TakeOver = Annotated[
    bool, typer.Option("--take-over", help="Take the lock of a remote workspace whose writer died.")
]


def read(
    recipe: str,
    workspace: str | None = None,
    workers: int | None = None,
    engine: EngineName = EngineName.LOCAL,
    limit: int | None = None,
    dry_run: bool = False,
    take_over: bool = False,
) -> "tuple[Recipe, Options]":
    """The recipe that a command names, and the options of this run."""
    from valor_data import recipe as recipes
    from valor_data.chain import Options

    options = Options(
        workspace=workspace,
        workers=workers,
        engine=engine.value,
        limit=limit,
        dry_run=dry_run,
        take_over=take_over,
    )
    return recipes.load(recipe), options
