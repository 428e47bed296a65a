"""The model card: README.md of a checkpoint, from its config alone."""

import math
from collections.abc import Sequence

from valor_data.train.config import Pretrain


def card(config: Pretrain, step: int, score: float, changes: Sequence[str] = ()) -> str:
    """Markdown with front matter; names releases by their folder's name, not by where they lie. `changes`: of
    settings, while the run went on."""
    model, data, settings = config.model, config.data, config.optim
    sources = "; ".join(
        f"{_last(source.release)} ({source.split}"
        + (f", questions of {_last(source.questions)})" if source.questions else ")")
        for source in data.sources
    )
    captions = any(not source.questions for source in data.sources)
    taught = [f"MGA ({model.parity}) times {settings.alpha} plus MGC"] if captions else []
    taught += ["answers to questions (QA)"] if data.asks else []
    used = [*(["retrieval", "captions"] if captions else []), *(["answers"] if data.asks else [])]
    begun = [
        f"{name}: {_last(tower.weights) if tower.weights else 'random weights'}"
        for name, tower in (("vision", model.vision), ("audio", model.audio), ("text", model.text))
    ]
    lines = [
        "---",
        "library_name: valor-data",
        "tags: [video, audio, text, retrieval, captioning, valor]",
        "---",
        "",
        f"# {config.name}, after {step} of {settings.steps} steps",
        "",
        f"A VALOR model: picture and sound beside text, for {', '.join(used)}.",
        "",
        f"- Trained on: {sources}",
        f"- Began from: {'; '.join(begun)}. What those saw before, they bring along.",
        f"- Sees {data.frames} frames of {model.vision.resolution} pixels and {data.slices} slices of "
        f"{model.audio.slice_frames / 100:.2f} s of sound",
        f"- Learned by {', in other steps by '.join(taught)}; batch {data.batch}, AdamW at {settings.rate}",
        *([f"- Settings were changed on the way: {'; '.join(changes)}"] if changes else []),
        *([f"- Validation: {score:.2f}"] if math.isfinite(score) else []),
        "",
        "Use it with `valor-data caption`, `valor-data embed` and `valor-data evaluate`.",
    ]
    return "\n".join(lines) + "\n"


def _last(place: str) -> str:
    return place.rstrip("/").rsplit("/", 1)[-1]
