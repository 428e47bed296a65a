"""What a recipe's policy on rights lets in, and why not."""

from typing import Any

import pytest

from valor_data.recipe import Rights
from valor_data.records import Video
from valor_data.rights import STATES_NOTHING, objections, refused, unanswered


def _video(**facts: Any) -> Video:
    return Video(
        video_id="v", webpage_url="https://x.example/v", extractor="x", made_by="test@1", **facts
    )  # fmt: skip


FREE = {
    "licence": "Creative Commons Attribution license (reuse allowed)",
    "licence_evidence": "youtube: license",
}
AGAINST = {"signals": ("robots.txt: ai-train=no", "header: noai"), "training": "none"}


@pytest.mark.parametrize("facts", [{}, FREE, AGAINST, {"licence": "All rights reserved"}])
def test_what_is_only_recorded_keeps_nothing_out(facts: dict[str, Any]) -> None:
    assert refused(Rights(), _video(**facts)) is None


@pytest.mark.parametrize(
    ("policy", "facts", "told"),
    [
        ({"licence": "require"}, FREE, None),
        ({"licence": "require"}, {"licence": "CC BY 4.0"}, None),
        ({"licence": "require", "licences": ("my own",)}, FREE, "requires one of my own"),
        ({"licence": "require"}, {}, "licence: none stated"),
        (
            {"licence": "require"},
            {"licence": "Standard licence", "licence_evidence": "youtube: license"},
            "licence: 'Standard licence' (youtube: license)",
        ),
        ({"training": "require"}, {"training": "all", "training_evidence": "videoTrainability"}, None),
        (
            {"training": "require"},
            {"training": "none", "training_evidence": "videoTrainability"},
            "training: 'none' (videoTrainability)",
        ),
        ({"training": "require"}, {"training": "acme,umbrella"}, "training: 'acme,umbrella'"),
        ({"training": "require"}, {}, "training: not stated;"),
        (
            {"training": "require"},
            {"training_evidence": "videoTrainability: HTTP error 403"},
            "training: not stated (videoTrainability: HTTP error 403)",
        ),
        ({"signals": "require"}, {}, None),
        ({"signals": "require"}, {"signals": ()}, None),
        ({"signals": "require"}, {"signals": ("robots.txt: ai-train=yes", "header: train-ai=y")}, None),
        ({"signals": "require"}, AGAINST, "signals: robots.txt: ai-train=no; header: noai"),
        (
            {"signals": "require"},
            {"signals": ("tdmrep.json: tdm-reservation=1",)},
            "tdmrep.json: tdm-reservation=1",
        ),
    ],
)
def test_what_is_required_and_not_there_is_told_with_its_evidence(
    policy: dict[str, Any], facts: dict[str, Any], told: str | None
) -> None:
    why = refused(Rights(**policy), _video(**facts))
    assert (why is None) == (told is None), why
    assert told is None or told in str(why)


def test_only_preferences_against_training_are_objections() -> None:
    said = ("robots.txt: ai-train=yes", "robots.txt: train-ai=n", "header: tdm-reservation=0", "header: noml")
    assert objections(said) == ["robots.txt: train-ai=n", "header: noml"]


def test_an_answer_that_could_not_be_had_is_no_refusal() -> None:
    asked_in_vain = _video(training=None, training_evidence="videoTrainability: HTTP error 503")
    assert unanswered(asked_in_vain) == "videoTrainability: HTTP error 503"
    for evidence in (None, STATES_NOTHING):
        assert unanswered(_video(training=None, training_evidence=evidence)) is None
    assert unanswered(_video(training="none", training_evidence="videoTrainability")) is None
