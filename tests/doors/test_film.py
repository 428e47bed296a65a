"""Frames and sound of films on disk: what `take` gives of a clip in memory, in whatever container."""

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest

from valor_data.errors import ItemError
from valor_data.media.film import film_frames, film_sound
from valor_data.media.take import take_frames, take_sound
from valor_data.scenes import make_scene, pairs, render_clip
from valor_data.train.sampling import pick

SECONDS, SIDE, RATE = 6.0, 48, 16_000


def some(wanted: int) -> Callable[[int], Sequence[int]]:
    return lambda count: pick(count, wanted)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film as mp4, with B-frames and a key frame every second, and the same in other wrappings."""
    folder = tmp_path_factory.mktemp("films")
    visual, sound = pairs()[9]
    render_clip(folder / "drawn.mp4", make_scene(visual, sound, seconds=SECONDS), fps=8)
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-nostdin"]

    def run(source: str, *arguments: str) -> None:
        subprocess.run([*ffmpeg, "-i", str(folder / source), *arguments], check=True, cwd=folder)

    run("drawn.mp4", "-c:v", "libx264", "-bf", "2", "-g", "8", "-c:a", "copy", "film.mp4")
    run("film.mp4", "-c", "copy", "film.mkv")
    run("film.mp4", "-c", "copy", "film.ts")
    run("film.mp4", "-an", "-c", "copy", "bare.h264")
    run("film.mp4", "-c:v", "mpeg4", "-bf", "2", "-c:a", "libmp3lame", "film.avi")
    run("film.mp4", "-vn", "sound.wav")
    run("film.mp4", "-frames:v", "1", "cover.jpg")
    cover = (
        "-i",
        "cover.jpg",
        "-map",
        "0:a",
        "-map",
        "1:v",
        "-c:v",
        "copy",
        "-disposition:v",
        "attached_pic",
    )
    run("sound.wav", *cover, "song.mp3")
    return folder


@pytest.mark.parametrize("name", ["film.mp4", "film.mkv", "film.ts"])
@pytest.mark.parametrize("wanted", [1, 3, 8, 60])
def test_the_frames_are_those_of_the_clip_in_memory(folder: Path, name: str, wanted: int) -> None:
    ours = film_frames(folder / name, some(wanted), SIDE)
    theirs = take_frames((folder / name).read_bytes(), some(wanted), SIDE)
    assert ours is not None
    assert theirs is not None
    assert ours.shape == (wanted, SIDE, SIDE, 3)
    np.testing.assert_array_equal(ours, theirs)


def test_frames_without_times_are_counted(folder: Path) -> None:
    """Neither packets of a bare stream nor those of an AVI with B-frames tell when a frame is shown."""
    inside = film_frames(folder / "film.mp4", some(5), SIDE)
    bare = film_frames(folder / "bare.h264", some(5), SIDE)
    assert inside is not None
    assert bare is not None
    np.testing.assert_array_equal(bare, inside)
    old = film_frames(folder / "film.avi", some(5), SIDE)
    assert old is not None
    assert np.abs(old.astype(int) - inside).mean() < 6  # another codec, the same moments
    assert np.abs(old[::-1].astype(int) - inside).mean() > 6


@pytest.mark.parametrize("name", ["film.mp4", "film.avi", "sound.wav", "song.mp3"])
def test_stretches_of_sound_are_cut_out_of_the_whole(folder: Path, name: str) -> None:
    whole = take_sound((folder / name).read_bytes(), RATE)
    assert whole is not None
    counts = []

    def choose(count: int) -> list[range]:
        counts.append(count)
        return [range(70_000, 70_500), range(10, 20_000), range(count - 5, count + 300)]

    cut = film_sound(folder / name, RATE, choose)
    assert cut is not None
    assert counts == [len(whole)]
    for one, span in zip(cut, (slice(70_000, 70_500), slice(10, 20_000), slice(-5, None)), strict=True):
        np.testing.assert_array_equal(one, whole[span])


def test_a_cover_is_no_picture_and_a_silent_film_has_no_sound(folder: Path) -> None:
    assert film_frames(folder / "song.mp3", some(2), SIDE) is None
    assert film_frames(folder / "sound.wav", some(2), SIDE) is None
    assert film_sound(folder / "bare.h264", RATE, lambda count: [range(count)]) is None
    still = film_frames(folder / "cover.jpg", some(2), SIDE)
    assert still is not None
    np.testing.assert_array_equal(still[0], still[1])


def test_what_is_no_film_is_told(folder: Path) -> None:
    (folder / "notes.mp4").write_text("buy milk\n")
    broken = (folder / "film.mp4").read_bytes()
    (folder / "cut.mp4").write_bytes(broken[:3000])
    (folder / "list.m3u8").write_text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/x.ts\n")
    for name in ("notes.mp4", "cut.mp4", "list.m3u8", "nothing.mp4"):
        with pytest.raises(ItemError, match="picture: "):
            film_frames(folder / name, some(2), SIDE)
        with pytest.raises(ItemError, match="sound: "):
            film_sound(folder / name, RATE, lambda count: [range(count)])
