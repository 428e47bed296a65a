"""Sound measured on real decoders: textbook signals, and agreement with the ffmpeg program."""

import contextlib
import math
import subprocess
import threading
import time
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
import psutil
import pytest
from numpy.typing import NDArray

from valor_data.errors import ItemError, Reason
from valor_data.media.observe import Wanted, observe
from valor_data.media.write import write_video
from valor_data.records import AudioMeasures, Measures
from valor_data.stages.measure import numbers as fields_of

RATE = 48_000
LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}


def wav(path: Path, sound_CT: NDArray[np.float32], rate: int = RATE, codec: str = "pcm_f32le") -> Path:
    """A file that holds these very samples."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout=LAYOUTS[len(sound_CT)])
        interleaved = np.ascontiguousarray(sound_CT.T.reshape(1, -1), dtype=np.float32)
        frame = av.AudioFrame.from_ndarray(interleaved, format="flt", layout=LAYOUTS[len(sound_CT)])
        frame.sample_rate = rate
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def sine(dbfs: float, seconds: float = 5.0, hertz: float = 997.0, rate: int = RATE) -> NDArray[np.float32]:
    """A sine whose peak lies at `dbfs`."""
    times = np.arange(round(seconds * rate)) / rate
    return (10 ** (dbfs / 20) * np.sin(2 * np.pi * hertz * times)).astype(np.float32)


def loudness_of_ffmpeg(path: Path) -> float | None:
    """Integrated loudness as the ffmpeg program reads it, mono counted as two loudspeakers."""
    chain = "ebur128=metadata=1:dualmono=true,ametadata=print:key=lavfi.r128.I:file=-"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-i", str(path), "-vn", "-sn"]
    done = subprocess.run([*command, "-af", chain, "-f", "null", "-"], capture_output=True, timeout=60)
    values = [line.partition(b"=")[2] for line in done.stdout.splitlines() if b"r128.I=" in line]
    return float(values[-1]) if values else None


def measure_audio(path: Path) -> AudioMeasures:
    """The record of a file's sound."""
    fields = fields_of.audio(observe(path, Wanted(sound=True)))
    assert "has_audio" in fields
    return AudioMeasures(clip_id="test_0_1", media_sha256="0" * 64, made_by="audio@2", **fields)


def finite(numbers: Measures) -> bool:
    """No number of a record is infinite or none at all."""
    return all(math.isfinite(value) for _, value in numbers if isinstance(value, float))


def test_every_number_of_the_record_is_measured(tmp_path: Path) -> None:
    fields = fields_of.audio(observe(wav(tmp_path / "tone.wav", sine(-5.0)[None]), Wanted(sound=True)))
    assert set(fields) == set(AudioMeasures.model_fields) - set(Measures.model_fields)


@pytest.mark.parametrize("rate", [8_000, 11_025, 44_100, 48_000, 96_000])
def test_a_997_hz_sine_reads_its_textbook_loudness_in_mono_and_stereo(tmp_path: Path, rate: int) -> None:
    tone = sine(-23.0, rate=rate)
    stereo = measure_audio(wav(tmp_path / "stereo.wav", np.stack([tone, tone]), rate))
    mono = measure_audio(wav(tmp_path / "mono.wav", tone[None], rate))
    assert stereo.loudness_lufs == pytest.approx(-23.0, abs=0.1)
    assert mono.loudness_lufs == pytest.approx(-23.0, abs=0.1)
    assert mono.momentary_max_lufs == pytest.approx(-23.0, abs=0.1)
    own = {"loudness_lufs", "momentary_max_lufs", "channels", "stereo_correlation"}
    assert mono.model_dump(exclude=own) == stereo.model_dump(exclude=own)
    assert (mono.stereo_correlation, stereo.stereo_correlation) == (None, pytest.approx(1.0))
    assert (stereo.duration_ms, stereo.sample_rate, stereo.sample_peak_dbfs) == (5000, rate, -23.0)


def test_in_5_1_the_surrounds_weigh_more_and_the_low_effects_nothing(tmp_path: Path) -> None:
    tone, readings = sine(-23.0), {}
    for name, channel in (("left", 0), ("low", 3), ("surround", 4)):
        sound = np.zeros((6, len(tone)), np.float32)
        sound[channel] = tone
        readings[name] = measure_audio(wav(tmp_path / f"{name}.wav", sound)).loudness_lufs
    assert readings["left"] == pytest.approx(-26.0, abs=0.1)
    assert readings["surround"] == pytest.approx(-24.5, abs=0.1)
    assert readings["low"] == -70.0


def test_the_gate_leaves_pauses_out(tmp_path: Path) -> None:
    tone = np.concatenate([sine(-23.0, 5.0), np.zeros(10 * RATE, np.float32)])
    numbers = measure_audio(wav(tmp_path / "pause.wav", tone[None]))
    assert numbers.loudness_lufs == pytest.approx(-23.0, abs=0.2)
    assert numbers.silent_share == pytest.approx(2 / 3, abs=0.01)


def test_digital_silence(tmp_path: Path) -> None:
    numbers = measure_audio(wav(tmp_path / "silence.wav", np.zeros((2, 2 * RATE), np.float32)))
    levels = (numbers.loudness_lufs, numbers.sample_peak_dbfs, numbers.silent_share, numbers.clipped_share)
    assert levels == (-70.0, -120.0, 1.0, 0.0)
    assert (numbers.duration_ms, numbers.longest_silence_ms, numbers.channels) == (2000, 2000, 2)
    undefined = {"true_peak_dbtp", "bandwidth_hz", "stereo_correlation", "snr_db", "spectral_flatness"}
    assert {name for name, value in numbers if value is None} == undefined | {"sound_complaint"}


def test_a_clipped_square_wave(tmp_path: Path) -> None:
    square = np.where(sine(0.0) > 0, 1.0, -1.0).astype(np.float32)
    numbers = measure_audio(wav(tmp_path / "square.wav", square[None]))
    assert (numbers.clipped_share, numbers.sample_peak_dbfs, numbers.silent_share) == (1.0, 0.0, 0.0)


@pytest.mark.parametrize(("seconds", "defined"), [(0.05, False), (0.39, False), (0.41, True)])
def test_under_one_block_of_400_ms_there_is_no_loudness(
    tmp_path: Path, seconds: float, defined: bool
) -> None:
    numbers = measure_audio(wav(tmp_path / "short.wav", sine(-10.0, seconds)[None]))
    assert numbers.has_audio
    assert numbers.duration_ms == round(seconds * 1000)
    assert (numbers.loudness_lufs is not None) == defined
    assert numbers.sample_peak_dbfs == pytest.approx(-10, abs=0.01)


@pytest.mark.parametrize("codec", ["pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f64le"])
def test_every_sample_format_reads_the_same(tmp_path: Path, codec: str) -> None:
    numbers = measure_audio(wav(tmp_path / "tone.wav", sine(-23.0)[None], codec=codec))
    assert numbers.loudness_lufs == pytest.approx(-23.0, abs=0.1)
    assert numbers.sample_peak_dbfs == pytest.approx(-23.0, abs=1.0 if codec == "pcm_u8" else 0.01)


def test_samples_that_are_no_numbers_leave_no_number_behind(tmp_path: Path) -> None:
    tone = sine(-23.0)
    tone[RATE], tone[2 * RATE] = np.nan, np.inf
    numbers = measure_audio(wav(tmp_path / "nan.wav", tone[None]))
    assert numbers.loudness_lufs is None
    assert numbers.sample_peak_dbfs == pytest.approx(-23.0, abs=0.1)


def test_a_form_that_changes_on_the_way_is_measured_in_the_first(tmp_path: Path) -> None:
    """MP3 is a chain of frames that each tell their own form."""
    parts = []
    for name, rate, channels in (("a", 44_100, 2), ("b", 22_050, 1), ("c", 44_100, 1)):
        tone = np.tile(sine(-20.0, 2.0, rate=rate), (channels, 1))
        path = tmp_path / f"{name}.mp3"
        with av.open(str(path), "w", format="mp3", options={"write_xing": "0", "id3v2_version": "0"}) as out:
            stream = out.add_stream("libmp3lame", rate=rate, layout=LAYOUTS[channels])
            frame = av.AudioFrame.from_ndarray(tone, format="fltp", layout=LAYOUTS[channels])
            frame.sample_rate = rate
            out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
        parts.append(path.read_bytes())
    mixed = tmp_path / "mixed.mp3"
    mixed.write_bytes(b"".join(parts))
    numbers = measure_audio(mixed)
    assert (numbers.channels, numbers.sample_rate) == (2, 44_100)
    assert numbers.duration_ms == pytest.approx(6000, abs=250)
    assert numbers.loudness_lufs == pytest.approx(-21.5, abs=1.5)  # mono spread on two sides: -23


def test_broken_packets_are_counted_and_the_rest_is_measured(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    clip = tmp_path / "clip.mp4"
    black = np.zeros((16, 16, 3), np.uint8)
    write_video(clip, [black] * 50, 10, np.tile(sine(-20.0), (2, 1)), RATE)
    with av.open(str(clip)) as container:
        spots = [(packet.pos, packet.size) for packet in container.demux(audio=0) if packet.size]
    data = bytearray(clip.read_bytes())
    rng = np.random.default_rng(0)
    for position, size in spots[50:80]:
        assert position is not None
        data[position : position + size] = rng.bytes(size)
    clip.write_bytes(data)
    numbers = measure_audio(clip)
    assert numbers.has_audio
    assert 5 <= numbers.decode_errors <= 40
    assert numbers.sound_complaint is not None
    assert numbers.sound_complaint.startswith("aac: ")
    assert numbers.duration_ms is not None
    assert 4000 <= numbers.duration_ms <= 5100
    assert capfd.readouterr() == ("", "")


def test_a_file_without_sound(tmp_path: Path) -> None:
    clip = tmp_path / "mute.mp4"
    write_video(clip, [np.zeros((16, 16, 3), np.uint8)] * 10, 10, None)
    assert not measure_audio(clip).has_audio


@pytest.mark.parametrize("content", [b"", b"no media at all", b"\0\0\0\x18ftypmp42\0\0\0\0" + bytes(5000)])
def test_a_file_that_is_no_media_file_is_corrupt(
    tmp_path: Path, content: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a:b -x%03d.mp4"
    path.write_bytes(content)
    with pytest.raises(ItemError) as caught:
        measure_audio(path)
    assert caught.value.reason is Reason.CORRUPT
    assert caught.value.message
    assert capfd.readouterr() == ("", "")


def test_names_that_look_like_protocols_or_patterns_are_files(tmp_path: Path) -> None:
    assert measure_audio(wav(tmp_path / "a:b -x%03d.wav", sine(-20.0)[None])).has_audio


def test_tags_in_an_old_encoding_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "tagged.mp4"
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "TITLE"
        stream = container.add_stream("aac", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(sine(-20.0)[None], format="fltp", layout="mono")
        frame.sample_rate = RATE
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    path.write_bytes(path.read_bytes().replace(b"TITLE", "제목x".encode("cp949")))
    assert measure_audio(path).has_audio


def test_mangled_clips_give_numbers_or_a_reason(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    clip = tmp_path / "clip.mp4"
    write_video(clip, [np.zeros((16, 16, 3), np.uint8)] * 20, 10, np.tile(sine(-20.0, 2.0), (2, 1)), RATE)
    whole, rng = clip.read_bytes(), np.random.default_rng(0)
    for _ in range(300):
        data = bytearray(whole[: rng.integers(len(whole) // 2, len(whole) + 1)])
        for position in rng.integers(len(data), size=rng.integers(1, 60)):
            data[position] = rng.integers(256)
        clip.write_bytes(data)
        with contextlib.suppress(ItemError):
            numbers = measure_audio(clip)
            assert finite(numbers)
            assert numbers.has_audio == (numbers.sample_peak_dbfs is not None)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("folder", ["clips_av", "clips_silent", "formats"])
def test_loudness_agrees_with_the_ffmpeg_program_on_real_clips(real_data: Path, folder: str) -> None:
    compared = 0
    for path in sorted((real_data / folder).iterdir()):
        ours = measure_audio(path)
        theirs = loudness_of_ffmpeg(path)
        assert ours.has_audio == (theirs is not None) or ours.duration_ms in range(1, 101), path.name
        if ours.loudness_lufs is not None:
            assert ours.loudness_lufs == pytest.approx(theirs, abs=0.1), path.name
            compared += 1
    assert compared


def test_folders_of_real_clips_come_out_right(real_data: Path) -> None:
    for path in (real_data / "clips_noaudio").iterdir():
        assert not measure_audio(path).has_audio, path.name
    for path in (real_data / "clips_silent").iterdir():
        numbers = measure_audio(path)
        assert (numbers.loudness_lufs, numbers.sample_peak_dbfs, numbers.silent_share) == (-70, -120, 1)
    for path in (real_data / "clips_av").iterdir():
        loudness = measure_audio(path).loudness_lufs
        assert loudness is not None, path.name
        assert loudness > -55, path.name


def test_odd_files_give_numbers_or_a_reason(real_data: Path, capfd: pytest.CaptureFixture[str]) -> None:
    reasons = set()
    for path in sorted((real_data / "odd").iterdir()):
        started = time.monotonic()
        try:
            numbers = measure_audio(path)
        except ItemError as error:
            reasons.add(error.reason)
        else:
            assert finite(numbers), path.name
            assert numbers.has_audio == (numbers.sample_peak_dbfs is not None), path.name
        assert time.monotonic() - started < 10, path.name
    assert reasons == {Reason.CORRUPT}
    assert capfd.readouterr() == ("", "")


def test_it_starts_no_thread(tmp_path: Path) -> None:
    path = wav(tmp_path / "tone.wav", np.tile(sine(-23.0), (6, 1)))
    before, seen = psutil.Process().num_threads(), []
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            seen.append(psutil.Process().num_threads())

    watcher = threading.Thread(target=watch)
    watcher.start()
    for _ in range(5):
        measure_audio(path)
    stop.set()
    watcher.join()
    assert max(seen) == before + 1


@pytest.mark.slow
def test_memory_stays_flat_and_bounded(tmp_path: Path) -> None:
    """Ten minutes take no more than ten seconds do, and a thousand clips no more than some."""
    short = wav(tmp_path / "short.wav", np.tile(sine(-20.0, 10.0), (2, 1)))
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"\0\0\0\x18ftypmp42" + bytes(5000))
    process = psutil.Process()

    def used() -> float:
        return process.memory_info().rss / 2**20

    def many(count: int) -> None:
        for _ in range(count):
            measure_audio(short)
            with pytest.raises(ItemError):
                measure_audio(broken)

    many(50)
    before = used()
    many(400)
    assert used() - before < 5
    long = wav(tmp_path / "long.wav", np.tile(sine(-20.0, 600.0), (2, 1)))
    before = used()
    peak, stop = [before], threading.Event()

    def watch() -> None:
        while not stop.wait(0.02):
            peak.append(used())

    watcher = threading.Thread(target=watch)
    watcher.start()
    assert measure_audio(long).duration_ms == 600_000
    stop.set()
    watcher.join()
    assert (
        max(peak) - before < 60
    )  # ten minutes of spectra up to the voice's end: 350 bins a tenth of a second
