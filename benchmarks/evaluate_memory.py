"""Peak memory of `evaluate` over a test set of VALOR-32K's size.

    python benchmarks/evaluate_memory.py [--clips N] [--frames N] [--layers N] [--width N]

A release of N clips, whose media are a few rendered scenes again and again, and a model of random weights,
with captions of 40 word pieces and a common space of 512 as VALOR has them, so that what is kept of the
clips and the captions has its true size. The command runs in a process of its own, with captions, METEOR
where there is Java, and questions; its memory and that of its children together is looked at twenty times a
second. Beside the peak stands that of 16 clips: the program, the model, and METEOR.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from verify import RECIPE, rows

from valor_data import layout
from valor_data.records import Record
from valor_data.scenes import make_scene, pairs, render_clip
from valor_data.stages.shard import write_release
from valor_data.train import checkpoint
from valor_data.train.build import build
from valor_data.train.config import Pretrain
from valor_data.train.words import Words
from valor_data.workspace import Workspace

MOST_MB = 2000
DISTINCT, FEW = 8, 16
WORDS = [a + b + c for a in "bdfgklmnprst" for b in "aeiou" for c in ("n", "r", "st", "lo")]


def caption(number: int) -> str:
    """Twenty words, of a few hundred."""
    drawn = random.Random(number)
    return " ".join(drawn.choice(WORDS) for _ in range(20))


def release(root: Path, clips: int) -> Path:
    """All clips in the split `test`."""
    recipe = RECIPE.model_copy(
        update={"split": RECIPE.split.model_copy(update={"train": 0.0, "val": 0.0, "test": 1.0})}
    )
    films = []
    for number, (visual, sound) in enumerate(pairs()[:DISTINCT]):
        render_clip(root / f"{number}.mp4", make_scene(visual, sound, seconds=1.0), fps=4)
        films.append((root / f"{number}.mp4").read_bytes())
    with Workspace.open(recipe, str(root / "w"), write=True) as workspace:
        tables: dict[str, list[Record]] = {}
        for number in range(clips):
            film = films[number % DISTINCT]
            for row in rows(number, film):
                if row.table == "captions":
                    row = row.model_copy(update={"text": caption(number)})
                tables.setdefault(row.table, []).append(row)
            clip = layout.clip_id(f"v{number:010d}", 0, 10_000)
            workspace.store.put_bytes(layout.object_key(recipe.profile, clip), film)
        for several in tables.values():
            workspace.tables.append(several)
        return root / "w" / write_release(workspace, progress=False).prefix


def model(folder: Path, given: argparse.Namespace, source: Path) -> int:
    """A checkpoint of random weights; its parameters."""
    tower = {"layers": given.layers, "width": given.width, "heads": given.width // 64}
    words = Words.of((caption(number) for number in range(100)), 4000)
    config = Pretrain.model_validate(
        {
            "name": "memory",
            "model": {
                "vision": {**tower, "resolution": 112},
                "audio": tower,
                "text": {**tower, "vocabulary": words.vocabulary.size},
            },
            "data": {"sources": [{"release": str(source)}], "frames": given.frames, "slices": 1},
            "optim": {"steps": 1},
        }
    )
    torch.manual_seed(0)
    made = build(config.model)
    checkpoint.write(folder, made.state_dict(), config, words, "")
    return sum(part.numel() for part in made.parameters())


def questions(path: Path, clips: int) -> None:
    """One about each clip."""
    path.write_text(
        "".join(
            json.dumps({"clip": f"v{number:010d}_0_10000", "question": caption(number % 50), "answer": "a"})
            + "\n"
            for number in range(clips)
        )
    )


def resident_mb(pid: int) -> float:
    """Of a process and all below it."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        below = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    own = next((line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")), "0")
    return int(own) / 1000 + sum(resident_mb(int(child)) for child in below)


def peak_mb(*words: str) -> tuple[float, float]:
    """The most that a command held, and the seconds that it took."""
    began = time.monotonic()
    running = subprocess.Popen([sys.executable, "-m", "valor_data", *words], stdout=subprocess.DEVNULL)
    most = 0.0
    while running.poll() is None:
        most = max(most, resident_mb(running.pid))
        time.sleep(0.05)
    assert running.returncode == 0
    return most, time.monotonic() - began


def main() -> None:
    """Print both peaks, and whether the bound holds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=3_500)
    parser.add_argument("--frames", type=int, default=4)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--width", type=int, default=256)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "few").mkdir()
        few, many = release(folder / "few", FEW), release(folder, given.clips)
        weights = model(folder / "model", given, many)
        asked = folder / "questions.jsonl"
        questions(asked, given.clips)
        command = ("evaluate", str(folder / "model"))
        least, _ = peak_mb(*command, str(few))
        most, seconds = peak_mb(*command, str(many), "--questions", str(asked))
    print(f"{given.frames} frames, {given.layers} layers x {given.width}, {weights / 1e6:.1f} M weights")
    print(f"  {FEW} clips      {least:6.0f} MB")
    print(f"  {given.clips} clips    {most:6.0f} MB  in {seconds:.0f} s")
    print(f"  peak at most {MOST_MB} MB: {'ok' if most <= MOST_MB else 'MISSED'}")


if __name__ == "__main__":
    main()
