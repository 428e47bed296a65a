"""The files by which Megatron-Energon (seen with 7.4) reads a release as it is, without its `prepare`.

.nv-meta/.info.json      shard -> number of samples
.nv-meta/split.yaml      split -> shards
.nv-meta/dataset.yaml    samples come as they lie (`CrudeWebdataset`), for a cooker of one's own
<shard>.tar.idx          start of each sample and the end of the last, eight bytes each, least first
"""

import json
from collections.abc import Sequence

from valor_data.manifest import SPLITS, ShardEntry
from valor_data.shards import tar
from valor_data.shards.index import Index

FOLDER = ".nv-meta/"
_DATASET = "__module__: megatron.energon\n__class__: CrudeWebdataset\n"


def files(shards: Sequence[ShardEntry], index: Index) -> dict[str, bytes]:
    """Path -> content of all of them."""
    of_split = {split: [shard.path for shard in shards if shard.split == split] for split in SPLITS}
    info = {"shard_counts": {shard.path: shard.samples for shard in shards}}
    made = {
        f"{FOLDER}.info.json": _json(info),
        f"{FOLDER}split.yaml": _json({"split_parts": of_split, "exclude": []}),  # JSON is YAML too
        f"{FOLDER}dataset.yaml": _DATASET.encode(),
    }
    for shard in shards:
        starts = index.starts(shard.path).astype("<u8").tobytes()
        made[f"{shard.path}.idx"] = starts + (shard.bytes - tar.EMPTY_BYTES).to_bytes(8, "little")
    return made


def _json(said: object) -> bytes:
    return f"{json.dumps(said, indent=2, sort_keys=True)}\n".encode()
