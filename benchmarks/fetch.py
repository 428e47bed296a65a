"""Fetch, through its worker: bytes over the floor, CPU beside plain ffmpeg, yt-dlp and video2dataset.

    python benchmarks/fetch.py

One paced loopback server serves everybody, and the sides take turns, A B A B. `ours` is the worker of the
fetch stage: resolve, read, cut, probe, hash, store. CPU is user and system, children included, without
what the server spent; its ratios are medians over videos, each to the plain `ffmpeg -ss -t` of the same
video with the same encoder settings. Bytes are what the server sent, beside the floor: the index and the
packets from the key frame at or before the start to the end. A start's error is found by comparing the
first picture that a player shows of a clip with all of the source's; the asked starts lie 7 ms behind a
picture, so that 33 ms is the next one. Start-up, paid once a worker, is told apart.

`VIDEO2DATASET_PYTHON` may name the Python of a venv that holds video2dataset.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.cut import LENGTH_MS, STARTS_MS, floor_bytes, make_sources, packets_of, plain
from tests.fakes.media_server import Lease, MediaServer
from valor_data import chain
from valor_data import recipe as recipes
from valor_data.media.ffmpeg import ffmpeg_path
from valor_data.records import Clip
from valor_data.stages.fetch import FetchStage
from valor_data.tables import Tables

VIDEOS, SECONDS, GOP, FPS = 30, 60, 120, 25
BESIDE = 5
"""Videos on which the slow peers are tried."""
MOST_BYTES, MOST_CPU = 1.4, 1.15
PACE = 16_000_000
_FRAGMENTED = (("picture.mp4", "video/mp4", "avc1.64001e"), ("sound.m4a", "audio/mp4", "mp4a.40.2"))


class Taken(NamedTuple):
    """What one clip cost."""

    cpu_s: float
    bytes: int
    out: Path | None


class Bench:
    """The server, and a ruler for what one side does."""

    def __init__(self, server: MediaServer, scratch: Path) -> None:
        self.server, self.scratch = server, scratch

    def addresses(self, name: str) -> tuple[str, str]:
        """The page of a video, which costs no byte of it, and a signed address of its bytes."""
        lease = self.server.platform.setdefault(name, Lease())
        return self.server.url(f"watch/{name}"), f"{self.server.url(name)}?sig={lease.sign()}"

    def measure(self, work: Callable[[], Path | None]) -> Taken:
        """CPU and bytes of a call, without the server's own CPU."""
        self.server.reset_counts()
        before = sum(os.times()[:4])
        out = work()
        spent = sum(os.times()[:4]) - before
        return Taken(spent - self.server.cpu_s, self.server.bytes_sent, out)


def render(folder: Path) -> None:
    """The videos: one rendering under many names, for nothing is kept from one to the next."""
    picture = f"testsrc2=s=640x360:r={FPS}:d={SECONDS},noise=alls=12:allf=t"
    command = [
        ffmpeg_path(), "-v", "error", "-nostdin", "-f", "lavfi", "-i", picture, "-f", "lavfi",
        "-i", f"anoisesrc=d={SECONDS}:a=0.2:r=44100", "-c:v", "libx264", "-preset", "veryfast",
        "-b:v", "900k", "-g", str(GOP), "-sc_threshold", "0", "-c:a", "aac", "-movflags", "+faststart",
    ]  # fmt: skip
    subprocess.run([*command, str(folder / "video-0.mp4")], check=True)
    for number in range(1, VIDEOS):
        os.link(folder / "video-0.mp4", folder / f"video-{number}.mp4")


def manifest() -> str:
    """Picture and sound apart, each one indexed file: as the larger platforms have it."""
    sets = "".join(
        f'<AdaptationSet mimeType="{kind}"><Representation id="{name}" codecs="{codec}" bandwidth="900000">'
        f"<BaseURL>{name}</BaseURL></Representation></AdaptationSet>"
        for name, kind, codec in _FRAGMENTED
    )
    return (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        f'mediaPresentationDuration="PT600S"><Period>{sets}</Period></MPD>'
    )


def starts() -> list[int]:
    """Asked starts (ms) of the videos' clips, on no key frame."""
    return [round(1000 * (1 + number * (SECONDS - 12) / VIDEOS) + 7) for number in range(VIDEOS)]


@contextmanager
def worker(root: Path) -> Iterator[Callable[[str, int], Path | None]]:
    """`fetch(url, start_ms)` by the worker of the fetch stage, which is opened once."""
    stage = FetchStage(recipes.Recipe(name="bench"), str(root), again=frozenset())
    with stage.open_worker() as do:

        def fetch(url: str, start_ms: int) -> Path:
            video_id = Path(url).stem
            end_ms = start_ms + LENGTH_MS
            clip = Clip(
                clip_id=f"{video_id}_{start_ms}_{end_ms}", source="url", video_id=video_id,
                start_ms=start_ms, end_ms=end_ms, url=url, made_by="bench",
            )  # fmt: skip
            (done,) = do([clip])
            assert done.value is not None, done.error
            assert done.value.media is not None
            return root / done.value.media.object_key

        yield fetch


def ffmpeg(url: str, start_ms: int, out: Path) -> Path:
    """The least that anybody could do, with the address in hand."""
    plain([url], start_ms, out)
    return out


def ytdlp(url: str, start_ms: int, out: Path, *, exact: bool) -> Path:
    """yt-dlp's own way to a section, by its command line."""
    start_s, end_s = start_ms / 1000, (start_ms + LENGTH_MS) / 1000
    words = ["--quiet", "--no-warnings", "--no-config", "--no-cache-dir", "--ffmpeg-location", ffmpeg_path()]
    words += ["--download-sections", f"*{start_s}-{end_s}", "-o", str(out), "--force-overwrites"]
    words += ["--force-keyframes-at-cuts"] if exact else []
    subprocess.run([sys.executable, "-m", "yt_dlp", *words, url], check=True, stderr=subprocess.DEVNULL)
    return out


def small(container_path: Path, most: int | None = None) -> NDArray[np.int16]:
    """The first pictures of a video, small and grey, as far as a player shows them."""
    pictures = []
    with av.open(str(container_path)) as container:
        for frame in container.decode(video=0):
            pictures.append(frame.reformat(80, 45, "gray").to_ndarray())
            if len(pictures) == most:
                break
    return np.stack(pictures).astype(np.int16)


def start_error_ms(clip: Path, start_ms: int, source: NDArray[np.int16]) -> float:
    """Source time of the clip's first picture minus the asked start."""
    found = int(np.abs(source - small(clip, 1)).mean(axis=(1, 2)).argmin())
    return 1000 * found / FPS - start_ms


def clips_of_many_videos(bench: Bench) -> None:
    """One clip a video: CPU, bytes and start, beside the peers."""
    folder, out = bench.server.folder, bench.scratch / "plain.mp4"
    source, packets = small(folder / "video-0.mp4"), packets_of(folder / "video-0.mp4")
    sides: dict[str, list[tuple[float, float, float, float]]] = {}

    def note(side: str, taken: Taken, base: Taken, floor: int, start_ms: int) -> None:
        assert taken.out
        error = start_error_ms(taken.out, start_ms, source)
        row = taken.cpu_s, taken.cpu_s / base.cpu_s, taken.bytes / floor, error
        sides.setdefault(side, []).append(row)
        taken.out.unlink()

    with worker(bench.scratch / "store") as fetch:
        first = bench.measure(partial(fetch, bench.addresses("video-0.mp4")[0], 30_007))
        for number, start_ms in enumerate(starts()):
            name = f"video-{number}.mp4"
            page, media = bench.addresses(name)
            floor = floor_bytes(packets, folder, (name,), start_ms)
            base = bench.measure(partial(ffmpeg, media, start_ms, out))
            ours = bench.measure(partial(fetch, page, start_ms))
            note("plain ffmpeg -ss -t", base, base, floor, start_ms)
            note("ours, exact", ours, base, floor, start_ms)
            if number % (VIDEOS // BESIDE):
                continue
            for side, exact in (("yt-dlp, exact", True), ("yt-dlp, copy", False)):
                peer = bench.scratch / "peer.mp4"
                taken = bench.measure(partial(ytdlp, page, start_ms, peer, exact=exact))
                note(side, taken, base, floor, start_ms)
    ours_s = statistics.median(row[0] for row in sides["ours, exact"])
    print(f"start-up of a worker, first clip less a later one: {first.cpu_s - ours_s:.2f} CPU s\n")
    print(f"{'one clip a video':24}clips   CPU s  x plain  bytes/floor  worst  start error ms: median  worst")
    for side, rows in sides.items():
        cpu, ratio, sent, error = (list(column) for column in zip(*rows, strict=True))
        absolute = [abs(one) for one in error]
        print(
            f"{side:24}{len(rows):5}{statistics.median(cpu):8.2f}{statistics.median(ratio):9.2f}"
            f"{statistics.median(sent):13.2f}{max(sent):7.2f}"
            f"{statistics.median(absolute):24.0f}{max(absolute):7.0f}"
        )
    _, ratio, sent, _ = zip(*sides["ours, exact"], strict=True)
    print(f"CPU {verdict(statistics.median(ratio), MOST_CPU)}; bytes {verdict(max(sent), MOST_BYTES)}\n")


def spans_of_a_long_video(bench: Bench) -> None:
    """Five spans of ten minutes in three forms, each with nothing read before."""
    folder = bench.server.folder
    packets = packets_of(folder / "fast.mp4")
    bench.server.pages["long.mpd"] = manifest()
    forms = (
        ("mp4, index first", "fast.mp4", ("fast.mp4",)),
        ("two indexed, fragmented", "long.mpd", tuple(name for name, *_ in _FRAGMENTED)),
        ("HLS", "hls.m3u8", ("hls.m3u8",)),
    )
    print(f"{'ten minutes':24}clips   CPU s  bytes/floor  worst")
    for form, name, files in forms:
        rows = []
        for start_ms in STARTS_MS:
            with worker(bench.scratch / "store") as fetch:
                taken = bench.measure(partial(fetch, bench.server.url(name), start_ms))
            assert taken.out
            taken.out.unlink()
            rows.append((taken.cpu_s, taken.bytes / floor_bytes(packets, folder, files, start_ms)))
        cpu, sent = zip(*rows, strict=True)
        print(
            f"{form:24}{len(rows):5}{statistics.median(cpu):8.2f}{statistics.median(sent):13.2f}"
            f"{max(sent):7.2f}  {verdict(max(sent), MOST_BYTES)}"
        )
    print()


def engines(bench: Bench) -> None:
    """The same list by the local pool and on Ray: same bytes; what a clip more costs on each."""
    try:
        import ray  # noqa: F401
    except ImportError:
        print("Ray: not tried; pip install 'valor-data[ray]'\n")
        return
    found, seconds = {}, {}
    for engine in ("local", "ray"):
        for videos in (VIDEOS // 3, VIDEOS):
            root = bench.scratch / f"{engine}-{videos}"
            recipe = bench.scratch / "engines.toml"
            listed = [
                f"v{n},{bench.server.url(f'video-{n}.mp4')},{at / 1000},{at / 1000 + 2}"
                for n, at in enumerate(starts()[:videos])
            ]
            recipe.with_suffix(".csv").write_text("\n".join(["video_id,url,start,end", *listed]) + "\n")
            recipe.write_text('name = "engines"\n[[segments.lists]]\npath = "engines.csv"\n')
            options = chain.Options(str(root), workers=2, engine=engine, progress=False)  # type: ignore[arg-type]
            seconds[engine, videos] = chain.fetch(recipes.load(str(recipe)), options).seconds
            rows = Tables.open(str(root)).sql("select clip_id, sha256 from media order by all")
            found[engine, videos] = rows.to_pylist()
    assert len(found["local", VIDEOS]) == VIDEOS
    assert found["local", VIDEOS] == found["ray", VIDEOS], "the engines differ"
    more = {e: seconds[e, VIDEOS] - seconds[e, VIDEOS // 3] for e in ("local", "ray")}
    each_ms = 1000 * (more["ray"] - more["local"]) / (VIDEOS - VIDEOS // 3)
    walls = ", ".join(f"{e} {seconds[e, VIDEOS]:.1f} s" for e in ("local", "ray"))
    print(f"local pool and Ray: the same {VIDEOS} clips, byte for byte; {walls}, start-up with it;")
    print(f"a clip more costs {each_ms:+.0f} ms on Ray (two cores; benchmarks/runner_overhead.py is finer)\n")


_PEER = """
import sys
from video2dataset import video2dataset
listed, folder, precision = sys.argv[1:]
config = {
    "subsampling": {"ClippingSubsampler": {"args": {"precision": precision}}},
    "reading": {"yt_args": {"download_size": 360, "download_audio_rate": 44100, "yt_metadata_args": None},
                "timeout": 60, "sampler": None},
    "storage": {"number_sample_per_shard": 1000, "oom_shard_count": 5, "captions_are_subtitles": False},
    "distribution": {"processes_count": 1, "thread_count": 1, "subjob_size": 1000,
                     "distributor": "multiprocessing"},
}
video2dataset(listed, folder, input_format="json", url_col="url", clip_col="clips",
              encode_formats={"video": "mp4"}, config=config)
"""


def video2dataset(bench: Bench) -> None:
    """The nearest peer, where somebody installed it."""
    python = os.environ.get("VIDEO2DATASET_PYTHON")
    if not python:
        print(
            "video2dataset: not tried; pip install 'video2dataset==1.3.0' 'pyarrow<20' into a venv of its "
            "own (6 GB), and name its Python in VIDEO2DATASET_PYTHON"
        )
        return
    bench.server.platform.clear()  # it takes whole files, and knows them by their addresses' last letters
    source = small(bench.server.folder / "video-0.mp4")
    programs = bench.scratch / "bin"
    programs.mkdir()
    (programs / "ffmpeg").symlink_to(ffmpeg_path())  # it wants one on PATH; both sides have the same
    settings = {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    for precision in ("exact", "low"):
        listed, out = bench.scratch / "peer.json", bench.scratch / f"peer-{precision}"
        asked = starts()[:: VIDEOS // BESIDE]
        rows = [
            {"url": bench.server.url(f"video-{n}.mp4"), "clips": [[at / 1000, (at + LENGTH_MS) / 1000]]}
            for n, at in enumerate(asked)
        ]
        listed.write_text(json.dumps(rows))

        def run(listed: Path = listed, out: Path = out, precision: str = precision) -> None:
            words = [python, "-c", _PEER, str(listed), str(out), precision]
            quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            subprocess.run(words, check=True, env=settings, **quiet)  # type: ignore[call-overload]

        taken = bench.measure(run)
        made = sorted(out.rglob("*.mp4"))
        errors = [abs(start_error_ms(clip, at, source)) for clip, at in zip(made, asked, strict=False)]
        worst = max(errors, default=float("nan"))
        print(
            f"video2dataset, {precision:8} {len(made)} of {len(asked)} clips, "
            f"{taken.cpu_s / len(asked):.2f} CPU s a clip, start-up with it; worst start {worst:.0f} ms"
        )
        shutil.rmtree(out)


def verdict(measured: float, bound: float) -> str:
    """The figure and whether it holds."""
    return f"{measured:.2f}: {'within' if measured <= bound else 'ABOVE'} the bound of {bound}"


def main(names: Sequence[str]) -> None:
    """All parts, or those named."""
    begun = time.monotonic()
    parts = {
        "videos": clips_of_many_videos,
        "long": spans_of_a_long_video,
        "engines": engines,
        "peer": video2dataset,
    }
    with tempfile.TemporaryDirectory() as media, tempfile.TemporaryDirectory() as scratch:
        folder = Path(media)
        render(folder)
        if "long" in (names or parts):
            make_sources(folder)
        with MediaServer(folder, bytes_per_second=PACE) as server:
            for name in names or parts:
                parts[name](Bench(server, Path(scratch)))
    print(f"({time.monotonic() - begun:.0f} s)")


if __name__ == "__main__":
    main(sys.argv[1:])
