"""YAMNet and networks like it: a TensorFlow Lite file that hears one fixed window at a time."""

import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from valor_data.errors import UserError
from valor_data.scorers import packages
from valor_data.scorers.tags import RATE, as_sound

_LEAST_WINDOW = RATE // 10


class Yamnet:
    """A tagger from a `.tflite` file; class names come from its own metadata or a text file beside it."""

    def __init__(self, model: str) -> None:
        path = file(model)
        interpreter = packages.load("ai_edge_litert.interpreter", "models")
        try:
            with _quiet():
                self._net = interpreter.Interpreter(model_path=str(path), num_threads=1)
                self._net.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise UserError(f"{model}: not a TensorFlow Lite network: {error}") from error
        takes, gives = self._net.get_input_details(), self._net.get_output_details()
        shape = tuple(int(side) for side in takes[0]["shape"])
        window = max(shape, default=0)
        classes = int(gives[0]["shape"][-1])
        flat = len(takes) == 1 and takes[0]["dtype"] is np.float32 and window == np.prod(shape)
        if not flat or window < _LEAST_WINDOW:
            raise UserError(
                f"{model}: takes {shape} of {takes[0]['dtype'].__name__}, not one window of samples; "
                "name YAMNet's variant for classification, whose window is fixed"
            )
        self._in, self._out, self._shape = takes[0]["index"], gives[0]["index"], shape
        self._window = window
        self._names = _class_names(path)
        if len(self._names) != classes:
            raise UserError(
                f"{model}: {classes} classes and {len(self._names)} names; "
                f"put the names, one a line, into {path.with_suffix('.txt').name} beside it"
            )
        self.name = path.name
        self.fingerprint = packages.fingerprint([path])

    def scores(self, sound_T: NDArray[np.float32]) -> dict[str, float]:
        """See `tags.Tagger`. Windows overlap by half; the last one is filled up with silence."""
        hop = self._window // 2
        hops = max(0, -(-(len(sound_T) - self._window) // hop))
        sound = as_sound(sound_T, self._window + hops * hop)
        total = np.zeros(len(self._names))
        windows = np.lib.stride_tricks.sliding_window_view(sound, self._window)[::hop]
        for window in windows:
            self._net.set_tensor(self._in, window.reshape(self._shape))
            self._net.invoke()
            total += self._net.get_tensor(self._out).reshape(-1, len(self._names)).mean(axis=0)
        return dict(zip(self._names, (total / len(windows)).tolist(), strict=True))


@contextmanager
def _quiet() -> Iterator[None]:
    """TensorFlow Lite greets on stderr whenever it opens a network, and has no switch for it."""
    kept = os.dup(2)
    try:
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def file(model: str) -> Path:
    """The network's file. Raises UserError where there is none."""
    path = Path(model)
    if not path.is_file():
        raise UserError(f"{model}: no such file; name the .tflite file of an AudioSet tagger")
    return path


def _class_names(path: Path) -> list[str]:
    """One name a class: out of the zip that TensorFlow Lite's metadata appends, else `<model>.txt`."""
    text = ""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as packed:
            lists = [name for name in packed.namelist() if name.endswith(".txt")]
            text = packed.read(lists[0]).decode("utf-8") if lists else ""
    beside = path.with_suffix(".txt")
    if not text and beside.is_file():
        text = beside.read_text("utf-8")
    return [line.strip() for line in text.splitlines() if line.strip()]
