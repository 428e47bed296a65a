"""An observation to the fields of a record, by models; each opens them once a worker."""

from collections.abc import Callable
from typing import Any

from valor_data.media.observe import Observation
from valor_data.recipe import Measure, Safety
from valor_data.scorers import pdq, tags, unsafe
from valor_data.scorers.speech import SpeechFinder
from valor_data.scorers.wording import WordingFinder

Fields = Callable[[Observation], dict[str, Any]]


def open_speech() -> Fields:
    """Fields of `SpeechMeasures`."""
    finder = SpeechFinder()

    def fields(seen: Observation) -> dict[str, Any]:
        if seen.voice_T is None:
            return {}
        speech = finder.find(seen.voice_T)
        return {
            "speech_share": round(speech.share, 4),
            "speech_spans_ms": tuple(moment for span in speech.spans_ms for moment in span),
        }

    return fields


def open_tags(measure: Measure) -> Fields:
    """Fields of `TagMeasures`."""
    tagger = tags.open_tagger(measure.tagger or "")

    def fields(seen: Observation) -> dict[str, Any]:
        if seen.voice_T is None:
            return {}
        found = tags.top(tagger.scores(seen.voice_T), measure.top)
        return {
            "tags": tuple(name for name, _ in found),
            "tag_scores": tuple(round(score, 5) for _, score in found),
        }

    return fields


def open_safety(safety: Safety) -> Fields:
    """Fields of `SafetyMeasures`: those that the recipe asks for."""
    nsfw = unsafe.open_unsafe(safety.nsfw_model or "") if safety.nsfw_max is not None else None
    words = WordingFinder() if safety.text_max is not None else None

    def fields(seen: Observation) -> dict[str, Any]:
        digest = {"md5": seen.md5}
        if not seen.stills:
            return digest
        hashes = [pdq.pdq(still) for still in seen.stills] if safety.hash_lists else []
        return {
            "nsfw_score": round(max(nsfw.scores(seen.stills)), 4) if nsfw else None,
            "text_share": round(words.measure(seen.stills).lasting, 4) if words else None,
            "pdq_hashes": tuple(one.bits.hex() for one in hashes if one.quality >= pdq.LEAST_QUALITY),
            **digest,
        }

    return fields
