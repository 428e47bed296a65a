"""The transfer door: every byte of media that comes over HTTP.

gateway    a loopback server that ffmpeg and PyAV read from
stream     a stream of a video, and which pieces of it hold a span
clock      when a piece begins, and which is the first that is needed
fragments  fragmented mp4 and webm: where fragments lie, when they begin
playlist   HLS playlists, rewritten
transport  MPEG transport streams: when a segment begins
body       bytes behind an address, each drawn at most once
upstream   one bounded read of a host, with its faults named
"""

from valor_data.transfer.gateway import Gateway, Span, Transfer
from valor_data.transfer.stream import Remote

__all__ = ["Gateway", "Remote", "Span", "Transfer"]
