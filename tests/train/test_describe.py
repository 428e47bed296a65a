"""`caption` and `embed`: files and releases given back, a workspace's clips into its tables."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import torch.nn.functional as F

from tests.doors.test_release import PREFIX, clip_id, opened, recipe
from tests.train.conftest import config
from tests.train.test_use import valor_data
from valor_data import chain, layout
from valor_data.chain import Options
from valor_data.errors import UserError
from valor_data.recipe import Recipe
from valor_data.records import Caption, Embedding, Media, OptOut, Origin, Tombstone
from valor_data.revocation import Revocations
from valor_data.shards import ReleaseReader
from valor_data.stages.annotate.asking import caption_tasks
from valor_data.stages.annotate.standing import known, shown_clips
from valor_data.store import Store
from valor_data.tables import Tables
from valor_data.train import checkpoint, describe, losses, use
from valor_data.train.describe import Placed, Said, Unread
from valor_data.train.generate import Written
from valor_data.train.looking import workers_for
from valor_data.train.masking import Vocabulary
from valor_data.train.model import Compared, Seen

QUIET = Options(progress=False)
BROKEN = (clip_id(2, 1), clip_id(5, 1))
SILENT = clip_id(0, 0)
TOML = """
name = "tiny"
workspace = "w"
[split]
train = 1.0
val = 0.0
test = 0.0
"""


@pytest.fixture(scope="module")
def model(release: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A checkpoint that has learned enough to say something."""
    run = use.pretrain(
        config(release, tmp_path_factory.mktemp("run"), steps=120, rate=3e-3), progress=False
    ).run
    newest = checkpoint.newest(run)
    assert newest is not None
    return str(newest)


@pytest.fixture(scope="module")
def other(release: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Another one of the same name, with a narrower common space."""
    small = config(release, tmp_path_factory.mktemp("other"), steps=1)
    narrow = small.model_copy(update={"model": small.model.model_copy(update={"contra_dim": 8})})
    newest = checkpoint.newest(use.pretrain(narrow, progress=False).run)
    assert newest is not None
    return str(newest)


@pytest.fixture
def place(release: Path, tmp_path: Path) -> Path:
    """A folder with a copy of the release's workspace, `w`, and its recipe."""
    shutil.copytree(release.parents[1], tmp_path / "w")
    (tmp_path / "tiny.toml").write_text(TOML)
    return tmp_path


@pytest.fixture(scope="module")
def films(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips of the release as files of one's own."""
    folder = tmp_path_factory.mktemp("own")
    with ReleaseReader(Store.open(str(release))) as reader:
        for clip in (SILENT, clip_id(0, 1), BROKEN[0]):
            (folder / f"{clip}.mp4").write_bytes(reader.by_id(clip).members["mp4"])
    (folder / "notes.txt").write_text("buy milk\n")
    return folder


def embeddings(place: Path) -> dict[tuple[str, str, str], Embedding]:
    rows = Tables.open(str(place / "w")).rows(Embedding)
    return {(row.model, row.clip_id, row.kind): row for row in rows}


def parts(place: Path, table: str) -> list[str]:
    return sorted(path.name for path in (place / "w/tables" / table).glob("*.parquet"))


def by_name(rows: Iterator[Any]) -> dict[str, Any]:
    return {row.name: row for row in rows}


def test_a_vector_is_the_weighted_mean_of_the_tokens_that_stand() -> None:
    features = F.normalize(torch.tensor([[[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]]), dim=-1)
    compared = Compared(
        features, torch.tensor([[True, True, False]]), torch.tensor([[0.0, np.log(3.0), 9.0]])
    )
    expected = F.normalize(torch.tensor([[0.25, 0.75]]), dim=-1)
    torch.testing.assert_close(describe.vectors(compared), expected)
    nothing = compared._replace(mask_BN=torch.zeros(1, 3, dtype=torch.bool))
    assert describe.vectors(nothing).tolist() == [[0.0, 0.0]]
    with pytest.raises(UserError, match="is no number; take an earlier one"):
        describe.vectors(compared._replace(features_BNC=features * torch.inf))


def test_no_more_processes_than_lots_decode() -> None:
    assert [workers_for(many, 9) for many in (16, 17, 10_000)] == [0, 2, 9]


def test_the_order_by_vectors_follows_that_by_scores() -> None:
    """Tokens that scatter about what their text or clip is about, with pads that hold anything."""
    generator = torch.Generator().manual_seed(0)
    topics = F.normalize(torch.randn(60, 32, generator=generator), dim=-1)

    def side(tokens: int) -> Compared:
        noise = torch.randn(60, tokens, 32, generator=generator) * 0.25
        mask = torch.arange(tokens) < torch.randint(2, tokens + 1, (60, 1), generator=generator)
        features = F.normalize(topics[:, None] + noise + 5 * ~mask[..., None], dim=-1)
        return Compared(features, mask, torch.randn(60, tokens, generator=generator))

    texts, clips = side(9), side(4)
    exact = losses.mga_scores(*[part for pair in zip(texts, clips, strict=True) for part in pair])
    fast = describe.vectors(texts) @ describe.vectors(clips).T
    ranked = [scores.argsort(1).argsort(1).double() for scores in (exact, fast)]
    alike = np.mean([np.corrcoef(one, two)[0, 1] for one, two in zip(*ranked, strict=True)])
    assert alike > 0.75
    assert (exact.argmax(1) == fast.argmax(1)).float().mean() > 0.85


def test_a_file_says_what_its_clip_in_a_release_says(model: str, release: Path, films: Path) -> None:
    own = [str(films / f"{clip}.mp4") for clip in (SILENT, clip_id(0, 1))]
    of_files = by_name(chain.caption(model, own, QUIET))
    of_release = by_name(chain.caption(model, [str(release)], QUIET))
    placed = by_name(chain.embed(model, own, QUIET, texts=["second"]))
    in_release = by_name(chain.embed(model, [str(release)], QUIET, split="train"))
    assert len(of_release) == len(in_release) == 13
    for path, senses in zip(own, ("v", "av"), strict=True):
        clip = Path(path).stem
        assert of_files[path] == Said(path, of_release[clip].text, senses)
        assert of_files[path].text
        assert {*placed[path].vectors, "t"} == in_release[clip].vectors.keys()
        assert set(placed[path].vectors) == ({"v"} if senses == "v" else {"v", "a", "av"})
        for kind, vector in placed[path].vectors.items():
            assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
            np.testing.assert_allclose(vector, in_release[clip].vectors[kind], atol=1e-5)
    assert placed["second"].vectors["t"].shape == (16,)
    for clip in BROKEN:
        assert isinstance(of_release[clip], Unread)
        assert isinstance(in_release[clip], Unread)
        assert "Invalid data" in in_release[clip].why


def test_each_clip_gets_its_own_words(
    model: str, release: Path, films: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clips of both senses and of one are told apart again, in their order, whatever is said of them."""
    said: list[tuple[str, int]] = []

    def by_looks(_: Any, seen: Seen, vocabulary: Vocabulary, group: str) -> list[Written]:
        assert seen.video_BND is not None
        looks_B = (seen.video_BND.abs().sum((1, 2)) * 2).round().long() % 60
        numbers = (vocabulary.ordinary + looks_B).tolist()
        said.append((group, len(numbers)))
        return [Written([number], 0.0) for number in numbers]

    monkeypatch.setattr(describe, "generate", by_looks)
    rows = [row for row in chain.caption(model, [str(release)], QUIET) if isinstance(row, Said)]
    with ReleaseReader(Store.open(str(release))) as reader:
        assert [row.name for row in rows] == [one.key for one in reader if one.key not in BROKEN]
    assert said == [("tva", 8), ("tv", 3)]
    together = {row.name: row.text for row in rows}
    assert len(set(together.values())) > 1
    for clip in (SILENT, clip_id(0, 1)):
        (alone,) = chain.caption(model, [str(films / f"{clip}.mp4")], QUIET)
        assert isinstance(alone, Said)
        assert alone.text == together[clip]


@pytest.mark.slow
def test_typed_for_files_and_texts(model: str, films: Path, release: Path, tmp_path: Path) -> None:
    film, notes = f"./{clip_id(0, 1)}.mp4", "notes.txt"
    ran = valor_data("caption", model, film, notes, cwd=films)
    name, text = ran.stdout.rstrip("\n").split("\t")
    assert (name, bool(text), ran.returncode) == (film, True, 1)
    assert ran.stderr.startswith("problem: notes.txt: not readable as picture and sound")
    ran = valor_data("embed", model, film, "--text", "second " * 40, "--json", cwd=films)
    rows = json.loads(ran.stdout)
    assert [(row["kind"], len(row["vector"])) for row in rows] == [
        (kind, 16) for kind in ("v", "a", "av", "t")
    ]
    assert "its end is lost" in ran.stderr
    assert ran.returncode == 0
    ran = valor_data("embed", model, str(release), "--out", str(tmp_path / "all.parquet"), cwd=films)
    assert ran.returncode == 0, ran.stderr
    table = pq.read_table(tmp_path / "all.parquet").to_pylist()
    assert len(table) == 4 * (13 - len(BROKEN)) - 2 * 3  # three clips have no sound
    np.testing.assert_allclose(
        next(row["vector"] for row in table if (row["name"], row["kind"]) == (clip_id(0, 1), "av")),
        next(row["vector"] for row in rows if row["kind"] == "av"),
        atol=1e-5,
    )
    assert [path.name for path in tmp_path.iterdir()] == ["all.parquet"]
    ran = valor_data("embed", model, film, "notes.txt", "--out", str(tmp_path / "two.parquet"), cwd=films)
    assert ran.returncode == 1
    assert "problem: notes.txt" in ran.stderr


def test_embedded_clips_are_ranked_by_catalog_similar(model: str, other: str, place: Path) -> None:
    """From a checkpoint to neighbours, as it is typed; and again, with nothing left to do."""
    ran = valor_data("embed", model, "tiny.toml", "--json", cwd=place)
    assert ran.returncode == 0, ran.stderr
    counts = json.loads(ran.stdout)["counts"]
    assert (counts["clips"], counts["new"], counts["unreadable"], counts["texts"]) == (13, 11, 2, 14)
    found = chain.similar(clip_id(0, 1), str(place / "w"), 3).to_pylist()
    name = describe.open_model(model).identity
    assert {one["by"] for one in found} == {f"{kind} {name}" for kind in ("v", "a", "av", "t")}
    nearest = next(one for one in found if one["by"] == f"av {name}")
    assert (nearest["clip_id"], nearest["cosine"]) == (clip_id(3, 1), 1.0)  # the same film again
    vectors = {clip: row for (_, clip, kind), row in embeddings(place).items() if kind == "av"}
    mine = np.array(vectors[clip_id(0, 1)].vector)
    by_hand = sorted((c for c in vectors if c != clip_id(0, 1)), key=lambda c: -(mine @ vectors[c].vector))
    ranked = [one["cosine"] for one in found if one["by"] == f"av {name}"]
    assert ranked == pytest.approx([mine @ vectors[c].vector for c in by_hand[:3]], abs=1e-4)

    before = parts(place, "embeddings")
    again = chain.embed_clips(model, [str(place / "tiny.toml")], QUIET)
    assert (again.counts["new"], again.counts["there"], again.counts["texts"]) == (0, 11, 0)
    assert parts(place, "embeddings") == before
    beside = chain.embed_clips(other, [str(place / "tiny.toml")], QUIET)
    assert beside.counts["new"] == 11
    assert any(f"embeddings of {name} (16 wide, 14 clips) are there too" in one for one in beside.warnings)
    widths = {(row.model == name, len(row.vector)) for row in embeddings(place).values()}
    assert widths == {(True, 16), (False, 8)}
    assert chain.similar(clip_id(0, 1), str(place / "w"), 3).num_rows == 2 * len(found)


def test_captions_become_drafts_and_are_never_released(model: str, other: str, place: Path) -> None:
    ran = valor_data("caption", model, "tiny.toml", cwd=place)
    assert ran.returncode == 0, ran.stderr
    assert 'annotate.drafts = "model:small"' in ran.stdout
    with_drafts = recipe(
        split={"train": 1.0, "val": 0.0, "test": 0.0},
        annotate={
            "drafts": "model:small",
            "captioned_too": True,
            "undrafted_share": 0.0,
            "planted_share": 0.0,
        },
    )
    root = str(place / "w")
    rows = {row.clip_id: row for row in Tables.open(root).rows(Caption, origin=Origin.MODEL)}
    assert len(rows) == 11
    assert rows[SILENT].modalities_seen == "v"
    assert rows[clip_id(0, 1)].modalities_seen == "av"
    with opened(root, with_drafts) as workspace:
        shown = {one.clip.clip_id: one.clip for one in shown_clips(workspace)}
        assert {clip: one.draft for clip, one in shown.items() if one.draft} == {
            clip: row.text for clip, row in rows.items()
        }
        asked = [
            task
            for clip in shown.values()
            for task in caption_tasks(with_drafts, clip, known(workspace))
            if task.stage == "draft"
        ]
        assert {task.clip_id: task.draft for task in asked} == {clip: row.text for clip, row in rows.items()}
        kept = workspace.tables.releasable(
            with_drafts.profile, with_drafts.rules_digest, 0, 9, require_caption=False
        )
        origins = {one["origin"] for batch in kept for said in batch["captions"].to_pylist() for one in said}
    assert origins == {"imported"}

    again = chain.caption_clips(model, [str(place / "tiny.toml")], QUIET)
    assert (again.counts["new"], again.counts["there"]) == (0, 11)
    assert chain.caption_clips(other, [str(place / "tiny.toml")], QUIET).counts["new"] == 11
    edited = {row.clip_id: row for row in Tables.open(root).rows(Caption, origin=Origin.MODEL)}
    assert {row.revision for row in edited.values()} == {2}
    assert {row.caption_id for row in edited.values()} == {row.caption_id for row in rows.values()}
    assert chain.caption_clips(model, [str(place / "tiny.toml")], QUIET).counts["new"] == 11  # its turn again


def test_a_run_that_was_cut_short_goes_on(model: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = describe.embeddings

    def cut(*given: Any) -> Iterator[Placed | Unread]:
        for number, row in enumerate(whole(*given)):
            if number == 7:
                raise KeyboardInterrupt
            yield row

    monkeypatch.setattr(describe, "embeddings", cut)
    with pytest.raises(KeyboardInterrupt):
        chain.embed_clips(model, [str(place / "tiny.toml")], QUIET)
    kept = {clip for _, clip, _ in embeddings(place)}
    assert 4 < len(kept) < 8
    monkeypatch.undo()
    report = chain.embed_clips(model, [str(place / "tiny.toml")], QUIET)
    assert (report.counts["there"], report.counts["new"]) == (len(kept), 11 - len(kept))
    kinds = [kind for _, _, kind in embeddings(place)]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {"v": 11, "av": 8, "a": 8, "t": 14}


def test_only_what_is_known_and_may_be_shown_gets_rows(model: str, place: Path, films: Path) -> None:
    """Clips of a release and of files, of which some are unknown here, taken down or opted out."""
    root, release = str(place / "w"), place / "w" / PREFIX
    revoked = Revocations.fresh().add(clips=[clip_id(4, 0)])
    (release / layout.REVOKED).write_bytes(revoked.render())
    tables = Tables.open(root)
    tables.append([OptOut(scope="video", value="-v_03", made_by="x")])
    tables.append([Tombstone(scope="clip", value=clip_id(4, 1), reason="x", requested_at_us=1, made_by="x")])
    into = QUIET._replace(workspace=root)
    report = chain.embed_clips(model, [str(release)], into)
    counts = report.counts
    assert (counts["revoked"], counts["clips"], counts["barred"], counts["unreadable"]) == (1, 12, 3, 2)
    assert counts["new"] == 12 - 3 - 2
    clips = {clip for _, clip, kind in embeddings(place) if kind != "t"}
    assert clips.isdisjoint({clip_id(3, 0), clip_id(3, 1), clip_id(4, 0), clip_id(4, 1), *BROKEN})
    told = [row for row in chain.caption(model, [str(release)], QUIET) if row.name == str(release)]
    assert "1 of its clips were taken down" in told[0].why

    stranger = films / "stranger.mp4"
    shutil.copy(films / f"{SILENT}.mp4", stranger)
    official = films / f"{layout.official_id(SILENT)}.mp4"
    shutil.copy(stranger, official)
    report = chain.caption_clips(model, [str(stranger), str(official)], into)
    assert (report.counts["unknown"], report.counts["new"]) == (1, 1)
    assert [row.clip_id for row in tables.rows(Caption, origin=Origin.MODEL)] == [SILENT]


def test_new_bytes_and_new_captions_are_embedded_again(model: str, place: Path) -> None:
    toml = [str(place / "tiny.toml")]
    chain.embed_clips(model, toml, QUIET)
    before = {key[1:]: row.vector for key, row in embeddings(place).items()}
    clip, twin = clip_id(0, 1), clip_id(1, 0)
    with opened(place / "w", Recipe.model_validate({"name": "tiny"})) as workspace:
        media = {row.clip_id: row for row in workspace.tables.rows(Media)}
        store = workspace.store
        store.put_bytes(media[clip].object_key, store.get_bytes(media[twin].object_key))
        workspace.tables.append([media[clip].model_copy(update={"sha256": media[twin].sha256})])
        first = min(workspace.tables.rows(Caption, clip_id=twin), key=lambda row: row.caption_id)
        workspace.tables.append([first.model_copy(update={"text": "a square hums", "revision": 2})])
    report = chain.embed_clips(model, toml, QUIET)
    assert (report.counts["new"], report.counts["texts"]) == (1, 1)
    after = {key[1:]: row.vector for key, row in embeddings(place).items()}
    assert {key for key in after if after[key] != before[key]} == {
        (clip, "v"), (clip, "a"), (clip, "av"), (twin, "t"),
    }  # fmt: skip
    np.testing.assert_allclose(after[clip, "av"], after[twin, "av"], atol=1e-5)


@pytest.mark.parametrize(
    ("what", "extra", "told"),
    [
        ([""], {}, "'': no such file; give a video"),
        (["/dev/null"], {}, "/dev/null: neither file nor folder; give a video"),
        (["nowhere.mp4"], {}, "nowhere.mp4: no such file"),
        (["w"], {}, "w: a workspace; give its recipe"),
        (["."], {}, r"\.: a folder, and no release; name the files in it"),
        ([f"w/{PREFIX}"], {"split": "val"}, "no clip in its split 'val'"),
        (["clip.mp4"], {"split": "val"}, "--split: only a release has splits"),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_decoded(
    model: str,
    place: Path,
    films: Path,
    monkeypatch: pytest.MonkeyPatch,
    what: list[str],
    extra: Any,
    told: str,
) -> None:
    monkeypatch.chdir(place)
    shutil.copy(films / f"{SILENT}.mp4", "clip.mp4")
    for make in (chain.caption, chain.embed):
        with pytest.raises(UserError, match=told) as caught:
            make(model, what, QUIET, **extra)
        assert "\n" not in str(caught.value)


def test_what_goes_into_no_workspace_is_told(
    model: str, place: Path, films: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    shutil.copy(films / f"{SILENT}.mp4", "clip.mp4")
    for make in (chain.caption_clips, chain.embed_clips):
        with pytest.raises(UserError, match="a recipe stands for all its clips; give it alone"):
            make(model, ["tiny.toml", "clip.mp4"], QUIET)
        with pytest.raises(UserError, match=r"nowhere: no workspace there"):
            make(model, ["tiny.toml"], QUIET._replace(workspace="nowhere"))
        with pytest.raises(UserError, match=r"none of the 1 clips of clip.mp4 is in this workspace"):
            make(model, ["clip.mp4"], QUIET._replace(workspace="w"))
        with pytest.raises(UserError, match=r"tiny.toml: no checkpoint there"):
            make("tiny.toml", [model], QUIET)
        with pytest.raises(UserError, match=r"a run; give one of its checkpoints, such as .*step-"):
            make(str(Path(model).parents[1]), ["tiny.toml"], QUIET)
    assert not Path("nowhere").exists()
    with pytest.raises(UserError, match=r"--text '\?!': no word in it"):
        chain.embed(model, [], QUIET, texts=["?!"])
    ran = valor_data("embed", model, "tiny.toml", "--text", "dog", cwd=place)
    assert (ran.returncode, ran.stderr.count("\n")) == (2, 1)
    ran = valor_data("embed", model, cwd=place)
    assert "nothing to embed" in ran.stderr
