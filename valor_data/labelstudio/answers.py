"""An annotation as the server keeps it -> what its author said.

Nothing is checked on the server: regions of controls that nobody knows, two captions in one field, or none at
all arrive as they were stored. What is odd is told and never stops a pull.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from valor_data.labelstudio.config import ASIDE, EVENTS, FLAGS, REASONS, VERDICTS

_LONGEST_S = 10_000_000
_HEARD = {"audible": "a", "visible": "v", "both": "av"}


class Said(NamedTuple):
    """One annotation, taken apart."""

    text: str
    flags: tuple[str, ...]
    heard: tuple[str, ...]
    """Boxes of the test; any words, for its page is there to be changed."""
    verdict: str
    reasons: tuple[str, ...]
    event_spans_ms: tuple[int, ...]
    event_senses: tuple[str, ...]
    odd: tuple[str, ...]
    """`unknown_region`, `unknown_choice`, `two_captions`, `bad_event`; each once."""
    skipped: bool
    lead_ms: int


def said(annotation: Mapping[str, Any], frames_per_second: float) -> Said:
    """What one annotation says. `frames_per_second`: the clip's, for timed events count in frames."""
    odd: list[str] = []
    texts: dict[str, str] = {}
    chosen: dict[str, list[str]] = {"heard": [], "flags": [], "verdict": [], "reasons": []}
    known = {"flags": FLAGS, "verdict": VERDICTS, "reasons": REASONS}
    spans: list[int] = []
    names: list[str] = []
    result = annotation.get("result")
    for region in result if isinstance(result, list) else []:
        name = region.get("from_name") if isinstance(region, dict) else None
        value = region.get("value") if isinstance(region, dict) else None
        if not isinstance(value, dict):
            odd.append("unknown_region")
        elif name == "heard":
            chosen[name] += map(str, _listed(value.get("choices")))
        elif name in ASIDE:
            continue
        elif name in ("caption", "fixed_caption"):
            told = [text.strip() for text in map(str, _listed(value.get("text"))) if text.strip()]
            if len(told) > 1 or (told and name in texts):
                odd.append("two_captions")
            if told:
                texts[name] = told[-1]  # the later one is what its author meant
        elif name in known:
            for word in map(str, _listed(value.get("choices"))):
                (chosen[name] if word in known[name] else odd).append(
                    word if word in known[name] else "unknown_choice"
                )
        elif name == "events":
            found = _event(value, frames_per_second)
            if found is None:
                odd.append("bad_event")
            else:
                spans += found[:2]
                names.append(found[2])
        else:
            odd.append("unknown_region")
    return Said(
        text=texts.get("fixed_caption") or texts.get("caption") or "",
        flags=tuple(dict.fromkeys(chosen["flags"])),
        heard=tuple(dict.fromkeys(chosen["heard"])),
        verdict=chosen["verdict"][-1] if chosen["verdict"] else "",
        reasons=tuple(dict.fromkeys(chosen["reasons"])),
        event_spans_ms=tuple(spans),
        event_senses=tuple(names),
        odd=tuple(sorted(set(odd))),
        skipped=bool(annotation.get("was_cancelled")),
        lead_ms=_milliseconds(annotation.get("lead_time")),
    )


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _milliseconds(seconds: Any) -> int:
    """0 for what is no time."""
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    return round(1000 * seconds) if is_number and 0 <= seconds < _LONGEST_S else 0


def _event(value: Mapping[str, Any], frames_per_second: float) -> tuple[int, int, str] | None:
    """Start and end in ms, and by which sense; None for one that is none."""
    marked = _listed(value.get("timelinelabels")) or _listed(value.get("labels"))
    kinds = [kind for kind in map(str, marked) if kind in EVENTS]
    if not kinds:
        return None
    try:
        if "ranges" in value:  # frames, the first is 1
            first, last = value["ranges"][0]["start"], value["ranges"][0]["end"]
            start_s, end_s = (first - 1) / frames_per_second, last / frames_per_second
        else:  # seconds of a sound
            start_s, end_s = float(value["start"]), float(value["end"])
        start_ms, end_ms = round(1000 * start_s), round(1000 * end_s)
    except (KeyError, IndexError, TypeError, ValueError, OverflowError, ZeroDivisionError):
        return None
    return (start_ms, end_ms, _HEARD[kinds[0]]) if 0 <= start_ms <= end_ms < 1000 * _LONGEST_S else None
