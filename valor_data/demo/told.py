"""The proof as a page: what models make of the unseen clips, beside what they must."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from valor_data import plots
from valor_data.demo.judged import AT, GROUPS, Judged, Row

FINDS = 0.9
"""Least share of captions that find their clip by picture and sound, and of captions that name both parts."""
FLIPS = 0.95
"""Least share of preferences that are as the grammar says, and least AUC of flips."""
CEILING = 16
"""Most captions of 64 that may find their clip by one sense. Eight clips look alike, and eight sound alike:
who chooses among them by chance finds 8, and 17 or more once in 500 times."""
SECONDS = 600.0
"""Most CPU time of a training."""


class Learned(NamedTuple):
    """A run, and what became of it."""

    run: Path
    seed: int
    steps: int
    cpu_s: float
    """CPU time that the training took, reading and decoding within it."""
    judged: Judged


def page(whole: Sequence[Learned], blind: Learned) -> tuple[str, bool]:
    """Markdown, and whether all is as it must be."""
    checks = [*(check for one in whole for check in _checks(one)), *_checks_of_blind(blind)]
    failed = [words for words, right in checks if not right]
    verdict = f"All {len(checks)} checks hold." if not failed else f"These do not hold: {'; '.join(failed)}."
    parts = [
        _INTRODUCTION,
        "## Which clip is a caption of?",
        _RETRIEVAL,
        _found(whole, blind),
        "## What is in a clip?",
        _captions(whole),
        "## Does it need both?",
        _NECESSITY,
        _preferences(whole, blind),
        _NEEDS,
        _needs(whole, blind),
        "## Losses",
        f"Of seed {whole[0].seed}.",
        f"![{_CURVES['mga']}]({_file('mga')}) ![{_CURVES['mgc']}]({_file('mgc')})",
        verdict,
    ]
    return "\n\n".join(parts) + "\n", not failed


_INTRODUCTION = """# Proof that it learns

`make pretrain-proof` renders clips of a grammar: eight shapes that are only seen, eight sounds that are
only heard, and captions that name both. They go through the chain as anybody's clips do; a tiny model of
random weights learns from the release on a CPU; then it is asked about 64 clips that it has never met, one
of each pair of shape and sound. Pairs are not new to it, draws are: place, pace, background, light, pitch,
moment, loudness and noise of each clip are its own. `pictures alone` is the ablation: it learned from the
group T-V only."""
_RETRIEVAL = f"""\
Each caption is asked for among all 64 clips; of equal scores the right clip counts as the last. Eight
clips share a shape and eight share a sound, and nothing else in picture or sound says which of the
eight it is. So who sees and does not hear finds 8 of 64, give or take the luck of choosing among eight:
{CEILING + 1} or more once in 500 times. Within ten he finds all 64. `sound removed`: the sound is
masked when the model is asked."""
_NECESSITY = """\
A clip is spoilt, and its caption stands beside the same caption with another sound, or another shape.
Where the spoilt clip is still as the caption says, the model must like the caption better (`stays`);
where it now is as the other says, the other (`flips`); where nothing is left to tell by, neither
(`either way`: the share that like the first, 0.5 by chance). Else: the share of pairs that are as they
must be. `AUC`: how often a preference that must flip has the smaller margin of scores."""
_NEEDS = """\
`evaluate --necessity` asks the same of any release, where no grammar says what must be: the share of
foils (mute or black, and 32 other clips) that a caption likes less than the true one. Here one other
clip in nine has the same shape, or the same sound, and is as good: about 0.95 is the most."""
_CURVES = {"mga": "MGA: which clip?", "mgc": "MGC: which words?"}


def _file(kind: str) -> str:
    return f"proof-{kind}.svg"


def curves(learned: Learned) -> dict[str, str]:
    """Losses by step, a file name each, as SVG."""
    lines = [json.loads(line) for line in (learned.run / "log.jsonl").read_text("utf-8").splitlines()]
    lines = [line for line in lines if "mga_tv" in line]
    groups = {"tv": "T-V", "ta": "T-A", "tva": "T-AV"}
    found = {}
    for kind, title in _CURVES.items():
        series = {
            name: [line[f"{kind}_{group}"] for line in lines]
            for group, name in groups.items()
            if f"{kind}_{group}" in lines[0]
        }
        steps = [line["step"] for line in lines]
        found[_file(kind)] = plots.curves(title, steps, series, unit="steps", of="loss")
    return found


def _checks(one: Learned) -> list[tuple[str, bool]]:
    hits, naming, name = one.judged.hits, one.judged.naming, f"seed {one.seed}"
    both = hits["T-AV"]
    found = [
        (f"{name}: T-AV finds {both.at[1]} of {both.of}", both.at[1] >= FINDS * both.of),
        (f"{name}: {naming.both} of {naming.of} captions name both", naming.both >= FINDS * naming.of),
        (f"{name}: flips AUC {one.judged.flips_auc:.3f}", one.judged.flips_auc >= FLIPS),
        (f"{name}: {one.cpu_s:.0f} s of CPU", one.cpu_s < SECONDS),
    ]
    for group in ("T-V", "T-A", GROUPS[3]):
        found.append((f"{name}: {group} finds {hits[group].at[1]}", hits[group].at[1] <= CEILING))
    for row in one.judged.rows:
        told = f"{name}: {row.spoilt}, {row.changed} changed: {row.share:.3f} {row.expected}"
        found.append((told, abs(row.share - 0.5) <= 0.15 if row.expected == "either" else row.share >= FLIPS))
    return found


def _checks_of_blind(one: Learned) -> list[tuple[str, bool]]:
    hits = one.judged.hits
    return [
        (f"pictures alone: T-A finds {hits['T-A'].at[1]}", hits["T-A"].at[1] <= 4),
        (f"pictures alone: T-AV finds {hits['T-AV'].at[1]}", hits["T-AV"].at[1] <= CEILING),
        (f"pictures alone: T-V within ten finds {hits['T-V'].at[10]}", hits["T-V"].at[10] >= 48),
    ]


def _found(whole: Sequence[Learned], blind: Learned) -> str:
    models = [*((f"seed {one.seed}", one) for one in whole), ("pictures alone", blind)]
    rows = [
        [name, group, *(f"{hits.at[at]} of {hits.of}" for at in AT)]
        for name, one in models
        for group, hits in one.judged.hits.items()
    ]
    return _table(["model", "looks by", *(f"within {at}" for at in AT)], rows)


def _captions(whole: Sequence[Learned]) -> str:
    rows = []
    for one in whole:
        naming = one.judged.naming
        counts = (f"{count} of {naming.of}" for count in (naming.shape, naming.sound, naming.both))
        rows.append([f"seed {one.seed}", *counts, str(one.steps), f"{one.cpu_s:.0f} s"])
    head = ["model", "captions name the shape", "the sound", "both", "steps", "CPU of training"]
    return _table(head, rows)


def _preferences(whole: Sequence[Learned], blind: Learned) -> str:
    words = {"stays": "stays", "flips": "flips", "either": "either way"}

    def line(rows: Sequence[Row]) -> list[str]:
        first = rows[0]
        shares = (f"{row.share:.3f}" for row in rows)
        return [first.spoilt, first.changed, words[first.expected], str(first.pairs), *shares]

    models = [*whole, blind]
    lines = [line(rows) for rows in zip(*(one.judged.rows for one in models), strict=True)]
    auc = ["all that must flip, against all that must stay", "", "AUC", ""]
    lines.append([*auc, *(f"{one.judged.flips_auc:.3f}" for one in models)])
    head = ["what is spoilt", "word that differs", "the preference", "pairs"]
    return _table([*head, *(f"seed {one.seed}" for one in whole), "pictures alone"], lines)


def _needs(whole: Sequence[Learned], blind: Learned) -> str:
    models, rows = [*whole, blind], []
    for what in ("audio", "video", "timing"):
        values = [
            [value for need in one.judged.needs if (value := getattr(need, what)) is not None]
            for one in models
        ]
        rows.append([f"needs_{what}", *(f"{np.mean(found):.3f}" for found in values)])
    return _table(["mean over clips", *(f"seed {one.seed}" for one in whole), "pictures alone"], rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
