"""What a takedown costs: ten clips out of a release of a hundred shards.

    python benchmarks/retract.py [--clips N] [--kb K]

A workspace of N clips (2,000) of K KB (100) in a hundred shards is made, all media the same noise but for
their first bytes, and `retract` takes ten of them down. Told are the shards that were written anew and
linked, the bytes that the new version shares with the old one on disk, CPU seconds and wall time of the
takedown and of the release before it, and peak memory. Bound: only shards that held one of the clips are
written, and every other one is the same file. Most of the CPU goes to papers and tables, whatever the media
weigh.
"""

import argparse
import hashlib
import os
import resource
import tempfile
import time
from pathlib import Path

from valor_data import chain, layout
from valor_data.chain import Options
from valor_data.manifest import Manifest
from valor_data.recipe import Recipe
from valor_data.records import AudioMeasures, Caption, Clip, Media, Origin, Prints, Record, Verdict
from valor_data.stages.shard import write_release
from valor_data.workspace import Workspace

SHARDS, GONE = 100, 10


def rows_of(recipe: Recipe, number: int, data: bytes) -> list[Record]:
    """All that a release asks of a clip."""
    span = layout.Span(f"v{number:010d}", 0, 10_000)
    clip, sha256 = layout.clip_id(*span), hashlib.sha256(data).hexdigest()
    return [
        Clip(clip_id=clip, source="url", url=f"https://example.org/{number}", made_by="x", **span._asdict()),
        Media(
            clip_id=clip, profile=recipe.profile, object_key=layout.object_key(recipe.profile, clip),
            sha256=sha256, bytes=len(data), duration_ms=10_000, video_codec="h264", width=640, height=360,
            fps=25.0, start_error_ms=0.0, av_skew_ms=0.0, made_by="x",
        ),
        AudioMeasures(clip_id=clip, media_sha256=sha256, has_audio=True, made_by="x"),
        Prints(clip_id=clip, media_sha256=sha256, sound=data[:1150], picture=data[1150:2300], made_by="x"),
        Verdict(clip_id=clip, rules_digest=recipe.rules_digest, kept=True, made_by="x"),
        Caption(
            caption_id=layout.caption_id(clip, "imported", "x", ""), clip_id=clip, text=f"Clip {number}.",
            author="x", origin=Origin.IMPORTED, made_by="x",
        ),
    ]  # fmt: skip


def fill(workspace: Workspace, clips: int, size: int) -> None:
    """Clips whose media are noise."""
    noise = os.urandom(size)
    for start in range(0, clips, 1000):
        rows: dict[str, list[Record]] = {}
        for number in range(start, min(clips, start + 1000)):
            data = number.to_bytes(8, "big") + noise[8:]
            made = rows_of(workspace.recipe, number, data)
            workspace.store.put_bytes(layout.object_key(workspace.recipe.profile, made[1].clip_id), data)  # type: ignore[attr-defined]
            for row in made:
                rows.setdefault(row.table, []).append(row)
        for several in rows.values():
            workspace.tables.append(several)


def clocks() -> tuple[float, float]:
    """CPU seconds of this process and its children, and wall time."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used), time.monotonic()


def main() -> None:
    """Print figures and whether the bounds hold."""
    parser = argparse.ArgumentParser(description="takedown of ten clips out of a hundred shards")
    parser.add_argument("--clips", type=int, default=2000)
    parser.add_argument("--kb", type=int, default=100)
    asked = parser.parse_args()
    shard = {"samples": -(-asked.clips // SHARDS)}
    recipe = Recipe.model_validate(
        {"name": "big", "split": {"train": 1, "val": 0, "test": 0}, "shard": shard}
    )
    with tempfile.TemporaryDirectory(prefix="valor-data-bench-") as folder:
        root = Path(folder, "w")
        with Workspace.open(recipe, str(root), write=True) as workspace:
            fill(workspace, asked.clips, asked.kb * 1000)
            cpu, wall = clocks()
            made = write_release(workspace, progress=False)
        release_cpu, release_wall = (now - then for now, then in zip(clocks(), (cpu, wall), strict=True))
        old_root = root / made.prefix
        old = Manifest.parse((old_root / layout.MANIFEST).read_bytes())
        step = asked.clips // GONE
        gone = [layout.clip_id(f"v{number:010d}", 0, 10_000) for number in range(0, step * GONE, step)]
        ids = Path(folder, "ids.txt")
        ids.write_text("\n".join(gone))
        cpu, wall = clocks()
        options = Options(workspace=str(root), progress=False)
        report = chain.retract(recipe, options, ids=str(ids), reason="benchmark")
        retract_cpu, retract_wall = (now - then for now, then in zip(clocks(), (cpu, wall), strict=True))
        new_root = root / report.outputs[0]
        new = Manifest.parse((new_root / layout.MANIFEST).read_bytes())
        known = {entry.sha256: entry.path for entry in old.shards}
        kept = [entry for entry in new.shards if entry.sha256 in known]
        shared = [entry for entry in kept if (new_root / entry.path).samefile(old_root / known[entry.sha256])]
        held = shards_with(old_root, gone)
    print(f"{asked.clips} clips of {asked.kb} KB in {len(old.shards)} shards; {len(gone)} taken down")
    print(
        f"shards that held them {len(held)}, written anew {report.counts['rewritten']}, linked {len(shared)}"
    )
    print(f"bytes shared {sum(e.bytes for e in shared) / sum(e.bytes for e in new.shards):.1%}")
    print(f"release  {release_cpu:.2f} s CPU, {release_wall:.2f} s")
    print(f"takedown {retract_cpu:.2f} s CPU, {retract_wall:.2f} s")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
    only = report.counts["rewritten"] == len(held) and len(shared) == len(old.shards) - len(held)
    print(f"only their shards: bound {'ok' if only else 'MISSED'}")


def shards_with(release: Path, gone: list[str]) -> list[Path]:
    """The shards of a release that hold one of some clips, by their catalog."""
    import pyarrow.parquet as pq

    table = pq.read_table(release / layout.CATALOG, columns=["clip_id", "shard"]).to_pydict()
    wanted = set(gone)
    places = zip(table["clip_id"], table["shard"], strict=True)
    return [release / path for path in sorted({shard for clip, shard in places if clip in wanted})]


if __name__ == "__main__":
    main()
