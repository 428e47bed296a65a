"""Whether a recipe's policy on rights lets a video in, from what was recorded of it."""

from valor_data.recipe import Rights
from valor_data.records import Video


def refused(rights: Rights, video: Video) -> str | None:
    """Why a video may not be used, naming the signal and who stated it; None: it may.

    What nobody stated is no permission where the recipe requires one, and no objection either.
    """
    if rights.licence == "require" and not _licensed(rights, video):
        stated = f"{video.licence!r} ({video.licence_evidence})" if video.licence else "none stated"
        return f"licence: {stated}; the recipe requires one of {', '.join(rights.licences)}"
    if rights.training == "require" and video.training != "all":
        stated = f"{video.training!r} ({video.training_evidence})" if video.training else "not stated"
        asked = f" ({video.training_evidence})" if video.training_evidence and not video.training else ""
        return f"training: {stated}{asked}; the recipe requires that the platform permits it to all"
    if rights.signals == "require" and (against := objections(video.signals or ())):
        return f"signals: {'; '.join(against)}; the recipe honours preferences against training"
    return None


def unanswered(video: Video) -> str | None:
    """Why the platform's permission for training is not known though it was asked: a fault that may pass,
    so that a video is not refused for it; None: it answered, or nobody asked."""
    if video.training is not None or video.training_evidence in (None, STATES_NOTHING):
        return None
    return video.training_evidence


def objections(signals: tuple[str, ...]) -> list[str]:
    """Those of a host's signals that speak against training (`robots.txt: ai-train=no`)."""
    return [signal for signal in signals if signal.rpartition(": ")[2] in AGAINST]


STATES_NOTHING = "videoTrainability: states nothing"
"""The platform answered, and its answer holds no permission."""

AGAINST = frozenset({
    "ai-train=no", "train-ai=n", "train-genai=n", "tdm-reservation=1", "noai", "noimageai", "noml",
})  # fmt: skip
"""Preferences against training, as `consent` spells them."""


def _licensed(rights: Rights, video: Video) -> bool:
    claimed = (video.licence or "").lower()
    return any(words.lower() in claimed for words in rights.licences)
