"""A cut as a worker makes it: resolved streams, read through the gateway."""

from collections.abc import Sequence
from pathlib import Path

from valor_data.media.cut import Cut, Encoding, Source, cut
from valor_data.recipe import Access
from valor_data.resolve import Resolved
from valor_data.transfer import Gateway, Remote, Span


def cut_remote(
    urls: str | Sequence[Remote], start_ms: int, end_ms: int, encoding: Encoding, out: Path, limit_s: float
) -> Cut:
    """Cut what lies at one address, or at those of picture and sound."""
    remotes = [Remote(urls, kind="hls" if ".m3u8" in urls else "file")] if isinstance(urls, str) else urls
    with (
        Gateway(out.parent, Access(), 4000) as gateway,
        gateway.video(remotes) as transfer,
        transfer.span(start_ms, end_ms) as span,
    ):
        return cut(source_of(span), start_ms, end_ms, encoding, out, limit_s)


def source_of(span: Span) -> Source:
    """Where ffmpeg reads a span."""
    addresses, shifts_us = zip(*span.source, strict=True)
    return Source(addresses[0], addresses[1] if addresses[1:] else None, shifts_us)


def remotes_of(resolved: Resolved) -> list[Remote]:
    """The streams of a resolved video, for the gateway."""
    return [
        Remote(stream.url, tuple(stream.http_headers.items()), stream.fragments, stream.kind)
        for stream in resolved.streams
    ]
