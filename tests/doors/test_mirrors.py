"""Mirrors of every kind over generated media: a folder, memory and S3, HTTP, tars, Hugging Face Parquet."""

import errno
import gzip
import os
import re
import tarfile
import time
import tomllib
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, Literal
from unittest import mock

import aiohttp
import av
import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import footage
from tests.fakes.media_server import Fault, MediaServer
from valor_data import layout
from valor_data.errors import FatalError, ItemError, Reason, RetryableError, UserError
from valor_data.mirrors import Mirrors
from valor_data.mirrors.names import Names, media_stem, stems
from valor_data.recipe import Mirror, parse
from valor_data.records import Clip

ODD = "-x_2Abohj8V"
OFFICIAL = f"{ODD}_30.000_40.000"


def clip_of(video: str = ODD, start_ms: int = 30_000, end_ms: int = 40_000) -> Clip:
    return Clip(
        clip_id=layout.clip_id(video, start_ms, end_ms),
        source="youtube",
        video_id=video,
        start_ms=start_ms,
        end_ms=end_ms,
        url=layout.youtube_url(video),
        made_by="test",
    )


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A generated clip of one second."""
    return footage.make(tmp_path_factory.mktemp("media") / "made.mp4", 1.0, size=(64, 36)).read_bytes()


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Path]:
    """A scratch folder that must be empty again in the end."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    yield folder
    assert list(folder.iterdir()) == []


@pytest.fixture
def memory() -> Iterator[Any]:
    filesystem = fsspec.filesystem("memory")
    filesystem.store.clear()
    yield filesystem
    filesystem.store.clear()


def mirror(kind: str, at: object, **more: object) -> Mirror:
    return Mirror.model_validate({"kind": kind, "at": str(at), **more})


def fill(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def tar(path: Path, members: Iterable[tuple[str, bytes]], form: int = tarfile.GNU_FORMAT) -> Path:
    with tarfile.open(path, "w", format=form) as file:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, BytesIO(data))
    return path


def table(path: Path, columns: dict[str, list[Any]], row_group: int = 10) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path, row_group_size=row_group)
    return path


Seen = list[tuple[bytes, bool, str, str]]


def seen(
    scratch: Path, *mirrors: Mirror, clip: Clip | None = None, when: Literal["before", "after"] = "before"
) -> Seen:
    """What the mirrors hand out: (bytes, is_clip, name, note)."""
    with Mirrors(mirrors, scratch) as opened, opened.find(clip or clip_of(), when) as places:
        return [(one.path.read_bytes(), one.is_clip, one.name, one.note) for one in places]


def shown(scratch: Path, *mirrors: Mirror, clip: Clip | None = None) -> list[bytes]:
    return [one[0] for one in seen(scratch, *mirrors, clip=clip)]


# ---- every kind


@pytest.fixture(params=["folder", "memory", "s3", "http", "tar", "remote tar", "huggingface"])
def any_mirror(request: pytest.FixtureRequest, tmp_path: Path, media: bytes) -> Iterator[Mirror]:
    name, held = f"{OFFICIAL}.mp4", tmp_path / "held [a]"
    if request.param == "folder":
        yield mirror("folder", fill(held, {f"a/b/{name}": media}))
    elif request.param in ("memory", "s3"):
        if request.param == "memory":
            request.getfixturevalue("memory")
            root = "memory://tree"
        else:
            root = f"{request.getfixturevalue('s3_root')}/some where"
        filesystem, base = fsspec.core.url_to_fs(root)
        filesystem.pipe_file(f"{base}/a/{name}", media)
        yield mirror("fsspec", root)
    elif request.param == "http":
        with MediaServer(fill(held, {name: media})) as server:
            yield mirror("http", server.url("") + "{official_id}.mp4?key=secret")
    elif request.param == "tar":
        held.mkdir()
        yield mirror("tar", tar(held / "all.tar", [("a/b/c/d/" + name, media)]))
    elif request.param == "remote tar":
        filesystem = request.getfixturevalue("memory")
        made = tar(tmp_path / "all.tar", [(f"{n}.json", b"{}" * 900) for n in range(50)] + [(name, media)])
        filesystem.pipe_file("/tars/all.tar", made.read_bytes())
        yield mirror("tar", "memory://tars/all.tar")
    else:
        cell = {"bytes": media, "path": name}
        table(held / "data" / "test-00000-of-00001.parquet", {"video": [cell], "description": ["a dog"]})
        yield mirror("huggingface", held)


def test_a_clip_is_handed_out_as_a_file_that_plays_and_goes_afterwards(
    any_mirror: Mirror, scratch: Path, media: bytes
) -> None:
    with Mirrors([any_mirror], scratch) as mirrors:
        with mirrors.find(clip_of(), "before") as places:
            found = next(places)
            assert found.path.read_bytes() == media
            with av.open(str(found.path)) as container:
                assert container.streams.video[0].width == 64
            assert found.is_clip
            assert found.name == any_mirror.kind
            assert "secret" not in found.note
            assert str(scratch) not in found.note
        assert list(scratch.iterdir()) == []
        with mirrors.find(clip_of("AAAAAAAAAAA"), "before") as places:
            assert list(places) == []
        with mirrors.find(clip_of(), "after") as places:
            assert list(places) == []


def test_a_mirror_that_is_not_there_is_told_at_opening(tmp_path: Path, scratch: Path, memory: Any) -> None:
    good = mirror("folder", fill(tmp_path / "good", {"a.mp4": b"x"}))
    missing = [
        mirror("folder", tmp_path / "none"),
        mirror("folder", tmp_path / "good" / "a.mp4"),
        mirror("fsspec", "memory://none"),
        mirror("tar", tmp_path / "none-{000..003}.tar"),
        mirror("tar", tmp_path / "*.tar"),
        mirror("tar", tmp_path / "good"),
        mirror("huggingface", tmp_path / "none"),
        mirror("huggingface", tmp_path / "good"),
    ]
    for one in missing:
        with pytest.raises(UserError, match=r"^mirrors\[1\]\.at = .*(nothing is there|no Parquet file)"):
            Mirrors([good, one], scratch)


def test_a_bucket_that_is_not_there_is_told_at_opening(s3_root: str, scratch: Path) -> None:
    with pytest.raises(UserError, match=r"mirrors\[0\]\.at"):
        Mirrors([mirror("fsspec", "s3://no-such-bucket-here/x")], scratch)


def test_a_backend_that_is_not_installed_comes_with_its_pip_line(scratch: Path) -> None:
    with (
        mock.patch.dict("sys.modules", {"huggingface_hub": None}),
        pytest.raises(UserError, match="pip install huggingface_hub"),
    ):
        Mirrors([mirror("huggingface", "hf://datasets/mteb/VALOR-32K")], scratch)
    with pytest.raises(UserError, match="fsspec URL"):
        Mirrors([mirror("fsspec", "nonsense://x")], scratch)


def test_a_password_in_an_address_is_refused_and_not_repeated(scratch: Path) -> None:
    with pytest.raises(UserError) as caught:
        Mirrors([mirror("fsspec", "s3://key:hush@bucket/x")], scratch)
    assert "hush" not in str(caught.value)


def test_mirrors_are_asked_in_their_order_each_at_its_time(tmp_path: Path, scratch: Path) -> None:
    rows = [
        mirror("folder", fill(tmp_path / "1", {f"{OFFICIAL}.mp4": b"one"}), name="first"),
        mirror("folder", fill(tmp_path / "2", {f"{ODD}.webm": b"two"}), holds="videos", when="after"),
        mirror("folder", fill(tmp_path / "3", {f"{ODD}_30_40.mkv": b"three"})),
    ]
    assert [(data, is_clip, name) for data, is_clip, name, _ in seen(scratch, *rows)] == [
        (b"one", True, "first"),
        (b"three", True, "folder"),
    ]
    assert [(one[0], one[1]) for one in seen(scratch, *rows, when="after")] == [(b"two", False)]


def test_a_fault_of_one_mirror_hides_no_other(tmp_path: Path, scratch: Path) -> None:
    folder = mirror("folder", fill(tmp_path / "held", {f"{OFFICIAL}.mp4": b"here"}))
    with MediaServer(tmp_path) as server:
        server.faults["x.mp4"] = Fault(status=503)
        broken = mirror("http", server.url("x.mp4") + "?id={clip_id}")
        with Mirrors([broken, folder], scratch) as mirrors:
            with mirrors.find(clip_of(), "before") as places:
                assert next(places).path.read_bytes() == b"here"
                with pytest.raises(RetryableError, match="503"):
                    next(places)
            with (
                mirrors.find(clip_of("AAAAAAAAAAA"), "before") as places,
                pytest.raises(RetryableError) as caught,
            ):
                next(places)
            assert caught.value.reason is Reason.SERVER_ERROR


def test_the_rows_that_a_recipe_offers_can_be_switched_on() -> None:
    text = layout.asset("pipelines", "valor32k.toml").read_text()
    switched = re.sub(r"^# (\[\[mirrors\]\]|[a-z]+ = \".*\")$", r"\1", text, flags=re.MULTILINE)
    assert parse(tomllib.loads(text), "as it is").mirrors == ()
    kinds = [(one.kind, one.when) for one in parse(tomllib.loads(switched), "switched on").mirrors]
    assert kinds == [("folder", "before"), ("tar", "before"), ("huggingface", "after")]


# ---- names


@pytest.mark.parametrize(
    ("start_ms", "end_ms", "name"),
    [
        (30_000, 40_000, f"{ODD}_30000_40000"),
        (30_000, 40_000, f"{ODD}_30.000_40.000"),
        (30_000, 40_000, f"{ODD}_30.0_40.0"),
        (30_000, 40_000, f"{ODD}_30_40"),
        (30_000, 40_000, f"{ODD}_000030_000040"),
        (30_000, 40_000, f"{ODD}_000030"),
        (30_000, 40_000, f"{ODD}_30"),
        (30_500, 40_000, f"{ODD}_30.500_40.000"),
        (30_500, 40_000, f"{ODD}_30.5_40.0"),
        (30_500, 40_000, f"{ODD}_30.5_40"),
        (0, 10_000, f"{ODD}_0_10"),
    ],
)
@pytest.mark.parametrize("suffix", [".mp4", ".MKV", ".WebM", ".ts"])
def test_every_spelling_is_found(
    tmp_path: Path, scratch: Path, start_ms: int, end_ms: int, name: str, suffix: str
) -> None:
    held = fill(tmp_path / "held", {f"{name}{suffix}": b"it", f"{name}.json": b"no", f"Z{name}.mp4": b"no"})
    assert shown(scratch, mirror("folder", held), clip=clip_of(ODD, start_ms, end_ms)) == [b"it"]


def test_the_more_precise_name_wins(tmp_path: Path, scratch: Path) -> None:
    names = [f"{ODD}_30", f"{ODD}_000030", f"{ODD}_30_40", f"{ODD}_30.0_40.0", OFFICIAL, clip_of().clip_id]
    held = tmp_path / "held"
    for name in names:
        fill(held, {f"{name}.mp4": name.encode()})
        assert shown(scratch, mirror("folder", held)) == [name.encode()]


def test_of_equal_names_the_first_in_sorted_order_counts_and_is_told(tmp_path: Path, scratch: Path) -> None:
    names = ["b/x/{}.mp4", "b/{}.mp4", "c/{}.mp4", "b/{}.MKV"]
    held = fill(tmp_path / "held", {name.format(OFFICIAL): name.encode() for name in names})
    assert seen(scratch, mirror("folder", held)) == [
        (b"b/{}.MKV", True, "folder", f"b/{OFFICIAL}.MKV (first of 4)")
    ]


ids = st.from_regex(r"[A-Za-z0-9_-]{11}", fullmatch=True) | st.from_regex(
    r"[A-Za-z0-9_-]{1,20}", fullmatch=True
)
spans = st.tuples(st.integers(0, 36_000_000), st.integers(1_000, 60_000))


@given(video=ids, span=spans)
def test_a_name_made_of_a_clip_leads_back_to_it_alone(video: str, span: tuple[int, int]) -> None:
    clip = clip_of(video, span[0], sum(span))
    for stem in stems(clip, "clips"):
        for suffix in (".mp4", ".WEBM"):
            assert media_stem(f"any/where/{stem}{suffix}") == stem
    assert clip.clip_id == stems(clip, "clips")[0]
    assert stems(clip, "videos") == [video]


@given(video=ids, other=ids, one=spans, two=spans)
def test_names_of_two_clips_never_meet_but_by_their_start(
    video: str, other: str, one: tuple[int, int], two: tuple[int, int]
) -> None:
    a, b = clip_of(video, one[0], sum(one)), clip_of(other, two[0], sum(two))
    shared = set(stems(a, "clips")) & set(stems(b, "clips"))
    if (a.video_id, a.start_ms) != (b.video_id, b.start_ms):
        assert shared == set()
    elif a.end_ms != b.end_ms:
        assert shared <= {f"{video}_{a.start_ms // 1000}", f"{video}_{a.start_ms // 1000:06d}"}


@given(st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5))))
def test_an_index_gives_the_places_of_a_name_in_their_order(pairs: list[tuple[str, str]]) -> None:
    pairs = [(stem.replace("\0", ""), place) for stem, place in pairs]
    index = Names(pairs)
    assert len(index) == len(pairs)
    for stem, _ in [*pairs, ("absent", "")]:
        assert index.find(stem) == [place for name, place in pairs if name == stem]


def test_a_million_names_fit_into_little_memory() -> None:
    def pairs() -> Iterator[tuple[str, str]]:
        for number in range(300_000):
            name = f"{number:011d}_{number % 600}.000_{number % 600 + 10}.000"
            yield name, f"part-{number % 256:02x}/{name}.mp4"

    tracemalloc.start()
    try:
        index = Names(pairs())
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(index) == 300_000
    assert held / len(index) < 160  # bytes a name: 190 MB for 1.2 million
    assert peak / len(index) < 400


# ---- folders and object stores


def test_hidden_temporary_and_empty_files_are_passed_over(tmp_path: Path, scratch: Path) -> None:
    held = fill(
        tmp_path / "held",
        {
            f".cache/{OFFICIAL}.mp4": b"no",
            f".{OFFICIAL}.mp4": b"no",
            f"{layout.temporary_name()}.mp4": b"no",
            f"{OFFICIAL}.mp4.part": b"no",
            f"{OFFICIAL}.f137.mp4": b"no",
            f"a/{OFFICIAL}.mp4": b"",  # what a download that failed leaves
            f"b/{ODD}_30_40.mp4": b"it",
        },
    )
    assert shown(scratch, mirror("folder", held)) == [b"it"]


def test_links_that_leave_the_folder_are_refused_and_counted(tmp_path: Path, scratch: Path) -> None:
    outside = fill(tmp_path / "outside", {"x.mp4": b"secret", f"{ODD}_30_40.mp4": b"secret"})
    held = fill(tmp_path / "held", {"real/take.mp4": b"it"})
    (held / f"{OFFICIAL}.mp4").symlink_to(outside / "x.mp4")
    (held / "folder").symlink_to(outside)
    (held / "round").symlink_to(held)
    (held / "dangling.mp4").symlink_to(held / "gone.mp4")
    (held / f"{ODD}_30.mp4").symlink_to("real/take.mp4")
    with Mirrors([mirror("folder", held)], scratch) as mirrors:
        with mirrors.find(clip_of(), "before") as places:
            assert [one.path.read_bytes() for one in places] == [b"it"]
        (remark,) = mirrors.remarks
        assert "links that leave the folder are refused (2)" in remark


def test_a_folder_without_media_is_told_when_it_is_first_read(tmp_path: Path, scratch: Path) -> None:
    held = fill(tmp_path / "held", {"notes.txt": b"x"})
    outside = fill(tmp_path / "outside", {f"{OFFICIAL}.mp4": b"x"})
    with pytest.raises(UserError, match="no media file"):
        shown(scratch, mirror("folder", held))
    (held / f"{OFFICIAL}.mp4").symlink_to(outside / f"{OFFICIAL}.mp4")
    with pytest.raises(UserError, match="name the folder they lead to"):
        shown(scratch, mirror("folder", held))


def test_a_local_file_is_used_in_place_and_stays(tmp_path: Path, scratch: Path) -> None:
    held = fill(tmp_path / "held", {f"{ODD}.mp4": b"whole"})
    for at in (held, f"file://{held}", f"{held}/"):
        with Mirrors([mirror("folder", at, holds="videos")], scratch) as mirrors:
            with mirrors.find(clip_of(), "before") as places:
                found = next(places)
                assert found.path == held / f"{ODD}.mp4"
                assert not found.is_clip
            assert found.path.exists()


def test_a_whole_video_may_have_the_name_that_yt_dlp_gives_it(tmp_path: Path, scratch: Path) -> None:
    name = f"A [film], 30 s [{ODD}].webm"
    held = fill(tmp_path / "held", {name: b"whole", f"clip [{OFFICIAL}].mp4": b"no"})
    assert shown(scratch, mirror("folder", held, holds="videos")) == [b"whole"]
    assert shown(scratch, mirror("tar", tar(tmp_path / "x.tar", [(name, b"it")]), holds="videos")) == [b"it"]
    assert shown(scratch, mirror("folder", held)) == []


def test_names_that_are_no_text_are_no_harm(tmp_path: Path, scratch: Path) -> None:
    held = fill(tmp_path / "held", {f"{OFFICIAL}.mp4": b"it"})
    (held / os.fsdecode(b"\xff\xfe.mp4")).write_bytes(b"no")
    assert shown(scratch, mirror("folder", held)) == [b"it"]


def test_an_object_that_went_since_the_listing_is_not_there(scratch: Path, memory: Any) -> None:
    memory.pipe_file(f"/tree/a/{OFFICIAL}.mp4", b"one")
    memory.pipe_file(f"/tree/b/{OFFICIAL}.mp4", b"two")
    with Mirrors([mirror("fsspec", "memory://tree")], scratch) as mirrors:
        for expected in (b"one", b"two", None):
            with mirrors.find(clip_of(), "before") as places:
                found = next(places, None)
                assert (found and found.path.read_bytes()) == expected
            if found:
                memory.rm(f"/tree/{found.note.split(' ')[0]}")


def test_a_large_object_is_refused_before_it_is_fetched(scratch: Path, memory: Any) -> None:
    memory.pipe_file(f"/tree/{OFFICIAL}.mp4", bytes(2_000_001))
    with (
        Mirrors([mirror("fsspec", "memory://tree")], scratch, most_mb=2) as mirrors,
        mirrors.find(clip_of(), "before") as places,
        pytest.raises(ItemError) as caught,
    ):
        next(places)
    assert caught.value.reason is Reason.TOO_LARGE


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (OSError(errno.EIO, "gone away"), Reason.TRANSPORT),
        (TimeoutError("slow"), Reason.TIMEOUT),
        (aiohttp.ClientPayloadError("cut"), Reason.TRANSPORT),  # no OSError, as clients' errors often are
        (PermissionError("no"), Reason.FORBIDDEN),
    ],
)
def test_a_fault_of_a_store_has_its_reason(
    scratch: Path, memory: Any, fault: Exception, reason: Reason
) -> None:
    memory.pipe_file(f"/tree/{OFFICIAL}.mp4", b"one")
    with (
        Mirrors([mirror("fsspec", "memory://tree")], scratch) as mirrors,
        mock.patch.object(memory, "get_file", side_effect=fault),
        mirrors.find(clip_of(), "before") as places,
        pytest.raises(RetryableError) as caught,
    ):
        next(places)
    assert caught.value.reason is reason


def test_a_copy_that_came_short_is_truncated(scratch: Path, memory: Any) -> None:
    memory.pipe_file(f"/tree/{OFFICIAL}.mp4", b"one")
    with (
        Mirrors([mirror("fsspec", "memory://tree")], scratch) as mirrors,
        mock.patch.object(memory, "get_file", lambda _, to: Path(to).write_bytes(b"on")),
        mirrors.find(clip_of(), "before") as places,
        pytest.raises(RetryableError, match="2 of 3 bytes"),
    ):
        next(places)


def test_a_full_disk_stops_the_run(scratch: Path, memory: Any) -> None:
    memory.pipe_file(f"/tree/{OFFICIAL}.mp4", b"one")
    full = OSError(errno.ENOSPC, "No space left on device")
    with (
        Mirrors([mirror("fsspec", "memory://tree")], scratch) as mirrors,
        mock.patch.object(memory, "get_file", side_effect=full),
        mirrors.find(clip_of(), "before") as places,
        pytest.raises(FatalError, match="disk is full"),
    ):
        next(places)


# ---- addresses


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MediaServer]:
    folder = tmp_path / "served"
    folder.mkdir()
    with MediaServer(folder) as made:
        yield made


def ask(scratch: Path, server: MediaServer, fault: Fault, limit_s: float = 5.0) -> list[bytes]:
    fill(server.folder, {f"{ODD}.mp4": b"\0" * 200_000})
    server.faults[f"{ODD}.mp4"] = fault
    row = mirror("http", server.url("") + "{video_id}.mp4", holds="videos")
    with (
        Mirrors([row], scratch, most_mb=1, limit_s=limit_s) as mirrors,
        mirrors.find(clip_of(), "before") as places,
    ):
        return [one.path.read_bytes() for one in places]


def test_a_template_is_filled_with_what_names_the_clip(server: MediaServer, scratch: Path) -> None:
    path = f"{ODD}/{ODD}_30500_40000/{ODD}_30.500_40.000/30.500-40.mkv"
    fill(server.folder, {path: b"\x1aEit"})
    at = server.url("") + "{video_id}/{clip_id}/{official_id}/{start_s}-{end_s}.mkv"
    ((data, _, _, note),) = seen(scratch, mirror("http", at), clip=clip_of(ODD, 30_500, 40_000))
    assert data == b"\x1aEit"
    assert note == server.url(path)


@pytest.mark.parametrize("fault", [Fault(status=404), Fault(status=410), Fault(html=True)])
def test_what_a_host_does_not_have_is_no_fault(server: MediaServer, scratch: Path, fault: Fault) -> None:
    assert ask(scratch, server, fault) == []


@pytest.mark.parametrize(
    ("fault", "error", "reason"),
    [
        (Fault(status=401), ItemError, Reason.LOGIN_REQUIRED),
        (Fault(status=403), RetryableError, Reason.FORBIDDEN),
        (Fault(status=429), RetryableError, Reason.RATE_LIMITED),
        (Fault(status=500), RetryableError, Reason.SERVER_ERROR),
        (Fault(status=503), RetryableError, Reason.SERVER_ERROR),
        (Fault(status=418), RetryableError, Reason.UNKNOWN),
        (Fault(truncate=100_000), RetryableError, Reason.TRUNCATED),
        (Fault(reset=True), RetryableError, Reason.TRANSPORT),
        (Fault(redirect=f"/{ODD}.mp4"), RetryableError, Reason.SERVER_ERROR),
    ],
)
def test_each_fault_of_a_host_has_its_reason(
    server: MediaServer, scratch: Path, fault: Fault, error: type[Exception], reason: Reason
) -> None:
    with pytest.raises(error) as caught:
        ask(scratch, server, fault)
    assert getattr(caught.value, "reason", None) is reason


@pytest.mark.parametrize("fault", [Fault(stall=1000), Fault(drip=0.05)])
def test_a_host_that_stalls_or_drips_is_left_in_time(
    server: MediaServer, scratch: Path, fault: Fault
) -> None:
    start = time.monotonic()
    with pytest.raises(RetryableError) as caught:
        ask(scratch, server, fault, limit_s=0.5)
    assert caught.value.reason is Reason.TIMEOUT
    assert time.monotonic() - start < 3


def test_a_wish_for_rest_is_handed_on(server: MediaServer, scratch: Path) -> None:
    later = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 100))
    for asked, least, most in (("120", 120, 120), (later, 90, 101)):
        with pytest.raises(RetryableError) as caught:
            ask(scratch, server, Fault(status=429, retry_after=asked))
        assert least <= (caught.value.retry_after_s or 0) <= most
    with pytest.raises(RetryableError) as caught:
        ask(scratch, server, Fault(status=429, retry_after="soon"))
    assert caught.value.retry_after_s is None


def test_media_under_a_wrong_name_is_taken_and_a_giant_is_not(server: MediaServer, scratch: Path) -> None:
    for kind in ("application/octet-stream", "text/plain", "text/html"):
        assert ask(scratch, server, Fault(content_type=kind)) == [b"\0" * 200_000]
    fill(server.folder, {f"{ODD}_30_40.mp4": bytes(1_000_001)})
    row = mirror("http", server.url("") + "{video_id}_{start_s}_{end_s}.mp4")
    with (
        Mirrors([row], scratch, most_mb=1) as mirrors,
        mirrors.find(clip_of(), "before") as places,
        pytest.raises(ItemError) as caught,
    ):
        next(places)
    assert caught.value.reason is Reason.TOO_LARGE


@pytest.mark.parametrize(
    "at",
    [
        "http://host/{id}.mp4", "http://host/all.mp4", "http://host/{video_id", "ftp://host/{video_id}",
        "http://host/{video_id.__class__}", "http://host/{}",
    ],
)  # fmt: skip
def test_a_template_that_names_no_clip_is_refused_at_opening(scratch: Path, at: str) -> None:
    with pytest.raises(UserError, match=r"mirrors\[0\]\.at"):
        Mirrors([mirror("http", at)], scratch)


# ---- tars


def test_tars_by_brace_range_glob_and_folder(tmp_path: Path, scratch: Path) -> None:
    for number in range(12):
        data = f"{number}".encode()
        tar(tmp_path / f"part-{number:03d}.tar", [(f"deep/er/{number:011d}_0_10000.mp4", data)])
    (tmp_path / "part-003.txt").write_bytes(b"no tar")
    for at in ("part-{000..011}.tar", "part-*.tar", "", "part-00[37].tar"):
        row = mirror("tar", tmp_path / at)
        assert shown(scratch, row, clip=clip_of(f"{7:011d}", 0, 10_000)) == [b"7"]
    missing = mirror("tar", tmp_path / "part-{009..012}.tar")
    with pytest.raises(UserError, match=r"part-012\.tar.*nothing is there"):
        Mirrors([missing], scratch)


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_official_names_keep_their_dots_and_long_ones_are_read(
    tmp_path: Path, scratch: Path, form: int
) -> None:
    deep = "/".join(["released", "media", "x" * 60, "videos"])
    members = [(f"{deep}/{OFFICIAL}.json", b"{}"), (f"{deep}/{OFFICIAL}.mp4", b"it"), ("later.mp4", b"x")]
    row = mirror("tar", tar(tmp_path / "all.tar", members, form))
    assert seen(scratch, row) == [(b"it", True, "tar", f"all.tar: {deep}/{OFFICIAL}.mp4")]


def test_links_and_folders_in_a_tar_are_no_media(tmp_path: Path, scratch: Path) -> None:
    path = tmp_path / "all.tar"
    with tarfile.open(path, "w") as file:
        for name, kind in ((f"{OFFICIAL}.mp4", tarfile.SYMTYPE), ("folder.mp4", tarfile.DIRTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            file.addfile(info)
        info = tarfile.TarInfo(f"{ODD}_30_40.mp4")
        info.size = 2
        file.addfile(info, BytesIO(b"it"))
    assert shown(scratch, mirror("tar", path)) == [b"it"]


def test_a_compressed_tar_is_refused_with_the_mend(tmp_path: Path, scratch: Path) -> None:
    plain = tar(tmp_path / "plain.tar", [(f"{OFFICIAL}.mp4", b"it")]).read_bytes()
    (tmp_path / "x.tar.gz").write_bytes(gzip.compress(plain))
    with pytest.raises(UserError, match="unpack it first"):
        Mirrors([mirror("tar", tmp_path / "x.tar.gz")], scratch)
    (tmp_path / "hidden.tar").write_bytes(gzip.compress(plain))  # its name says nothing of it
    with pytest.raises(UserError, match="gzip -d"):
        shown(scratch, mirror("tar", tmp_path / "hidden.tar"))


def test_a_tar_that_is_cut_serves_what_stands_before_the_cut(tmp_path: Path, scratch: Path) -> None:
    clips = [clip_of(f"{number:011d}") for number in range(10)]
    whole = tar(tmp_path / "all.tar", [(f"{one.clip_id}.mp4", bytes([7]) * 1000) for one in clips])
    data = whole.read_bytes()
    for cut in (4 * 1536, 4 * 1536 + 100, 4 * 1536 + 700):
        whole.write_bytes(data[:cut])
        with Mirrors([mirror("tar", whole)], scratch) as mirrors:
            for number, clip in enumerate(clips):
                with mirrors.find(clip, "before") as places:
                    assert [len(one.path.read_bytes()) for one in places] == [1000] * (number < 4)
            (remark,) = mirrors.remarks
            assert f"all.tar is cut short or broken at byte {4 * 1536}" in remark


@pytest.mark.parametrize("data", [b"", b"no tar at all", b"\xff" * 2000, bytes(20_000)])
def test_what_is_no_tar_is_told(tmp_path: Path, scratch: Path, data: bytes) -> None:
    (tmp_path / "all.tar").write_bytes(data)
    with pytest.raises(UserError, match=r"all\.tar"):
        shown(scratch, mirror("tar", tmp_path / "all.tar"))


def test_a_header_in_the_middle_that_is_broken_ends_the_tar_with_a_word(
    tmp_path: Path, scratch: Path
) -> None:
    path = tar(tmp_path / "all.tar", [(f"{OFFICIAL}.mp4", b"it"), ("later.mp4", b"x")])
    data = bytearray(path.read_bytes())
    data[1024:1536] = b"\x80" * 512  # also a size that is negative
    path.write_bytes(data)
    with Mirrors([mirror("tar", path)], scratch) as mirrors:
        with mirrors.find(clip_of(), "before") as places:
            assert [one.path.read_bytes() for one in places] == [b"it"]
        assert "broken at byte 1024" in mirrors.remarks[0]


@pytest.mark.parametrize("name", ["all.tar.idx", "all.idx"])
def test_an_index_file_spares_the_walk(
    tmp_path: Path, scratch: Path, memory: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = [(f"{OFFICIAL}.json", b"{}"), (f"{OFFICIAL}.mp4", b"it is here")]
    data = tar(tmp_path / "all.tar", members).read_bytes()
    memory.pipe_file("/tars/all.tar", data)
    line = f"000_40.000.json 512 2 {OFFICIAL}.json 000_40.000.mp4 1536 10 {OFFICIAL}.mp4"
    memory.pipe_file(f"/tars/{name}", f"v1.2 1\n{line}\n".encode())
    row = mirror("tar", "memory://tars/all.tar")
    with monkeypatch.context() as patch:
        patch.setattr(tarfile, "open", None)
        assert shown(scratch, row) == [b"it is here"]
    memory.pipe_file(f"/tars/{name}", f"v1.2 1\n{line.replace('1536', '1024')}\n".encode())
    with pytest.raises(UserError, match="not of this tar"):
        shown(scratch, row)
    for unreadable in (
        b"v1.1 1\njson 512 2\n",
        b"v1.2 1\nmp4 x y z\n",
        b"v1.2 1\nmp4 1536 10 a b.mp4\n",
        b"",
    ):
        memory.pipe_file(f"/tars/{name}", unreadable)
        with Mirrors([row], scratch) as mirrors:
            with mirrors.find(clip_of(), "before") as places:
                assert [one.path.read_bytes() for one in places] == [b"it is here"]
            assert "walked instead" in mirrors.remarks[0]


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_an_index_file_may_name_long_paths(tmp_path: Path, scratch: Path, form: int) -> None:
    name = f"{'x' * 60}/{'y' * 60}/{OFFICIAL}.mp4"
    path = tar(tmp_path / "all.tar", [(name, b"it")], form)
    with tarfile.open(path) as file:
        (member,) = file.getmembers()
    (tmp_path / "all.idx").write_text(f"v1.2 1\nmp4 {member.offset_data} 2 {name}\n")
    assert shown(scratch, mirror("tar", path)) == [b"it"]


def test_a_tar_of_twenty_thousand_members_is_indexed_by_its_headers(
    tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Members of a megabyte as holes: whoever read the bodies would read 20 GB."""
    path = tmp_path / "all.tar"
    size, step = 1_000_000, 512 + 1_000_448
    with path.open("wb") as file:
        for number in range(20_000):
            info = tarfile.TarInfo(f"released/media/a/videos/{number:011d}_30.000_40.000.mp4")
            info.size = size
            file.seek(number * step)
            file.write(info.tobuf(tarfile.USTAR_FORMAT))
        file.truncate(20_000 * step + 1024)
    with Mirrors([mirror("tar", path)], scratch) as mirrors:
        tracemalloc.start()
        start = time.monotonic()
        try:
            with mirrors.find(clip_of(f"{19_999:011d}"), "before") as places:
                assert next(places).path.stat().st_size == size
            held, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert time.monotonic() - start < 60
        assert held < 10e6
        assert peak < 30e6
        assert mirrors.remarks == []


def test_a_remote_tar_is_walked_by_ranges(server: MediaServer, scratch: Path) -> None:
    members = [(f"{number:011d}_30_40.mp4", bytes([number + 1]) * 3_000_000) for number in range(5)]
    tar(server.folder / "all.tar", members)
    row = mirror("tar", server.url("all.tar"))
    assert shown(scratch, row, clip=clip_of(f"{3:011d}")) == [members[3][1]]
    ranges = [one["Range"].removeprefix("bytes=").split("-") for _, one in server.headers if "Range" in one]
    assert sum(int(last) - int(first) + 1 for first, last in ranges) < 3_500_000
    assert len(ranges) <= 8  # one a header, one for the member


# ---- Hugging Face datasets

Shape = Callable[[bytes], dict[str, list[Any]]]
SHAPES: dict[str, Shape] = {
    "path inside": lambda data: {"video": [{"bytes": data, "path": f"{OFFICIAL}.mp4"}]},
    "official id": lambda data: {"id": [OFFICIAL], "video": [{"bytes": data, "path": None}]},
    "own id": lambda data: {"clip_id": [f"{ODD}_30000_40000"], "mp4": [data]},
    "key": lambda data: {"__key__": [f"videos/{ODD}_30_40"], "mp4": [data], "txt": ["a dog"]},
    "bare id": lambda data: {"video_id": [ODD], "video": [{"bytes": data, "path": "video_17.mp4"}]},
    "text before bytes": lambda data: {"id": [OFFICIAL], "video": ["a dog"], "mp4": [data]},
    "number beside": lambda data: {"id": [17], "name": [f"{OFFICIAL}.mp4"], "media": [data]},
}


@pytest.mark.parametrize("shape", SHAPES)
def test_rows_are_found_by_whatever_names_them(
    tmp_path: Path, scratch: Path, media: bytes, shape: str
) -> None:
    table(tmp_path / "ds" / "data" / "test-00000-of-00001.parquet", SHAPES[shape](media))
    table(tmp_path / "ds" / "queries" / "test.parquet", {"id": ["q"], "text": ["no media here"]})
    assert shown(scratch, mirror("huggingface", tmp_path / "ds")) == [media]
    assert shown(scratch, mirror("huggingface", tmp_path / "ds"), clip=clip_of("AAAAAAAAAAA")) == []


def test_sound_in_a_column_of_its_own_comes_along(tmp_path: Path, scratch: Path) -> None:
    columns: dict[str, list[Any]] = {
        "video": [{"bytes": b"picture", "path": f"{OFFICIAL}.webm"}],
        "audio": [{"bytes": b"sound", "path": f"{OFFICIAL}.flac"}],
        "description": ["a dog"],
    }
    table(tmp_path / "ds" / "data" / "test.parquet", columns)
    with (
        Mirrors([mirror("huggingface", tmp_path / "ds")], scratch) as mirrors,
        mirrors.find(clip_of(), "before") as places,
    ):
        found = next(places)
        assert (found.path.read_bytes(), found.path.suffix) == (b"picture", ".webm")
        assert found.audio is not None
        assert (found.audio.read_bytes(), found.audio.suffix) == (b"sound", ".flac")
        assert found.note == "data/test.parquet: row 0 of row group 0"


def test_a_bare_id_of_several_rows_names_no_clip(tmp_path: Path, scratch: Path) -> None:
    path = tmp_path / "ds" / "a.parquet"
    table(path, {"video_id": [ODD, ODD, "AAAAAAAAAAA"], "video": [b"one", b"two", b"three"]})
    row = mirror("huggingface", tmp_path / "ds")
    assert shown(scratch, row) == []
    assert shown(scratch, row, clip=clip_of("AAAAAAAAAAA")) == [b"three"]
    whole = mirror("huggingface", tmp_path / "ds", holds="videos")
    assert shown(scratch, whole, clip=clip_of("AAAAAAAAAAA")) == [b"three"]


def test_media_by_path_lies_beside_the_table_and_never_outside(tmp_path: Path, scratch: Path) -> None:
    fill(tmp_path, {"ds/videos/a.mp4": b"beside", "ds/data/b.mp4": b"near", "outside.mp4": b"secret"})
    ids = [f"{letter * 11}_30_40" for letter in "ABCDE"]
    outside = str(tmp_path / "outside.mp4")
    paths = ["videos/a.mp4", "b.mp4", "../outside.mp4", outside, "videos/none.mp4"]
    table(tmp_path / "ds" / "data" / "x.parquet", {"id": ids, "video": paths})
    row = mirror("huggingface", tmp_path / "ds")
    got = [shown(scratch, row, clip=clip_of(letter * 11)) for letter in "ABCDE"]
    assert got == [[b"beside"], [b"near"], [], [], []]


def test_a_remote_dataset_is_read_alike(tmp_path: Path, scratch: Path, memory: Any) -> None:
    cells = [{"bytes": b"inside", "path": "x.mp4"}, {"bytes": None, "path": "videos/a.mp4"}]
    made = table(tmp_path / "x.parquet", {"id": ["AAAAAAAAAAA_0_10", "BBBBBBBBBBB_0_10"], "video": cells})
    memory.pipe_file("/ds/data/x.parquet", made.read_bytes())
    memory.pipe_file("/ds/videos/a.mp4", b"beside")
    row = mirror("huggingface", "memory://ds")
    assert shown(scratch, row, clip=clip_of("AAAAAAAAAAA", 0, 10_000)) == [b"inside"]
    assert shown(scratch, row, clip=clip_of("BBBBBBBBBBB", 0, 10_000)) == [b"beside"]


def test_one_row_group_is_read_for_all_its_rows(tmp_path: Path, scratch: Path) -> None:
    ids = [f"{number:011d}_30_40" for number in range(30)]
    table(tmp_path / "ds" / "x.parquet", {"id": ids, "video": [f"{n}".encode() for n in range(30)]})
    read = pq.ParquetFile.read_row_group
    asked: list[int] = []

    def counted(self: Any, group: int, columns: list[str]) -> Any:
        asked.append(group) if columns == ["video"] else None
        return read(self, group, columns=columns)

    with (
        mock.patch.object(pq.ParquetFile, "read_row_group", counted),
        Mirrors([mirror("huggingface", tmp_path / "ds")], scratch) as mirrors,
    ):
        for number in range(30):
            with mirrors.find(clip_of(f"{number:011d}"), "before") as places:
                assert [one.path.read_bytes() for one in places] == [f"{number}".encode()]
    assert asked == [0, 1, 2]


def test_a_giant_row_group_is_read_through_and_not_held(
    tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("valor_data.mirrors.dataset._CACHED_BYTES", 1000)
    ids = [f"{number:011d}_30_40" for number in range(30)]
    data = [os.urandom(500) for _ in ids]
    table(tmp_path / "ds" / "x.parquet", {"id": ids, "video": data}, row_group=30)
    for number in (0, 17, 29):
        row = mirror("huggingface", tmp_path / "ds")
        assert shown(scratch, row, clip=clip_of(f"{number:011d}")) == [data[number]]


def test_a_dataset_without_the_columns_is_told_with_what_it_has(tmp_path: Path, scratch: Path) -> None:
    table(tmp_path / "ds" / "x.parquet", {"caption": ["a dog"], "score": [1.0]})
    with pytest.raises(UserError, match="has caption, score"):
        shown(scratch, mirror("huggingface", tmp_path / "ds"))


@pytest.mark.parametrize("keep", [0, 100, -4, -300])
def test_a_broken_parquet_is_named(tmp_path: Path, scratch: Path, keep: int) -> None:
    path = table(tmp_path / "ds" / "x.parquet", {"id": [f"{ODD}_30_40"], "video": [os.urandom(5000)]})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UserError, match=r"x\.parquet: not readable as Parquet"):
        shown(scratch, mirror("huggingface", tmp_path / "ds"))


def test_a_broken_row_group_costs_its_own_clips_only(tmp_path: Path, scratch: Path) -> None:
    ids = [f"{number:011d}_30_40" for number in range(2)]
    cells = [os.urandom(5000), os.urandom(5000)]
    path = table(tmp_path / "ds" / "x.parquet", {"id": ids, "video": cells}, row_group=1)
    chunk = pq.ParquetFile(path).metadata.row_group(0).column(1)
    data = bytearray(path.read_bytes())
    start = chunk.dictionary_page_offset or chunk.data_page_offset
    data[start : start + 60] = b"\xff" * 60
    path.write_bytes(data)
    row = mirror("huggingface", tmp_path / "ds")
    with pytest.raises(ItemError) as caught:
        shown(scratch, row, clip=clip_of(f"{0:011d}"))
    assert caught.value.reason is Reason.CORRUPT
    assert shown(scratch, row, clip=clip_of(f"{1:011d}")) == [cells[1]]
