"""`quarantine`: a person's word that clips are unsafe."""

from typing import Annotated

import typer

from valor_data.cli import options, show
from valor_data.cli.options import Json, RecipePath, TakeOver, WorkspaceRoot


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    # One id in 64 of YouTube's begins with a dash, and would be refused as an option that there is not.
    app.command(context_settings={"ignore_unknown_options": True})(quarantine)


def quarantine(
    recipe: RecipePath,
    clips: Annotated[
        list[str], typer.Argument(metavar="CLIP_ID...", help="Clips that nobody shall be shown.")
    ],
    workspace: WorkspaceRoot = None,
    take_over: TakeOver = False,
    as_json: Json = False,
    lift: Annotated[
        bool, typer.Option("--lift", help="They were looked at and are harmless: take them out.")
    ] = False,
) -> None:
    """Put clips where no annotator sees them and no release holds them; the next filter judges them anew.

    Example: valor-data quarantine desc_test.json x-2Abohj8VY_30000_40000
    """
    from valor_data import chain

    loaded, chosen = options.read(recipe, workspace, take_over=take_over)
    show.report(chain.quarantine(loaded, chosen, clips, lift=lift), as_json=as_json)
