"""What a release says of itself, for people and for other programs: path -> content."""

from collections.abc import Sequence

import pyarrow as pa

from valor_data import layout, plots
from valor_data.manifest import FileEntry, ShardEntry
from valor_data.stages.shard import card, croissant, datasheet
from valor_data.stages.shard.account import Account, give_account
from valor_data.stages.shard.changelog import changelog
from valor_data.stages.shard.plan import Plan
from valor_data.store import Store
from valor_data.workspace import Workspace

_BARS = 20


def papers(
    workspace: Workspace,
    store: Store,
    facts: pa.Table,
    plan: Plan,
    shards: Sequence[ShardEntry],
    catalog: FileEntry,
) -> dict[str, bytes]:
    """The papers of a release whose shards and catalog are written to `store`."""
    account = give_account(workspace, store, facts, plan)
    texts = {
        layout.CARD: card.render(account, facts.schema),
        layout.CHANGELOG: changelog(account),
        layout.CROISSANT: croissant.render(account, facts.schema, shards, catalog),
        **{f"{layout.PLOTS}{name}.svg": plot for name, plot in _plots(account).items()},
    }
    return {path: text.encode() for path, text in texts.items()}


def _plots(account: Account) -> dict[str, str]:
    """Those that the card shows."""
    numbers = account.statistics
    drawn = {}
    for histogram, of in ((numbers.durations, "clips"), (numbers.lengths, "captions")):
        drawn[histogram.name] = plots.histogram(
            datasheet.PLOTTED[histogram.name],
            histogram.edges,
            histogram.counts,
            unit=histogram.unit,
            of=of,
            missing=histogram.missing,
        )
    drawn["labels"] = plots.bars(datasheet.PLOTTED["labels"], numbers.labels[:_BARS])
    drawn["sounds"] = plots.bars(datasheet.PLOTTED["sounds"], numbers.sounds_named[:_BARS], of="captions")
    return drawn
