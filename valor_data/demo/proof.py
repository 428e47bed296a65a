"""The proof that the trainer learns: a release of the grammar, a model, its ablation, and what both can do.

`python -m valor_data.demo.proof`, which is `make pretrain-proof`.
"""

import shutil
import sys
import time
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from valor_data import chain, layout
from valor_data import recipe as recipes
from valor_data.cli import guarded
from valor_data.demo import draws, judged, told
from valor_data.demo.draws import Draw
from valor_data.demo.told import Learned
from valor_data.shards import ReleaseReader
from valor_data.store import Store
from valor_data.train import checkpoint, config, use

DRAWS = 24
"""Of each pair, to learn from."""

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


class Made(NamedTuple):
    """The release that is learned from, and what was drawn for its split `test`."""

    release: str
    unseen: list[Draw]


def make(root: Path, count: int = DRAWS) -> Made:
    """Render `count` clips of each pair and one unseen one, and send them through the chain."""
    unseen = draws.unseen()
    draws.write(root / "clips" / "learn", draws.to_learn(count), root / "learn.csv")
    draws.write(root / "clips" / "unseen", unseen, root / "unseen.csv")
    path = root / "proof.toml"
    shutil.copyfile(layout.asset("pipelines", path.name), path)
    recipe = recipes.load(str(path))
    options = chain.Options(workspace=str(root / "workspace"), workers=1, progress=False)
    for step in (chain.fetch, chain.filter, chain.shard):
        report = step(recipe, options)
        counts = ", ".join(f"{number:,} {name}" for name, number in report.counts.items() if number)
        print(f"  {report.command}: {counts}", flush=True)
    return Made(str(root / "workspace" / report.outputs[-1]), unseen)


def learn(root: Path, made: Made, name: str, **optim: object) -> Learned:
    """Train by the shipped config with some of [optim] replaced, into `root / name`, and judge it."""
    settings = config.load(str(layout.asset("pipelines", "pretrain-proof.toml"))).model_dump()
    settings["out"] = str(root / name)
    settings["data"]["sources"][0]["release"] = made.release
    settings["optim"] |= {"save_every": 100_000, "validate_every": 100_000, **optim}
    asked = config.Pretrain.model_validate(settings)
    begun = time.process_time()
    trained = use.pretrain(asked)
    cpu_s = time.process_time() - begun
    newest = checkpoint.newest(trained.run)
    assert newest is not None  # a run ends with one
    opened = use.open_checkpoint(str(newest), "cpu")
    found = judged.judge(opened, ReleaseReader(Store.open(made.release), "test"), made.unseen)
    return Learned(trained.run, asked.optim.seed, trained.steps, cpu_s, found)


@app.command()
def prove(
    folder: Annotated[str, typer.Option("--folder", help="Where all of it goes.")] = "demo-workspace/proof",
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Models to train, of a seed each.")] = 1,
) -> None:
    """Render clips, release them, train on them, and tell what the models can do beside what they must."""
    root = Path(folder)
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    print("Rendering clips: shapes that are only seen, sounds that are only heard ...", flush=True)
    made = make(root)
    whole = [learn(root, made, f"seed-{seed}", seed=seed) for seed in range(50, 50 + seeds)]
    blind = learn(root, made, "pictures-alone", groups=("tv",), steps=300)
    text, ok = told.page(whole, blind)
    for name, plot in told.curves(whole[0]).items():
        (root / name).write_text(plot, encoding="utf-8")
    (root / "proof.md").write_text(text, encoding="utf-8")
    print(f"\n{text}\nwrote {root / 'proof.md'}")
    sys.exit(0 if ok else 1)


if __name__ == "__main__":
    guarded(app)
