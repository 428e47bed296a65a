# Relative, as lazy-loader wants them.
from .captions import TOKEN, agreement, forget, import_captions, pull, push, readmit, serve
from .catalog import catalog_build, catalog_export, catalog_split, search, similar, sql, stats
from .clips import diff, doctor, explain, fetch, filter, init, quarantine, tune
from .describing import (
    caption,
    caption_clips,
    embed,
    embed_clips,
    goes_to_tables,
    write_embeddings,
)
from .notes import DEFAULTS, Options
from .releases import (
    release_diff,
    release_push,
    run,
    shard,
    verify,
)
from .reporting import report, status
from .takedown import attest, retract
from .training import evaluate, pretrain

__all__ = [
    "DEFAULTS", "TOKEN", "Options", "agreement", "attest", "caption", "caption_clips", "catalog_build",
    "catalog_export", "catalog_split",
    "diff", "doctor", "embed", "embed_clips", "evaluate", "explain", "fetch", "filter", "forget",
    "goes_to_tables", "import_captions", "init", "pretrain", "pull", "push",
    "quarantine", "readmit", "release_diff", "release_push", "report", "retract", "run", "search", "serve",
    "shard", "similar", "sql", "stats", "status", "tune", "verify", "write_embeddings",
]  # fmt: skip
