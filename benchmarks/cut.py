"""CPU and bytes of one exact clip of ten seconds, beside one plain `ffmpeg -ss -t` with the same encoder.

    python benchmarks/cut.py

A made-up source (640x360, 25 fps, B-frames, a keyframe every five seconds, AAC, two minutes) lies as
several containers on one loopback server. Both sides cut the same spans from it in turn, A B A B;
figures are CPU seconds (user + system, children included) and the median of the ratios of
neighbours. `with all` counts our side's resolving and probing too, `cut` the cut alone. Bytes are
what the server sent, beside the floor: the index and the packets from the keyframe at or before
the start to the end. Start-up, paid once a worker, is told apart.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.fakes.footage import remux
from tests.fakes.media_server import MediaServer
from valor_data.media.cut import Encoding, Source, cut
from valor_data.media.ffmpeg import ffmpeg_path
from valor_data.media.probe import probe

SECONDS, LENGTH_MS = 120, 10_000
STARTS_MS = (30_000, 47_340, 63_000, 81_770, 92_500)
EXACT = Encoding(480, 23, 128, None, None)
MOST = 1.15
NAMES = ("fast.mp4", "last.mp4", "a.mkv", "fragments.mp4", "hls.m3u8", "a.ts")


def make_sources(folder: Path) -> None:
    """The same packets in every container."""
    picture = f"testsrc2=s=640x360:r=25:d={SECONDS},noise=alls=12:allf=t"
    command = [
        ffmpeg_path(), "-v", "error", "-nostdin", "-f", "lavfi", "-i", picture,
        "-f", "lavfi", "-i", f"anoisesrc=d={SECONDS}:a=0.2:r=44100", "-c:v", "libx264", "-preset", "veryfast",
        "-b:v", "900k", "-g", "125", "-sc_threshold", "0", "-c:a", "aac", "-movflags", "+faststart",
    ]  # fmt: skip
    base = folder / "fast.mp4"
    subprocess.run([*command, str(base)], check=True)
    remux(base, folder / "last.mp4")
    remux(base, folder / "a.mkv")
    remux(base, folder / "a.ts")
    remux(
        base, folder / "fragments.mp4", "-movflags", "+frag_keyframe+empty_moov+default_base_moof+global_sidx"
    )
    remux(base, folder / "hls.m3u8", "-f", "hls", "-hls_time", "5", "-hls_list_size", "0")


def floor_bytes(path: Path, start_ms: int) -> int:
    """Index and packets that nobody can do without."""
    with av.open(str(path)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        packets = [(p.stream.type, float((p.pts or 0) * p.time_base), p.is_keyframe, p.size) for p in
                   container.demux(video, audio) if p.size]  # fmt: skip
    payload = sum(size for *_, size in packets)
    start_s, end_s = start_ms / 1000, (start_ms + LENGTH_MS) / 1000
    key_s = max(t for kind, t, key, _ in packets if kind == "video" and key and t <= start_s)
    span = sum(size for _, t, _, size in packets if key_s <= t < end_s)
    return span + path.stat().st_size - payload


def plain(url: str, start_ms: int, out: Path) -> None:
    """What a person would type."""
    seconds = ["-ss", str(start_ms / 1000), "-i", url, "-t", str(LENGTH_MS / 1000)]
    encoder = ["-c:v", "libx264", "-preset", "veryfast", "-crf", "23", "-pix_fmt", "yuv420p", "-threads", "1"]
    sound = ["-c:a", "aac", "-b:a", "128k", "-movflags", "+faststart"]
    command = [ffmpeg_path(), "-v", "error", "-nostdin", "-y", "-threads", "1", *seconds, *encoder, *sound]
    subprocess.run([*command, str(out)], check=True, stderr=subprocess.DEVNULL)


def cpu_seconds(work: Callable[[], object]) -> float:
    """CPU of a call, children included."""
    before = sum(os.times()[:4])
    work()
    return sum(os.times()[:4]) - before


def main() -> None:
    """Print the ratios."""
    begun = time.process_time()
    from valor_data.resolve import Resolver

    resolver = Resolver(480)
    print(f"start-up of the resolver, once a worker: {time.process_time() - begun:.2f} CPU s")
    with tempfile.TemporaryDirectory() as folder_name, tempfile.TemporaryDirectory() as scratch:
        folder, out = Path(folder_name), Path(scratch) / "clip.mp4"
        make_sources(folder)
        floors = {start_ms: floor_bytes(folder / "fast.mp4", start_ms) for start_ms in STARTS_MS}
        with MediaServer(folder) as server:
            resolver.resolve(server.url("fast.mp4"))
            print("source        plain s    cut  with all  runs  bytes/floor  plain")
            for name in NAMES:
                rows = [
                    _row(server, name, start_ms, resolver, out, floors[start_ms]) for start_ms in STARTS_MS
                ]
                plain_s, alone, whole, runs, ours, theirs = (
                    statistics.median(c) for c in zip(*rows, strict=True)
                )
                print(f"{name:14}{plain_s:7.2f}{alone:7.2f}{whole:10.2f}{runs:6.0f}{ours:13.2f}{theirs:7.2f}")
                if name == "fast.mp4":
                    verdict = "within" if alone <= MOST else "ABOVE"
                    print(f"{'':14} {verdict} the limit of {MOST} for the cut")


def _row(
    server: MediaServer, name: str, start_ms: int, resolver: object, out: Path, floor: int
) -> tuple[float, float, float, float, float, float]:
    url = server.url(name)
    server.reset_counts()
    plain_s = cpu_seconds(lambda: plain(url, start_ms, out))
    theirs = server.bytes_sent / floor
    server.reset_counts()
    runs: list[int] = []

    def ours() -> None:
        runs.append(cut(Source(url), start_ms, start_ms + LENGTH_MS, EXACT, out, 120).tries)

    alone_s = cpu_seconds(ours)
    sent = server.bytes_sent / floor
    around_s = cpu_seconds(lambda: (resolver.resolve(url), probe(out)))  # type: ignore[attr-defined]
    out.unlink()
    return plain_s, alone_s / plain_s, (alone_s + around_s) / plain_s, runs[0], sent, theirs


if __name__ == "__main__":
    main()
