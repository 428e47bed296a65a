"""`annotate import`: captions that exist already."""

from typing import Annotated

import typer

from valor_data.cli import options, show
from valor_data.cli.options import Json, RecipePath, TakeOver, WorkspaceRoot

app = typer.Typer(help="Captions: import those that exist.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    pass


@app.command("import")
def import_(
    recipe: RecipePath,
    file: Annotated[
        str | None, typer.Argument(help="Captions in any list form; else those of the recipe's own lists.")
    ] = None,
    author: Annotated[
        str | None, typer.Option("--author", help="Who wrote them: a list's name, or model:<name>.")
    ] = None,
    language: Annotated[str, typer.Option("--language", help="Their language.")] = "en",
    workspace: WorkspaceRoot = None,
    take_over: TakeOver = False,
    as_json: Json = False,
) -> None:
    """Import captions that exist; a changed text becomes a new revision.

    Example: valor-data annotate import desc_test.json captions.csv --author audiocaps
    """
    from valor_data import chain
    from valor_data.recipe import ListSpec

    loaded, chosen = options.read(recipe, workspace, take_over=take_over)
    spec = ListSpec(path=file, author=author, language=language) if file else None
    show.report(chain.import_captions(loaded, chosen, spec=spec), as_json=as_json)
