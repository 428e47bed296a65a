"""`catalog build` and `catalog sql`: Parquet and DuckDB over everything."""

from typing import Annotated

import typer

from valor_data.cli import options, show
from valor_data.cli.options import Json, RecipePath, TakeOver, WorkspaceRoot

app = typer.Typer(help="Query everything that is known of the clips.", no_args_is_help=True)


@app.command()
def build(
    recipe: RecipePath, workspace: WorkspaceRoot = None, take_over: TakeOver = False, as_json: Json = False
) -> None:
    """Compact the tables and write catalog.parquet, one row a clip.

    Example: valor-data catalog build desc_test.json
    """
    from valor_data import chain

    loaded, chosen = options.read(recipe, workspace, take_over=take_over)
    show.report(chain.catalog_build(loaded, chosen), as_json=as_json)


@app.command()
def sql(
    query: Annotated[str, typer.Argument(help="One SELECT over the views of schemas/catalog.sql.")],
    workspace: Annotated[str, typer.Option("--workspace", help="Folder or URL of the workspace.")] = ".",
    as_json: Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print the rows as CSV.")] = False,
    out: Annotated[
        str | None, typer.Option("--out", help="Write to a .csv, .json or .parquet file instead.")
    ] = None,
) -> None:
    """Query the catalog with DuckDB's SQL; nothing can be written or read outside the catalog.

    Example: valor-data catalog sql "select * from funnel" --workspace desc_test
    """
    from valor_data import chain
    from valor_data.cli import rows

    found = chain.sql(query, workspace)
    if out:
        rows.write(found, out)
    else:
        rows.show(found, as_json=as_json, as_csv=as_csv)
