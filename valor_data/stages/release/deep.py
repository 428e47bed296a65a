"""What a closer look finds: numbers that the media no longer give, texts that are poor, benchmarks' clips."""

import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from valor_data import text
from valor_data.manifest import Facts
from valor_data.recipe.captions import Captions
from valor_data.stages.release.problems import Problems, printable

Measure = Callable[[Path], Mapping[str, Any]]
"""Measures a clip again: number by the name that the facts use."""

_TOLERANCES = {
    "loudness_lufs": 0.2, "momentary_max_lufs": 0.2, "sample_peak_dbfs": 0.2, "silent_share": 0.02,
    "audio_duration_ms": 30, "picture_ms": 50, "brightness": 0.02, "black_share": 0.02, "still_share": 0.05,
}  # fmt: skip
"""What is measured again, and how far another build of the codecs may be off (units: docs/measures.md)."""
_LONG = 10_000
"""Letters from which on a caption is told as long."""


class Deep:
    """Looks at clip after clip; remembers of each kind of finding how often it occurs, and one example."""

    def __init__(self, problems: Problems, measure: Measure | None, leaks: Mapping[str, str]) -> None:
        self._problems, self._measure, self._leaks = problems, measure, leaks
        self._found: dict[str, tuple[int, str]] = {}

    def measure(self, path: Path, facts: Facts, where: str) -> None:
        """Tell each recorded number that the media do not give."""
        if self._measure is None:
            return
        numbers = self._measure(path)
        for name, most in _TOLERANCES.items():
            said, got = facts.get(name), numbers.get(name)
            if said is not None and (got is None or abs(got - said) > most):
                self._problems.tell(f"{where}.mp4: {name} is {_shown(got)}, its json says {_shown(said)}")

    def look_at(self, facts: Facts) -> None:
        """Texts and leaks of a clip."""
        benchmark = self._leaks.get(facts["clip_id"])
        if benchmark is not None:
            self._note(f"{facts['split']}: clips that {benchmark} holds too", facts["clip_id"])
        for caption in facts["captions"]:
            for kind in _kinds(str(caption["text"]), str(caption.get("language") or "en")):
                self._note(f"captions: {kind}", f"{caption['caption_id']} of {facts['clip_id']}")

    def notes(self) -> list[str]:
        """A line a kind, most first."""
        ranked = sorted(self._found.items(), key=lambda item: (-item[1][0], item[0]))
        return [printable(f"{kind}: {count:,}, such as {example}") for kind, (count, example) in ranked]

    def _note(self, kind: str, example: str) -> None:
        count, first = self._found.get(kind, (0, example))
        self._found[kind] = (count + 1, first)


def _kinds(caption: str, language: str) -> list[str]:
    """What is poor about a text."""
    found = []
    if any(unicodedata.category(char) == "Cc" and char not in "\n\t" for char in caption):
        found.append("control characters, such as NUL")
    if any(unicodedata.bidirectional(char) in _DIRECTING for char in caption):
        found.append("marks that turn the direction of writing")
    if len(caption) > _LONG:
        found.append(f"longer than {_LONG:,} letters")
        return found
    try:
        rules = Captions(language=language)
    except ValidationError:  # nothing else that reads a release minds
        return [*found, "a language that is no ISO 639 code"]
    return [*found, *(fault.kind for fault in text.faults(caption, rules=rules))]


_DIRECTING = frozenset(("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"))


def _shown(value: float | None) -> str:
    return "not defined" if value is None else f"{value:g}"
