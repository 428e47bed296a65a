"""`annotate`: the Label Studio loop, and captions that exist already."""

from typing import Annotated

import typer

from valor_data.cli import options, show
from valor_data.cli.options import Json, RecipePath, TakeOver, WorkspaceRoot

app = typer.Typer(help="Captions: by annotators in Label Studio, or imported.", no_args_is_help=True)


@app.command()
def serve(
    recipe: RecipePath,
    workspace: WorkspaceRoot = None,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; 0: a free one.")] = 8080,
) -> None:
    """Start Label Studio on this machine for the workspace's clips; Ctrl-C stops it.

    The first start installs it, about a gigabyte. VALOR_DATA_DATABASE: postgresql://... in place of SQLite.

    Example: valor-data annotate serve desc_test.json
    """
    import sys

    from valor_data import chain

    loaded, chosen = options.read(recipe, workspace)
    print("Label Studio starts; the first time it is installed, which takes some minutes", file=sys.stderr)
    with chain.serve(loaded, chosen, port=port) as server:
        print(f"Label Studio: {server.login.url}")
        print(f"account:      {server.login.email}, password and token in {server.log.parent / 'login.json'}")
        print("Ctrl-C stops it; 'valor-data annotate push' brings tasks", flush=True)
        server.wait()


@app.command()
def push(
    recipe: RecipePath,
    workspace: WorkspaceRoot = None,
    take_over: TakeOver = False,
    as_json: Json = False,
) -> None:
    """Ask for captions: bring the tasks that are missing to Label Studio.

    Example: valor-data annotate push desc_test.json
    """
    from valor_data import chain

    show.report(chain.push(*options.read(recipe, workspace, take_over=take_over)), as_json=as_json)


@app.command()
def review(
    recipe: RecipePath,
    workspace: WorkspaceRoot = None,
    take_over: TakeOver = False,
    as_json: Json = False,
) -> None:
    """Ask for checks of the captions that came back, by others than who wrote them.

    Example: valor-data annotate review desc_test.json
    """
    from valor_data import chain

    loaded, chosen = options.read(recipe, workspace, take_over=take_over)
    show.report(chain.push(loaded, chosen, review=True), as_json=as_json)


@app.command()
def pull(
    recipe: RecipePath,
    workspace: WorkspaceRoot = None,
    take_over: TakeOver = False,
    as_json: Json = False,
) -> None:
    """Take over what annotators and checkers have said since the last pull, and check the texts.

    Example: valor-data annotate pull desc_test.json
    """
    from valor_data import chain

    show.report(chain.pull(*options.read(recipe, workspace, take_over=take_over)), as_json=as_json)


@app.command()
def forget(
    recipe: RecipePath,
    pseudonym: Annotated[str, typer.Argument(help="Such as ann-3f9a2c71; captions stay under it.")],
    workspace: WorkspaceRoot = None,
    take_over: TakeOver = False,
    as_json: Json = False,
) -> None:
    """Cut the link from a pseudonym to a person for good.

    Example: valor-data annotate forget desc_test.json ann-3f9a2c71
    """
    from valor_data import chain

    loaded, chosen = options.read(recipe, workspace, take_over=take_over)
    show.report(chain.forget(loaded, chosen, pseudonym), as_json=as_json)


@app.command()
def readmit(
    recipe: RecipePath,
    pseudonym: Annotated[str, typer.Argument(help="Such as ann-3f9a2c71; who failed by mistake.")],
    workspace: WorkspaceRoot = None,
    take_over: TakeOver = False,
    as_json: Json = False,
) -> None:
    """Annul somebody's last failed attempt at the test, so that there is one more.

    Example: valor-data annotate readmit desc_test.json ann-3f9a2c71
    """
    from valor_data import chain

    loaded, chosen = options.read(recipe, workspace, take_over=take_over)
    show.report(chain.readmit(loaded, chosen, pseudonym), as_json=as_json)


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
    from valor_data.recipe.reading import validated

    loaded, chosen = options.read(recipe, workspace, take_over=take_over)
    given = {"path": file, "author": author, "language": language}
    spec = validated(ListSpec, given, str(file)) if file else None
    show.report(chain.import_captions(loaded, chosen, spec=spec), as_json=as_json)


@app.command()
def agreement(recipe: RecipePath, workspace: WorkspaceRoot = None, as_json: Json = False) -> None:
    """Show how far annotators and checkers agree, what their work is worth and what it costs.

    Example: valor-data annotate agreement desc_test.json
    """
    import json

    from valor_data import chain

    found = chain.agreement(*options.read(recipe, workspace))
    print(json.dumps(found.as_json()) if as_json else "\n".join(found.lines()))
