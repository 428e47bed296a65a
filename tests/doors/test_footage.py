"""Footage shows and plays what its captions say, and the demo's server gives out byte ranges of it."""

import csv
import http.client
import socket
import threading
import wave
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.doors.test_sound import measure_audio
from valor_data import scenes
from valor_data.demo.footage import COLUMNS, Footage, make_footage, make_list
from valor_data.demo.server import serve
from valor_data.media.write import write_video
from valor_data.scenes import (
    BACKGROUNDS,
    MOTIONS,
    SOUNDS,
    VISUALS,
    Scene,
    caption,
    make_scene,
    pairs,
    render_clip,
    render_source,
)

RATE = scenes.SAMPLE_RATE


def pictures(path: Path) -> NDArray[np.uint8]:
    """All frames of a video, T x H x W x RGB."""
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def heard(path: Path) -> NDArray[np.float32]:
    """Samples of a video's first channel."""
    with av.open(str(path)) as container:
        return np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])


def mask(frames_THWC: NDArray[np.uint8], visual: str) -> NDArray[np.bool_]:
    """Where the frames have the colour of a shape."""
    colour = np.array(VISUALS[visual].colour, np.int16)
    return np.abs(frames_THWC.astype(np.int16) - colour).max(axis=-1) < 40


def track(frames_THWC: NDArray[np.uint8], visual: str) -> NDArray[np.float64]:
    """Centre (x, y) and area of the shape in each frame, T x 3, in pixels."""
    rows = []
    for shape in mask(frames_THWC, visual):
        y, x = np.nonzero(shape)
        rows.append((np.median(x), np.median(y), len(x)))
    return np.array(rows)


# Captions


@pytest.mark.parametrize("pair", pairs(), ids="-".join)
def test_a_caption_names_what_is_seen_and_heard_and_nothing_else(pair: tuple[str, str]) -> None:
    for seed in range(20):
        scene = make_scene(*pair, seed=seed)
        text = caption(scene).lower()
        for table, said in (
            (VISUALS, scene.visual),
            (SOUNDS, scene.sound),
            (MOTIONS, scene.motion),
            (BACKGROUNDS, scene.background),
        ):
            named = [name for name, entry in table.items() if any(phrase in text for phrase in entry.phrases)]
            assert named == [said], text


def test_captions_of_one_pair_are_worded_in_many_ways() -> None:
    assert len({caption(make_scene("red circle", "low hum", seed)) for seed in range(30)}) > 20


def test_a_caption_tells_silence_and_speech() -> None:
    scene = make_scene("red circle", "low hum")
    assert "no sound" in caption(replace(scene, sound=None))
    spoken = caption(replace(scene, words="good morning"))
    assert 'voice says "good morning"' in spoken
    assert any(phrase in spoken.lower() for phrase in SOUNDS["low hum"].phrases)
    assert "no sound" not in caption(replace(scene, sound=None, words="good morning"))


def test_there_are_64_pairs() -> None:
    assert len(pairs()) == len(set(pairs())) == 64


# Pictures


@pytest.mark.parametrize("background", BACKGROUNDS)
@pytest.mark.parametrize("visual", VISUALS)
def test_every_shape_stands_out_before_every_background(tmp_path: Path, visual: str, background: str) -> None:
    scene = Scene(visual, None, background, "bounce", seconds=1.0)
    render_clip(tmp_path / "clip.mp4", scene, channels=0)
    frames = pictures(tmp_path / "clip.mp4")
    assert frames.shape == (12, 240, 320, 3)
    assert mask(frames, visual).sum(axis=(1, 2)).min() > 700
    for other in VISUALS.keys() - {visual, "white ring"}:
        assert mask(frames, other).sum(axis=(1, 2)).max() < 200, other


@pytest.mark.parametrize("motion", MOTIONS)
def test_shapes_move_as_the_caption_says(motion: str) -> None:
    for seed in range(3):
        scene = Scene("red circle", None, "dark", motion, 10.0, seed)
        x, y, area = track(np.stack(list(scenes.frames(scene))), "red circle").T
        wide, high = np.ptp(x), np.ptp(y)
        swells = area.max() / area.min()
        assert (swells > 2) == (motion == "pulse")
        if motion == "pulse":
            assert max(wide, high) < 5
        elif motion == "glide":
            assert wide > 180
            assert high < 5
        elif motion == "hop":
            assert high > 90
            assert wide < 5
        else:
            assert min(wide, high) > 80
        if motion == "circle":
            radii = np.hypot((x - x.mean()) / wide, (y - y.mean()) / high)
            assert np.ptp(radii) < 0.1


# Sounds


def spectrum(samples_T: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Frequencies, Hz, and the share of the energy that lies at each."""
    power = np.abs(np.fft.rfft(samples_T)) ** 2
    return np.fft.rfftfreq(len(samples_T), 1 / RATE), power / power.sum()


def share(samples_T: NDArray[np.float32], low: float, high: float) -> float:
    """Share of the energy between two frequencies."""
    frequencies, power = spectrum(samples_T)
    return float(power[(frequencies >= low) & (frequencies < high)].sum())


def loud(samples_T: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which 10 ms are loud."""
    blocks = samples_T[: len(samples_T) // 441 * 441].reshape(-1, 441)
    return np.sqrt(np.mean(blocks**2, axis=1)) > 0.03


def onsets(samples_T: NDArray[np.float32]) -> NDArray[np.float64]:
    """Seconds at which it turns loud."""
    return np.nonzero(np.diff(loud(samples_T).astype(int)) == 1)[0] / 100


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, NDArray[np.float32]]:
    """Every sound as it comes out of an encoded clip, without its faded ends."""
    folder = tmp_path_factory.mktemp("sounds")
    made = {}
    for name in SOUNDS:
        render_clip(folder / f"{name}.mp4", Scene("red circle", name, seconds=6.0))
        made[name] = heard(folder / f"{name}.mp4")[RATE // 10 : -RATE // 10]
    return made


def test_sounds_are_what_their_names_say(sounds: dict[str, NDArray[np.float32]]) -> None:
    assert share(sounds["low hum"], 60, 300) > 0.98
    assert share(sounds["high beeps"], 1700, 1900) > 0.95
    assert np.diff(onsets(sounds["high beeps"])) == pytest.approx(0.5, abs=0.02)
    assert share(sounds["drum beats"], 0, 400) > 0.9
    assert np.diff(onsets(sounds["drum beats"])) == pytest.approx(0.5, abs=0.02)
    assert share(sounds["siren"], 480, 520) == pytest.approx(0.5, abs=0.1)
    assert share(sounds["siren"], 730, 770) == pytest.approx(0.5, abs=0.1)
    assert share(sounds["trill"], 2800, 3600) > 0.95
    for pitch in (261.63, 329.63, 392.0):
        assert share(sounds["chord"], pitch - 5, pitch + 5) == pytest.approx(0.3, abs=0.05)
    noise = sounds["noise bursts"]
    assert max(share(noise, hertz, hertz + 1000) for hertz in range(0, 20_000, 1000)) < 0.12
    assert np.diff(onsets(noise)) == pytest.approx(0.9, abs=0.02)
    assert loud(noise).mean() == pytest.approx(0.5, abs=0.1)


def test_the_sweep_rises_in_each_period(sounds: dict[str, NDArray[np.float32]]) -> None:
    start = 2 * RATE - RATE // 10
    period = sounds["rising sweep"][start : start + 2 * RATE]
    peaks = [np.argmax(spectrum(part)[1]) for part in np.array_split(period, 10)]
    assert all(low < high for low, high in pairwise(peaks))


def test_sounds_are_about_equally_loud(tmp_path: Path) -> None:
    for name in SOUNDS:
        render_clip(tmp_path / "clip.mp4", Scene("red circle", name, seconds=3.0))
        numbers = measure_audio(tmp_path / "clip.mp4")
        assert numbers.loudness_lufs is not None
        assert -32 < numbers.loudness_lufs < -10, name
        assert numbers.clipped_share == 0


# Files


def test_the_same_scenes_give_the_same_bytes(tmp_path: Path) -> None:
    clips = [
        make_scene("blue square", "drum beats", 1, 2.0),
        make_scene("pink heart", "noise bursts", 2, 2.0),
    ]
    render_source(tmp_path / "a.mp4", clips, channels=2)
    render_source(tmp_path / "b.mp4", clips, channels=2)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_silence_is_digital_and_no_track_is_none(tmp_path: Path) -> None:
    scene = replace(make_scene("blue square", "siren"), sound=None, seconds=2.0)
    render_clip(tmp_path / "silent.mp4", scene)
    numbers = measure_audio(tmp_path / "silent.mp4")
    assert (numbers.loudness_lufs, numbers.sample_peak_dbfs, numbers.silent_share) == (-70, -120, 1)
    render_clip(tmp_path / "mute.mp4", scene, channels=0)
    assert not measure_audio(tmp_path / "mute.mp4").has_audio


def test_a_written_video_keeps_frames_keyframes_and_sync(tmp_path: Path) -> None:
    fps, seconds, flash = 25, 12, 5.0
    frames = np.zeros((fps * seconds, 32, 48, 3), np.uint8)
    frames[int(flash * fps)] = 255
    sound = np.zeros((2, RATE * seconds), np.float32)
    sound[:, int(flash * RATE)] = 0.9
    path = tmp_path / "-a b:c.mp4"
    write_video(path, frames, fps, sound, RATE, gop=50)
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        keys = [i for i, packet in enumerate(sorted(packets, key=lambda p: p.pts or 0)) if packet.is_keyframe]
    shown = pictures(path)
    assert len(shown) == fps * seconds
    assert max(np.diff([*keys, len(shown)])) <= 50
    assert int(np.argmax(shown.mean(axis=(1, 2, 3)))) == flash * fps
    with av.open(str(path)) as container:
        first = next(container.decode(audio=0))
    assert first.time == 0
    assert np.argmax(np.abs(heard(path))) / RATE == pytest.approx(flash, abs=0.002)


# The demo's set


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Footage:
    return make_footage(tmp_path_factory.mktemp("footage"), spoken=False)


def test_every_branch_of_the_chain_has_a_row(footage: Footage) -> None:
    outcomes = [row.expected for row in footage.rows]
    assert outcomes.count("kept") == 18
    for once in ("short", "duplicate", "inaudible", "no_audio", "corrupt", "not_found", "past_end"):
        assert outcomes.count(once) == 1
    spans = [(row.video_id, row.start, row.end) for row in footage.rows]
    assert len(spans) - len(set(spans)) == 1


def test_rows_lie_where_their_outcome_says(footage: Footage) -> None:
    for row in footage.rows:
        path = footage.folder / row.file
        assert path.exists() == (row.expected != "not_found")
        if row.expected in ("corrupt", "not_found"):
            continue
        with av.open(str(path)) as container:
            assert container.duration is not None
            seconds = container.duration / 1e6
            assert bool(container.streams.audio) == (row.expected != "no_audio")
        assert 30 <= seconds <= 120
        assert (row.start >= seconds) == (row.expected == "past_end")
        assert (row.end > seconds) == (row.expected in ("past_end", "short"))


def test_segments_show_and_play_what_their_labels_say(footage: Footage) -> None:
    decoded: dict[str, tuple[NDArray[np.uint8], NDArray[np.float32] | None]] = {}
    for row in footage.rows:
        if row.expected in ("corrupt", "not_found", "past_end"):
            continue
        path = footage.folder / row.file
        if row.file not in decoded:
            decoded = {row.file: (pictures(path), None if row.expected == "no_audio" else heard(path))}
        frames, samples = decoded[row.file]
        visual, sound = row.labels
        stretch = frames[int(row.start * scenes.FPS) : int(row.end * scenes.FPS) : 6]
        assert mask(stretch, visual).sum(axis=(1, 2)).min() > 400, row
        if samples is not None:
            played = samples[int(row.start * RATE) : int(row.end * RATE)]
            assert (np.abs(played).max() == 0) == (sound == "silence"), row


def test_the_list_is_a_table_with_addresses(footage: Footage) -> None:
    path = make_list(footage, "http://127.0.0.1:8000/")
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == len(footage.rows)
    for read, row in zip(rows, footage.rows, strict=True):
        assert read["url"] == f"http://127.0.0.1:8000/{row.file}"
        assert (float(read["start"]), float(read["end"])) == (row.start, row.end)
        assert tuple(read["labels"].split(";")) == row.labels
        assert read["caption"] == row.caption


def test_words_are_spoken_over_the_softened_sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for the synthesiser says one second of 440 Hz at its own rate, whatever the words."""
    with wave.open(str(tmp_path / "voice.wav"), "wb") as file:
        file.setparams((1, 2, 22_050, 0, "NONE", ""))
        file.writeframes(
            (8000 * np.sin(2 * np.pi * 440 * np.arange(22_050) / 22_050)).astype("<i2").tobytes()
        )
    program = tmp_path / "espeak-ng"
    program.write_text(f'#!/bin/sh\n[ "$1 $3 $4" = "-w -- one two" ] && cp {tmp_path}/voice.wav "$2"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    scene = Scene("red circle", "low hum", seconds=4.0)
    alone, spoken = scenes.samples(scene), scenes.samples(replace(scene, words="one two"))
    assert len(alone) == len(spoken)
    assert share(spoken[RATE : RATE + RATE // 4], 430, 450) > 0.9
    assert spoken[3 * RATE :] == pytest.approx(0.3 * alone[3 * RATE :], abs=1e-6)


def test_without_a_synthesiser_nobody_speaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert scenes.synthesiser() is None
    with pytest.raises(FileNotFoundError, match="espeak"):
        scenes.samples(Scene("red circle", None, words="hello"))


# The server


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    folder = tmp_path / "media"
    (folder / "deep").mkdir(parents=True)
    (tmp_path / "secret.mp4").write_bytes(b"secret")
    (tmp_path / "media-too").mkdir()
    (tmp_path / "media-too" / "secret.mp4").write_bytes(b"secret")
    for name in ("a b.mp4", "-dash.webm", "ü?#%.mkv", "deep/c.mov", "notes.xyz"):
        (folder / name).write_bytes(bytes(range(100)))
    (folder / "empty.mp4").touch()
    (folder / "link.mp4").symlink_to(tmp_path / "secret.mp4")
    (folder / "away").symlink_to(tmp_path)
    with serve(folder) as base_url:
        yield base_url


def ask(base_url: str, target: str, method: str = "GET", **headers: str) -> tuple[int, bytes, dict[str, str]]:
    address = urlsplit(base_url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)
    try:
        connection.request(method, target, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read(), dict(answer.getheaders())
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("/a%20b.mp4", "video/mp4"),
        ("/-dash.webm", "video/webm"),
        ("/%C3%BC%3F%23%25.mkv", "video/x-matroska"),
        ("/deep/c.mov", "video/quicktime"),
        ("/notes.xyz?query=1", "application/octet-stream"),
    ],
)
def test_files_are_served_under_any_name(served: str, target: str, kind: str) -> None:
    status, body, headers = ask(served, target)
    assert (status, body) == (200, bytes(range(100)))
    assert (headers["Content-Type"], headers["Accept-Ranges"]) == (kind, "bytes")
    status, body, headers = ask(served, target, "HEAD")
    assert (status, body, headers["Content-Length"]) == (200, b"", "100")


@pytest.mark.parametrize(
    ("asked", "first", "end"),
    [
        ("0-0", 0, 1),
        ("10-19", 10, 20),
        ("90-", 90, 100),
        ("-10", 90, 100),
        ("50-999", 50, 100),
        ("-999", 0, 100),
    ],
)
def test_a_range_is_answered_with_its_bytes(served: str, asked: str, first: int, end: int) -> None:
    status, body, headers = ask(served, "/a%20b.mp4", Range=f"bytes={asked}")
    assert (status, body) == (206, bytes(range(first, end)))
    assert headers["Content-Range"] == f"bytes {first}-{end - 1}/100"


@pytest.mark.parametrize(
    "asked", ["bytes=5-4", "bytes=0-1,5-6", "lines=0-1", "bytes=-", "bytes=a-b", "bytes=--1"]
)
def test_a_range_that_is_not_understood_gives_the_whole(served: str, asked: str) -> None:
    assert ask(served, "/a%20b.mp4", Range=asked)[:2] == (200, bytes(range(100)))


def test_a_range_beyond_the_end_cannot_be_satisfied(served: str) -> None:
    status, _, headers = ask(served, "/a%20b.mp4", Range="bytes=100-")
    assert (status, headers["Content-Range"]) == (416, "bytes */100")
    assert ask(served, "/empty.mp4", Range="bytes=0-")[0] == 416
    assert ask(served, "/empty.mp4")[:2] == (200, b"")


@pytest.mark.parametrize(
    "target",
    ["/", "/none.mp4", "/deep", "/../secret.mp4", "/%2e%2e/secret.mp4", "/link.mp4", "/away/secret.mp4",
     "/../media-too/secret.mp4", "//etc/hostname", "/%2Fetc/hostname", "/%00", "/%ff", "/" + "x" * 5000],
)  # fmt: skip
def test_nothing_outside_the_folder_is_served(served: str, target: str) -> None:
    status, body, _ = ask(served, target)
    assert status == 404
    assert b"secret" not in body.replace(target.encode(), b"")


def test_connections_are_kept_and_closed_with_the_server(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"abc")
    before = threading.active_count()
    with serve(tmp_path) as base_url:
        address = urlsplit(base_url)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)
        for _ in range(2):
            connection.request("GET", "/a.mp4")
            assert connection.getresponse().read() == b"abc"
        impatient = http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)
        impatient.request("GET", "/a.mp4")
        impatient.close()
    connection.close()
    assert threading.active_count() == before
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((address.hostname or "", address.port or 0), timeout=1)
