"""`filter`: measure, then decide."""

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
    """Register the command."""
    app.command()(filter)


def filter(
    recipe: RecipePath,
    workspace: WorkspaceRoot = None,
    workers: Workers = None,
    engine: Engine = EngineName.LOCAL,
    limit: Limit = None,
    dry_run: DryRun = False,
    take_over: TakeOver = False,
    as_json: Json = False,
    decide_only: Annotated[
        bool, typer.Option("--decide-only", help="Apply the rules to what is measured; decode nothing.")
    ] = False,
    explain: Annotated[
        str | None, typer.Option("--explain", metavar="CLIP_ID", help="Say why one clip is kept or rejected.")
    ] = None,
    tune: Annotated[
        str | None, typer.Option("--tune", metavar="METRIC", help="Show what each threshold would drop.")
    ] = None,
    diff: Annotated[
        str | None,
        typer.Option("--diff", metavar="RECIPE", help="Say which clips its rules move; write none."),
    ] = None,
) -> None:
    """Measure the clips that are not measured, then judge all by the recipe's rules.

    Example: valor-data filter desc_test.json --decide-only
    """
    import json

    from valor_data import chain
    from valor_data.errors import UserError
    from valor_data.recipe import load

    if sum(asked is not None for asked in (explain, tune, diff)) > 1:
        raise UserError("give one of --explain, --tune and --diff")
    loaded, chosen = options.read(recipe, workspace, workers, engine, limit, dry_run, take_over)
    if explain is not None:
        lines = chain.explain(loaded, chosen, explain)
        print(json.dumps({"clip": explain, "lines": lines}) if as_json else "\n".join(lines))
    elif tune is not None or diff is not None:
        found = chain.diff(loaded, chosen, load(diff)) if diff else chain.tune(loaded, chosen, tune or "")
        print(json.dumps(found.as_json()) if as_json else "\n".join(found.lines()))
    else:
        show.report(chain.filter(loaded, chosen, decide_only=decide_only), as_json=as_json)
