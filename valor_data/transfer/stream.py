"""One stream of a video, and how a span of it is reached: as a whole to be sought in, or as a short file
or playlist of the pieces that hold the span, whose place in time is exactly known."""

import itertools
import re
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple, Protocol
from urllib.parse import urlsplit

from valor_data.errors import ItemError, Reason
from valor_data.transfer import playlist, transport
from valor_data.transfer.body import FIRST_BYTES, Body, Joined, Part, Readable
from valor_data.transfer.clock import Clock, first_piece
from valor_data.transfer.fragments import Fragment, Index, Track, clock_of, index_of, tracks_of
from valor_data.transfer.playlist import Segment, Segments, Stretch

_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,5}\Z")
_WARM_UP_US = 100_000
"""A decoder of sound needs a few packets ahead of the start to get going (Opus: 80 ms)."""
_NEEDED_MORE = 1.03


class Remote(NamedTuple):
    """A stream of a video, as the platform tells it."""

    url: str
    headers: tuple[tuple[str, str], ...] = ()
    fragments: tuple[tuple[str, float | None], ...] = ()
    """(address, seconds) of each; the first without seconds is what a decoder needs first."""
    kind: Literal["file", "hls", "fragments"] = "file"

    def __repr__(self) -> str:
        return f"Remote(kind={self.kind!r})"  # addresses may be signed, and headers hold cookies


class Shelf(Protocol):
    """Where a stream finds bodies and puts what shall be read."""

    def body(self, url: str, remote: Remote) -> Body:
        """The one body of an address."""

    def serve(self, what: "Readable | Entry", suffix: str) -> str:
        """An address of ours."""


class Entry(NamedTuple):
    """Something that a playlist names: another playlist, or media."""

    url: str
    remote: Remote


class Text:
    """Bytes at hand."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def read(self, start: int, length: int, until: int | None = None) -> bytes:
        """See `Readable`."""
        return self._data[start : start + length]


class Stream:
    """One stream, opened with its first span. `warms_up`: it is sound that comes apart."""

    def __init__(self, shelf: Shelf, remote: Remote, warms_up: bool) -> None:
        self._shelf, self._remote = shelf, remote
        self._ahead_us = _WARM_UP_US if warms_up else 0
        self._whole: str | None = None
        self._index: Index | None = None
        self._segments: Segments | None = None

    def address(self, start_us: int, end_us: int) -> tuple[str, int | None]:
        """Our address of the span, and how much later than the stream's first picture (or sound) the file
        behind it begins; None: it is the whole stream."""
        if self._remote.kind == "fragments":
            return self._listed(start_us, end_us)
        if self._whole is None:
            self._whole = self._opened()
        if self._index:
            found = self._indexed(self._index, start_us, end_us)
        else:
            found = self._segmented(self._segments, start_us, end_us) if self._segments else None
        return found or (self._whole, None)

    def _opened(self) -> str:
        body = self._body(self._remote.url)
        if playlist.is_playlist(body.read(0, 64)):
            self._segments = playlist.segments_of(body.text(playlist.MOST_BYTES), body.url)
            return self._shelf.serve(Entry(self._remote.url, self._remote), ".m3u8")
        self._index = index_of(body)
        return self._shelf.serve(body, suffix_of(self._remote.url))

    def _body(self, url: str) -> Body:
        return self._shelf.body(url, self._remote)

    def _indexed(self, index: Index, start_us: int, end_us: int) -> tuple[str, int] | None:
        body = self._body(self._remote.url)
        fragments = index.fragments
        listed_us = [one.start_us - fragments[0].start_us for one in fragments]

        def clock(number: int) -> Clock | None:
            one = fragments[number]
            return clock_of(Joined([Part(body, one.offset, one.length, 0)]), index.tracks)

        found = first_piece(listed_us, start_us - self._ahead_us, clock)
        if found is None:
            return None
        first, shift_us = found
        # One more than the list says is enough: a reader that needs it not leaves it.
        pieces = fragments[first : _beyond(listed_us, first, end_us) + 1]
        offset = pieces[0].offset
        needed = self._needed(pieces, end_us + fragments[0].start_us) - offset
        stretch = Part(body, offset, pieces[-1].offset + pieces[-1].length - offset, needed)
        head = Part(body, 0, index.head_length, index.head_length)
        return self._shelf.serve(Joined([head, stretch]), ".mp4"), shift_us

    @staticmethod
    def _needed(pieces: Sequence[Fragment], end_us: int) -> int:
        """Up to which byte of the file the span lasts, as far as one can tell."""
        for one, after in itertools.pairwise(pieces):
            if after.start_us >= end_us:
                share = (end_us - one.start_us) / max(1, after.start_us - one.start_us)
                return one.offset + round(one.length * min(1.0, share * _NEEDED_MORE))
        return pieces[-1].offset + pieces[-1].length

    def _segmented(self, listed: Segments, start_us: int, end_us: int) -> tuple[str, int] | None:
        tracks = self._tracks(listed.head_url) if listed.head_url else ()
        segments = listed.segments

        def clock(number: int) -> Clock | None:
            segment = segments[number]
            return _near(_segment_clock(self._body(segment.url), tracks), origin, segment.start_us)

        origin = _segment_clock(self._body(segments[0].url), tracks)
        found = first_piece([one.start_us for one in segments], start_us - self._ahead_us, clock)
        if found is None:
            return None
        first, shift_us = found
        last = _beyond([one.start_us for one in segments], first, end_us)
        drift_us = shift_us - segments[first].start_us
        pieces = [
            stretch
            for one in segments[first : last + 1]
            for stretch in self._stretches(one, end_us - drift_us)
        ]
        head = self._piece_address(listed.head_url) if listed.head_url else None
        text = playlist.written(head, pieces, listed.target_s)
        return self._shelf.serve(Text(text.encode()), ".m3u8"), shift_us

    def _piece_address(self, url: str) -> str:
        return self._shelf.serve(self._body(url), suffix_of(url))

    def _stretches(self, segment: Segment, end_us: int) -> Iterator[Stretch]:
        """A segment up to where the span ends in one stretch; behind that, where nobody knows what will be
        needed, in small ones: a reader takes up a whole stretch, whatever it makes of it."""
        share = (end_us - segment.start_us) / segment.length_us if segment.length_us else 1.0
        body = self._body(segment.url)
        needed = _Needed(body, max(0.0, min(1.0, share * _NEEDED_MORE)))
        address = self._shelf.serve(needed, suffix_of(segment.url))
        ends = [*range(max(needed.surely, 1), body.size, FIRST_BYTES), body.size]
        for start, end in itertools.pairwise([0, *ends]):
            yield Stretch(address, segment.length_us * (end - start) // body.size, start, end)

    def _listed(self, start_us: int, end_us: int) -> tuple[str, int]:
        """The list's times only say where to look; when a fragment begins is its own word."""
        urls = [url for url, _ in self._remote.fragments]
        seconds = [length for _, length in self._remote.fragments]
        has_head = bool(seconds) and seconds[0] is None
        media, lengths = urls[has_head:], [length or 0.0 for length in seconds[has_head:]]
        if not media:
            raise ItemError(Reason.UNSUPPORTED_FORMAT, "the platform's list of fragments is empty")
        listed_us = [round(1e6 * sum(lengths[:number])) for number in range(len(media))]
        tracks = self._tracks(urls[0]) if has_head else ()
        found = first_piece(
            listed_us, start_us - self._ahead_us, lambda number: clock_of(self._body(media[number]), tracks)
        )
        first, shift_us = found or (0, 0)  # they say nothing: all from the beginning on
        drift_us = shift_us - listed_us[first]
        chosen = range(first, _beyond(listed_us, first, end_us - drift_us))
        parts = [self._fragment(media[n], listed_us[n], lengths[n], end_us - drift_us) for n in chosen]
        head = self._body(urls[0])
        parts = [*([Part(head, 0, head.size, head.size)] if has_head else []), *parts]
        return self._shelf.serve(Joined(parts), suffix_of(media[0])), shift_us

    def _fragment(self, url: str, start_us: int, seconds: float, end_us: int) -> Part:
        body = self._body(url)
        share = (end_us - start_us) / (1e6 * seconds) if seconds else 1.0
        return Part(body, 0, body.size, round(body.size * max(0.0, min(1.0, share * _NEEDED_MORE))))

    def _tracks(self, head_url: str) -> tuple[Track, ...]:
        head = self._body(head_url)
        return tracks_of(head, head.size)


class _Needed:
    """A body whose first part will be asked for to its end."""

    def __init__(self, body: Body, share: float) -> None:
        self._body, self._share = body, share

    @property
    def size(self) -> int:
        """Bytes in all."""
        return self._body.size

    @property
    def surely(self) -> int:
        """Bytes from the beginning on that will be asked for."""
        return round(self._share * self.size)

    def read(self, start: int, length: int, until: int | None = None) -> bytes:
        """See `Readable`."""
        return self._body.read(start, length, self.surely)


def _segment_clock(body: Body, tracks: Sequence[Track]) -> Clock | None:
    if tracks:
        return clock_of(body, tracks)
    data = body.read(0, FIRST_BYTES)
    return transport.clock_of(data) if transport.is_transport(data) else None


def _near(clock: Clock | None, origin: Clock | None, listed_us: int) -> Clock | None:
    """The clock of a transport stream, which begins anew every 26 hours, turned on to near where the list
    places it."""
    if clock is None or origin is None or clock.first_us is None or origin.first_us is None:
        return clock
    turns = round((listed_us - (clock.first_us - origin.first_us)) / transport.TURN_US)
    picture_us, sound_us = (
        us if us is None else us + turns * transport.TURN_US for us in (clock.picture_us, clock.sound_us)
    )
    return Clock(picture_us, sound_us, clock.opens)


def _beyond(listed_us: Sequence[int], first: int, end_us: int) -> int:
    """The first piece that begins after the end."""
    return max(first + 1, sum(start < end_us for start in listed_us))


def suffix_of(url: str) -> str:
    """How the path of an address ends, with its dot."""
    match = _SUFFIX.search(urlsplit(url).path)
    return match[0] if match else ""
