"""Shards: written by hand, read by webdataset and by tar."""

import errno
import hashlib
import io
import mmap
import os
import random
import subprocess
import tarfile
from pathlib import Path

import pytest
import webdataset
from hypothesis import given, settings
from hypothesis import strategies as st

from valor_data.errors import FatalError
from valor_data.shards import Sample, ShardWriter, read_samples

CLIPS = [
    ("-2Abohj8VY_30000_40000", [("mp4", b"\0\x01" * 700), ("json", b'{"a":1}'), ("txt", "Ein Ω".encode())]),
    ("__x-__-____0_999", [("mp4", b""), ("json", b"{}")]),
    (f"{'v' * 64}_1000000000_2000000000", [("mp4", b"z" * 1024), ("json", b"[]"), ("txt", b"")]),
]


def write(path: Path, clips: list[tuple[str, list[tuple[str, bytes]]]] = CLIPS) -> Path:
    with ShardWriter(path) as writer:
        for key, members in clips:
            writer.add(key, members)
    return path


def read(data: bytes) -> list[Sample]:
    return list(read_samples(io.BytesIO(data), "shard"))


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    with ShardWriter(tmp_path / "a.tar") as writer:
        for key, members in CLIPS:
            writer.add(key, members)
    data = (tmp_path / "a.tar").read_bytes()
    assert writer.info == (hashlib.sha256(data).hexdigest(), len(data), 3)
    assert read(data) == [Sample(key, dict(members)) for key, members in CLIPS]
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar"]


def test_two_writes_are_byte_identical(tmp_path: Path) -> None:
    assert write(tmp_path / "a.tar").read_bytes() == write(tmp_path / "b.tar").read_bytes()


def test_headers_are_those_of_tarfile(tmp_path: Path) -> None:
    theirs = io.BytesIO()
    with tarfile.open(fileobj=theirs, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for key, members in CLIPS:
            for suffix, data in members:
                member = tarfile.TarInfo(f"{key}.{suffix}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    ours = write(tmp_path / "a.tar").read_bytes()
    assert theirs.getvalue().startswith(ours)  # tarfile pads its end to 10 KiB
    assert not any(theirs.getvalue()[len(ours) :])
    assert [s.key for s in read(theirs.getvalue())] == [key for key, _ in CLIPS]


def test_tar_lists_it(tmp_path: Path) -> None:
    listed = subprocess.run(
        ["tar", "-tf", write(tmp_path / "a.tar")], capture_output=True, text=True, check=True
    )
    assert not listed.stderr
    assert listed.stdout.split() == [f"{key}.{suffix}" for key, members in CLIPS for suffix, _ in members]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # it leaves the file open
def test_plain_webdataset_reads_it(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tar")
    dataset = webdataset.WebDataset(str(path), shardshuffle=False).decode()
    samples = list(dataset)
    assert [sample["__key__"] for sample in samples] == [key for key, _ in CLIPS]
    assert samples[0]["mp4"] == CLIPS[0][1][0][1]
    assert samples[0]["json"] == {"a": 1}
    assert samples[0]["txt"] == "Ein Ω"


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.binary(max_size=1600), min_size=1, max_size=4), max_size=6))
def test_any_content_survives(tmp_path_factory: pytest.TempPathFactory, contents: list[list[bytes]]) -> None:
    clips = [
        (f"v_{index}_{index + 1}", [(f"m{place}", data) for place, data in enumerate(members)])
        for index, members in enumerate(contents)
    ]
    data = write(tmp_path_factory.mktemp("shard") / "a.tar", clips).read_bytes()
    assert read(data) == [Sample(key, dict(members)) for key, members in clips]


@pytest.mark.parametrize(
    ("clips", "words"),
    [
        ([CLIPS[0], CLIPS[1], CLIPS[0]], "comes twice"),
        ([("x_1.5_2", [("mp4", b"")])], "no clip id"),
        ([("../x_1_2", [("mp4", b"")])], "no clip id"),
        ([("x_1_2", [])], "needs members"),
        ([("x_1_2", [("mp4", b"a"), ("mp4", b"b")])], "each suffix once"),
    ],
)
def test_bad_samples_are_refused_and_nothing_is_left(tmp_path: Path, clips: list, words: str) -> None:
    with pytest.raises(FatalError, match=words):
        write(tmp_path / "a.tar", clips)
    assert not list(tmp_path.iterdir())


def test_a_member_too_large_for_ustar_is_refused(tmp_path: Path) -> None:
    with mmap.mmap(-1, 8 << 30) as huge, pytest.raises(FatalError, match="8589934592 bytes"):
        write(tmp_path / "a.tar", [("x_1_2", [("mp4", huge)])])  # type: ignore[list-item]
    assert not list(tmp_path.iterdir())


def test_short_writes_are_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = write(tmp_path / "a.tar").read_bytes()
    rng = random.Random(0)

    def a_few(fd: int, pieces: list[bytes]) -> int:
        return os.write(fd, b"".join(pieces)[: rng.randrange(1, 700)])

    monkeypatch.setattr(os, "writev", a_few)
    assert write(tmp_path / "b.tar").read_bytes() == whole


@pytest.mark.parametrize("call", ["writev", "fsync"])  # a late disk tells at fsync
def test_a_full_disk_is_fatal_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, call, full)
    with pytest.raises(FatalError, match="disk is full"):
        write(tmp_path / "a.tar")
    assert not list(tmp_path.iterdir())


def test_an_old_shard_stays_when_its_successor_fails(tmp_path: Path) -> None:
    old = write(tmp_path / "a.tar").read_bytes()
    with pytest.raises(FatalError):
        write(tmp_path / "a.tar", [("bad.key_1_2", [("mp4", b"")])])
    assert (tmp_path / "a.tar").read_bytes() == old


def test_every_truncation_is_found(tmp_path: Path) -> None:
    data = write(tmp_path / "a.tar").read_bytes()
    for length in range(0, len(data), 256):
        with pytest.raises(FatalError, match=r"^shard: "):
            read(data[:length])


def test_every_flipped_header_byte_is_found(tmp_path: Path) -> None:
    data = write(tmp_path / "a.tar").read_bytes()
    starts = [0]
    for _, members in CLIPS:
        starts += [starts[-1] + 512 * (1 + -(-len(members[0][1]) // 512))]
        for _, content in members[1:]:
            starts += [starts[-1] + 512 * (1 + -(-len(content) // 512))]
    for start in starts[:-1]:
        assert data[start + 257 : start + 262] == b"ustar"
        for place in (0, 50, 100, 110, 125, 134, 140, 150, 156, 157, 200, 258, 300, 340, 400, 511):
            broken = bytearray(data)
            broken[start + place] ^= 0x11
            with pytest.raises(FatalError, match=r"^shard: "):
                read(bytes(broken))


def test_foreign_bytes_after_the_end_are_found(tmp_path: Path) -> None:
    data = write(tmp_path / "a.tar").read_bytes()
    for tail in (b"x", bytes(20_000) + b"x", data, bytes(1 << 21)):
        with pytest.raises(FatalError, match="broken or foreign"):
            read(data + tail)


def test_a_key_that_comes_back_is_found(tmp_path: Path) -> None:
    one = write(tmp_path / "a.tar", CLIPS[:1]).read_bytes()[:-1024]
    two = write(tmp_path / "b.tar", CLIPS[1:2]).read_bytes()[:-1024]
    with pytest.raises(FatalError, match=f"key {CLIPS[0][0]} comes twice"):
        read(one + two + one + bytes(1024))
    with pytest.raises(FatalError, match="duplicate"):  # next to each other: the same member twice
        read(one + one + bytes(1024))


def test_missing_members_and_foreign_forms_are_found(tmp_path: Path) -> None:
    data = write(tmp_path / "a.tar").read_bytes()
    with pytest.raises(FatalError, match=r"__x-__-____0_999 has no \.txt"):
        list(read_samples(io.BytesIO(data), "shard", needs=("mp4", "txt")))
    pax = io.BytesIO()
    with tarfile.open(fileobj=pax, mode="w", format=tarfile.PAX_FORMAT) as tar:
        member = tarfile.TarInfo("x_1_2.mp4")
        member.mtime = 0.5
        tar.addfile(member)
    with pytest.raises(FatalError, match="foreign"):
        read(pax.getvalue())


def test_reading_works_on_a_stream_that_gives_odd_pieces(tmp_path: Path) -> None:
    class Odd(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(min(size or 0, 777))

    data = write(tmp_path / "a.tar").read_bytes()
    assert len(list(read_samples(Odd(data), "shard"))) == 3


def test_memory_stays_at_one_sample(tmp_path: Path) -> None:
    import tracemalloc

    clips = [(f"v_{index}_{index + 1}", [("mp4", bytes(100_000))]) for index in range(200)]
    path = write(tmp_path / "a.tar", clips)
    tracemalloc.start()
    with path.open("rb") as file:
        assert sum(1 for _ in read_samples(file, "shard")) == 200
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000
