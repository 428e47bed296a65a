"""`init` and `doctor`: before the chain."""

from typing import Annotated

import typer

from valor_data.cli import show
from valor_data.cli.options import Json


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(init)
    app.command()(doctor)


def init(
    folder: Annotated[str, typer.Argument(help="Folder to make.")],
    recipe: Annotated[str, typer.Option("--recipe", help="Which shipped recipe to start from.")] = "starter",
    as_json: Json = False,
) -> None:
    """Make a dataset folder with a recipe to edit.

    Example: valor-data init my-dataset
    """
    from valor_data import chain

    show.report(chain.init(folder, recipe), as_json=as_json)


def doctor(
    workspace: Annotated[str, typer.Option("--workspace", help="Where the clips would go.")] = ".",
    as_json: Json = False,
) -> None:
    """Check ffmpeg, yt-dlp, the JavaScript runtime, disk and extras, each with its mend.

    Example: valor-data doctor
    """
    import json

    from valor_data import chain

    checks = chain.doctor(workspace)
    if as_json:
        print(json.dumps([check._asdict() for check in checks]))
    else:
        for check in checks:
            mend = f"  ->  {check.mend}" if check.state != "ok" else ""
            print(f"{check.state:<9}{check.name:<15}{check.found}{mend}")
    if any(check.state == "missing" for check in checks):
        raise typer.Exit(1)
