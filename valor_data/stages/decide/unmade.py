"""What a recipe's rules ask of the tables that nobody has put there yet."""

from valor_data.recipe import metric
from valor_data.records import Compared
from valor_data.stages.decide.known import metrics_of
from valor_data.workspace import Workspace

_MEND = "run 'valor-data filter' without --decide-only"


def unmade(workspace: Workspace) -> list[str]:
    """A line for each thing that the rules, the limits or the benchmarks ask and that was never measured or
    compared, so that verdicts without it mislead."""
    tables, recipe = workspace.tables, workspace.recipe
    asked = dict.fromkeys(metric(name).table for name in metrics_of(recipe))
    if recipe.safety.asks:
        asked["safety_measures"] = None
    compared = {row.what: row.digest for row in tables.rows(Compared)}
    lines = []
    for table in asked:
        if table == "neighbours" and "neighbours" not in compared:
            lines.append(f"nobody looked for near-duplicates yet: {_MEND}")
        elif table == "leaks":
            if compared.get("leaks", "").partition("-")[0] != recipe.benchmarks_digest:
                lines.append(f"nobody looked for leaks of these benchmarks yet: {_MEND}")
        elif table not in ("neighbours", "media", "clips") and not tables.has_rows(table):
            lines.append(f"no clip has {table.replace('_', ' ')} yet: {_MEND}")
    return lines
