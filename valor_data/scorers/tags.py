"""Which of AudioSet's classes a clip sounds of: one call, whichever network answers it.

tagger = open_tagger("yamnet.tflite")          # a file: YAMNet, by ai-edge-litert
tagger = open_tagger("MIT/ast-finetuned-...")  # a name or a folder: transformers and torch
top(tagger.scores(sound), 3)                   # [("Speech", 0.93), ...]
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from valor_data.scorers import packages

RATE = 16_000
"""Samples a second that every tagger takes."""


class Tagger(Protocol):
    """A network that is opened."""

    name: str
    """What it is called: the file's or the model's name."""
    fingerprint: str
    """Eight hex digits of its weights' SHA-256."""

    def scores(self, sound_T: NDArray[np.float32]) -> dict[str, float]:
        """Each class's score (0-1), averaged over a whole clip's sound, in the network's own order.

        The sound is mono, 16 kHz, full scale at 1.0. It is filled up with silence to one window, and no
        sound at all counts as a window of silence; samples that are no numbers count as silence.
        """
        ...


def open_tagger(model: str) -> Tagger:
    """The network of a `.tflite` file, or of a Hugging Face name or folder.

    Raises UserError where there is no such model, it does not tag sound, or its packages are missing.
    """
    if model.lower().endswith(".tflite"):
        from valor_data.scorers.yamnet import Yamnet

        return Yamnet(model)
    from valor_data.scorers.huggingface import AudioClassifier

    return AudioClassifier(model)


def identity(model: str) -> str:
    """`<name>-<8 hex digits of its weights>`: what its scores depend on. Its files are read, no network is
    opened. Raises UserError as `open_tagger` does."""
    if model.lower().endswith(".tflite"):
        from valor_data.scorers import yamnet

        path = yamnet.file(model)
        return f"{path.stem}-{packages.fingerprint([path])}"
    from valor_data.scorers import huggingface

    folder, weights = huggingface.files(model)
    name = folder.name if Path(model).is_dir() else model.replace("/", "--")
    return f"{name}-{packages.fingerprint(weights)}"


def top(scores: Mapping[str, float], count: int) -> list[tuple[str, float]]:
    """The highest scores, the highest first; of equal ones the first by name."""
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))[:count]


def as_sound(samples_T: NDArray[np.float32], least: int) -> NDArray[np.float32]:
    """Finite samples, filled up with silence to at least so many."""
    sound = np.nan_to_num(samples_T.astype(np.float32, copy=False), nan=0.0, posinf=0.0, neginf=0.0)
    return np.pad(sound, (0, max(0, least - len(sound))))
