"""The plan of 1.2 million segments: what `fetch --dry-run` takes before and after a first run.

    python benchmarks/plan.py [--rows 1200000]

An AudioSet-like list is planned as a user plans it, by the command, in a fresh process: without a
workspace, and with one whose ledger holds half of the clips. Then the list is read in earnest, and
what of it is available is published. Bounds (exit code 1 where one is broken): a plan in under 60 s,
no process over 1 GB. The yardstick of CPU time is a bare read of the lines by Python's csv module.
"""

import argparse
import csv
import json
import random
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

from valor_data import recipe
from valor_data.tables import Tables

SECONDS, MEGABYTES = 60.0, 1000.0
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_MIDS = ("/m/09x0r", "/m/04rlf", "/m/0bt9lr", "/m/07yv9", "/m/0k4j")
_LISTING = """
import sys
from valor_data import recipe
from valor_data.stages.listing import list_segments
from valor_data.workspace import Workspace
made = recipe.load(sys.argv[1])
with Workspace.open(made, made.workspace, write=True) as workspace:
    list_segments(workspace)
print('{"counts": {}}')
"""


class Ran(NamedTuple):
    """One process."""

    seconds: float
    cpu_s: float
    megabytes: float
    report: Any


def write_list(path: Path, rows: int) -> None:
    """A list in AudioSet's form: comment lines, random ids, one to three labels a row."""
    dice = random.Random(0)
    with path.open("w", encoding="utf-8") as file:
        file.write("# Segments csv\n# num_ytids=...\n# YTID, start_seconds, end_seconds, positive_labels\n")
        for _ in range(rows):
            start = dice.randrange(0, 600, 10)
            labels = ",".join(dice.choices(_MIDS, k=dice.choice((1, 2, 2, 3))))
            video = "".join(dice.choices(_ALPHABET, k=11))
            file.write(f'{video}, {start}.000, {start + 10}.000, "{labels}"\n')


def ran(*words: str) -> Ran:
    """A Python process to its end, with the peak of its memory."""
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.Popen([sys.executable, *words], stdout=subprocess.PIPE, text=True)
    peak = [0.0]

    def watch() -> None:
        status = Path(f"/proc/{process.pid}/status")
        while process.poll() is None:
            try:
                found = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
            except OSError:
                return
            peak[0] = max([peak[0], *(int(line.split()[1]) / 1000 for line in found)])
            time.sleep(0.02)

    watcher = threading.Thread(target=watch)
    watcher.start()
    out, _ = process.communicate()
    took = time.perf_counter() - start
    watcher.join()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if process.returncode:
        sys.exit(f"{' '.join(words[:6])}: exit code {process.returncode}")
    return Ran(took, cpu_s, peak[0], json.loads(out))


def bare_read(path: Path) -> float:
    """CPU seconds that the csv module takes for the same lines."""
    start = time.process_time()
    with path.open(encoding="utf-8", newline="") as file:
        for _ in csv.reader(file, skipinitialspace=True):
            pass
    return time.process_time() - start


def half_done(root: str, profile: str, rows: int) -> None:
    """A ledger that holds every second clip, in as many parts as a long run leaves."""
    tables = Tables.open(root)
    for part in range(20):
        found = tables.sql(
            f"SELECT 'fetch/{profile}' AS stage, clip_id, 'ok' AS status, NULL::VARCHAR AS reason, "
            f"'' AS message, 1 AS attempts, 'fetch@1' AS made_by FROM clips WHERE hash(clip_id) % 40 = {part}"
        )
        tables.append_arrow("outcomes", found)


def main() -> None:
    """Print the table and the verdict."""
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    words.add_argument("--rows", type=int, default=1_200_000)
    given = words.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        listed, made = Path(folder, "list.csv"), Path(folder, "made.toml")
        write_list(listed, given.rows)
        made.write_text('name = "made"\nworkspace = "w"\n[[segments.lists]]\npath = "list.csv"\n')
        plan = ("-m", "valor_data", "fetch", str(made), "--dry-run", "--json")
        status = ("-m", "valor_data", "status", str(made), "--json", "--availability", f"{folder}/out")
        base = bare_read(listed)
        print(f"{given.rows:,} rows; the csv module alone reads them in {base:.1f} s of CPU")
        print(f"{'':28} {'seconds':>8} {'CPU s':>7} {'ratio':>7} {'peak MB':>8} {'to fetch':>10}")
        fits = [show("plan, no workspace", ran(*plan), base, bound_s=SECONDS)]
        fits.append(show("listing in earnest", ran("-c", _LISTING, str(made)), base))
        loaded = recipe.load(str(made))
        half_done(str(loaded.workspace), loaded.profile, given.rows)
        fits.append(show("plan, half is done", ran(*plan), base, bound_s=SECONDS))
        fits.append(show("status with availability", ran(*status), base))
        sizes = {path.suffix[1:]: path.stat().st_size for path in Path(folder, "out").iterdir()}
        print("availability: " + ", ".join(f"{name} {size / 1e6:.2f} MB" for name, size in sizes.items()))
    print(
        f"plan in under {SECONDS:g} s, no process over {MEGABYTES:g} MB: {'held' if all(fits) else 'BROKEN'}"
    )
    sys.exit(0 if all(fits) else 1)


def show(name: str, took: Ran, base_s: float, bound_s: float = float("inf")) -> bool:
    """One line; whether the bounds hold."""
    left = took.report["counts"].get("to_fetch", "")
    ratio = f"{took.cpu_s / base_s:.1f}x"
    numbers = f"{took.seconds:8.1f} {took.cpu_s:7.1f} {ratio:>7} {took.megabytes:8.0f} {left:>10}"
    print(f"{name:28} {numbers}", flush=True)
    # On a machine that others load too, seconds are theirs as well; CPU seconds are ours.
    return min(took.seconds, took.cpu_s) < bound_s and took.megabytes < MEGABYTES


if __name__ == "__main__":
    main()
