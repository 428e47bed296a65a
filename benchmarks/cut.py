"""Bytes and CPU of one exact clip of ten seconds, beside one plain `ffmpeg -ss -t` with the same encoder.

    python benchmarks/cut.py

A made-up video (640x360, 25 fps, B-frames, a keyframe every five seconds, AAC, ten minutes) lies in
several containers on one loopback server. Both sides cut the same spans from it in turn, A B A B: ours
through the gateway as a worker does, each span with nothing read before. CPU is seconds of user and
system, children included; the loopback server's own share counts on both sides. The median of the ratios
of neighbours is told; `with all` counts resolving and probing too.
Bytes are what the server sent beside the floor, which is the index (or playlist) and the packets from the
keyframe at or before the start to the end; `plain` has no row of two addresses or a list of fragments
that it could read in one piece. Start-up, paid once a worker, is told apart.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import av

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.fakes.footage import remux
from tests.fakes.media_server import MediaServer
from tests.fakes.remote import source_of
from valor_data.media.cut import Cut, Encoding, cut
from valor_data.media.ffmpeg import ffmpeg_path
from valor_data.media.probe import probe
from valor_data.recipe import Access, Fetch
from valor_data.resolve import Resolver
from valor_data.transfer import Gateway, Remote

SECONDS, LOOPS, LENGTH_MS = 120, 5, 10_000
STARTS_MS = (30_000, 147_340, 263_000, 381_770, 492_500)
EXACT = Encoding(480, 23, 128, None, None)
MOST_CPU, MOST_BYTES = 1.15, 1.4
_FRAGMENTS = ("-movflags", "+frag_keyframe+empty_moov+default_base_moof+global_sidx")


class Kind(NamedTuple):
    """One way to hold the video."""

    name: str
    files: tuple[str, ...]
    """Picture and sound apart, or one."""
    bound: bool = False
    """The issue sets a bound for it."""


KINDS = (
    Kind("mp4, index first", ("fast.mp4",), bound=True),
    Kind("mp4, index last", ("last.mp4",)),
    Kind("mkv", ("a.mkv",)),
    Kind("two indexed fragmented", ("picture.mp4", "sound.m4a"), bound=True),
    Kind("two lists of fragments", ("picture.list", "sound.list")),
    Kind("HLS", ("hls.m3u8",), bound=True),
    Kind("fragmented, both in one", ("both.mp4",)),
    Kind("ts", ("a.ts",)),
)


def make_sources(folder: Path) -> None:
    """The same packets in every container."""
    picture = f"testsrc2=s=640x360:r=25:d={SECONDS},noise=alls=12:allf=t"
    short, base = folder / "short.mp4", folder / "fast.mp4"
    command = [
        ffmpeg_path(), "-v", "error", "-nostdin", "-f", "lavfi", "-i", picture,
        "-f", "lavfi", "-i", f"anoisesrc=d={SECONDS}:a=0.2:r=44100", "-c:v", "libx264", "-preset", "veryfast",
        "-b:v", "900k", "-g", "125", "-sc_threshold", "0", "-c:a", "aac",
    ]  # fmt: skip
    subprocess.run([*command, str(short)], check=True)
    looped = [ffmpeg_path(), "-v", "error", "-nostdin", "-stream_loop", str(LOOPS - 1), "-i", str(short)]
    subprocess.run([*looped, "-c", "copy", "-movflags", "+faststart", str(base)], check=True)
    for name in ("last.mp4", "a.mkv", "a.ts"):
        remux(base, folder / name)
    remux(base, folder / "both.mp4", *_FRAGMENTS)
    remux(base, folder / "picture.mp4", "-an", *_FRAGMENTS)
    remux(base, folder / "sound.m4a", "-vn", *_FRAGMENTS, "-frag_duration", "10000000")
    remux(base, folder / "hls.m3u8", "-f", "hls", "-hls_time", "5", "-hls_list_size", "0")
    for name, option in (("picture", "-an"), ("sound", "-vn")):
        listed = ("-f", "dash", "-seg_duration", "5", "-use_template", "0", "-use_timeline", "1")
        names = ("-init_seg_name", f"{name}-init.m4s", "-media_seg_name", f"{name}-$Number$.m4s")
        remux(base, folder / f"{name}.mpd", option, *listed, *names)


def remote_of(server: MediaServer, name: str) -> Remote:
    """A file of the folder as `resolve` would tell it."""
    if not name.endswith(".list"):
        return Remote(server.url(name), kind="hls" if name.endswith(".m3u8") else "file")
    stem = name.removesuffix(".list")
    count = len(list(server.folder.glob(f"{stem}-[0-9]*.m4s")))
    media = [(server.url(f"{stem}-{number}.m4s"), 5.0) for number in range(1, count + 1)]
    head: tuple[str, float | None] = (server.url(f"{stem}-init.m4s"), None)
    return Remote(head[0], (), (head, *media), "fragments")


class Packet(NamedTuple):
    """A packet of the base file."""

    kind: str
    time_s: float
    is_keyframe: bool
    size: int


def packets_of(path: Path) -> list[Packet]:
    """All packets of a file."""
    with av.open(str(path)) as container:
        streams = container.streams.video[0], container.streams.audio[0]
        return [
            Packet(p.stream.type, float((p.pts or 0) * (p.time_base or 0)), p.is_keyframe, p.size)
            for p in container.demux(*streams)
            if p.size
        ]


def floor_bytes(packets: list[Packet], folder: Path, files: tuple[str, ...], start_ms: int) -> int:
    """Index and packets that nobody can do without."""
    start_s, end_s = start_ms / 1000, (start_ms + LENGTH_MS) / 1000
    key_s = max(p.time_s for p in packets if p.kind == "video" and p.is_keyframe and p.time_s <= start_s)
    apart = len(files) > 1
    span = sum(
        p.size for p in packets if (start_s if apart and p.kind == "audio" else key_s) <= p.time_s < end_s
    )
    return span + sum(index_bytes(folder / name, packets) for name in files)


def index_bytes(path: Path, packets: list[Packet]) -> int:
    """What tells where the packets lie."""
    if path.suffix == ".m3u8":
        return path.stat().st_size
    if path.suffix == ".list":
        return (path.parent / f"{path.stem}-init.m4s").stat().st_size
    if path.suffix == ".ts":
        return 0
    if path.name in ("picture.mp4", "sound.m4a", "both.mp4"):
        with path.open("rb") as file:
            return file.read(1 << 20).index(b"moof") - 4
    return path.stat().st_size - sum(p.size for p in packets)


def plain(urls: list[str], start_ms: int, out: Path) -> None:
    """What a person would type."""
    inputs = [word for url in urls for word in ("-ss", str(start_ms / 1000), "-i", url)]
    encoder = ["-c:v", "libx264", "-preset", "veryfast", "-crf", "23", "-pix_fmt", "yuv420p", "-threads", "1"]
    sound = ["-c:a", "aac", "-b:a", "128k", "-movflags", "+faststart"]
    command = [ffmpeg_path(), "-v", "error", "-nostdin", "-y", "-threads", "1", *inputs]
    command += ["-t", str(LENGTH_MS / 1000), *encoder, *sound, str(out)]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)


def cpu_seconds(work: Callable[[], object]) -> float:
    """CPU of a call, children included."""
    before = sum(os.times()[:4])
    work()
    return sum(os.times()[:4]) - before


class Row(NamedTuple):
    """One span, both sides."""

    plain_s: float
    alone: float
    """Our CPU over the plain side's."""
    whole: float
    """The same with resolving and probing."""
    runs: int
    requests: int
    bytes_over_floor: float
    plain_over_floor: float


def main() -> None:
    """Print the ratios."""
    begun = time.process_time()
    resolver = Resolver(Fetch(), Access())
    print(f"start-up of the resolver, once a worker: {time.process_time() - begun:.2f} CPU s")
    with tempfile.TemporaryDirectory() as folder_name, tempfile.TemporaryDirectory() as scratch:
        folder, out = Path(folder_name), Path(scratch) / "clip.mp4"
        make_sources(folder)
        packets = packets_of(folder / "fast.mp4")
        with MediaServer(folder) as server, Gateway(Path(scratch), Access(), 4000) as gateway:
            resolver.resolve(server.url("fast.mp4"))
            print(f"{'':24}plain s    cut  with all  runs  requests  bytes/floor  plain")
            for kind in KINDS:
                rows = list(_rows(server, gateway, resolver, kind, packets, out))
                row = Row(*(statistics.median(column) for column in zip(*rows, strict=True)))
                print(
                    f"{kind.name:24}{row.plain_s:7.2f}{row.alone:7.2f}{row.whole:10.2f}{row.runs:6.0f}"
                    f"{row.requests:10.0f}{row.bytes_over_floor:13.2f}{row.plain_over_floor:7.2f}"
                )
                if kind.bound:
                    worst = max(one.bytes_over_floor for one in rows)
                    print(f"{'':24}bytes {_verdict(worst, MOST_BYTES)} (the worst of {len(rows)} spans)")
                    print(f"{'':24}CPU {_verdict(row.alone, MOST_CPU)}")


def _verdict(measured: float, bound: float) -> str:
    return f"{measured:.2f}: {'within' if measured <= bound else 'ABOVE'} the bound of {bound}"


def _rows(
    server: MediaServer, gateway: Gateway, resolver: Resolver, kind: Kind, packets: list[Packet], out: Path
) -> Iterator[Row]:
    remotes = [remote_of(server, name) for name in kind.files]
    listed = any(remote.kind == "fragments" for remote in remotes)
    urls = [server.url(name) for name in (("picture.mp4", "sound.m4a") if listed else kind.files)]
    for start_ms in STARTS_MS:
        floor = floor_bytes(packets, server.folder, kind.files, start_ms)
        server.reset_counts()
        plain_s = cpu_seconds(lambda start_ms=start_ms: plain(urls, start_ms, out))  # type: ignore[misc]
        theirs = float("nan") if listed else server.bytes_sent / floor
        server.reset_counts()
        done: list[Cut] = []

        def ours(start_ms: int = start_ms, done: list[Cut] = done) -> None:
            end_ms = start_ms + LENGTH_MS
            with gateway.video(remotes) as video, video.span(start_ms, end_ms) as span:
                done.append(cut(source_of(span), start_ms, end_ms, EXACT, out, 120))

        alone_s = cpu_seconds(ours)
        sent, requests = server.bytes_sent / floor, sum(server.requests.values())
        around_s = cpu_seconds(lambda: (resolver.resolve(server.url("fast.mp4")), probe(out)))
        out.unlink()
        ratio = alone_s / plain_s, (alone_s + around_s) / plain_s
        yield Row(plain_s, *ratio, done[0].tries, requests, sent, theirs)


if __name__ == "__main__":
    main()
