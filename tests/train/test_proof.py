"""It learns what no sense alone tells, from few clips of the grammar; and eight clips by heart, real ones."""

import csv
import json
import shutil
from pathlib import Path

import pytest
import torch

from valor_data import chain, recipe
from valor_data.demo import proof, told
from valor_data.shards import ReleaseReader
from valor_data.store import Store
from valor_data.train import checkpoint, config, evaluate, retrieval, use
from valor_data.train.words import clean

torch.set_num_threads(1)

RECIPE = """
name = "heart"
workspace = "workspace"
[[segments.lists]]
path = "list.csv"
[[mirrors]]
kind = "folder"
at = "clips"
holds = "videos"
[measure]
also = []
[[rules]]
metric = "has_audio"
equals = true
reason = "no_audio"
[split]
train = 1.0
val = 0.0
test = 0.0
[shard]
payload = "train"
[derive]
short_side = 64
"""


@pytest.mark.timeout(900)  # a minute and a half of CPU, which a busy machine may take its time to give
@pytest.mark.slow
def test_it_learns_what_no_sense_alone_tells(tmp_path: Path) -> None:
    """`make pretrain-proof` in short: an eighth of the clips, a fifth of the steps.

    Bars stand where luck does not reach. Who uses one sense finds 8 of 64, and 24 or more with a probability
    of 3e-7; who guesses has 10 of 64 within ten places, and 30 or more with 4e-9.
    """
    made = proof.make(tmp_path, 3)
    both = proof.learn(tmp_path, made, "both", steps=160)
    hits = both.judged.hits
    assert hits["T-AV"].at[1] >= 24
    for one_sense in ("T-V", "T-A", "T-AV, sound removed"):
        assert hits[one_sense].at[1] <= told.CEILING
        assert hits[one_sense].at[10] >= 30  # it knows its part
    assert both.judged.flips_auc >= 0.9
    assert "<svg" in told.curves(both)["proof-mga.svg"]
    text, ok = told.page([both], both)
    assert not ok
    assert f"| seed 50 | T-AV | {hits['T-AV'].at[1]} of 64" in text
    assert "captions name both" in text.splitlines()[-1]  # it says what does not hold


@pytest.mark.slow
def test_eight_real_clips_by_heart(tmp_path: Path, real_data: Path) -> None:
    """Two seconds of each: six with their captions of VALOR-32K, two with what the list of clips says."""
    (tmp_path / "clips").mkdir()
    lines = (real_data / "valor_pairs.jsonl").read_text(encoding="utf-8").splitlines()
    films = {row["file"]: row["desc"] for row in map(json.loads, lines)}
    with (real_data / "manifest.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if len(films) < 8 and row["shows"] and row["file"].startswith("clips_av/"):
                films.setdefault(row["file"], row["shows"])
    assert len(films) == 8
    with (tmp_path / "list.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("video_id", "url", "start", "end", "caption"))
        for number, (name, text) in enumerate(films.items()):
            shutil.copyfile(real_data / name, tmp_path / "clips" / f"real-{number}.mp4")
            writer.writerow((f"real-{number}", f"https://real.invalid/{number}.mp4", 2, 4, text))
    by_heart(tmp_path)


def by_heart(root: Path) -> None:
    """Release the clips, train on all of them, and ask for each of them."""
    (root / "heart.toml").write_text(RECIPE, encoding="utf-8")
    made_by = recipe.load(str(root / "heart.toml"))
    options = chain.Options(workspace=str(root / "workspace"), engine="inline", progress=False)
    for step in (chain.fetch, chain.filter, chain.shard):
        report = step(made_by, options)
        assert report.ok, report.warnings
    assert report.counts["train"] == 8
    release = str(root / "workspace" / report.outputs[-1])
    tower = {"width": 64, "layers": 2, "heads": 2}
    deaf = {**tower, "dropout": 0.0}
    asked = config.Pretrain.model_validate(
        {
            "name": "heart",
            "out": str(root / "run"),
            "device": "cpu",
            "model": {
                "vision": {"resolution": 64, **tower},
                "audio": {"slice_frames": 192, **deaf},
                "text": {"vocabulary": 400, **deaf},
                "contra_dim": 32,
            },
            "data": {"sources": [{"release": release}], "frames": 1, "batch": 8, "workers": 0},
            "optim": {"steps": 200, "rate": 2e-3, "alpha": 0.3},
        }
    )
    done = use.pretrain(asked, progress=False)
    newest = checkpoint.newest(done.run)
    assert newest is not None
    opened = use.open_checkpoint(str(newest), "cpu")
    reader = ReleaseReader(Store.open(release), "train")
    encoded, written = evaluate.encode_split(*opened, reader, captions=True, only=None, progress=False)
    scores = retrieval.all_scores(opened.model, encoded.texts, encoded.clips["tva"])
    assert retrieval.ranks(scores, encoded.clip_of_Q).clips_Q.tolist() == [1] * 8
    right = [
        written[clip] == clean(text) for clip, text in zip(encoded.clip_ids, encoded.captions, strict=True)
    ]
    assert sum(right) >= 7, written
