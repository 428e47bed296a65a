"""Sound taggers of the Hugging Face form, such as AST, by transformers and torch; on a GPU if there is."""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from valor_data.errors import UserError
from valor_data.scorers import packages
from valor_data.scorers.tags import RATE, as_sound

_PART = 10 * RATE
"""Most samples heard at once: AudioSet's clips, on which such networks learn, last ten seconds."""
_LEAST_REST = RATE
"""A shorter rest after the last part is not heard: it would weigh as much as ten seconds."""
_LEAST = RATE // 10  # less fills no window of the spectrum


class AudioClassifier:
    """A network by its folder, or by its name on the hub.

    Only safetensors weights are taken: other forms can run code when they are read. Raises UserError
    where there is no such model, it does not tag sound at 16 kHz, or its packages are missing.
    """

    def __init__(self, model: str) -> None:
        transformers = packages.load("transformers", "hf")
        self._torch = packages.load("torch", "hf")
        talk = packages.load("transformers.utils.logging", "hf")
        talk.disable_progress_bar()
        talk.set_verbosity_error()
        folder = Path(model) if Path(model).is_dir() else _from_hub(model)
        weights = sorted(folder.glob("*.safetensors"))
        if not weights:
            raise UserError(f"{model}: no *.safetensors there; name a model that is kept in that form")
        opened = transformers.AutoModelForAudioClassification.from_pretrained
        try:
            self._reader = transformers.AutoFeatureExtractor.from_pretrained(folder)
            net, told = opened(folder, use_safetensors=True, output_loading_info=True)
        except (OSError, ValueError, KeyError) as error:
            raise UserError(f"{model}: not an audio-classification model: {error}") from error
        if told["missing_keys"]:  # they were made up at random: a network that was trained for something else
            lacking = ", ".join(sorted(told["missing_keys"])[:3])
            raise UserError(f"{model}: not an audio-classification model: its weights lack {lacking}")
        hears = getattr(self._reader, "sampling_rate", None)
        if hears != RATE:
            raise UserError(f"{model}: hears sound at {hears} Hz; name a model that hears {RATE} Hz")
        self._device = "cuda" if self._torch.cuda.is_available() else "cpu"
        self._torch.set_num_threads(1)
        self._net = net.eval().to(self._device)
        self._names = [str(net.config.id2label[index]) for index in range(net.config.num_labels)]
        # One class a clip, or any number of them at once, as AudioSet has it.
        self._exclusive = net.config.problem_type == "single_label_classification"
        self.name = Path(model).name if Path(model).is_dir() else model
        self.fingerprint = packages.fingerprint(weights)

    def scores(self, sound_T: NDArray[np.float32]) -> dict[str, float]:
        """See `tags.Tagger`. The sound is heard in parts of ten seconds."""
        sound = as_sound(sound_T, _LEAST)
        starts = range(0, max(1, len(sound) - _LEAST_REST + 1), _PART)
        total = np.zeros(len(self._names))
        for start in starts:
            features = self._reader(sound[start : start + _PART], sampling_rate=RATE, return_tensors="pt")
            with self._torch.inference_mode():
                logits = self._net(**features.to(self._device)).logits[0].float()
                given = logits.softmax(-1) if self._exclusive else logits.sigmoid()
            total += given.cpu().numpy()
        return dict(zip(self._names, np.nan_to_num(total / len(starts)).tolist(), strict=True))


def files(model: str) -> tuple[Path, list[Path]]:
    """The model's folder and its weights. Raises UserError where there is none."""
    folder = Path(model) if Path(model).is_dir() else _from_hub(model)
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise UserError(f"{model}: no *.safetensors there; name a model that is kept in that form")
    return folder, weights


def _from_hub(model: str) -> Path:
    """The folder that holds the model's files, fetched once into the hub's own cache."""
    hub = packages.load("huggingface_hub", "hf")
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", model):
        raise UserError(f"{model}: neither a folder nor a .tflite file nor a name on the Hugging Face hub")
    try:
        return Path(hub.snapshot_download(model, allow_patterns=["*.json", "*.safetensors"]))
    except (OSError, ValueError) as error:
        raise UserError(f"{model}: no such folder here, and the hub does not give it: {error}") from error
