"""The library twins of the commands: each strings stages together and returns a `Report`.

recipe = valor_data.recipe.load("pipelines/demo.toml")
report = valor_data.chain.fetch(recipe, Options(workers=2))

notes      what all commands share: options, the notes that become a Report, an open workspace
plan       what a command would do
clips      from segments to clips that are known and judged
captions   captions: those that exist, and those of our annotators
catalog    everything that is known of the clips, in one file, and asked in many ways
releases   from captioned clips to releases; and the whole chain
reporting  what a workspace holds: its funnel, and all of it on one page
takedown   clips taken down; copies of a release attested
training   the reference trainer
describing what a checkpoint says of clips, and where it puts them (given: what it is to describe)

The names stand in `__init__.pyi`. A module is loaded when one of its functions is first asked for: a query
need not wait for yt-dlp, nor a caption for the shard writers.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
