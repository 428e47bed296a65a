"""Splits of a release: by label, kept clear of benchmarks, and told apart by where clips come from."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from valor_data import chain, layout
from valor_data.chain import Options
from valor_data.errors import UserError
from valor_data.recipe import Recipe, parse
from valor_data.records import Media, SplitOf, Verdict
from valor_data.stages.listing import list_segments
from valor_data.stages.neighbours import before_splits, mark_subsets
from valor_data.stages.shard import draw
from valor_data.tables import Tables
from valor_data.workspace import Workspace

QUIET = Options(progress=False, engine="inline")


def listed(folder: Path, name: str, videos: list[str], split: str = "", start: int = 0) -> str:
    lines = [
        f"https://www.youtube.com/watch?v={video},{start},{start + 10},{video[:2]},{split}"
        for video in videos
    ]
    path = folder / name
    path.write_text("\n".join(["url,start,end,labels,split", *lines]) + "\n")
    return str(path)


def videos(label: str, count: int) -> list[str]:
    return [f"{label}{number:0>9}" for number in range(count)]


def recipe_of(*lists: str, **sections: Any) -> Recipe:
    raw = {"name": "x", "segments": {"lists": [{"path": path} for path in lists]}, **sections}
    return parse(raw, "x.toml")


def keep(workspace: Workspace) -> None:
    """All that is listed counts as fetched, kept and captioned."""
    recipe, tables = workspace.recipe, workspace.tables
    clips = tables.read("clips")["clip_id"].tolist()
    tables.append(
        Media(clip_id=clip, profile=recipe.profile, object_key=layout.object_key(recipe.profile, clip),
              sha256="0" * 64, bytes=1, duration_ms=10_000, video_codec="h264", width=2, height=2, fps=1.0,
              start_error_ms=0.0, made_by="x")
        for clip in clips
    )  # fmt: skip
    tables.append(
        Verdict(clip_id=clip, rules_digest=recipe.rules_digest, kept=True, made_by="x") for clip in clips
    )


def drawn(root: Path, recipe: Recipe) -> tuple[dict[str, str], dict[str, int], list[str]]:
    """video_id -> split, as saved; counts; warnings."""
    with Workspace.open(recipe, str(root), write=True) as workspace:
        list_segments(workspace)
        keep(workspace)
        before_splits(workspace)
        made = draw(workspace)
        saved = {
            layout.parse_clip_id(row.clip_id).video_id: row.split for row in workspace.tables.rows(SplitOf)
        }
    return saved, made.counts, made.warnings


def test_labels_are_spread_and_old_videos_stay(tmp_path: Path) -> None:
    split = {"stratify": True}
    first = listed(tmp_path, "a.csv", [*videos("AA", 200), *videos("BB", 5)])
    old, _, _ = drawn(tmp_path / "w", recipe_of(first, split=split))
    more = listed(tmp_path, "b.csv", [*videos("BB", 20)[5:], *videos("CC", 10)])
    new, counts, _ = drawn(tmp_path / "w", recipe_of(first, more, split=split))
    assert {video: new[video] for video in old} == old
    spread = Counter((video[:2], name) for video, name in new.items())
    assert [spread["AA", name] for name in ("train", "val", "test")] == [160, 20, 20]
    assert [spread["BB", name] for name in ("train", "val", "test")] == [16, 2, 2]
    assert [spread["CC", name] for name in ("train", "val", "test")] == [8, 1, 1]
    assert (counts["train"], counts["test/videos"]) == (184, 23)


def test_a_benchmark_is_kept_out_of_its_splits(tmp_path: Path) -> None:
    """What is drawn goes elsewhere; what a list puts there is left out, never moved."""
    ours, fixed = videos("AA", 40), videos("BB", 4)
    lists = (listed(tmp_path, "a.csv", ours), listed(tmp_path, "b.csv", fixed, "train"))
    bench = listed(tmp_path, "bench.csv", [*ours[:20], fixed[0]], start=100)
    guard = {"name": "bench", "path": bench, "not_in": ["train", "val"]}
    saved, counts, warnings = drawn(tmp_path / "w", recipe_of(*lists, benchmarks=[guard]))
    assert {saved[video] for video in ours[:20]} == {"test"}
    assert "train" in {saved[video] for video in ours[20:]}
    assert counts["train"] + counts["val"] + counts["test"] == 43
    assert len(warnings) == 1
    assert warnings[0].startswith("1 clips are left out: a benchmark holds their videos")
    free = {**guard, "not_in": []}
    _, counts, warnings = drawn(tmp_path / "v", recipe_of(*lists, benchmarks=[free]))
    assert (counts["train"] + counts["val"] + counts["test"], warnings) == (44, [])


def test_subsets_follow_their_lists(tmp_path: Path) -> None:
    ours = listed(tmp_path, "a.csv", videos("AA", 6))
    spans = listed(tmp_path, "spans.csv", videos("AA", 3))
    others = listed(tmp_path, "others.csv", videos("AA", 5), start=500)
    subsets = [
        {"name": "same-span", "path": spans},
        {"name": "other-span", "path": others},
        {"name": "same-video", "path": others, "match": "video"},
    ]
    _, counts, _ = drawn(
        tmp_path / "w", recipe_of(ours, split={"train": 1.0, "val": 0.0, "test": 0.0}, subsets=subsets)
    )
    assert (counts["train/same-span"], counts["train/same-video"]) == (3, 5)
    assert "train/other-span" not in counts
    sql = "select clip_id, subsets from catalog order by clip_id"
    found = Tables.open(str(tmp_path / "w")).sql(sql)["subsets"].to_pylist()
    assert found == [["same-span", "same-video"]] * 3 + [["same-video"]] * 2 + [[]]
    Path(spans).write_text(Path(others).read_text())  # the list changes
    with Workspace.open(recipe_of(ours, subsets=subsets[:1]), str(tmp_path / "w"), write=True) as workspace:
        assert mark_subsets(workspace) == []
    assert Tables.open(str(tmp_path / "w")).sql(sql)["subsets"].to_pylist() == [[]] * 6


def test_valor_32k_knows_which_test_clips_come_from_audioset_eval(real_data: Path, tmp_path: Path) -> None:
    meta = real_data / "meta"
    subsets = [
        {"name": "audioset-eval", "path": str(meta / "audioset" / "eval_segments.csv")},
        {"name": "audioset-balanced", "path": str(meta / "audioset" / "balanced_train_segments.csv")},
    ]
    recipe = recipe_of(str(meta / "valor32k" / "desc_test.json"), subsets=subsets)
    chain.catalog_build(recipe, QUIET._replace(workspace=str(tmp_path / "w")))
    sql = "select subset, count(*) as clips from (select unnest(subsets) as subset from catalog) group by 1"
    found = {row["subset"]: row["clips"] for row in chain.sql(sql, str(tmp_path / "w")).to_pylist()}
    assert found == {"audioset-eval": 1386, "audioset-balanced": 2105}


def test_two_subsets_of_one_name_are_refused(tmp_path: Path) -> None:
    twice = {"name": "x", "path": "a.csv"}
    with pytest.raises(UserError, match="two subsets are called 'x'"):
        recipe_of("a.csv", subsets=[twice, twice])


def test_nothing_kept_cannot_be_split(tmp_path: Path) -> None:
    recipe = recipe_of(listed(tmp_path, "a.csv", videos("AA", 1)))
    with pytest.raises(UserError, match="no clip is kept"):
        chain.catalog_split(recipe, QUIET._replace(workspace=str(tmp_path / "w")))
