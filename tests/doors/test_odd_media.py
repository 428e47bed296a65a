"""Every odd file and format goes from its address to a clip or to a true reason; `-s` prints the table."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import psutil
import pytest
from numpy.typing import NDArray

from tests.fakes.media_server import MediaServer
from tests.fakes.remote import cut_remote, remotes_of
from valor_data.errors import ItemError, Reason
from valor_data.media.cut import Encoding, Source, cut
from valor_data.media.probe import probe
from valor_data.recipe import Access, Fetch
from valor_data.resolve import Resolver

EXACT = Encoding(1080, 23, 128, None, None)
REJECTED = {
    "http-streaming__mp4Muxed.mp4": Reason.CORRUPT,  # a fragment without its beginning
    "media__full_blocks.mkv": Reason.NO_VIDEO,  # subtitles only
    "media__sample_fragmented_clearkey.mp4": Reason.DRM,
    "media__sample_malformed_free_box.mp4": Reason.CORRUPT,
    "media__sample_mhm1_bl_cicp1.mp4": Reason.NO_VIDEO,  # MPEG-H sound only
    "mp4parse-rust__chunk_out_of_range.mp4": Reason.CORRUPT,
    "mp4parse-rust__opus_audioinit.mp4": Reason.NO_VIDEO,
    "mp4parse-rust__test_case_1185230.mp4": Reason.CORRUPT,  # a negative clock; nothing decodes
    "media__sample_ac3.mp4": Reason.NO_VIDEO,
    "media__sample_audio_only.mp4": Reason.NO_VIDEO,
    "media__sample_eac3.mp4": Reason.NO_VIDEO,
}


@pytest.fixture(scope="module")
def resolver() -> Resolver:
    return Resolver(Fetch(max_height=1080), Access())


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["odd", "formats", "clips_noaudio", "clips_silent", "clips_av"])
def test_each_file_ends_in_a_clip_or_a_true_reason(
    folder: str, real_data: Path, resolver: Resolver, tmp_path: Path
) -> None:
    rows: list[str] = []
    with MediaServer(real_data / folder) as server:
        for path in itertools.islice(sorted((real_data / folder).iterdir()), _MOST.get(folder)):
            rows.append(f"{path.name[:48]:48} {_outcome(path, server.url(path.name), resolver, tmp_path)}")
    print("", *rows, sep="\n")
    assert list(tmp_path.iterdir()) == []
    assert psutil.Process().children(recursive=True) == []


_MOST = {"clips_av": 6, "clips_noaudio": 4, "clips_silent": 4}


def _outcome(path: Path, url: str, resolver: Resolver, folder: Path) -> str:
    out = folder / "clip.mp4"
    if path.name in REJECTED:
        with pytest.raises(ItemError) as caught:
            cut_remote(remotes_of(resolver.resolve(url)), 0, 10_000, EXACT, out, 120)
        assert caught.value.reason is REJECTED[path.name]
        return str(caught.value)[:120]
    done = cut_remote(remotes_of(resolver.resolve(url)), 0, 10_000, EXACT, out, 120)
    clip, source = probe(out), probe(path)
    out.unlink()
    assert clip.video_codec == "h264"
    assert clip.frames == done.frames > 0
    assert (clip.width, clip.height) == (source.width // 2 * 2, source.height // 2 * 2)
    assert (clip.audio_codec is None) == (source.audio_codec is None)
    # AVI with B-frames: the container gives them no times, and ffmpeg's reckoning runs behind.
    if path.suffix != ".avi":
        assert clip.first_frame_ms == pytest.approx(0, abs=1)
        assert abs(done.start_error_ms) < 1.1 * max(1000 / max(source.fps, 1), 70)
    if source.duration_ms <= 10_000:
        assert clip.frames == source.frames
        assert clip.duration_ms == pytest.approx(source.duration_ms, abs=100)
    else:
        assert clip.duration_ms == pytest.approx(10_000, abs=50)
    sound = f"{clip.audio_codec} {clip.sample_rate} x{clip.channels}" if clip.audio_codec else "no sound"
    return (
        f"{clip.width}x{clip.height} {clip.frames} frames {clip.duration_ms} ms, {sound}, {done.tries} run(s)"
    )


@pytest.mark.parametrize("start_ms", [3000, 12_000])
def test_a_decoder_that_needs_the_beginning_gets_it(start_ms: int, real_data: Path, tmp_path: Path) -> None:
    # After a seek this file decodes to green; its one true beginning tells the decoder how to read it.
    source = real_data / "odd" / "imageio-binaries__cockatoo.mp4"
    cut(Source(str(source)), start_ms, start_ms + 500, EXACT, tmp_path / "clip.mp4", 120)
    clip = next(_pictures(tmp_path / "clip.mp4"))
    true = next(itertools.islice(_pictures(source), start_ms * 20 // 1000, None))
    assert np.abs(clip.astype(float) - true).mean() < 6


def _pictures(path: Path) -> Iterator[NDArray[np.uint8]]:
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="rgb24")
