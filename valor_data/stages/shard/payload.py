"""What stands in a release in place of the clips as fetched."""

import pyarrow as pa
import pyarrow.compute as pc

from valor_data.workspace import Workspace


def of_payload(workspace: Workspace, rows: pa.Table) -> pa.Table:
    """The rows of those clips that have the recipe's payload, with its facts in place of the media's."""
    if workspace.recipe.shard.payload != "train":
        return rows
    derived = workspace.tables.derived(workspace.recipe)
    places = pc.index_in(rows["clip_id"], value_set=derived["clip_id"])
    rows, derived = rows.filter(pc.is_valid(places)), derived.take(pc.drop_null(places))
    for name in derived.column_names:
        if name in rows.column_names:
            rows = rows.set_column(rows.column_names.index(name), name, derived[name])
        else:
            rows = rows.append_column(name, derived[name])
    return rows
