"""The door to WebDataset shards: plain tar files in which the files of one base name are one sample.

A shard is USTAR without extensions: a 512-byte header per member, data padded to 512, two zero
blocks at the end. Owner, mode and time are constants, so the same samples give the same bytes.

tar      headers and sizes
writer   one shard, whole or not there
reader   a shard as a stream, each byte looked at: a cut tail, a broken header, a key that comes back
standing the manifest of a release, and whom nobody may hand out any more
index    where every member of a release lies
lock     prints of every clip of a release, by which a copy in other bytes is known again
access   the bytes of shards by place: files through maps of memory, objects by ranges
release  a release by that index: any clip, in any order, from a folder or a store
plain    tars of anybody by an index that is made when they are opened
energon  the files by which Megatron-Energon reads a release as it is
"""

from valor_data.shards.index import Index, ShardCheck
from valor_data.shards.plain import TarReader
from valor_data.shards.reader import Readable, Sample, read_samples
from valor_data.shards.release import ReleaseReader
from valor_data.shards.standing import manifest_of, revoked_of
from valor_data.shards.tar import EMPTY_BYTES, sample_bytes
from valor_data.shards.writer import ShardInfo, ShardWriter

__all__ = [
    "EMPTY_BYTES", "Index", "Readable", "ReleaseReader", "Sample", "ShardCheck", "ShardInfo", "ShardWriter",
    "TarReader", "manifest_of", "read_samples", "revoked_of", "sample_bytes",
]  # fmt: skip
