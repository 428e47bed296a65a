"""What a release says of itself, for people and for other programs: path -> content."""

from collections.abc import Sequence

import pyarrow as pa

from valor_data import layout
from valor_data.manifest import FileEntry, ShardEntry
from valor_data.stages.shard import card
from valor_data.stages.shard.plan import Plan
from valor_data.workspace import Workspace


def papers(
    workspace: Workspace, facts: pa.Table, plan: Plan, shards: Sequence[ShardEntry], catalog: FileEntry
) -> dict[str, bytes]:
    """The papers of a release whose shards and catalog are written."""
    text = card.render(workspace.recipe, facts, plan.counts, plan.splits)
    return {layout.CARD: text.encode()}
