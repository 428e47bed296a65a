"""`catalog`: one file of everything, and questions to it."""

from enum import StrEnum
from typing import Annotated

import typer

from valor_data.cli import options, show
from valor_data.cli.options import Json, RecipePath, TakeOver, WorkspaceRoot

app = typer.Typer(help="Query everything that is known of the clips.", no_args_is_help=True)

Root = Annotated[str, typer.Option("--workspace", help="Folder or URL of the workspace.")]
Catalog = Annotated[str, typer.Option("--workspace", help="Folder or URL of a workspace or of a release.")]
Most = Annotated[int, typer.Option("--limit", min=1, max=10_000, help="At most so many rows.")]


class FormName(StrEnum):
    """What `catalog export` writes."""

    VALOR = "valor"
    CSV = "csv"
    JSONL = "jsonl"
    HF = "hf"
    COCO = "coco"


@app.command()
def build(
    recipe: RecipePath, workspace: WorkspaceRoot = None, take_over: TakeOver = False, as_json: Json = False
) -> None:
    """Read lists that are new, compact the tables and write catalog.parquet, one row a clip.

    Example: valor-data catalog build desc_test.json
    """
    from valor_data import chain

    loaded, chosen = options.read(recipe, workspace, take_over=take_over)
    show.report(chain.catalog_build(loaded, chosen), as_json=as_json)


@app.command()
def split(
    recipe: RecipePath, workspace: WorkspaceRoot = None, take_over: TakeOver = False, as_json: Json = False
) -> None:
    """Settle which split each kept clip stands in, before there are captions; what is settled stays.

    Example: valor-data catalog split valor32k.toml
    """
    from valor_data import chain

    loaded, chosen = options.read(recipe, workspace, take_over=take_over)
    show.report(chain.catalog_split(loaded, chosen), as_json=as_json)


@app.command()
def sql(
    query: Annotated[str, typer.Argument(help="One SELECT over the views of schemas/catalog.sql.")],
    workspace: Root = ".",
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


@app.command()
def search(
    query: Annotated[
        str, typer.Argument(help='Words, "a phrase", begin*, AND OR NOT + - ( ), label:Speech split:test')
    ],
    workspace: Catalog = ".",
    limit: Most = 10,
    as_json: Json = False,
) -> None:
    """Find captions by what they say, best first. Any of the words will do; filters must all hold.

    Fields: author, clip, label, language, modalities, origin, source, split, video.

    Example: valor-data catalog search "dog barking near water" --workspace desc_test
    """
    from valor_data import chain
    from valor_data.cli import rows

    rows.show(chain.search(query, workspace, limit), as_json=as_json, as_csv=False)


@app.command()
def stats(
    workspace: Catalog = ".",
    as_json: Json = False,
    out: Annotated[str | None, typer.Option("--out", help="Write a page with plots (.html) too.")] = None,
) -> None:
    """Count captions, words, labels, sounds named, languages, annotators and lengths.

    Example: valor-data catalog stats --workspace desc_test --out desc_test/runs/stats.html
    """
    import json
    from pathlib import Path

    from valor_data import chain
    from valor_data.stages.catalog import lines

    told = chain.stats(workspace, page=Path(out) if out else None)
    print(json.dumps(told.as_json(), ensure_ascii=False) if as_json else "\n".join(lines(told)))


@app.command(context_settings={"ignore_unknown_options": True})  # ids may begin with a dash
def similar(
    clip_id: Annotated[str, typer.Argument(metavar="CLIP_ID", help="<video_id>_<start_ms>_<end_ms>")],
    workspace: Root = ".",
    limit: Most = 10,
    as_json: Json = False,
) -> None:
    """Find the clips that look or sound like one: by fingerprint, and by each embedding it has.

    Distances are 0 for equal pictures or sounds and 1 for unrelated ones; a cosine is the other way round.

    Example: valor-data catalog similar -- -uGHAvfqs2I_30000_40000
    """
    from valor_data import chain
    from valor_data.cli import rows

    rows.show(chain.similar(clip_id, workspace, limit), as_json=as_json, as_csv=False)


@app.command()
def export(
    form: Annotated[FormName, typer.Argument(metavar="FORM", help="valor, csv, jsonl, hf or coco.")],
    out: Annotated[str, typer.Option("--out", help="File or folder to write; valor: also a .zip.")],
    workspace: Catalog = ".",
    media: Annotated[bool, typer.Option("--media", help="hf: with the clips themselves.")] = False,
    as_json: Json = False,
) -> None:
    """Write the captioned clips as VALOR's own files, CSV, JSONL, a Hugging Face folder or COCO captions.

    Example: valor-data catalog export valor --workspace desc_test --out annotations.zip
    """
    from valor_data import chain
    from valor_data.stages.catalog import Form

    show.report(chain.catalog_export(workspace, Form(form.value), out, media=media), as_json=as_json)
