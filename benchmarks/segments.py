"""Two million AudioSet-like rows through `segments`, in constant memory.

    python benchmarks/segments.py

Prints rows a CPU second, beside Python's own csv reader on the same file, and the peak memory of a
process that reads ten times as many rows: it must not grow (exit code 1 where it does).
"""

import csv
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from valor_data.recipe import ListSpec
from valor_data.segments import open_list
from valor_data.segments.columns import label_names

SMALL, LARGE = 200_000, 2_000_000
GROWTH_BOUND = 1.1
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def write_list(path: Path, rows: int) -> None:
    """A list in AudioSet's form: three comment lines, random ids, one to five labels a row."""
    dice = random.Random(0)
    mids = list(label_names())
    with path.open("w", encoding="utf-8") as file:
        file.write("# Segments csv\n# num_ytids=...\n# YTID, start_seconds, end_seconds, positive_labels\n")
        for _ in range(rows):
            start = dice.randrange(0, 600, 10)
            labels = ",".join(dice.choices(mids, k=dice.choice((1, 2, 2, 3, 5))))
            video_id = "".join(dice.choices(_ALPHABET, k=11))
            file.write(f'{video_id}, {start}.000, {start + 10}.000, "{labels}"\n')


def read_list(path: Path) -> None:
    """In a process of its own: prints rows, CPU seconds to open and to read, and peak memory in MB."""
    before = time.process_time()
    reader = open_list(ListSpec(path=str(path)), seconds=10.0)
    opened = time.process_time()
    rows = sum(1 for row in reader if len(row) > 3)
    read = time.process_time()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(rows, opened - before, read - opened, peak)


def read_csv(path: Path) -> float:
    """CPU seconds that the bare csv reader takes: the ceiling for any reader in Python."""
    before = time.process_time()
    with path.open(encoding="utf-8", newline="") as file:
        for _ in csv.reader(file, skipinitialspace=True):
            pass
    return time.process_time() - before


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        peaks = []
        for count in (SMALL, LARGE):
            path = Path(folder, f"{count}.csv")
            write_list(path, count)
            command = [sys.executable, __file__, str(path)]
            answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
            rows, opening, reading, peak = int(answer[0]), *map(float, answer[1:])
            assert rows == count, f"{count - rows} rows lost"
            peaks.append(peak)
            bare = read_csv(path)
            total = opening + reading
            print(
                f"{rows:>9,} rows  {path.stat().st_size / 1e6:6.1f} MB  open {opening:5.2f} s  "
                f"read {reading:5.2f} s  {rows / total:>9,.0f} rows/CPU s  {total / bare:4.1f}x bare csv  "
                f"peak {peak:6.1f} MB"
            )
        growth = peaks[1] / peaks[0]
        print(f"peak memory at 10x the rows: {growth:.2f}x (bound {GROWTH_BOUND})")
        sys.exit(growth > GROWTH_BOUND)


if __name__ == "__main__":
    read_list(Path(sys.argv[1])) if len(sys.argv) > 1 else main()
