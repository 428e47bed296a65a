"""The demo's footage: rendered source videos, and a segment list whose captions are true of them.

Same arguments, same bytes.
"""

import csv
import random
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import quote

from valor_data.scenes import (
    Scene,
    caption,
    make_scene,
    pairs,
    render_source,
    synthesiser,
)

Expected = Literal["kept", "short", "duplicate", "inaudible", "no_audio", "corrupt", "not_found", "past_end"]
"""What the chain should make of a row. `short` is kept too, and ends with its source."""

COLUMNS = ("video_id", "url", "start", "end", "caption", "labels")
_SCENE_S = 13.0
_MARGIN_S = 1.5  # from the start of a scene to the start of its segment
_SEGMENT_S = 10.0
_GARBAGE_BYTES = 200_000


class Row(NamedTuple):
    """One row of the segment list, and what should become of it."""

    video_id: str
    file: str
    """Name in the footage's folder."""
    start: float
    """Seconds from the start of the video."""
    end: float
    caption: str
    labels: tuple[str, ...]
    expected: Expected


@dataclass(frozen=True)
class Footage:
    """A folder of rendered videos and the rows that ask for stretches of them."""

    folder: Path
    rows: tuple[Row, ...]


def make_footage(folder: Path, seed: int = 0, spoken: bool | None = None) -> Footage:
    """Render the demo's videos into `folder`, about ten seconds of one core.

    Five good sources of 65 s with four segments each (one of them silent, and in one a voice
    speaks: `spoken`, by default where a speech synthesiser is installed), one without an audio
    track, one that is no video at all, one that is missing; and three rows of trouble: a
    duplicate, one that overruns the end of its source and one that lies past it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    spoken = synthesiser() is not None if spoken is None else spoken
    rng = random.Random(f"footage {seed}")
    drawn = pairs()
    rng.shuffle(drawn)
    rows: list[Row] = []
    # The last name holds what ids of real videos hold: a leading dash and an underscore.
    for number, name in enumerate(("shapes-1", "shapes-2", "shapes-3", "shapes-4", "-shapes_5")):
        scenes = [make_scene(*drawn.pop(), seed=seed, seconds=_SCENE_S) for _ in range(5)]
        if number == 1 and spoken:
            scenes[0] = replace(scenes[0], words="one, two, three, four, five")
        if number == 2:
            scenes[3] = replace(scenes[3], sound=None)
        render_source(folder / f"{name}.mp4", scenes, channels=2 if number == 0 else 1)
        for index in (0, 1, 3, 4):
            rows.append(_row(name, scenes[index], index, "kept" if scenes[index].sound else "inaudible"))
    last = rows.pop()
    rows.append(last._replace(start=last.start + 5, end=last.end + 5, expected="short"))
    rows.append(last._replace(start=500.0, end=510.0, expected="past_end"))
    rows.append(rows[0]._replace(expected="duplicate"))

    mute = [replace(make_scene(*drawn.pop(), seed=seed, seconds=_SCENE_S), sound=None) for _ in range(3)]
    render_source(folder / "no-audio.mp4", mute, channels=0)
    rows.append(_row("no-audio", mute[1], 1, "no_audio"))
    # Opens like an mp4 and goes on as noise.
    header = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom"
    (folder / "broken.mp4").write_bytes(header + rng.randbytes(_GARBAGE_BYTES))
    rows.append(_row("broken", make_scene(*drawn.pop(), seed=seed), 0, "corrupt"))
    rows.append(_row("missing", make_scene(*drawn.pop(), seed=seed), 0, "not_found"))
    return Footage(folder, tuple(rows))


def make_list(footage: Footage, base_url: str) -> Path:
    """Write `segments.csv` into the footage's folder: its rows, with addresses under `base_url`."""
    path = footage.folder / "segments.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in footage.rows:
            url = f"{base_url.rstrip('/')}/{quote(row.file)}"
            times = (f"{row.start:.3f}", f"{row.end:.3f}")
            writer.writerow((row.video_id, url, *times, row.caption, ";".join(row.labels)))
    return path


def _row(name: str, scene: Scene, index: int, expected: Expected) -> Row:
    """The row for the segment inside the scene that stands at `index` in its source."""
    start = index * _SCENE_S + _MARGIN_S
    labels = (scene.visual, scene.sound or "silence", *(("speech",) if scene.words else ()))
    return Row(name, f"{name}.mp4", start, start + _SEGMENT_S, caption(scene), labels, expected)
