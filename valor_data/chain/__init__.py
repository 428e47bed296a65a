"""The library twins of the commands: each strings stages together and returns a `Report`.

recipe = valor_data.recipe.load("pipelines/demo.toml")
report = valor_data.chain.fetch(recipe, Options(workers=2))

notes      what all commands share: options, the notes that become a Report, an open workspace
plan       what a command would do
clips      from segments to clips that are known and judged
captions   captions: those that exist, and those of our annotators
releases   from captioned clips to the catalog and to releases; and the whole chain
"""

from valor_data.chain.captions import TOKEN, agreement, forget, import_captions, pull, push, serve
from valor_data.chain.clips import diff, doctor, explain, fetch, filter, init, quarantine, tune
from valor_data.chain.notes import DEFAULTS, Options
from valor_data.chain.releases import catalog_build, run, shard, sql, status, verify

__all__ = [
    "DEFAULTS", "TOKEN", "Options", "agreement", "catalog_build", "diff", "doctor", "explain", "fetch",
    "filter", "forget", "import_captions", "init", "pull", "push", "quarantine", "run", "serve", "shard",
    "sql", "status", "tune", "verify",
]  # fmt: skip
