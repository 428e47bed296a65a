"""`release verify`: is a release whole and true?"""

from typing import Annotated

import typer

from valor_data.cli import show
from valor_data.cli.options import Json

app = typer.Typer(help="Work on finished releases.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    pass


@app.command()
def verify(
    release: Annotated[
        str, typer.Argument(metavar="RELEASE_DIR", help="Folder or URL that holds manifest.json.")
    ],
    deep: Annotated[bool, typer.Option("--deep", help="Decode every clip, not a sample.")] = False,
    as_json: Json = False,
) -> None:
    """Hash, count and decode a release; exit code 1 and a line for each problem.

    Example: valor-data release verify desc_test/releases/desc_test-0.1.0
    """
    from valor_data import chain

    show.report(chain.verify(release, deep=deep), as_json=as_json)
