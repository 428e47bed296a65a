"""CPU of `release verify`, beside `sha256sum` and bare hashlib over the same files.

    python benchmarks/verify.py [--clips N] [--kb N]

A release of N clips with media of so many kilobytes that no decoder reads (nothing is decoded here, for
`sample = 0`) is written into a temporary folder and page-cached. Sides run in turn, A B A B; figures are CPU
seconds, user and system, children included, and the median of the ratios of neighbours: above 1, verify is
the faster. `sha256sum` of coreutils uses the processor's own instructions only where it was built against
OpenSSL, as hashlib is; so the bound stands beside the tool, and hashlib says what hashing costs at the least.
Verify reads catalog, index, captions and facts of every clip on top.
"""

import argparse
import hashlib
import os
import statistics
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from valor_data import layout
from valor_data.recipe import Recipe
from valor_data.records import AudioMeasures, Caption, Clip, Media, Origin, Record, Verdict
from valor_data.stages.release import verify
from valor_data.stages.shard import write_release
from valor_data.workspace import Workspace

ROUNDS, LEAST = 5, 0.7
RECIPE = Recipe.model_validate({"name": "bench"})


def rows(number: int, data: bytes) -> list[Record]:
    """All that is known of one clip."""
    video = f"v{number:010d}"
    clip = layout.clip_id(video, 0, 10_000)
    sha256 = hashlib.sha256(data).hexdigest()
    made: list[Record] = [
        Clip(
            clip_id=clip, source="youtube", video_id=video, start_ms=0, end_ms=10_000,
            url=layout.youtube_url(video), labels=("Dog",), made_by="list:x",
        ),
        Media(
            clip_id=clip, profile=RECIPE.profile, object_key=layout.object_key(RECIPE.profile, clip),
            sha256=sha256, bytes=len(data), duration_ms=10_000, video_codec="h264", width=640, height=360,
            fps=25.0, audio_codec="aac", sample_rate=44_100, channels=1, start_error_ms=0.0, made_by="x",
        ),
        AudioMeasures(
            clip_id=clip, media_sha256=sha256, has_audio=True, duration_ms=10_000, loudness_lufs=-20.0,
            made_by="audio@1",
        ),
        Verdict(clip_id=clip, rules_digest=RECIPE.rules_digest, kept=True, made_by="rules@1"),
        Caption(
            caption_id=layout.caption_id(clip, "imported", "list", "0"), clip_id=clip,
            text=f"A dog barks near the water while {number} people talk.", author="list",
            origin=Origin.IMPORTED, external_id="0", made_by="list:x",
        ),
    ]  # fmt: skip
    return made


def write(root: Path, clips: int, kilobytes: int) -> Path:
    """A release of random bytes."""
    with Workspace.open(RECIPE, str(root), write=True) as workspace:
        tables: dict[str, list[Record]] = {}
        for number in range(clips):
            data = os.urandom(kilobytes * 1000)
            made = rows(number, data)
            workspace.store.put_bytes(layout.object_key(RECIPE.profile, made[0].clip_id), data)  # type: ignore[attr-defined]
            for row in made:
                tables.setdefault(row.table, []).append(row)
        for several in tables.values():
            workspace.tables.append(several)
        made_release = write_release(workspace, progress=False)
    return root / made_release.prefix


def cpu_s(work: Callable[[], object]) -> float:
    """CPU seconds of a call, its children's too."""
    before = os.times()
    work()
    return sum(os.times()[:4]) - sum(before[:4])


def main() -> None:
    """Print seconds, ratios, and whether the bound holds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=2_000)
    parser.add_argument("--kb", type=int, default=500)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        release = write(Path(folder), given.clips, given.kb)
        files = [path for path in release.rglob("*") if path.is_file()]
        size = sum(path.stat().st_size for path in files) / 1e6

        def tool() -> None:
            subprocess.run(["sha256sum", *map(str, files)], stdout=subprocess.DEVNULL, check=True)

        def bare() -> None:
            for path in files:
                with path.open("rb") as file:
                    hashlib.file_digest(file, "sha256")

        def ours() -> None:
            result = verify(str(release), sample=0)
            assert result.ok, result.problems

        sides = {"sha256sum": tool, "hashlib": bare, "verify": ours}
        seconds: dict[str, list[float]] = {name: [] for name in sides}
        for work in sides.values():
            work()
        for _ in range(ROUNDS):
            for name, work in sides.items():
                seconds[name].append(cpu_s(work))
        print(f"{given.clips} clips of {given.kb} kB, {size:,.0f} MB")
        for name, taken in seconds.items():
            middle = statistics.median(taken)
            print(f"  {name:<10} {middle:6.2f} s  {size / middle:8,.0f} MB/s")
        for name in ("sha256sum", "hashlib"):
            ratio = statistics.median(b / a for a, b in zip(seconds["verify"], seconds[name], strict=True))
            bound = ("ok" if ratio >= LEAST else "MISSED") if name == "sha256sum" else "told, not bound"
            print(f"verify at {ratio:.2f} of the speed of {name} (at least {LEAST}: {bound})")


if __name__ == "__main__":
    main()
