"""The transfer door: every byte of media that comes over HTTP.

gateway    a loopback server that ffmpeg and PyAV read from
body       bytes behind an address, each drawn at most once
fragments  where the fragments of a file lie
playlist   HLS playlists, rewritten
upstream   one bounded read of a host, with its faults named
"""

from valor_data.transfer.gateway import Gateway, Remote, Span, Transfer

__all__ = ["Gateway", "Remote", "Span", "Transfer"]
