"""The picture of a clip, gathered from its decoded frames: a grid of small ones, a few at full size."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from valor_data.signals import picture as pictures

_FULL_SIZE = (360, 640)
"""Rows and columns around the middle that are looked at in full size: more would cost more than decoding."""
_MOST_GRID = 4 * 3600
"""Frames of the grid that are kept: an hour."""
_COLOUR_EVERY = 4
"""Frames of the grid from one that is looked at in colour to the next."""
_STILL_EVERY, _MOST_STILLS, _STILL_SIDE = 8, 8, 640


class PictureMeter:
    """Takes a stream's packets and frames as they go by. `stills` keeps some frames in colour, too."""

    def __init__(self, stream: VideoStream, *, stills: bool) -> None:
        self._stream = stream
        self._keeps_stills = stills
        self._scalers: dict[str, VideoReformatter] = {}
        self._base = float(stream.time_base or 0)
        self._shown: tuple[int, int] | None = None  # first and last time stamp
        self._last_packet = (0, 0)  # time stamp and length of the one shown last
        self._packets = 0
        self._start_s: float | None = None
        self._before: VideoFrame | None = None
        self._before_s = 0.0
        self._aspect = 0.0
        self._light: list[NDArray[np.uint8]] = []
        self._saturation: list[float] = []
        self._details: list[pictures.Detail] = []
        self.stills: list[NDArray[np.uint8]] = []
        """Frames (H, W, 3) in RGB, two seconds apart, their longer side at most 640 pixels."""

    def see(self, packet: "Packet[Any]") -> None:
        """Take note of a packet's times, whether or not it will be decoded."""
        if not packet.size or packet.is_discard or packet.pts is None:
            return
        self._packets += 1
        first, last = self._shown or (packet.pts, packet.pts)
        self._shown = min(first, packet.pts), max(last, packet.pts)
        # With B-frames a packet's length is the distance to the next one stored: only the last one's counts.
        self._last_packet = max(self._last_packet, (packet.pts, packet.duration or 0))

    def add(self, frame: VideoFrame) -> None:
        """Take one more decoded frame, in the order of time."""
        if self._start_s is None:
            self._start_s = self._time(frame) or 0.0
            self._aspect = self._displayed_aspect(frame)
            self._pick(frame)
        else:
            now_s = self._time(frame)
            if now_s is None:
                return
            # Frames between may not be decoded: the nearer neighbour stands for a moment of the grid.
            self._fill(lambda due_s: self._before if due_s - self._before_s < now_s - due_s else frame, now_s)
        self._before, self._before_s = frame, self._time(frame) or self._start_s

    def finish(self) -> pictures.Picture | None:
        """What all frames amount to; None where none decoded."""
        if self._start_s is None:
            return None
        first, last = self._shown or (0, 0)
        length = (last - first + self._last_packet[1]) * self._base
        length = max(length, self._before_s - self._start_s)
        if self._packets > 1 and not self._last_packet[1]:
            length *= self._packets / (self._packets - 1)
        self._fill(lambda _: self._before, self._start_s + length - pictures.GRID_S / 2)
        self._before = None
        return pictures.Picture(
            light_THV=np.stack(self._light),
            saturation_T=np.asarray(self._saturation, np.float32),
            details=tuple(self._details),
            first_ms=round(self._start_s * 1000, 3),
            duration_ms=round(length * 1000),
            frames=self._packets,
            aspect=self._aspect,
        )

    def _time(self, frame: VideoFrame) -> float | None:
        return None if frame.pts is None else frame.pts * self._base

    def _fill(self, chosen: Callable[[float], VideoFrame | None], until_s: float) -> None:
        """Pick a frame for every moment of the grid up to one."""
        assert self._start_s is not None
        while len(self._light) < _MOST_GRID:
            due_s = self._start_s + len(self._light) * pictures.GRID_S
            frame = chosen(due_s) if due_s <= until_s else None
            if frame is None:
                return
            self._pick(frame)

    def _pick(self, frame: VideoFrame) -> None:
        place = len(self._light)
        light = _plane(self._small(frame, "gray"), 0)
        self._light.append(np.ascontiguousarray(np.rot90(light, round(frame.rotation / 90))))
        if place % _COLOUR_EVERY == 0:
            coloured = self._small(frame, "yuv444p")
            chroma = np.stack([_plane(coloured, 1), _plane(coloured, 2)])
            self._saturation.append(pictures.saturation(chroma))
        if place and math.log(place, 4) % 1 == 0:  # 1, 4, 16, 64 ...: few, however long the clip
            self._details.append(pictures.detail(self._full_size(frame)))
        if self._keeps_stills and place % _STILL_EVERY == min(4, place) and len(self.stills) < _MOST_STILLS:
            self.stills.append(self._still(frame))

    def _small(self, frame: VideoFrame, pixels: str) -> VideoFrame:
        """A frame at the grid's size in full range, not yet upright."""
        turned = bool(frame.rotation % 180)
        columns, rows = pictures.COLUMNS, pictures.ROWS
        # One scaler for all frames of a kind: making it costs more than its work.
        scaler = self._scalers.setdefault(pixels, VideoReformatter())
        size = (rows, columns) if turned else (columns, rows)
        return scaler.reformat(
            frame, *size, format=pixels, interpolation="AREA", dst_color_range=ColorRange.JPEG, threads=1
        )

    def _full_size(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """Light around the middle, cut along the codec's grid of 8."""
        if not frame.format.name.startswith(("yuv4", "yuvj4", "nv12", "gray")) or _bits(frame) != 8:
            frame = VideoReformatter().reformat(frame, format="gray", threads=1)
        rows, columns = _FULL_SIZE
        top, left = max(0, (frame.height - rows) // 16 * 8), max(0, (frame.width - columns) // 16 * 8)
        return _plane(frame, 0)[top : top + rows, left : left + columns]

    def _still(self, frame: VideoFrame) -> NDArray[np.uint8]:
        scale = min(1.0, _STILL_SIDE / max(frame.width, frame.height))
        size = (max(1, round(frame.width * scale)), max(1, round(frame.height * scale)))
        rgb = VideoReformatter().reformat(frame, *size, format="rgb24", interpolation="AREA", threads=1)
        return np.ascontiguousarray(np.rot90(rgb.to_ndarray(), round(frame.rotation / 90)))

    def _displayed_aspect(self, frame: VideoFrame) -> float:
        square = self._stream.sample_aspect_ratio or 1
        aspect = frame.width * float(square) / frame.height
        return round(1 / aspect if frame.rotation % 180 else aspect, 4)


def _plane(frame: VideoFrame, number: int) -> NDArray[np.uint8]:
    """One plane of a frame of 8 bits, as it lies in memory."""
    plane = frame.planes[number]
    flat = np.frombuffer(memoryview(plane), np.uint8)
    return flat.reshape(-1, plane.line_size)[: plane.height, : plane.width]


def _bits(frame: VideoFrame) -> int:
    return frame.format.components[0].bits
