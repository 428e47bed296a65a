"""`pretrain` and `evaluate` as they are typed, on a small release."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from valor_data import chain
from valor_data.errors import UserError

TOML = """
name = "small"
device = "cpu"
out = "run"
[model]
contra_dim = 16
[model.vision]
resolution = 32
width = 32
layers = 2
heads = 2
[model.audio]
slice_frames = 64
width = 32
layers = 2
heads = 2
[model.text]
vocabulary = 80
width = 32
layers = 2
heads = 2
[data]
sources = [{{ release = "{release}" }}]
batch = 4
workers = 0
words = 12
[[validation]]
release = "{release}"
split = "train"
[optim]
steps = 4
validate_every = 4
save_every = 2
"""


def valor_data(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "valor_data", *words], cwd=cwd, capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def trained(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("typed")
    (folder / "small.toml").write_text(TOML.format(release=release))
    ran = valor_data("pretrain", "small.toml", "--json", cwd=folder)
    assert ran.returncode == 0, ran.stderr
    report = json.loads(ran.stdout)
    assert report["counts"] == {"steps": 4, "unreadable": 2, "truncated": report["counts"]["truncated"]}
    return folder


def test_a_checkpoint_is_scored(trained: Path, release: Path) -> None:
    ran = valor_data("evaluate", "run/best", str(release), "--split", "train", cwd=trained)
    assert ran.returncode == 0, ran.stderr
    for word in ("R@1", "median rank", "nDCG@10", "BLEU-4", "CIDEr", "95 %", "T-AV ", "A-T "):
        assert word in ran.stdout
    assert max(map(len, ran.stdout.splitlines()[1:])) <= 100  # the first one tells where the release lies
    assert "-v_02_10000_20000: not scored: unreadable: ItemError" in ran.stderr
    assert "missing                  2" in ran.stdout


def test_a_run_goes_on_and_its_words_stay(trained: Path) -> None:
    text = (trained / "small.toml").read_text()
    (trained / "small.toml").write_text(text.replace("steps = 4", "steps = 5"))
    report = chain.pretrain(str(trained / "small.toml"), progress=False)
    assert report.counts["steps"] == 5


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("contra_dim", "contra_dmi", r"unknown key 'model.contra_dmi'; did you mean 'contra_dim'"),
        ('split = "train"', 'split = "test"', "a model that was chosen on test has no test left"),
        ('out = "run"', 'out = "s3://bucket/run"', "key 'out': s3://bucket/run is an address"),
        ('out = "run"', 'out = "wrong.toml/run"', r"key 'out': .*wrong\.toml is a file; name a folder"),
        ("heads = 2", "heads = 3", "width 32 cannot be shared by 3 heads"),
        ('device = "cpu"', 'device = "cuda"', "torch sees no GPU"),
        ("[data]", '[data]\nvocabulary = "nowhere.txt"', "no vocabulary there"),
        ("[model.text]", '[model.text]\nweights = "nowhere"', "need the vocabulary that they were made with"),
        ('out = "run"', 'out = "other"\n[model.vision]\n', "not readable as TOML"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(
    release: Path, tmp_path: Path, old: str, new: str, told: str
) -> None:
    (tmp_path / "wrong.toml").write_text(TOML.format(release=release).replace(old, new))
    with pytest.raises(UserError, match=told) as caught:
        chain.pretrain(str(tmp_path / "wrong.toml"), progress=False)
    assert "\n" not in str(caught.value)


def test_a_release_or_checkpoint_that_is_none_is_told(trained: Path, release: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no checkpoint there"):
        chain.evaluate(str(tmp_path), str(release), "train")
    with pytest.raises(UserError, match=r"no release there|manifest"):
        chain.evaluate(str(trained / "run/best"), str(tmp_path / "none"), "train")
    with pytest.raises(UserError, match="no clip of this split is in a subset 'x'; it has: none"):
        chain.evaluate(str(trained / "run/best"), str(release), "train", "x")
