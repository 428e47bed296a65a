"""The part of a recipe that says what a caption must be."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from valor_data.recipe.fetching import Count, Language, Section, Share

FaultKind = Literal[
    "empty", "digits", "too_short", "too_long", "cut", "artefact", "copied", "wrong_language",
    "no_sound", "nothing_seen", "repeated",
]  # fmt: skip
"""What can be wrong with a caption; `text.faults` says when. `repeated`: it stands on several clips."""


class Captions(Section):
    """What a caption must be. The defaults are set by the 32,318 captions of VALOR-32K: half have 14 to 24
    words, one in a thousand under 5 and one in a thousand over 75."""

    language: Language = "en"
    """ISO 639 code of the language asked for. Sounds and things are looked for in English captions only."""
    min_words: Count = 4
    """A subject, a sight and a sound do not fit in fewer: `A man whispered.`"""
    max_words: Count = 80
    """Above it stand run-on translations, a quarter of which break off in mid-sentence."""
    copied_share: Share = 0.8
    """A caption of which so large a share of the telling words stands in the hints shown is copied."""
    send_back: Annotated[tuple[FaultKind, ...], Field(strict=False)] = (
        "empty", "digits", "too_short", "cut", "artefact", "copied", "wrong_language",
    )  # fmt: skip
    """Faults that send a caption back to its author; the others are shown to the checker. A caption
    without a sound may be right, for some clips are silent: 25 in 1,000 of VALOR-32K's name none."""

    @model_validator(mode="after")
    def _limits_leave_room(self) -> Self:
        if self.min_words > self.max_words:
            raise ValueError(
                f"captions.min_words {self.min_words} is above captions.max_words {self.max_words}"
            )
        return self
