"""The model card: README.md of a checkpoint, from its config alone."""

import math

from valor_data.train.config import Pretrain


def card(config: Pretrain, step: int, score: float) -> str:
    """Markdown with front matter; names releases by their folder's name, not by where they lie."""
    model, data, settings = config.model, config.data, config.optim
    sources = "; ".join(
        f"{source.release.rstrip('/').rsplit('/', 1)[-1]} ({source.split})" for source in data.sources
    )
    begun = [
        f"{name}: {tower.weights.rstrip('/').rsplit('/', 1)[-1] if tower.weights else 'random weights'}"
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
        "A VALOR model: picture and sound beside text, for retrieval and captions.",
        "",
        f"- Trained on: {sources}",
        f"- Began from: {'; '.join(begun)}. What those saw before, they bring along.",
        f"- Sees {data.frames} frames of {model.vision.resolution} pixels and {data.slices} slices of "
        f"{model.audio.slice_frames / 100:.2f} s of sound",
        f"- MGA ({model.parity}) times {settings.alpha} plus MGC, batch {data.batch}, "
        f"AdamW at {settings.rate}",
        *([f"- Validation: {score:.2f}"] if math.isfinite(score) else []),
        "",
        "Use it with `valor-data caption`, `valor-data embed` and `valor-data evaluate`.",
    ]
    return "\n".join(lines) + "\n"
