"""A probe tells what a file is from its packets, and leaks and prints nothing."""

import contextlib
import subprocess
from pathlib import Path

import psutil
import pytest

from tests.fakes import footage
from valor_data.errors import ItemError, Reason
from valor_data.media.ffmpeg import ffmpeg_path
from valor_data.media.probe import is_encrypted, probe


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return footage.make(tmp_path_factory.mktemp("probe") / "base.mp4", 8)


def _made(path: Path, *options: str) -> Path:
    subprocess.run([ffmpeg_path(), "-v", "error", "-y", "-nostdin", *options, str(path)], check=True)
    return path


def test_the_numbers_of_a_plain_file(base: Path) -> None:
    seen = probe(base)
    assert seen.container == "mov,mp4,m4a,3gp,3g2,mj2"
    assert (seen.video_codec, seen.width, seen.height, seen.frames) == ("h264", 320, 180, 200)
    assert seen.fps == 25
    assert (seen.audio_codec, seen.sample_rate, seen.channels) == ("aac", 44100, 1)
    assert seen.duration_ms == pytest.approx(8000, abs=10)
    assert (seen.first_frame_ms, seen.first_audio_ms) == (0, 0)


def test_what_an_edit_list_hides_does_not_count(base: Path, tmp_path: Path) -> None:
    # A copied section starts on the keyframe at 4.0 s and hides all up to 5.3 s.
    section = _made(tmp_path / "section.mp4", "-ss", "5.3", "-i", str(base), "-t", "2", "-c", "copy")
    seen = probe(section)
    assert 50 <= seen.frames <= 54  # a copy ends by packets, not by frames
    assert 2000 <= seen.duration_ms <= 2200
    assert seen.first_frame_ms == pytest.approx(0, abs=40)
    assert seen.first_audio_ms == pytest.approx(0, abs=24)


def test_a_picture_that_starts_late_is_seen_to(base: Path, tmp_path: Path) -> None:
    late = _made(
        tmp_path / "late.mp4", "-itsoffset", "0.5", "-i", str(base), "-i", str(base), "-map", "0:v", "-map",
        "1:a", "-c", "copy",
    )  # fmt: skip
    seen = probe(late)
    assert (seen.first_frame_ms, seen.first_audio_ms) == (500, 0)
    assert seen.duration_ms == pytest.approx(8000, abs=10)


def test_the_last_frame_shown_ends_the_picture_however_packets_are_stored(base: Path, tmp_path: Path) -> None:
    gap = r"select=lte(n\,10)+gte(n\,60)"
    made = _made(tmp_path / "gap.mp4", "-i", str(base), "-an", "-vf", gap, "-fps_mode", "vfr", "-bf", "3")
    assert probe(made).duration_ms == 8000


@pytest.mark.parametrize("name", ["a.mkv", "a.ts", "a.flv", "a.mov"])
def test_every_container_counts_the_same_frames(name: str, base: Path, tmp_path: Path) -> None:
    seen = probe(footage.remux(base, tmp_path / name))
    assert seen.frames == 200
    assert seen.duration_ms == pytest.approx(8000, abs=45)


def test_codecs_go_by_the_name_of_the_codec_not_of_a_decoder(tmp_path: Path) -> None:
    picture, tone = ("-f", "lavfi", "-i", "testsrc2=s=64x64:d=1"), ("-f", "lavfi", "-i", "sine=d=1")
    made = _made(
        tmp_path / "a.mkv", *picture, *tone, "-c:v", "libaom-av1", "-cpu-used", "8", "-c:a", "libmp3lame"
    )
    assert (probe(made).video_codec, probe(made).audio_codec) == ("av1", "mp3")


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "Invalid data"),
        (b"<html><body>no</body></html>", "Invalid data"),
        (b"\0" * 4000, "Invalid data"),
    ],
)
def test_what_is_no_media_is_corrupt_in_the_words_of_the_library(
    content: bytes, word: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a:b.mp4"
    path.write_bytes(content)
    with pytest.raises(ItemError, match=word) as caught:
        probe(path)
    assert caught.value.reason is Reason.CORRUPT
    assert str(tmp_path) not in caught.value.message
    assert capfd.readouterr() == ("", "")


def test_a_file_cut_off_names_the_missing_index(base: Path, tmp_path: Path) -> None:
    half = tmp_path / "half.mp4"
    half.write_bytes(base.read_bytes()[: base.stat().st_size // 2])
    with pytest.raises(ItemError, match="moov atom not found"):
        probe(half)


def test_a_missing_file_is_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        probe(tmp_path / "none.mp4")


def test_a_codec_without_a_decoder(real_data: Path) -> None:
    with pytest.raises(ItemError) as caught:
        probe(real_data / "odd" / "media__sample_mhm1_bl_cicp1.mp4")
    assert caught.value.reason is Reason.UNSUPPORTED_FORMAT


def test_plain_media_are_not_encrypted(base: Path) -> None:
    assert not is_encrypted(str(base), {})
    assert not is_encrypted(str(base.with_name("none.mp4")), {})


def test_broken_media_are_told_without_a_print(real_data: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for path in sorted((real_data / "odd").iterdir()):
        with contextlib.suppress(ItemError):
            probe(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_two_thousand_probes_leak_nothing(base: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(base.read_bytes()[:3000])
    process = psutil.Process()

    def look(times: int) -> None:
        for _ in range(times):
            probe(base)
            with pytest.raises(ItemError):
                probe(broken)

    look(100)
    files, memory = process.num_fds(), process.memory_info().rss
    look(1000)
    assert process.num_fds() == files
    assert process.memory_info().rss - memory < 8 << 20
