"""A takedown, through the command's twin, on releases that hold real media."""

import hashlib
import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from valor_data import chain, layout
from valor_data.chain import Options
from valor_data.errors import UserError
from valor_data.manifest import Manifest
from valor_data.media.write import write_video
from valor_data.recipe import Recipe
from valor_data.records import (
    AudioMeasures,
    Caption,
    CaptionFault,
    Clip,
    Embedding,
    LabelTask,
    Media,
    Necessity,
    Neighbour,
    Origin,
    Outcome,
    Prints,
    Record,
    Report,
    Review,
    Segment,
    Status,
    Tombstone,
    Verdict,
    Video,
)
from valor_data.revocation import Revocations
from valor_data.shards import ReleaseReader
from valor_data.stages.release import verify
from valor_data.stages.shard import write_release
from valor_data.store import Store
from valor_data.tables import MergeCounts, Tables
from valor_data.workspace import Workspace

RECIPE = Recipe.model_validate(
    {"name": "tiny", "split": {"train": 1.0, "val": 0.0, "test": 0.0}, "shard": {"samples": 5}}
)
CLIPS = 30
OLD, NEW = "releases/tiny-0.1.0", "releases/tiny-0.1.1"
QUIET = Options(progress=False)


def clip_of(number: int) -> str:
    """Two clips a video."""
    return layout.clip_id(f"-v_{number // 2:08d}", number % 2 * 10_000, number % 2 * 10_000 + 10_000)


def secret_of(number: int) -> str:
    """What only this clip's texts say."""
    return f"secret{number:03d}word"


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    write_video(path, (np.full((16, 16, 3), grey, np.uint8) for grey in (0, 80, 160)), 10, None)
    return path.read_bytes()


def rows_of(number: int, sha256: str, size: int, rules: str) -> list[Record]:
    clip, secret = clip_of(number), secret_of(number)
    span = layout.parse_clip_id(clip)
    url = f"https://www.youtube.com/watch?v={span.video_id}"
    said = layout.caption_id(clip, "imported", "list", "")
    by: dict[str, Any] = {"clip_id": clip, "made_by": "x"}
    return [
        Clip(source="youtube", url=url, labels=(secret,), **span._asdict(), **by),
        Video(video_id=span.video_id, webpage_url=url, extractor="x", title="t", made_by="x"),
        Media(
            profile=RECIPE.profile, object_key=layout.object_key(RECIPE.profile, clip), sha256=sha256,
            bytes=size, duration_ms=300, video_codec="h264", width=16, height=16, fps=10.0,
            start_error_ms=0.0, av_skew_ms=None, **by,
        ),
        AudioMeasures(media_sha256=sha256, has_audio=False, **by),
        Prints(media_sha256=sha256, picture=b"\x11" + secret.encode(), **by),
        Verdict(rules_digest=RECIPE.rules_digest, kept=True, **by),
        Neighbour(kind="both", representative=clip_of(number // 2 * 2), size=2, **by),
        Caption(caption_id=said, text=f"A dog, {secret}.", author="list", origin=Origin.IMPORTED, **by),
        CaptionFault(caption_id=said, revision=1, faults=(secret,), made_by="x"),
        Review(caption_id=said, reviewer="p", decision="fix", text=f"A dog, {secret}!", made_by="x"),
        Outcome(stage=f"fetch/{RECIPE.profile}", status=Status.OK, message=secret, **by),
    ]  # fmt: skip


def fill(root: Path, film: bytes) -> None:
    """A workspace with a release of thirty clips in six shards, and copies of them wherever any may be."""
    with Workspace.open(RECIPE, str(root), write=True) as workspace:
        rows: dict[str, list[Record]] = {}
        for number in range(CLIPS):
            data = film + number.to_bytes(2, "big")
            workspace.store.put_bytes(layout.object_key(RECIPE.profile, clip_of(number)), data)
            for other in ("old-profile", "train-12345678"):
                key = layout.object_key(other, clip_of(number))
                workspace.store.put_bytes(key, secret_of(number).encode())
                workspace.store.put_bytes(key.replace(".mp4", ".flac"), secret_of(number).encode())
            for row in rows_of(number, hashlib.sha256(data).hexdigest(), len(data), RECIPE.rules_digest):
                rows.setdefault(row.table, []).append(row)
        for several in rows.values():
            half = len(several) // 2
            workspace.tables.append(several[:half])
            workspace.tables.append(several[half:])
        raw = [{"id": n, "data": {"clip_id": clip_of(n), "text": secret_of(n)}} for n in range(4)]
        workspace.store.put_bytes(layout.pull_key("run", 0), json.dumps(raw).encode())
        told = Report(command="fetch", warnings=(f"unknown fault: {clip_of(1)}: {secret_of(1)}", "other"))
        workspace.store.put_bytes(layout.run_key("run"), told.model_dump_json().encode())
        page = f"<p>{layout.official_id(clip_of(1))} {secret_of(1)}"
        workspace.store.put_bytes("runs/page.html", page.encode())
        workspace.tables.write_catalog(layout.CATALOG)
        write_release(workspace, progress=False)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, film: bytes) -> Path:
    root = tmp_path_factory.mktemp("filled") / "w"
    fill(root, film)
    return root


@pytest.fixture
def root(filled: Path, tmp_path: Path) -> Path:
    """The workspace, to change."""
    return copied(filled, tmp_path / "w")


def copied(source: Path, target: Path) -> Path:
    for path in source.rglob("*"):
        if path.is_file():
            copy = target / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    return target


def take_down(root: Path, *lines: str, **more: Any) -> Report:
    asked = root.parent / "ids.txt"
    asked.write_text("".join(f"{line}\n" for line in lines))
    options = QUIET._replace(workspace=str(root))
    return chain.retract(RECIPE, options, ids=str(asked), reason="owner", **more)


def manifest_of(root: Path, release: str) -> Manifest:
    return Manifest.parse((root / release / layout.MANIFEST).read_bytes())


def copies_of(root: Path, number: int) -> list[str]:
    """Files that still hold what only this clip says, whatever the form; Parquet taken apart."""
    secret, found = secret_of(number).encode(), []
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        data = path.read_bytes()
        if path.suffix in (".parquet", ".lock") and data.startswith(b"PAR1"):
            data = repr(pq.read_table(path).to_pylist()).encode()
        if secret in data:
            found.append(str(path.relative_to(root)))
    return found


def test_no_copy_is_left_and_only_touched_shards_are_written(root: Path) -> None:
    assert len(copies_of(root, 1)) > 12
    old = manifest_of(root, OLD)
    lines = (f"{layout.official_id(clip_of(1))}  # asked by mail", "", "# and", "video:-v_00000002")
    report = take_down(root, *lines, delete_old=True, requested="2026-11-20")
    assert report.ok
    assert report.warnings == ()
    gone = (1, 4, 5)
    assert [copies_of(root, n) for n in gone] == [[], [], []]
    assert all(copies_of(root, n) for n in range(CLIPS) if n not in gone)
    counts = report.counts
    assert (counts["asked"], counts["new"], counts["retracted"], counts["removed"]) == (3, 3, 3, 3)
    assert (counts["released"], counts["deleted"]) == (27, 1)
    assert counts["objects"] == 3 * 5
    assert counts["seconds_since_request"] > 3600
    assert not (root / OLD).exists()

    new = manifest_of(root, NEW)
    before = {entry.sha256 for entry in old.shards}
    same = [entry for entry in new.shards if entry.sha256 in before]
    assert len(same) == counts["linked"] == 6 - counts["rewritten"]
    assert 1 <= counts["rewritten"] <= 3
    assert (new.counts["clips"], new.counts["captions"], new.counts["retracted"]) == (27, 27, 3)
    assert new.revoked == layout.REVOKED
    result = verify(str(root / NEW))
    assert result.problems == []
    # The public side shows counts, and no id.
    published = b"".join(path.read_bytes() for path in (root / NEW).rglob("*") if path.is_file())
    assert not any(clip_of(n).encode() in published for n in gone)
    revoked = Revocations.parse((root / NEW / layout.REVOKED).read_bytes())
    assert [n for n in range(CLIPS) if revoked.holds(clip_of(n))] == list(gone)
    assert revoked.holds(f"-v_{2:08d}_77000_87000")
    tables = Tables.open(str(root))
    assert {row.value for row in tables.rows(Tombstone) if row.done_at_us} == {
        clip_of(1), clip_of(4), clip_of(5), "-v_00000002",
    }  # fmt: skip
    counted, reasons = tables.funnel(RECIPE.profile, RECIPE.rules_digest)
    assert (counted["listed"], counted["retracted"], reasons["fetch"]) == (27, 3, {"retracted": 3})
    assert {row.video_id for row in tables.rows(Video)} == {f"-v_{n:08d}" for n in range(15) if n != 2}


def test_a_release_without_media_loses_its_clips_too(root: Path) -> None:
    raw = RECIPE.model_dump() | {"release": {"version": "0.2.0"}, "shard": {"payload": "ids"}}
    with Workspace.open(Recipe.model_validate(raw), str(root), write=True) as workspace:
        write_release(workspace, progress=False)
    ids = "releases/tiny-0.2.0"
    assert clip_of(3) in pq.read_table(root / ids / layout.CATALOG)["clip_id"].to_pylist()
    report = take_down(root, clip_of(3), delete_old=True)
    assert (report.counts["released"], report.counts["deleted"]) == (29, 2)
    new = "releases/tiny-0.2.1"
    assert manifest_of(root, new).payload == "ids"
    assert clip_of(3) not in pq.read_table(root / new / layout.CATALOG)["clip_id"].to_pylist()
    assert verify(str(root / new)).problems == []
    assert copies_of(root, 3) == []


def test_what_a_model_made_of_a_clip_goes_too(root: Path) -> None:
    made: dict[str, Any] = {"made_by": "small@1"}
    with Workspace.open(RECIPE, str(root), write=True) as workspace:
        for number in (3, 4):
            by = {"clip_id": clip_of(number), **made}
            workspace.tables.append([Embedding(kind="av", model="small@1", vector=(1.0,), **by)])
            workspace.tables.append([Necessity(needs_audio=0.9, **by)])
    take_down(root, clip_of(3))
    tables = Tables.open(str(root))
    for record in (Embedding, Necessity):
        assert [row.clip_id for row in tables.rows(record)] == [clip_of(4)]


def test_the_version_before_is_marked_and_both_verify(root: Path) -> None:
    report = take_down(root, clip_of(3))
    assert report.counts["superseded"] == 1
    assert any("tiny-0.1.0 still holds" in told for told in report.warnings)
    assert (root / OLD / layout.REVOKED).read_bytes() == (root / NEW / layout.REVOKED).read_bytes()
    note = (root / OLD / layout.SUPERSEDED).read_text()
    assert "1 of its clips" in note
    assert "tiny 0.1.1" in note
    assert clip_of(3) not in note
    for release in (OLD, NEW):
        assert verify(str(root / release)).problems == []
    assert [told for told in verify(str(root / OLD)).notes if "Use tiny 0.1.1 instead" in told]
    assert verify(str(root / NEW)).notes == []
    # The old version still holds the clip, and nothing of ours hands it out.
    chain.catalog_export(str(root / OLD), "jsonl", str(root.parent / "old.jsonl"))
    told = (root.parent / "old.jsonl").read_text()
    assert clip_of(4) in told
    assert clip_of(3) not in told
    held = pq.read_table(root / OLD / layout.CATALOG).num_rows
    assert chain.stats(str(root / OLD)).clips == held - 1
    assert clip_of(3) not in [clip.key for clip in ReleaseReader(Store.open(str(root / OLD)))]
    # Linked, not written: the very files.
    shared = [
        path for path in (root / OLD).glob("train/*.tar") if path.samefile(root / NEW / "train" / path.name)
    ]
    assert len(shared) == 5
    # Again is nothing new; a second takedown follows the first, under the same key.
    assert take_down(root, clip_of(3)).counts["new"] == 0
    assert not (root / "releases/tiny-0.1.2").exists()
    assert take_down(root, clip_of(8)).outputs == ("releases/tiny-0.1.2/",)
    first, second = (
        Revocations.parse((root / at / layout.REVOKED).read_bytes()) for at in (OLD, "releases/tiny-0.1.2")
    )
    assert first == second
    assert len(second.clips) == 2
    for release in (OLD, NEW, "releases/tiny-0.1.2"):
        assert verify(str(root / release)).problems == []


def test_what_was_taken_down_never_comes_back(root: Path) -> None:
    take_down(root, clip_of(2), "video:-v_00000007")
    again = [2, 3, 14, 15]
    with Workspace.open(RECIPE, str(root), write=True) as workspace:
        tables = workspace.tables
        with tables.segment_staging() as staging:
            segments = []
            for number in again:
                span = layout.parse_clip_id(clip_of(number))
                url = layout.youtube_url(span.video_id)
                segments.append(
                    Segment(number, clip_of(number), "youtube", *span, url, captions=(("", "back"),))
                )
            fresh = "-v_00000007_90000_99000"
            segments.append(
                Segment(9, fresh, "youtube", *layout.parse_clip_id(fresh), layout.youtube_url("-v_00000007"))
            )
            staging.add(segments)
            merged = staging.merge("again.csv", "list", "en", None)
        assert merged == MergeCounts(rows=5, clips=1, duplicates=0, new_clips=0, captions=1)
        # Nor where a row of it were to come back all the same.
        for row in rows_of(2, "0" * 64, 1, RECIPE.rules_digest):
            if not isinstance(row, Outcome):
                tables.append([row])
        count, found = tables.unfetched(f"fetch/{RECIPE.profile}", ())
        assert (count, list(found)) == (0, [])
        released = [
            clip
            for batch in tables.releasable(RECIPE.profile, RECIPE.rules_digest, 1, 0, True)
            for clip in batch["clip_id"].to_pylist()
        ]
        assert len(released) == 27
        assert not {clip_of(n) for n in (2, 14, 15)} & set(released)
        assert clip_of(2) not in set(tables.sql("SELECT clip_id FROM catalog")["clip_id"].to_pylist())


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("nonsense", r"ids\.txt:3: 'nonsense' is no id: a line is a clip_id"),
        ("-v_00000099_0_10000", r"ids\.txt:3: .* is nowhere in"),
        ("video:-v_00000099", r"ids\.txt:3: .* is nowhere in"),
    ],
)
def test_a_line_that_names_nothing_stops_it_before_anything_is_written(
    root: Path, line: str, told: str
) -> None:
    with pytest.raises(UserError, match=told):
        take_down(root, clip_of(0), "# a remark", line)
    assert not list(Tables.open(str(root)).rows(Tombstone))
    assert not (root / layout.REVOKED).exists()


def test_odd_requests_are_told_in_one_line(root: Path) -> None:
    with pytest.raises(UserError, match="no id in it"):
        take_down(root, "# nothing")
    with pytest.raises(UserError, match="--requested tomorrow: give a day"):
        take_down(root, clip_of(0), requested="tomorrow")
    with pytest.raises(UserError, match="lies in the future"):
        take_down(root, clip_of(0), requested="2999-01-01")


def test_tasks_on_a_server_that_does_not_answer_are_told_and_kept_in_mind(root: Path) -> None:
    task = LabelTask(task_id="t", clip_id=clip_of(0), stage="caption", made_by="x")
    Tables.open(str(root)).append([task])
    report = take_down(root, clip_of(0))
    assert not report.ok
    assert "may stand on the annotation server" in report.warnings[-1]
    tables = Tables.open(str(root))
    assert [row.done_at_us for row in tables.rows(Tombstone)] == [0]
    assert [row.clip_id for row in tables.rows(LabelTask)] == [clip_of(0)]


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


def kill_at(monkeypatch: pytest.MonkeyPatch, write: int) -> Callable[[], int]:
    """Die right after the write of that number."""
    made = 0

    def deadly(real: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            nonlocal made
            result = real(*args, **kwargs)
            made += 1
            if made == write:
                raise Killed
            return result

        return run

    for name in ("replace", "rename", "unlink", "remove"):
        monkeypatch.setattr(os, name, deadly(getattr(os, name)))
    return lambda: made


def end_of(root: Path) -> dict[str, Any]:
    """All of a workspace that a takedown may change, without clocks."""
    store = Store.open(str(root))
    said = {key: store.get_bytes(key) for key in store.list("releases")}
    revoked = {key: Revocations.parse(said.pop(key)) for key in list(said) if key.endswith(layout.REVOKED)}
    held = [clip_of(n) for n in range(CLIPS)]
    tables = Tables.open(str(root))
    return {
        **said,
        **{key: [one.holds(clip) for clip in held] for key, one in revoked.items()},
        "objects": sorted(store.list("clips")),
        "raw": {key: store.get_bytes(key) for key in store.list("annotation")},
        "rows": {
            name: sorted(map(str, tables.read(name).drop(columns="made_at_us").to_dict("records")))
            for name in (
                "clips",
                "captions",
                "outcomes",
                "prints",
                "releases",
                "reviews",
                "videos",
                "neighbours",
            )
        },
        "done": sorted((row.value, row.done_at_us > 0) for row in tables.rows(Tombstone)),
    }


@pytest.mark.timeout(900)  # a run for every write
@pytest.mark.slow
@pytest.mark.parametrize("delete_old", [False, True])
def test_a_kill_anywhere_resumes_to_the_same_end(filled: Path, tmp_path: Path, delete_old: bool) -> None:
    asked = (clip_of(1), "video:-v_00000002")
    take_down(copied(filled, tmp_path / "whole" / "w"), *asked, delete_old=delete_old)
    wanted = end_of(tmp_path / "whole" / "w")
    for write in range(1 if delete_old else 6, 500, 11):
        root = copied(filled, tmp_path / str(write) / "w")
        with pytest.MonkeyPatch.context() as patch:
            made = kill_at(patch, write)
            with suppress(Killed):
                take_down(root, *asked, delete_old=delete_old)
        if made() < write:
            break
        take_down(root, *asked, delete_old=delete_old)
        assert end_of(root) == wanted, write
    assert write > 50
