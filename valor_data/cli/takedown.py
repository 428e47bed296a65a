"""`release retract`: clips that are taken down; `release attest`: copies that are the same clips."""

from typing import Annotated

import typer

from valor_data.cli import options, show
from valor_data.cli.options import Json, RecipePath, TakeOver, Workers, WorkspaceRoot

_MOST = 20


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(retract)
    app.command()(attest)


def retract(
    recipe: RecipePath,
    ids: Annotated[
        str,
        typer.Option("--ids", metavar="FILE", help="Clip ids, official ids or video:<video_id>, one a line."),
    ],
    reason: Annotated[str, typer.Option("--reason", help="Why, for your own records; name no person.")],
    workspace: WorkspaceRoot = None,
    take_over: TakeOver = False,
    as_json: Json = False,
    requested: Annotated[
        str | None,
        typer.Option("--requested", help="When the request came in, such as 2026-11-20; else now."),
    ] = None,
    delete_old: Annotated[
        bool, typer.Option("--delete-old", help="Delete the releases that hold these clips.")
    ] = False,
) -> None:
    """Take clips down for good: a patch release without them, then no copy left; they never come back.

    Example: valor-data release retract desc_test.json --ids gone.txt --reason "owner's request"
    """
    from valor_data import chain

    loaded, chosen = options.read(recipe, workspace, take_over=take_over)
    show.report(
        chain.retract(loaded, chosen, ids=ids, reason=reason, requested=requested, delete_old=delete_old),
        as_json=as_json,
    )


def attest(
    release: Annotated[str, typer.Argument(metavar="RELEASE", help="Folder or URL of the release.")],
    copies: Annotated[
        str,
        typer.Argument(
            metavar="COPIES",
            help="Another release, a workspace, or media files named by clip_id or official id.",
        ),
    ],
    workers: Workers = None,
    as_json: Json = False,
    out: Annotated[
        str | None, typer.Option("--out", help="The statement; else <name>-<version>.attested.json here.")
    ] = None,
) -> None:
    """Tell which of somebody's copies are the clips of a release, though sizes, codecs and bytes differ.

    Example: valor-data release attest releases/desc_test-0.1.0 my_clips
    """
    from valor_data import chain

    report, found = chain.attest(release, copies, chain.Options(workers=workers), out=out)
    if not as_json:
        said = found.said
        print(
            f"{said['counts']['equivalent']:,} of {said['clips']:,} equivalent; "
            f"statement {said['sha256_of_the_rest']}"
        )
        for one in said["others"][:_MOST]:
            print(f"  {one['clip_id']}: {one['state']}{': ' if 'told' in one else ''}{one.get('told', '')}")
        if len(said["others"]) > _MOST:
            print(f"  and {len(said['others']) - _MOST:,} more: the statement lists all")
    show.report(report, as_json=as_json)
