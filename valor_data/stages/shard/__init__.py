"""Kept, captioned, split clips to a release.

permission  what owners and hosts let in
plan        the facts of every clip, and which clip goes where
card        README.md of the release
write       shards, catalog, card, sums, and the manifest last; resumable, the same bytes each time
"""

from valor_data.stages.shard.permission import Recheck
from valor_data.stages.shard.write import ReleaseResult, write_release

__all__ = ["Recheck", "ReleaseResult", "write_release"]
