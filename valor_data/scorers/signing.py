"""Whose numbers a row holds: the name that a recipe's models sign with, weights and settings in it."""

from valor_data import layout
from valor_data.recipe import Measure, Safety
from valor_data.scorers import tags, unsafe


def of_tags(measure: Measure) -> str | None:
    """Who tags: `tags-yamnet-1a2b3c4d-top10@1`; None where nobody does. Raises UserError for a model that is
    not there."""
    if measure.tagger is None:
        return None
    return f"tags-{tags.identity(measure.tagger)}-top{measure.top}@1"


def of_safety(safety: Safety) -> str | None:
    """Who looks for what nobody shall be shown; None where nothing is asked. Raises UserError as above."""
    if not safety.asks:
        return None
    asked = [safety.nsfw_max is not None, safety.text_max is not None, bool(safety.hash_lists)]
    return f"safety-{layout.digest([*asked, safety.nsfw_model and unsafe.identity(safety.nsfw_model)])[:8]}@1"
