"""METEOR 1.5 by its own program, which is Java: what it matches, and the score that follows.

The program cuts sentences itself (`-norm`), as in coco-caption. It is given half the memory that coco-caption
gives it, which is enough for its table of paraphrases.
"""

import importlib.util
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from valor_data.errors import UserError

Floats = NDArray[np.float64]

_MEMORY = "-Xmx600m"
_COUNTS = 23
"""Numbers that the program tells of a sentence."""
# English parameters of METEOR 1.5 (Denkowski and Lavie 2014).
_ALPHA, _BETA, _GAMMA, _DELTA = 0.85, 0.2, 0.6, 0.75
_WEIGHTS = np.array([1.0, 0.6, 0.8, 0.6])
"""Of words that match exactly, by stem, as synonyms, as paraphrases."""


def lacks() -> str:
    """Why METEOR cannot be had here; empty: it can."""
    if shutil.which("java") is None:
        return "no Java here"
    return "" if _jar() is not None else "its program, part of pycocoevalcap, is not installed"


def matches(written: Mapping[str, str], references: Mapping[str, Sequence[str]]) -> Floats:
    """What matches between a sentence and the best of its references, (N, 23), in the order of `written`.

    Raises UserError, in a few words, where `lacks` says something or Java cannot run the program.
    """
    lines = []
    without, jar = lacks(), _jar()
    if without or jar is None:
        raise UserError(without)
    for clip, text in written.items():
        told = [" ".join(one.replace("|||", " ").split()) for one in (*references[clip], text)]
        lines.append(" ||| ".join(["SCORE", *told]))
    command = ["java", _MEMORY, "-XX:+UseSerialGC", "-jar", jar.name, "-", "-", "-stdio", "-l", "en", "-norm"]
    ran = subprocess.run(
        command, cwd=jar.parent, input="\n".join([*lines, ""]), capture_output=True, text=True, check=False
    )
    rows = [line.split() for line in ran.stdout.splitlines()]
    if ran.returncode or len(rows) != len(lines) or any(len(row) != _COUNTS for row in rows):
        said = (ran.stderr.strip() or f"{len(rows)} answers to {len(lines)} sentences").splitlines()[0]
        raise UserError(f"Java could not run it ({said})")
    return np.array(rows, np.float64).reshape(len(lines), _COUNTS)


def score(matches_NM: Floats) -> float:
    """METEOR of a set, x100: of the sums over its sentences, as the program's last line."""
    # A sentence that is its reference is in no piece at all, not in one.
    same_N = (matches_NM[:, :2] == matches_NM[:, 21:]).all(axis=1) & (matches_NM[:, 20] == 1)
    chunks = matches_NM[~same_N, 20].sum()
    sums_M = matches_NM.sum(axis=0)
    ours, theirs, our_function, their_function = sums_M[:4]
    # By kind of match: content words of ours, of theirs, function words of ours, of theirs.
    by_kind = sums_M[4:20].reshape(4, 4)
    matched = sums_M[21:].mean()
    found = [_DELTA * by_kind[:, side] + (1 - _DELTA) * by_kind[:, side + 2] for side in (0, 1)]
    of = [_DELTA * (n - f) + (1 - _DELTA) * f for n, f in ((ours, our_function), (theirs, their_function))]
    if not (matched and all(of)):
        return 0.0
    precision, recall = (float(_WEIGHTS @ part) / whole for part, whole in zip(found, of, strict=True))
    if not (precision and recall):
        return 0.0
    balanced = 1 / ((1 - _ALPHA) / precision + _ALPHA / recall)
    return float(100 * balanced * (1 - _GAMMA * (chunks / matched) ** _BETA))


def _jar() -> Path | None:
    package = importlib.util.find_spec("pycocoevalcap")
    places = package.submodule_search_locations if package else None
    found = [Path(place, "meteor", "meteor-1.5.jar") for place in places or ()]
    return next((jar for jar in found if jar.is_file()), None)
