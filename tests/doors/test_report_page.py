"""The report: what it shows and what it never does; that it stands alone and can be read by everybody."""

import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import footage, rows
from valor_data import chain, layout, recipe
from valor_data.chain import Options
from valor_data.recipe import Recipe
from valor_data.records import Answer, OptOut, Quarantine, Record, Release, Tombstone, Verdict
from valor_data.store import Store
from valor_data.tables import Tables

CLIPS = 12
NASTY = '\x00</p><script>alert("x")</script> & \u202e\u05e9\u05dc\u05d5\u05dd ' + "long " * 200_000
LOUD = {"metric": "loudness_lufs", "min": -55.0, "reason": "inaudible"}
OUTCAST = {"retracted": 8, "opted_out": 4, "wished": 6, "quarantined": 10}
"""Clips that nobody may see, by why; each is the first one of its video."""


class Page(HTMLParser):
    """What a page is made of."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def all(self, *tags: str) -> list[dict[str, str | None]]:
        return [attrs for tag, attrs in self.tags if tag in tags]


def made(folder: Path) -> Recipe:
    wishes = folder / "out.txt"
    span = layout.parse_clip_id(rows.clip_id(OUTCAST["wished"]))
    wishes.write_text(f"video:{span.video_id}\n")
    raw = {"name": "made", "rules": [LOUD], "rights": {"opt_out": [str(wishes)]}, "review": {"checkers": 0}}
    return recipe.parse(raw, "made.toml")


def video_of(number: int) -> str:
    return layout.parse_clip_id(rows.clip_id(number)).video_id


def key(profile: str, number: int) -> str:
    return layout.object_key(profile, rows.clip_id(number))


def plant(root: str, chosen: Recipe, film: Path) -> None:
    """Twelve judged clips: 0 to 9 kept, of which 2 is gone and 3 no video; the others too quiet."""
    tables, store = Tables.open(root), Store.open(root)
    profile, said = chosen.profile, {"rules_digest": chosen.rules_digest, "made_by": "rules@1"}
    held = [Quarantine(clip_id=rows.clip_id(OUTCAST["quarantined"]), cause="person", made_by="person")]
    groups: list[list[Record]] = [
        [rows.clip(n, labels=("Dog", "<b>bold</b>")) for n in range(CLIPS)],
        [rows.media(n, profile=profile, object_key=key(profile, n)) for n in range(CLIPS)],
        [rows.audio(n, loudness_lufs=-20.0 - n if n < 10 else -70.0) for n in range(CLIPS)],
        [
            Verdict.model_validate(
                {"clip_id": rows.clip_id(n), "kept": n < 10, "reason": "" if n < 10 else "inaudible", **said}
            )
            for n in range(CLIPS)
        ],
        [rows.outcome(n, stage=f"fetch/{profile}") for n in range(CLIPS)],
        [rows.caption(0, NASTY), rows.caption(1, "A dog barks at night.")],
        list(held),
        [OptOut(scope="video", value=video_of(OUTCAST["opted_out"]), made_by="test")],
        [Answer(answer_id="a", task_id="t", clip_id=rows.clip_id(0), annotator="ann-x", made_by="pull@1")],
        [
            Tombstone(
                scope="clip", value=rows.clip_id(OUTCAST["retracted"]), reason="asked", requested_at_us=1,
                made_by="test",
            )
        ],
        [
            Release(
                name="made", version="1.0.0", content_sha256="0" * 64, clips=2, captions=2, shards=1, bytes=5,
                made_by="shard@1",
            )
        ],
    ]  # fmt: skip
    for group in groups:
        tables.append(group)
    for n in range(CLIPS):
        if n != 2:
            store.put_bytes(key(profile, n), b"no video" if n == 3 else film.read_bytes())


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return footage.make(tmp_path_factory.mktemp("film") / "one.mp4", seconds=1)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, film: Path) -> tuple[Recipe, str, Path]:
    folder = tmp_path_factory.mktemp("report")
    chosen, root = made(folder), folder / "w"
    plant(str(root), chosen, film)
    told = chain.report(chosen, Options(workspace=str(root)))
    assert told.outputs == (layout.REPORT,)
    return chosen, (root / layout.REPORT).read_text(), root


def test_it_tells_what_is_there_and_plays_it_from_the_workspace(written: tuple[Recipe, str, Path]) -> None:
    chosen, html, root = written
    page = Page(html)
    words = re.sub(r"\s+", " ", " ".join(page.words))
    for told in (
        "12 clips listed", "A dog barks at night.", "inaudible below -55: 16.7 %", "made 1.0.0",
        "The clip does not decode", "The media object is not in the store.", "Rejected: inaudible (1 of 2)",
        "Annotators and agreement",
    ):  # fmt: skip
        assert told in words, told
    videos = page.all("video")
    assert videos
    for video in videos:
        assert (root / layout.REPORT).parent.joinpath(str(video["src"])).resolve().is_file()
        assert video["preload"] == "none"
        assert str(video["poster"]).startswith("data:image/jpeg;base64,")
    assert len(html) < 1_000_000
    again = chain.report(chosen, Options(workspace=str(root)))
    assert (root / again.outputs[0]).read_text() == html  # the same workspace, the same page


def test_who_is_out_is_never_shown(written: tuple[Recipe, str, Path]) -> None:
    _, html, _ = written
    for why, number in OUTCAST.items():
        assert rows.clip_id(number) not in html, why
    assert rows.clip_id(0) in html
    assert rows.clip_id(11) in html


def test_what_others_wrote_is_harmless(written: tuple[Recipe, str, Path]) -> None:
    _, html, _ = written
    page = Page(html)
    assert not page.all("script", "b", "link", "iframe")
    assert "\x00" not in html
    assert html.count("long ") < 400  # a megabyte of caption is cut
    assert "&lt;b&gt;bold" in html
    for attrs in (attrs for _, attrs in page.tags):
        assert not [name for name in attrs if name.startswith("on")]
        for name in ("src", "href", "poster"):
            assert re.match(r"data:image/jpeg;base64,|\.\./(clips|releases)/|#", attrs.get(name) or "#")
    assert "url(" not in html
    assert "@import" not in html


def test_everybody_can_read_it(written: tuple[Recipe, str, Path]) -> None:
    _, html, _ = written
    page = Page(html)
    assert page.all("html")[0]["lang"] == "en"
    assert len(page.all("main")) == len(page.all("header")) == len(page.all("h1")) == 1
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert all(later <= level + 1 for level, later in pairwise(levels))
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert {link["href"] for link in page.all("a") if str(link["href"]).startswith("#")} <= {
        f"#{one}" for one in ids
    }
    assert all(image.get("alt") for image in page.all("img"))
    assert all(head.get("scope") for head in page.all("th"))
    assert all(drawn.get("role") == "img" and drawn.get("aria-labelledby") for drawn in page.all("svg"))
    assert all(video.get("aria-label") and "controls" in video for video in page.all("video"))
    assert "prefers-color-scheme: dark" in html
    assert "prefers-reduced-motion" in html


def test_an_empty_workspace_has_a_report(tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    chosen = made(tmp_path)
    told = chain.report(chosen, Options(workspace=str(tmp_path / "w")))
    words = " ".join(Page((tmp_path / "w" / told.outputs[0]).read_text()).words)
    for empty in (
        "no clip to show yet",
        "No clip is measured yet",
        "Nothing is released yet",
        "No list was read",
    ):
        assert empty in words
    assert told.counts["listed"] == 0


def test_from_an_object_store_clips_do_not_play(tmp_path: Path, film: Path, s3_root: str) -> None:
    chosen = made(tmp_path)
    root = f"{s3_root}/w"
    plant(root, chosen, film)
    told: Any = chain.report(chosen, Options(workspace=root))
    page = Page(Store.open(root).get_bytes(told.outputs[0]).decode())
    assert not page.all("video")
    assert page.all("img")
    assert "they do not play here" in " ".join(page.words)
