"""The library twins of the commands: each strings stages together and returns a `Report`.

recipe = valor_data.recipe.load("pipelines/demo.toml")
report = valor_data.chain.fetch(recipe, Options(workers=2))

notes      what all commands share: options, the notes that become a Report, an open workspace
plan       what a command would do
clips      from segments to clips that are known and judged
captions   captions: those that exist, and those of our annotators
catalog    everything that is known of the clips, in one file, and asked in many ways
releases   from captioned clips to releases; and the whole chain
reporting  a workspace on one page
takedown   clips taken down; copies of a release attested
training   the reference trainer
describing what a checkpoint says of clips, and where it puts them (given: what it is to describe)
"""

from valor_data.chain.captions import TOKEN, agreement, forget, import_captions, pull, push, readmit, serve
from valor_data.chain.catalog import catalog_build, catalog_export, catalog_split, search, similar, sql, stats
from valor_data.chain.clips import diff, doctor, explain, fetch, filter, init, quarantine, tune
from valor_data.chain.describing import (
    caption,
    caption_clips,
    embed,
    embed_clips,
    goes_to_tables,
    write_embeddings,
)
from valor_data.chain.notes import DEFAULTS, Options
from valor_data.chain.releases import (
    release_diff,
    release_push,
    run,
    shard,
    status,
    verify,
)
from valor_data.chain.reporting import report
from valor_data.chain.takedown import attest, retract
from valor_data.chain.training import evaluate, pretrain

__all__ = [
    "DEFAULTS", "TOKEN", "Options", "agreement", "attest", "caption", "caption_clips", "catalog_build",
    "catalog_export", "catalog_split",
    "diff", "doctor", "embed", "embed_clips", "evaluate", "explain", "fetch", "filter", "forget",
    "goes_to_tables", "import_captions", "init", "pretrain", "pull", "push",
    "quarantine", "readmit", "release_diff", "release_push", "report", "retract", "run", "search", "serve",
    "shard", "similar", "sql", "stats", "status", "tune", "verify", "write_embeddings",
]  # fmt: skip
