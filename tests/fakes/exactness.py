"""Whether a clip is the asked span, told by its planted signals."""

from fractions import Fraction
from pathlib import Path

from tests.fakes import footage
from valor_data.media.probe import probe


def assert_exact(
    clip: Path, start_ms: int, end_ms: int, source_seconds: float, fps: Fraction | int = 25
) -> footage.Planted:
    """First frame, duration and sync are those of [start_ms, end_ms)."""
    start_s, length_s, frame_s = start_ms / 1000, (end_ms - start_ms) / 1000, float(1 / Fraction(fps))
    seen = footage.read(clip, source_seconds)
    assert seen.sound_start_s is not None
    times, numbers = zip(*seen.frames, strict=True)
    assert times[0] == 0
    assert list(numbers) == list(range(numbers[0], numbers[0] + len(numbers))), "no frame lost or doubled"
    assert abs(numbers[0] * frame_s - start_s) <= frame_s + 1e-9, "first frame within one frame"
    assert abs(probe(clip).duration_ms / 1000 - length_s) <= frame_s + 1e-3, "duration within one frame"
    # From the second frame on picture and sound stand where they stood in the source.
    picture_start_s = numbers[-1] * frame_s - times[-1]
    assert abs(picture_start_s - seen.sound_start_s) < 0.02, "in sync"
    assert abs(picture_start_s - start_s) <= frame_s + 1e-9
    assert abs(seen.sound_start_s - start_s) <= frame_s
    return seen
