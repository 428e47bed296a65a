"""The payload `train`: what the pair of a clip shows and plays, and how it gets into a release."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.fakes import footage
from valor_data.errors import ItemError, Reason
from valor_data.media.check import decodes
from valor_data.media.derive import Pair, Picture, derive
from valor_data.media.write import write_video
from valor_data.recipe import Derive

RATE = 16_000
FLASH_S = 1.6
"""When the planted flash and beep come; between two frames of the grid."""


def flash_and_beep(path: Path, fps: int = 25, seconds: float = 3.0) -> Path:
    """Black and silent but for one flash and one beep, from `FLASH_S` on for half a second."""
    lit = [FLASH_S <= number / fps < FLASH_S + 0.5 for number in range(round(seconds * fps))]
    frames = (np.full((90, 160, 3), 255 * on, np.uint8) for on in lit)
    t = np.arange(round(seconds * 44100)) / 44100
    beep = np.where((t >= FLASH_S) & (t < FLASH_S + 0.5), 0.8 * np.sin(2 * np.pi * 1000 * t), 0.0)
    write_video(path, frames, fps, beep.astype(np.float32)[None])
    return path


def ffmpeg(*arguments: str) -> None:
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-nostdin", *arguments], check=True)


def derived(source: Path, settings: Derive | None = None, most_ms: int = 3000) -> Pair:
    return derive(
        source, settings or Derive(), most_ms, source.with_suffix(".d.mp4"), source.with_suffix(".flac")
    )


def frames_of(source: Path) -> list[tuple[float, NDArray[np.uint8]]]:
    with av.open(str(source.with_suffix(".d.mp4"))) as container:
        assert not container.streams.audio
        return [(float(f.time or 0), f.to_ndarray(format="gray")) for f in container.decode(video=0)]


def samples_of(source: Path) -> NDArray[np.float32]:
    with av.open(str(source.with_suffix(".flac"))) as container:
        stream = container.streams.audio[0]
        assert stream.channels == 1
        parts = [frame.to_ndarray().ravel() for frame in container.decode(stream)]
    return np.concatenate(parts).astype(np.float32) / 2**15


def onsets(source: Path) -> tuple[float, float]:
    """When the flash is first seen, and when the beep is first heard, seconds."""
    seen = next(time for time, picture in frames_of(source) if picture.mean() > 128)
    heard = float(np.argmax(np.abs(samples_of(source)) > 0.1)) / RATE
    return seen, heard


def late_clock(plain: Path) -> Path:
    """The container's clock starts at seven seconds."""
    path = plain.with_name("late.mkv")
    ffmpeg("-i", str(plain), "-c", "copy", "-output_ts_offset", "7.3", str(path))
    return path


def hidden_second(plain: Path) -> Path:
    """A white and loud second stands before the clip, hidden by an edit list."""
    longer, path = plain.with_name("longer.mp4"), plain.with_name("edited.mp4")
    ffmpeg("-f", "lavfi", "-i", "color=white:s=160x90:r=25:d=1", "-f", "lavfi", "-i", "sine=d=1:r=44100",
           "-i", str(plain), "-filter_complex", "[0:v][1:a][2:v][2:a]concat=n=2:v=1:a=1[v][a]", "-map", "[v]",
           "-map", "[a]", "-g", "250", "-sc_threshold", "0", str(longer))  # fmt: skip
    ffmpeg("-ss", "1", "-i", str(longer), "-c", "copy", str(path))
    with av.open(str(path)) as container:
        assert sum(packet.is_discard for packet in container.demux(video=0)) >= 20
    return path


def uneven_frames(plain: Path) -> Path:
    """Two of three frames are missing where nothing happens."""
    path = plain.with_name("uneven.mp4")
    ffmpeg("-i", str(plain), "-vf", "select='between(t,1.4,2.3)+not(mod(n,3))'", "-fps_mode", "vfr",
           "-c:a", "copy", str(path))  # fmt: skip
    return path


def hole_in_sound(plain: Path) -> Path:
    """Half a second of sound is missing before the beep, and so its time stamps."""
    path = plain.with_name("hole.mkv")
    ffmpeg(
        "-i",
        str(plain),
        "-af",
        "aselect='not(between(t,0.5,1))'",
        "-c:v",
        "copy",
        "-c:a",
        "pcm_s16le",
        str(path),
    )
    return path


@pytest.mark.parametrize("variant", [Path, late_clock, hidden_second, uneven_frames, hole_in_sound])
def test_flash_and_beep_stay_together(variant: Callable[[Path], Path], tmp_path: Path) -> None:
    source = variant(flash_and_beep(tmp_path / "plain.mp4"))
    made = derived(source)
    seen, heard = onsets(source)
    assert seen == 1.75, "the first moment of the grid at which the flash is on screen"
    assert heard == pytest.approx(FLASH_S, abs=0.01)
    assert made.picture is not None
    assert len(samples_of(source)) == pytest.approx(made.duration_ms * RATE / 1000, abs=RATE / 1000)
    assert abs(made.picture.frames / 4 - made.duration_ms / 1000) < 0.25


@pytest.mark.parametrize(("delayed", "beep_s"), [("a", FLASH_S + 0.4), ("v", FLASH_S - 0.4)])
def test_the_pair_begins_with_the_first_frame(delayed: str, beep_s: float, tmp_path: Path) -> None:
    """What starts later is padded with silence, what was heard before the first frame goes."""
    plain, source = flash_and_beep(tmp_path / "plain.mp4"), tmp_path / "skewed.mkv"
    other = "v" if delayed == "a" else "a"
    ffmpeg("-i", str(plain), "-itsoffset", "0.4", "-i", str(plain), "-map", f"0:{other}",
           "-map", f"1:{delayed}", "-c", "copy", str(source))  # fmt: skip
    derived(source)
    assert onsets(source) == (1.75, pytest.approx(beep_s, abs=0.01))


def test_frame_k_is_what_the_clip_shows_at_its_moment(tmp_path: Path) -> None:
    source = footage.make(tmp_path / "numbered.mp4", 2.6, fps=30, sound=False)
    made = derived(source, Derive(fps=4, gop=5))
    found = frames_of(source)
    assert [footage.number_in(picture) for _, picture in found] == [k * 30 // 4 for k in range(11)]
    assert [time for time, _ in found] == [k / 4 for k in range(11)]
    assert made.duration_ms == 2600
    assert not made.has_sound
    assert not source.with_suffix(".flac").exists()
    with av.open(str(source.with_suffix(".d.mp4"))) as container:
        keys = [packet.is_keyframe for packet in container.demux(video=0) if packet.size]
    assert keys == [k % 5 == 0 for k in range(11)]


def test_the_same_clip_gives_the_same_bytes_and_no_more_than_its_span(tmp_path: Path) -> None:
    source = flash_and_beep(tmp_path / "plain.mp4")
    both = []
    for _ in range(2):
        made = derived(source, Derive(sample_rate=22050), most_ms=2000)
        both.append([source.with_suffix(suffix).read_bytes() for suffix in (".d.mp4", ".flac")])
    assert both[0] == both[1]
    assert made == Pair(Picture(160, 90, 8), True, 2000)
    assert len(samples_of(source)) == 44_100


@pytest.mark.parametrize(
    ("stored", "option", "shown"),
    [
        ((640, 360), "", (454, 256)),
        ((360, 640), "", (256, 454)),
        ((160, 90), "", (160, 90)),
        ((720, 576), "setsar=16/15", (340, 256)),
        ((640, 360), "rotate", (256, 454)),
    ],
)
def test_the_short_side_is_bounded_and_pixels_are_square(
    stored: tuple[int, int], option: str, shown: tuple[int, int], tmp_path: Path
) -> None:
    source = tmp_path / "sized.mp4"
    picture = f"color=red:s={stored[0]}x{stored[1]}:r=4:d=0.5" + (f",{option}" if "=" in option else "")
    ffmpeg("-f", "lavfi", "-i", picture, "-pix_fmt", "yuv420p", str(source))
    if option == "rotate":
        source = source.rename(tmp_path / "lying.mp4")
        ffmpeg("-display_rotation", "90", "-i", str(source), "-c", "copy", str(tmp_path / "sized.mp4"))
        source = tmp_path / "sized.mp4"
    made = derived(source)
    assert made.picture is not None
    assert made.picture[:2] == shown
    assert frames_of(source)[0][1].shape == shown[::-1]


def test_sound_alone_and_nothing_at_all(tmp_path: Path) -> None:
    plain, source = flash_and_beep(tmp_path / "plain.mp4"), tmp_path / "sound.mp4"
    ffmpeg("-i", str(plain), "-vn", "-c", "copy", str(source))
    made = derived(source)
    assert made.picture is None
    assert made.has_sound
    assert not source.with_suffix(".d.mp4").exists()
    source.write_bytes(b"no media at all" * 100)
    with pytest.raises(ItemError) as refused:
        derived(source)
    assert refused.value.reason is Reason.CORRUPT


def test_odd_files_give_a_pair_or_a_reason(real_data: Path, tmp_path: Path) -> None:
    for path in sorted((real_data / "odd").iterdir()):
        mp4, flac = tmp_path / f"{path.name}.mp4", tmp_path / f"{path.name}.flac"
        try:
            made = derive(path, Derive(), 5000, mp4, flac)
        except ItemError:
            continue
        assert (mp4.exists(), flac.exists()) == (made.picture is not None, made.has_sound), path.name
        assert 0 < made.duration_ms <= 5000, path.name
        if made.picture:
            decodes(mp4)
        if made.has_sound:
            decodes(flac, "audio")
