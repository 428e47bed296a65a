"""Where someone speaks in a clip, by silero-vad's network.

The network's weights are taken out of the installed wheel and run by onnxruntime, in the form that
reads many hops in one call: a call per hop costs three times as much CPU, and the wheel's own Python
would load torch.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from valor_data.scorers import packages

RATE = 16_000
"""Samples a second that the network takes."""
HOP = 512
"""Samples that share one probability: 32 ms."""

_CONTEXT = 64  # samples before the hop that the network sees with it
_HOPS_A_CALL = 512  # 16 s of sound; bounds the memory of a call
_STATE = (1, 1, 128)

_ENTER, _LEAVE = 0.5, 0.35
_LEAST_SPEECH = RATE * 250 // 1000
_LEAST_PAUSE = RATE * 100 // 1000
_PAD = RATE * 30 // 1000


class Speech(NamedTuple):
    """What the network heard."""

    spans_ms: tuple[tuple[int, int], ...]
    """Begin and end of each stretch of speech, ms from the clip's start, in order and apart."""
    share: float
    """Speech's share of the sound (0-1); 0 for no sound at all."""


class SpeechFinder:
    """The network, opened. Raises UserError where its packages are missing."""

    def __init__(self) -> None:
        weights = packages.file_in("silero_vad", "data/silero_vad_16k_sequence.onnx", "models")
        self._session = packages.session(weights)
        self.name = "silero-vad"
        self.fingerprint = packages.fingerprint([weights])

    def find(self, sound_T: NDArray[np.float32]) -> Speech:
        """Speech in a whole clip's sound: mono, 16 kHz, full scale at 1.0. Samples that are no numbers
        count as silence."""
        probabilities = self.probabilities(sound_T)
        spans = speech_spans(probabilities.tolist(), len(sound_T))
        spoken = sum(end - begin for begin, end in spans)
        in_ms = tuple((round(begin * 1000 / RATE), round(end * 1000 / RATE)) for begin, end in spans)
        return Speech(in_ms, spoken / len(sound_T) if spoken else 0.0)

    def probabilities(self, sound_T: NDArray[np.float32]) -> NDArray[np.float32]:
        """The probability of speech (0-1) in each hop, the last one filled up with silence."""
        if not len(sound_T):
            return np.zeros(0, np.float32)
        hops = -(-len(sound_T) // HOP)
        padded = np.zeros(_CONTEXT + hops * HOP, np.float32)
        padded[_CONTEXT : _CONTEXT + len(sound_T)] = sound_T
        np.nan_to_num(padded, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
        windows = np.lib.stride_tricks.sliding_window_view(padded, _CONTEXT + HOP)[::HOP]
        hidden = cell = np.zeros(_STATE, np.float32)
        heard = []
        for first in range(0, hops, _HOPS_A_CALL):
            block = np.ascontiguousarray(windows[first : first + _HOPS_A_CALL])
            values, hidden, cell = self._session.run(
                ["speech_probs", "hn", "cn"], {"input": block, "h": hidden, "c": cell}
            )
            heard.append(values.reshape(-1))
        return np.concatenate(heard)


def speech_spans(probabilities: Iterable[float], samples: int) -> list[tuple[int, int]]:
    """Begin and end (samples) of each stretch of speech in a sound of so many samples.

    Speech begins where the probability reaches 0.5 and ends where it fell below 0.35, if it does not
    reach 0.5 again within 100 ms. Stretches of at most 250 ms are dropped, the others widened by 30 ms at
    either side.
    """
    spans: list[tuple[int, int]] = []
    begin = quiet_since = None
    for hop, probability in enumerate(probabilities):
        now = hop * HOP
        if probability >= _ENTER:
            begin = now if begin is None else begin
            quiet_since = None
        elif probability < _LEAVE and begin is not None:
            quiet_since = now if quiet_since is None else quiet_since
            if now - quiet_since >= _LEAST_PAUSE:
                spans.append((begin, quiet_since))
                begin = quiet_since = None
    if begin is not None:
        spans.append((begin, samples))
    # A pause is longer than two pads: widened spans stay apart.
    return [
        (max(0, begin - _PAD), min(samples, end + _PAD))
        for begin, end in spans
        if end - begin > _LEAST_SPEECH
    ]
