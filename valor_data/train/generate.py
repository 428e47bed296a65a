"""Captions and answers by beam search, with the keys and values of words that stand kept (VALOR section 4.3).

The next word is read at a [MASK] that stands in its place, as MGC trains it. Each step therefore takes
two words: the one that was chosen last, whose keys and values are kept, and the [MASK], whose are not.

Shapes: B clips, K beams, R = B * K rows, P words of a prompt, T words that stand, D width, H heads.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from valor_data.errors import UserError
from valor_data.train.blocks import Group, KeysValues
from valor_data.train.masking import Vocabulary
from valor_data.train.model import GroupName, Seen, Texts, Valor

NO_NUMBERS = "this checkpoint's weights are so large that what it makes is no number; take an earlier one"
MOST_WORDS = 30
"""Word pieces of a generated text (VALOR section 4.3)."""
_KEPT = {"cpu": 1 << 26, "cuda": 1 << 30}
"""Most numbers of keys and values of clips, over all layers, that stand at a time: 256 MB in fp32."""


class Written(NamedTuple):
    """A generated text."""

    ids: list[int]
    """Without [CLS] and [SEP]."""
    log_probability: float
    """Of the whole, natural; not divided by its length."""


class _Known(NamedTuple):
    """What the rows know before the next step."""

    layers: list[KeysValues]
    mask_RT: Tensor
    """True at words; false at pads of a prompt."""

    def of(self, rows_R: Tensor) -> "_Known":
        """Of these rows."""
        layers = [KeysValues(layer.keys_BHKD[rows_R], layer.values_BHKD[rows_R]) for layer in self.layers]
        return _Known(layers, self.mask_RT[rows_R])


def by_senses(seen: Seen) -> dict[GroupName, list[int]]:
    """Group of all that a clip has -> the clips of which it is all, by number."""
    video_B, audio_B = seen.has_video_B, seen.has_audio_B
    of: dict[GroupName, Tensor] = {
        "tva": video_B & audio_B,
        "tv": video_B & ~audio_B,
        "ta": audio_B & ~video_B,
    }
    rows = {name: mask_B.nonzero().flatten().tolist() for name, mask_B in of.items()}
    return {name: some for name, some in rows.items() if some}


def at_once(model: Valor, seen: Seen) -> int:
    """For how many clips texts may be generated together, by the keys and values that they need."""
    tokens = sum(part.shape[1] for part in (seen.video_BND, seen.audio_BND) if part is not None)
    text = model.config.text
    return max(1, _KEPT[seen.has_video_B.device.type] // (2 * text.layers * text.width * max(1, tokens)))


@torch.no_grad()
def generate(
    model: Valor,
    seen: Seen | None,
    vocabulary: Vocabulary,
    group: GroupName = "tva",
    *,
    beams: int = 3,
    most: int = MOST_WORDS,
    prompt: Texts | None = None,
) -> list[Written]:
    """The most probable text for each clip, looking at the group's tokens; one beam is greedy.

    `prompt` is a question a clip, which the text sees whole; prompts see only themselves and the clip.
    `seen` None: each prompt is answered without any clip. Raises UserError where the model makes no numbers.
    """
    looked, rows, device = _look(model, seen, group, prompt)
    most = min(most, model.config.text.positions - 2)  # the [MASK] after the last word has one too
    known = _read_prompt(model, prompt, looked, rows, device)
    repeated = torch.arange(rows, device=device).repeat_interleave(beams)
    known = known.of(repeated)

    words_RT = torch.full((rows * beams, 1), vocabulary.first, device=device)
    sums_BK = torch.full((rows, beams), float("-inf"), device=device)
    sums_BK[:, 0] = 0.0  # all beams begin alike: only one may branch
    ended_R = torch.zeros(rows * beams, dtype=torch.bool, device=device)
    first_B1 = (torch.arange(rows, device=device) * beams)[:, None]
    for place in range(most + 1):
        logits_RV, known = _step(model, words_RT[:, -1:], place, vocabulary, known, looked, rows)
        logits_RV[:, [vocabulary.pad, vocabulary.first, vocabulary.mask]] = float("-inf")
        if place == most:
            logits_RV[:, : vocabulary.last] = logits_RV[:, vocabulary.last + 1 :] = float("-inf")
        chances_RV = logits_RV.float().log_softmax(dim=-1)
        # A text that has ended goes on as it is, in one way only.
        chances_RV[ended_R] = float("-inf")
        chances_RV[ended_R, vocabulary.last] = 0.0
        size = chances_RV.shape[1]
        sums_BV = (sums_BK.view(-1, 1) + chances_RV).view(rows, -1)
        sums_BK, flat_BK = sums_BV.topk(beams, dim=1)
        rows_R = (first_B1 + flat_BK // size).flatten()
        words_RT = torch.cat([words_RT[rows_R], (flat_BK % size).view(-1, 1)], dim=1)
        known, ended_R = known.of(rows_R), ended_R[rows_R] | (words_RT[:, -1] == vocabulary.last)
        if bool(ended_R.all()):
            break
    if bool(sums_BK[:, 0].isnan().any()):
        raise UserError(NO_NUMBERS)
    best_BT = words_RT.view(rows, beams, -1)[:, 0, 1:].tolist()
    return [
        Written(ids[: ids.index(vocabulary.last)], total)
        for ids, total in zip(best_BT, sums_BK[:, 0].tolist(), strict=True)
    ]


def _look(
    model: Valor, seen: Seen | None, group: GroupName, prompt: Texts | None
) -> tuple[list[list[Group]], int, torch.device]:
    """What each layer looks at, and for how many clips."""
    if seen is not None:
        if group == "tv":  # the other side would be projected for nothing
            seen = seen._replace(audio_BND=None)
        elif group == "ta":
            seen = seen._replace(video_BND=None)
        looked, joins = model.look(seen, (group,))
        return looked, len(joins[group]), joins[group].device
    assert prompt is not None, "neither clip nor question"
    return [[] for _ in model.bert.blocks], len(prompt.words_BL), prompt.words_BL.device


def _step(
    model: Valor,
    last_R1: Tensor,
    place: int,
    vocabulary: Vocabulary,
    known: _Known,
    looked: list[list[Group]],
    clips: int,
) -> tuple[Tensor, _Known]:
    """Logits of the next word, and what is known with the last one."""
    ahead_R2 = torch.cat([last_R1, torch.full_like(last_R1, vocabulary.mask)], dim=1)
    x_R2D = model.bert.embed(ahead_R2, first=place)
    stands_R1 = torch.ones_like(last_R1, dtype=torch.bool)
    mask_RT = torch.cat([known.mask_RT, stands_R1, stands_R1], dim=1)
    mask = mask_RT[:, None, None].repeat(1, 1, 2, 1)
    mask[:, :, 0, -1] = False  # the word does not see the [MASK]
    layers = []
    for block, past, groups in zip(model.bert.layers(), known.layers, looked, strict=True):
        x_R2D, both = block.extend(x_R2D, past, mask)
        layers.append(KeysValues(both.keys_BHKD[:, :, :-1], both.values_BHKD[:, :, :-1]))
        # The beams of a clip look at it together, so that its keys and values stand there once.
        x_R2D = block.finish(x_R2D.view(clips, -1, x_R2D.shape[-1]), groups).view_as(x_R2D)
    return model.bert.predict(x_R2D[:, 1]), _Known(layers, mask_RT[:, :-1])


def _read_prompt(
    model: Valor, prompt: Texts | None, looked: list[list[Group]], rows: int, device: torch.device
) -> _Known:
    config = model.config.text
    nothing = torch.empty(rows, config.heads, 0, config.width // config.heads, device=device)
    nothing = nothing.to(model.bert.words.weight.dtype)
    if prompt is None:
        none = torch.empty(rows, 0, dtype=torch.bool, device=device)
        return _Known([KeysValues(nothing, nothing)] * config.layers, none)
    x_BPD = model.bert.embed(prompt.words_BL, prompt=True)
    mask = prompt.mask_BL[:, None, None]
    layers = []
    for block, groups in zip(model.bert.layers(), looked, strict=True):
        x_BPD, both = block.extend(x_BPD, KeysValues(nothing, nothing), mask)
        layers.append(both)
        x_BPD = block.finish(x_BPD, groups)
    return _Known(layers, prompt.mask_BL)
