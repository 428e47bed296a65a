"""What a score was made on: the release by its digest, somebody's statement of his copies, how much of the
test set was there, and what the encoders had seen before.
"""

import json
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from valor_data import layout
from valor_data.errors import UserError
from valor_data.manifest import SPLITS, Manifest, SplitName
from valor_data.shards import ReleaseReader, manifest_of, revoked_of
from valor_data.store import Store
from valor_data.train.config import ModelConfig

_PAIRS = "pairs of picture and text from the web"
_BOOKS = "BooksCorpus and English Wikipedia"
_SAW = {
    "laion": f"{_PAIRS} (LAION)",
    "siglip": f"{_PAIRS} (WebLI, not public)",
    "clip-vit": f"400 million {_PAIRS} (WIT, not public)",
    "ast-finetuned-audioset": "AudioSet's train lists with their labels, after ImageNet; not its eval list",
    "bert-base": _BOOKS,
    "bert-large": _BOOKS,
}
"""Part of the weights' name -> what their makers state that they were trained on; the first that fits."""


class Statement(NamedTuple):
    """What `release attest` said of the copies that were scored."""

    sha256: str
    """Its digest."""
    release: str
    """Name and version that the copies were held against."""
    content_sha256: str
    clips: int
    equivalent: int
    others: dict[str, str]
    """Clips that are not equivalent: clip_id -> what they are."""


class Ground(NamedTuple):
    """The release that was scored on."""

    name: str
    version: str
    content_sha256: str
    split: SplitName


class Coverage(NamedTuple):
    """How much of what should be there was scored."""

    of: str
    """The split, or a list's name."""
    clips: int
    scored: int
    missing: dict[str, str]
    """clip_id -> why it was not scored, in words of a few kinds and, after a colon, its own."""
    taken_down: int = 0
    """Clips that are missing too, and that nobody may name."""

    def kinds(self) -> dict[str, int]:
        """Why, by how many, most first."""
        counted = Counter(why.split(":")[0] for why in self.missing.values())
        counted["taken down"] += self.taken_down
        return {why: count for why, count in counted.most_common() if count}


class Encoder(NamedTuple):
    """What an encoder began from."""

    weights: str
    """Name of the weights, or of their folder; empty: random."""
    saw: str
    """Before this training; empty: nothing."""


def ground(release: str, split: SplitName) -> Ground:
    """Which release it is. Raises UserError where there is none."""
    said = manifest_of(Store.open(release))
    return Ground(said.name, said.version, said.content_sha256, split)


def subsets(reader: ReleaseReader) -> dict[str, frozenset[str]]:
    """Subset -> its clips in a split, from the facts alone."""
    found: dict[str, set[str]] = {}
    for sample in reader:
        for name in json.loads(sample.members["json"]).get("subsets") or ():
            found.setdefault(name, set()).add(sample.key)
    return {name: frozenset(found[name]) for name in sorted(found)}


def of_split(release: str, split: SplitName, asked: Collection[str], faults: Mapping[str, str]) -> Coverage:
    """Which of the clips that were asked for could be scored; of a whole split, also how many are gone."""
    said = manifest_of(Store.open(release))
    readable = len(ReleaseReader(Store.open(release), split))
    written = sum(shard.samples for shard in said.shards if shard.split == split)
    gone = written - readable if len(asked) == readable else 0
    missing = {clip: _fault(why) for clip, why in sorted(faults.items())}
    return Coverage(f"split {split}", len(asked) + gone, len(asked) - len(missing), missing, gone)


def of_list(
    name: str, wanted: Collection[str], release: str, split: SplitName, scored: Collection[str],
    faults: Mapping[str, str],
) -> Coverage:  # fmt: skip
    """Which clips of a list were scored, and where the others are."""
    store = Store.open(release)
    said = manifest_of(store)
    gone = revoked_of(store, said)
    elsewhere = {
        sample.key: other for other in SPLITS if other != split and _has(said, other)
        for sample in ReleaseReader(store, other)
    }  # fmt: skip
    here = {sample.key for sample in ReleaseReader(store, split)}
    have, missing = set(scored), {}
    for clip in sorted(set(wanted) - have):
        if clip in faults:
            missing[clip] = _fault(faults[clip])
        elif gone is not None and gone.holds(clip):
            missing[clip] = "taken down"
        elif clip in elsewhere:
            missing[clip] = f"in {elsewhere[clip]}"
        else:
            missing[clip] = "outside the subset" if clip in here else "not in the release"
    return Coverage(name, len(set(wanted)), len(set(wanted) & have), missing)


def _has(said: Manifest, split: SplitName) -> bool:
    return any(shard.split == split for shard in said.shards)


def _fault(why: str) -> str:
    return why if why == "no caption" else f"unreadable: {why}"


def statement(path: str) -> Statement:
    """What `release attest` wrote. Raises UserError for another file, and for one that was changed."""
    try:
        said: dict[str, Any] = json.loads(Path(path).read_bytes())
        told = said.pop("sha256_of_the_rest")
        of = said["release"]
        found = Statement(
            told, f"{of['name']} {of['version']}", of["content_sha256"], said["clips"],
            said["counts"]["equivalent"], {one["clip_id"]: one["state"] for one in said["others"]},
        )  # fmt: skip
    except OSError as error:
        raise UserError(f"--attested {path}: not readable: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"--attested {path}: no statement of valor-data release attest") from None
    if layout.digest(said) != told:
        raise UserError(
            f"--attested {path}: its digest does not fit: it was changed; attest the copies again"
        )
    return found


def encoders(model: ModelConfig) -> dict[str, Encoder]:
    """Picture, sound, text -> what each began from."""
    towers = (("picture", model.vision), ("sound", model.audio), ("text", model.text))
    return {name: _encoder(tower.weights) for name, tower in towers}


def _encoder(weights: str) -> Encoder:
    name = weights.rstrip("/").rsplit("/", 1)[-1]
    known = next((saw for part, saw in _SAW.items() if part in name.lower()), "")
    return Encoder(name, (known or "not known here; its own card tells") if name else "")
