"""The picture of a clip, gathered from its decoded frames: a grid of small ones, a few at full size."""

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from valor_data.signals import picture as pictures

_FULL_SIZE = (240, 432)
"""Rows and columns around the middle that are looked at in full size: more would cost more than decoding."""
_MOST_GRID = 4 * 3600
"""Frames of the grid that are kept: an hour."""
_APART_S = 0.115
"""Frames closer than this to the last one add little to a mean, and much to the work."""
_COLOUR_EVERY = 4
"""Frames of the grid from one that is looked at in colour to the next."""
_STILL_EVERY, _MOST_STILLS, _STILL_SIDE = 8, 8, 640
_LINES_A_ROW = 4
"""Lines of a frame that one row of the grid is taken from: all of them cost three times as much."""
_FULL_LIGHT = np.clip(np.round((np.arange(256) - 16) * 255 / 219), 0, 255).astype(np.uint8)
_FULL_CHROMA = np.clip(np.round((np.arange(256) - 128) * 255 / 224 + 128), 0, 255).astype(np.uint8)
"""From 0 to 255 what is stored from 16 to 235 and to 240 (ITU-R BT.601 and BT.709)."""


Light = NDArray[np.uint8]


class _Shown:
    """A decoded frame and when it is shown, on the clip's clock."""

    def __init__(self, frame: VideoFrame, at_s: float, light_of: Callable[[VideoFrame], Light]) -> None:
        self.frame, self.at_s, self._light_of = frame, at_s, light_of

    @cached_property
    def light_HV(self) -> Light:
        """Light at the grid's size, upright; scaled when it is first asked for."""
        return self._light_of(self.frame)


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
        self._before: _Shown | None = None
        self._aspect = 0.0
        self._turns = 0
        """Quarter turns to the left that put a frame upright."""
        self._light: list[Light] = []
        self._means: dict[int, Light] = {}
        self._around = 0  # the moment of the grid that frames are near now
        self._sum_HV = np.zeros((pictures.ROWS, pictures.COLUMNS), np.uint32)
        self._summed = 0
        self._averaged_s = 0.0
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
        at_s = None if frame.pts is None else frame.pts * self._base
        if self._start_s is None:
            self._start_s = at_s or 0.0
            self._turns = round(frame.rotation / 90) % 4
            self._aspect = self._displayed_aspect(frame)
        elif at_s is None:
            return
        now = _Shown(frame, at_s or 0.0, self._small_light)
        before = self._before or now
        # Frames between may not be decoded: the nearer neighbour stands for a moment of the grid.
        self._fill(lambda due_s: before if due_s - before.at_s < now.at_s - due_s else now, now.at_s)
        self._average(now)
        self._before = now

    def finish(self) -> pictures.Picture | None:
        """What all frames amount to; None where none decoded."""
        if self._start_s is None or self._before is None:
            return None
        last_shown = self._before
        first, last = self._shown or (0, 0)
        length = (last - first + self._last_packet[1]) * self._base
        length = max(length, last_shown.at_s - self._start_s)
        if self._packets > 1 and not self._last_packet[1]:
            length *= self._packets / (self._packets - 1)
        self._fill(lambda _: last_shown, self._start_s + length - pictures.GRID_S / 2)
        self._before = None
        self._end_of_mean()
        light_THV = np.stack(self._light)
        mean_THV = light_THV.copy()
        for place, mean in self._means.items():
            mean_THV[place : place + 1] = mean  # one beyond the grid's end is left out
        return pictures.Picture(
            light_THV=light_THV,
            mean_THV=mean_THV,
            saturation_T=np.asarray(self._saturation, np.float32),
            details=tuple(self._details),
            first_ms=round(self._start_s * 1000, 3),
            duration_ms=round(length * 1000),
            frames=self._packets,
            aspect=self._aspect,
        )

    def _fill(self, chosen: "Callable[[float], _Shown]", until_s: float) -> None:
        """Pick a frame for every moment of the grid up to one."""
        assert self._start_s is not None
        while len(self._light) < _MOST_GRID:
            due_s = self._start_s + len(self._light) * pictures.GRID_S
            if due_s > until_s:
                return
            self._pick(chosen(due_s))

    def _average(self, now: "_Shown") -> None:
        """Add a frame to the mean of those near its moment of the grid."""
        assert self._start_s is not None
        place = round((now.at_s - self._start_s) / pictures.GRID_S)
        if place != self._around:
            self._end_of_mean()
            self._around = place
        if self._summed == 0 or now.at_s - self._averaged_s >= _APART_S:
            self._sum_HV += now.light_HV
            self._summed += 1
            self._averaged_s = now.at_s

    def _end_of_mean(self) -> None:
        if self._summed and 0 <= self._around < _MOST_GRID:
            mean_HV = np.round(self._sum_HV / np.float32(self._summed)).astype(np.uint8)
            self._means[self._around] = mean_HV
        self._sum_HV[:] = 0
        self._summed = 0

    def _pick(self, shown: "_Shown") -> None:
        place, frame = len(self._light), shown.frame
        self._light.append(shown.light_HV)
        if place % _COLOUR_EVERY == 0:
            self._saturation.append(pictures.saturation(self._small_chroma(frame)))
        if (
            place & (place - 1) == 0 and place.bit_length() % 2
        ):  # 1, 4, 16, 64 ...: few, however long the clip
            self._details.append(pictures.detail(self._full_size(frame)))
        if self._keeps_stills and place % _STILL_EVERY == min(4, place) and len(self.stills) < _MOST_STILLS:
            self.stills.append(self._still(frame))

    def _small_light(self, frame: VideoFrame) -> Light:
        """Light at the grid's size in full range, upright."""
        if _has_light(frame):
            light = self._thin(_plane(frame, 0))
            light = light if _is_full_range(frame) else _FULL_LIGHT[light]
        else:
            light = _plane(self._small(frame, "gray"), 0)
        return np.ascontiguousarray(np.rot90(light, self._turns) if self._turns else light)

    def _small_chroma(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """Both planes of chroma (2, H, W) at the grid's size in full range, not yet upright."""
        if _has_light(frame) and len(frame.planes) == 3:
            chroma = np.stack([self._thin(_plane(frame, number)) for number in (1, 2)])
            return chroma if _is_full_range(frame) else _FULL_CHROMA[chroma]
        small = self._small(frame, "yuv444p")
        return np.stack([_plane(small, 1), _plane(small, 2)])

    def _thin(self, plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A plane at the grid's size, from some of its lines."""
        every = max(
            1, len(plane) // (_LINES_A_ROW * (pictures.COLUMNS if self._turns % 2 else pictures.ROWS))
        )
        lines = VideoFrame.from_numpy_buffer(plane[every // 2 :: every], "gray")
        return _plane(self._small(lines, "gray"), 0)

    def _small(self, frame: VideoFrame, pixels: str) -> VideoFrame:
        """A frame at the grid's size in full range, not yet upright."""
        columns, rows = pictures.COLUMNS, pictures.ROWS
        if self._turns % 2:
            columns, rows = rows, columns
        # One scaler for all frames of a kind: making it costs more than its work.
        if pixels not in self._scalers:
            self._scalers[pixels] = VideoReformatter()
        return self._scalers[pixels].reformat(
            frame,
            columns,
            rows,
            format=pixels,
            interpolation=Interpolation.AREA,
            dst_color_range=ColorRange.JPEG,
            threads=1,
        )

    def _full_size(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """Light around the middle, cut along the codec's grid of 8."""
        if not _has_light(frame):
            frame = VideoReformatter().reformat(frame, format="gray", threads=1)
        rows, columns = _FULL_SIZE
        top, left = max(0, (frame.height - rows) // 16 * 8), max(0, (frame.width - columns) // 16 * 8)
        return _plane(frame, 0)[top : top + rows, left : left + columns]

    def _still(self, frame: VideoFrame) -> NDArray[np.uint8]:
        scale = min(1.0, _STILL_SIDE / max(frame.width, frame.height))
        size = (max(1, round(frame.width * scale)), max(1, round(frame.height * scale)))
        rgb = VideoReformatter().reformat(
            frame, *size, format="rgb24", interpolation=Interpolation.AREA, threads=1
        )
        return np.ascontiguousarray(np.rot90(rgb.to_ndarray(), self._turns))

    def _displayed_aspect(self, frame: VideoFrame) -> float:
        square = self._stream.sample_aspect_ratio or 1
        aspect = frame.width * float(square) / frame.height
        return round(1 / aspect if self._turns % 2 else aspect, 4)


def _plane(frame: VideoFrame, number: int) -> NDArray[np.uint8]:
    """One plane of a frame of 8 bits, as it lies in memory."""
    plane = frame.planes[number]
    flat = np.frombuffer(memoryview(plane), np.uint8)
    return flat.reshape(-1, plane.line_size)[: plane.height, : plane.width]


def _has_light(frame: VideoFrame) -> bool:
    """Whether the first plane is light, a byte a pixel."""
    form = frame.format
    return form.name.startswith(("yuv4", "yuvj4", "nv12", "gray")) and form.components[0].bits == 8


def _is_full_range(frame: VideoFrame) -> bool:
    """Whether light goes from 0 to 255; where the file does not say, it goes from 16 to 235 beside colour."""
    name = frame.format.name
    return name.startswith(("yuvj", "gray")) or frame.color_range == ColorRange.JPEG
