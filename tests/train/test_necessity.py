"""What captions need of their clips: asked of models whose answers are known, typed as a user does."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch

from tests.train import processes
from tests.train.conftest import config
from tests.train.test_use import TOML, valor_data
from valor_data import chain
from valor_data.errors import UserError
from valor_data.records import Necessity
from valor_data.shards import ReleaseReader
from valor_data.store import Store
from valor_data.tables import Tables
from valor_data.train import checkpoint, necessity, use
from valor_data.train.model import Compared
from valor_data.train.necessity import Needs, Taken
from valor_data.train.use import Opened
from valor_data.train.words import Words

WORDS = ["dog", "cat", "bell", "horn"]
CLIPS = [("dog", "bell"), ("dog", "horn"), ("cat", "bell"), ("cat", "horn")]


def one_hot(words: list[str | None], weight: float = 1.0) -> Compared:
    """A token a clip that looks like its word; None: like no word."""
    features = torch.zeros(len(words), 1, 16)
    for row, word in enumerate(words):
        features[row, 0, 15 if word is None else WORDS.index(word)] = 1.0
    return Compared(
        features, torch.ones(len(words), 1, dtype=torch.bool), torch.full((len(words), 1), weight)
    )


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Opened:
    """A model that puts each word where its picture or sound is."""

    def texts(_: Opened, captions: list[str]) -> Compared:
        rows = [one_hot(list(caption.split())) for caption in captions]
        return Compared(*(torch.cat([part.transpose(0, 1) for part in parts])
                          for parts in zip(*rows, strict=True)))  # fmt: skip

    monkeypatch.setattr(necessity, "texts", texts)
    return Opened(processes.model(), config(tmp_path, tmp_path), Words.of(WORDS, 60))


def taken(captions: list[str], audio: Compared | None = None) -> Taken:
    video = one_hot([picture for picture, _ in CLIPS])
    audio = audio or one_hot([sound for _, sound in CLIPS])
    nothing = one_hot([None] * 4)
    names = [f"clip-{number}" for number in range(4)]
    return Taken(names, [(text,) for text in captions], video, audio, nothing, nothing, (audio,) * 3, {})


def test_a_caption_needs_what_it_tells_of(known: Opened) -> None:
    both = necessity.needs_of(known, taken([" ".join(pair) for pair in CLIPS]))
    # Of three other clips and silence, two of another sound and silence lose; the same sound is no worse.
    assert both == [Needs(f"clip-{n}", 3.5 / 4, 3.5 / 4, 0.5) for n in range(4)]
    seen_only = necessity.needs_of(known, taken([picture for picture, _ in CLIPS]))
    assert [one.video for one in seen_only] == [3.5 / 4] * 4
    assert [one.audio for one in seen_only] == [0.5] * 4


def test_a_clip_without_sound_needs_none_and_lends_none(known: Opened) -> None:
    audio = one_hot([sound for _, sound in CLIPS])
    audio.mask_BN[1] = False
    found = necessity.needs_of(known, taken([" ".join(pair) for pair in CLIPS], audio))
    assert (found[1].audio, found[1].timing) == (None, None)
    assert found[1].video is not None
    assert found[0].audio == (0.5 + 1 + 1) / 3  # clip 2 sounds the same, clip 3 and silence do not


def test_spoilt_clips_of_a_release(release: Path, tmp_path: Path) -> None:
    """Black and mute differ from the clip, a shift keeps what is there; broken clips are named."""
    made = config(release, tmp_path / "run", steps=1)
    use.pretrain(made, progress=False)
    newest = checkpoint.newest(tmp_path / "run")
    assert newest is not None
    opened = use.open_checkpoint(str(newest), "cpu")
    found = necessity.take(opened, ReleaseReader(Store.open(str(release)), "train"), progress=False)
    assert set(found.faults) == {"-v_02_10000_20000", "-v_05_10000_20000"}
    heard = found.audio.mask_BN.any(1)
    assert 0 < int((~heard).sum()) < len(heard)
    for side in (found.muted, *found.shifted):
        assert torch.equal(side.mask_BN, found.audio.mask_BN)
        assert not torch.allclose(side.features_BNC[heard], found.audio.features_BNC[heard])
    silence = found.muted.features_BNC[heard]
    assert torch.allclose(silence, silence[:1].expand_as(silence), atol=1e-5)  # one silence is as another
    assert torch.allclose(
        found.blank.features_BNC, found.blank.features_BNC[:1].expand_as(found.blank.features_BNC)
    )


def test_as_it_is_typed(release: Path, tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(TOML.format(release=release))
    assert valor_data("pretrain", "small.toml", cwd=tmp_path).returncode == 0
    workspace = release.parents[1]
    typed = ("evaluate", "run/best", str(release), "--split", "train", "--necessity", "--workspace",
             str(workspace), "--json")  # fmt: skip
    ran = valor_data(*typed, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    report = json.loads(ran.stdout)
    assert report["outputs"] == ["necessity.parquet"]
    assert any(line.startswith("needs_audio") for line in report["plan"])
    rows = pq.read_table(tmp_path / "necessity.parquet").to_pylist()
    assert len(rows) == report["counts"]["clips"] == report["counts"]["kept_in_tables"]
    kept = {row.clip_id: row for row in Tables.open(str(workspace)).rows(Necessity)}
    assert {row["clip_id"]: row["needs_audio"] for row in rows} == {
        clip: row.needs_audio for clip, row in kept.items()
    }
    assert None in {row["needs_audio"] for row in rows}  # a clip of it has no sound
    assert all(row["made_by"].startswith("small@") for row in rows)
    asked = str(tmp_path / "run/best"), str(release), "train"
    with pytest.raises(UserError, match=r"--out: it is for what --necessity finds"):
        chain.evaluate(*asked, out="x.parquet", progress=False)  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"--out x\.csv: end the name in \.parquet"):
        chain.evaluate(*asked, necessity=True, out="x.csv", progress=False)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="no workspace there"):
        chain.evaluate(*asked, necessity=True, out=str(tmp_path / "x.parquet"), workspace=str(tmp_path),
                       progress=False)  # type: ignore[arg-type]  # fmt: skip
