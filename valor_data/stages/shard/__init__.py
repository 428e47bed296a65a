"""Kept, captioned, split clips to a release.

permission  what owners and hosts let in
splits      which split each video stands in
payload     what stands in place of the clips as fetched
plan        the facts of every clip, and which clip goes where
write       a release from its first step to its last; resumable, the same bytes each time
writers     shards by several processes
finish      what stands beside the shards; the manifest last
papers      what a release says of itself: `account` has the numbers; `card` (with `datasheet`, `rai` and
            `markdown`), `croissant` and `changelog` say them
lock        prints of every clip, by which a copy in other bytes is known again
patch       the next patch version without what was taken down
"""

from valor_data.stages.shard.patch import Patched, Standing, patch_release, standing_releases
from valor_data.stages.shard.permission import Recheck
from valor_data.stages.shard.splits import Drawn, draw
from valor_data.stages.shard.write import ReleaseResult, record, write_release

__all__ = [
    "Drawn", "Patched", "Recheck", "ReleaseResult", "Standing", "draw", "patch_release", "record",
    "standing_releases",
    "write_release",
]  # fmt: skip
