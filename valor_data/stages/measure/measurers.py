"""Who measures: for each, what it needs of a clip, what record it makes, and how.

A number whose meaning changes is a new version: old rows stay what they were.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from valor_data.media.observe import Observation, Wanted
from valor_data.recipe import Recipe
from valor_data.records import (
    AudioMeasures,
    AvMeasures,
    Measures,
    Prints,
    SafetyMeasures,
    SpeechMeasures,
    TagMeasures,
    VideoMeasures,
)
from valor_data.scorers import signing
from valor_data.stages.measure import models, numbers

AUDIO, VIDEO, AV, PRINTS, SPEECH = "audio@2", "video@1", "av@1", "prints@1", "speech@1"

Numbers = Mapping[str, Any]
"""Fields of the record beside its identity."""


class Measurer(NamedTuple):
    """One who measures."""

    made_by: str
    """Name and version; of a model, its weights too."""
    record: type[Measures]
    wanted: Wanted
    """What it needs of the pass."""
    open: Callable[[], Callable[[Observation], Numbers]]
    """Called once a worker, when the first clip needs it."""


def measurers(recipe: Recipe) -> tuple[Measurer, ...]:
    """Those that a recipe asks for; the sound always is. Raises UserError for a model that is not there."""
    asked = recipe.measure.also
    found = [Measurer(AUDIO, AudioMeasures, Wanted(sound=True), lambda: numbers.audio)]
    if "video" in asked:
        found.append(Measurer(VIDEO, VideoMeasures, Wanted(picture=True), lambda: numbers.video))
    if "av" in asked:
        found.append(Measurer(AV, AvMeasures, Wanted(sound=True, picture=True), lambda: numbers.av))
    if "prints" in asked:
        both = Wanted(sound=True, picture=True)
        found.append(Measurer(PRINTS, Prints, both, lambda: numbers.fingerprints))
    if "speech" in asked:
        found.append(Measurer(SPEECH, SpeechMeasures, Wanted(voice=True), models.open_speech))
    if (tagger := signing.of_tags(recipe.measure)) is not None:
        found.append(
            Measurer(tagger, TagMeasures, Wanted(voice=True), lambda: models.open_tags(recipe.measure))
        )
    if (guard := signing.of_safety(recipe.safety)) is not None:
        wanted = Wanted(stills=True, md5=bool(recipe.safety.hash_lists))
        found.append(Measurer(guard, SafetyMeasures, wanted, lambda: models.open_safety(recipe.safety)))
    return tuple(found)
