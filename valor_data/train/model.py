"""VALOR: three encoders, one space in which texts and clips are compared, one decoder (section 4.1).

Shapes: B clips, F frames, A slices of sound, S tokens of a frame or slice, L words, P words of a question,
T both of these, N tokens of a group, D width of the decoder, C width of the common space, M masked words.
"""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from valor_data.train import losses
from valor_data.train.blocks import Group, KeysValues
from valor_data.train.config import ModelConfig
from valor_data.train.gather import everyone
from valor_data.train.linear import Linear
from valor_data.train.masking import Masked
from valor_data.train.towers import Ast, Bert, ClipVision

GroupName = Literal["tv", "ta", "tva"]
GROUPS: tuple[GroupName, ...] = ("tv", "ta", "tva")
"""Text beside the picture, the sound, and both."""


class Clips(NamedTuple):
    """Picture and sound of B clips, as the encoders take them."""

    frames_BFHWC: Tensor | None
    """uint8 RGB; None where the data has no pictures at all. A clip that lacks one holds anything."""
    has_video_B: Tensor
    slices_BATM: Tensor | None
    """Log-mel bins; None where the data has no sound at all."""
    has_audio_B: Tensor
    whole: bool
    """Every clip has both: no mask is needed."""

    def to(self, device: torch.device) -> "Clips":
        """The same on a device; the host does not wait where it is pinned."""

        def moved(part: Any) -> Any:
            return part.to(device, non_blocking=True) if isinstance(part, Tensor) else part

        return Clips(*map(moved, self))


class Texts(NamedTuple):
    """Words of B captions, questions or answers; pads stand last."""

    words_BL: Tensor
    mask_BL: Tensor
    """True at words."""
    places_W: Tensor | None = None
    """Of the words in the flattened captions, in order; a loader knows them, so that a GPU need not wait for
    them. None: they are looked up."""

    def to(self, device: torch.device) -> "Texts":
        """The same on a device; the host does not wait where it is pinned."""
        moved = (None if part is None else part.to(device, non_blocking=True) for part in self)
        return Texts(*moved)  # type: ignore[arg-type]

    def stand(self) -> Tensor:
        """`places_W`."""
        return self.mask_BL.flatten().nonzero().squeeze(1) if self.places_W is None else self.places_W


class Seen(NamedTuple):
    """Encoded clips."""

    video_BND: Tensor | None
    """All tokens of all frames, in the decoder's width."""
    audio_BND: Tensor | None
    video_BFC: Tensor | None
    """One token a frame, in the common space, of length one."""
    audio_BAC: Tensor | None
    has_video_B: Tensor
    has_audio_B: Tensor
    whole: bool

    def rows(self, rows_R: Tensor) -> "Seen":
        """Of some clips."""

        def of(part: Any) -> Any:
            return part[rows_R] if isinstance(part, Tensor) else part

        return Seen(*map(of, self))


class Compared(NamedTuple):
    """Tokens in the common space with what MGA needs of them."""

    features_BNC: Tensor
    mask_BN: Tensor
    weights_BN: Tensor
    """Raw."""


class Losses(NamedTuple):
    """What a batch costs, by group; a group that the data has nothing for is left out."""

    mga: dict[GroupName, Tensor]
    mgc: dict[GroupName, Tensor]
    qa: dict[GroupName, Tensor]
    """Of a batch of questions, which has no others."""

    def total(self, alpha: float) -> Tensor:
        """`alpha` times the mean of MGA's groups, plus the means of MGC's and of the answers'."""
        parts = [alpha * torch.stack(list(self.mga.values())).mean()] if self.mga else []
        parts += [torch.stack(list(of.values())).mean() for of in (self.mgc, self.qa) if of]
        return torch.stack(parts).sum()

    def told(self) -> dict[str, float]:
        """By name, such as `mga_tv`."""
        named = self._asdict().items()
        return {f"{kind}_{name}": round(loss.item(), 5) for kind, of in named for name, loss in of.items()}


class Valor(nn.Module):
    """The model, from random weights; `weights` brings pretrained ones."""

    def __init__(self, config: ModelConfig, vision: nn.Module | None = None) -> None:
        super().__init__()
        self.config = config
        width, common = config.text.width, config.contra_dim
        self.vision = vision or ClipVision(config.vision)
        self.audio = Ast(config.audio)
        self.bert = Bert(config.text)
        self.bert.apply(_init_bert)
        self.fit_video = _fit(config.vision.width, width)
        self.fit_audio = _fit(config.audio.width, width)
        self.frame_places = nn.Parameter(torch.randn(config.most_frames, width) * 0.02)
        self.slice_places = nn.Parameter(torch.randn(config.most_frames, width) * 0.02)
        self.video_kind = nn.Parameter(torch.randn(width) * 0.02)
        self.audio_kind = nn.Parameter(torch.randn(width) * 0.02)
        self.text_to_common = Linear(width, common, bias=False)
        self.video_to_common = Linear(config.vision.width, common, bias=False)
        self.audio_to_common = Linear(config.audio.width, common, bias=False)
        self.weigh_text, self.weigh_video, self.weigh_audio = (_weigher(config) for _ in range(3))
        self.temperature = nn.Parameter(torch.tensor([config.temperature]))  # FSDP takes no scalars

    def see(self, clips: Clips) -> Seen:
        """Encode picture and sound."""
        video_BND = video_BFC = audio_BND = audio_BAC = None
        if clips.frames_BFHWC is not None:
            tokens_BFSD = self.vision(clips.frames_BFHWC)
            # A tower without a token of its own for a frame says so.
            alone = getattr(self.vision, "has_first", True)
            frames_BFD = tokens_BFSD[:, :, 0] if alone else tokens_BFSD.mean(2)
            video_BFC = _unit(self.video_to_common(frames_BFD))
            places = self.frame_places[: tokens_BFSD.shape[1], None]
            video_BND = (self.fit_video(tokens_BFSD) + places + self.video_kind).flatten(1, 2)
        if clips.slices_BATM is not None:
            tokens_BASD = self.audio(clips.slices_BATM)
            audio_BAC = _unit(self.audio_to_common(tokens_BASD[:, :, 0]))
            places = self.slice_places[: tokens_BASD.shape[1], None]
            audio_BND = (self.fit_audio(tokens_BASD) + places + self.audio_kind).flatten(1, 2)
        return Seen(
            video_BND, audio_BND, video_BFC, audio_BAC, clips.has_video_B, clips.has_audio_B, clips.whole
        )

    def compare_text(self, texts: Texts) -> Compared:
        """Every word in the common space, [CLS] and [SEP] too."""
        states_BLD = self.bert.encode(texts.words_BL, texts.mask_BL, texts.stand())
        features = _unit(self.text_to_common(states_BLD))
        return Compared(features, texts.mask_BL, self.weigh_text(features).squeeze(-1))

    def compare_clips(self, seen: Seen) -> dict[GroupName, Compared]:
        """The tokens of each group; what a clip lacks is masked."""
        found: dict[GroupName, Compared] = {}
        if seen.video_BFC is not None:
            mask = seen.has_video_B[:, None].expand(seen.video_BFC.shape[:2])
            found["tv"] = Compared(seen.video_BFC, mask, self.weigh_video(seen.video_BFC).squeeze(-1))
        if seen.audio_BAC is not None:
            mask = seen.has_audio_B[:, None].expand(seen.audio_BAC.shape[:2])
            found["ta"] = Compared(seen.audio_BAC, mask, self.weigh_audio(seen.audio_BAC).squeeze(-1))
        if len(found) == 2:
            pairs = zip(found["tv"], found["ta"], strict=True)
            found["tva"] = Compared(*(torch.cat(pair, dim=1) for pair in pairs))
        return found

    def forward(
        self,
        clips: Clips,
        texts: Texts,
        masked: Masked,
        groups: tuple[GroupName, ...] = GROUPS,
        prompt: Texts | None = None,
    ) -> Losses:
        """MGA and MGC of a batch, in which clip i belongs to text i; with a `prompt`, questions to which the
        texts are answers, what these cost alone."""
        seen = self.see(clips)
        if prompt is not None:
            # FSDP would hand zeros back to what only MGA compares, and AdamW would move its weights on.
            seen = seen._replace(video_BFC=None, audio_BAC=None)
            return Losses({}, {}, self._qa(seen, texts, masked, groups, prompt))
        return Losses(self._mga(seen, texts, groups), self._mgc(seen, texts, masked, groups), {})

    def _mga(self, seen: Seen, texts: Texts, groups: tuple[GroupName, ...]) -> dict[GroupName, Tensor]:
        text = Compared(*map(everyone, self.compare_text(texts)))
        found = {}
        for name, compared in self.compare_clips(seen).items():
            if name in groups:
                clips = Compared(*map(everyone, compared))
                joins_B = everyone(_joining(seen)[name])
                found[name] = losses.mga_loss(self.scores(text, clips), self.temperature, joins_B)
        return found

    def scores(self, texts: Compared, clips: Compared) -> Tensor:
        """MGA's scores of every text with every clip, in fp32 always: the temperature divides them, and would
        make a bf16's rounding an error of a tenth in the logits."""
        with torch.autocast(texts.features_BNC.device.type, enabled=False):
            return losses.mga_scores(
                texts.features_BNC.float(),
                clips.features_BNC.float(),
                texts.mask_BN,
                clips.mask_BN,
                texts.weights_BN,
                clips.weights_BN,
                self.config.parity,
            )

    def _mgc(
        self, seen: Seen, texts: Texts, masked: Masked, groups: tuple[GroupName, ...]
    ) -> dict[GroupName, Tensor]:
        looked, joins = self.look(seen, groups)
        if not joins:
            return {}
        words_BLD = self.bert.embed(masked.words_BL)
        states = self.bert.decode_at(words_BLD, looked, texts.stand(), masked.chosen_M)
        found = {}
        terms_GM, row_M = self._terms(states, masked)
        for terms_M, (name, joins_B) in zip(terms_GM, joins.items(), strict=True):
            counts_M = joins_B[row_M]
            # Over the words of all processes, for DDP takes the mean of what each finds.
            words = everyone(counts_M.sum()[None]).float().mean()
            found[name] = losses.mgc_loss(terms_M, counts_M, words)
        return found

    def _qa(
        self, seen: Seen, texts: Texts, masked: Masked, groups: tuple[GroupName, ...], prompt: Texts
    ) -> dict[GroupName, Tensor]:
        looked, joins = self.look(seen, groups)
        if not joins:
            return {}
        asked_BPD = self.bert.embed(prompt.words_BL, prompt=True)
        whole_BTD = torch.cat([asked_BPD, self.bert.embed(masked.words_BL)], dim=1)
        P, L = asked_BPD.shape[1], masked.words_BL.shape[1]

        def behind(places: Tensor) -> Tensor:
            """Where words of answers stand once a question stands before each."""
            return places + (places // L + 1) * P

        asked_W = prompt.stand()
        places_W = torch.cat([asked_W + asked_W // P * L, behind(texts.stand())])
        mask = _answering(prompt.mask_BL, L)
        states = self.bert.decode_at(whole_BTD, looked, places_W, behind(masked.chosen_M), mask)
        found = {}
        terms_GM, row_M = self._terms(states, masked)
        for terms_M, (name, joins_B) in zip(terms_GM, joins.items(), strict=True):
            answers = everyone(joins_B.sum()[None]).float().mean()
            found[name] = losses.qa_loss(terms_M, row_M, joins_B, answers)
        return found

    def _terms(self, states: Tensor, masked: Masked) -> tuple[Tensor, Tensor]:
        """What each hidden word costs, by group, of its states (G * M, D); and whose word it is."""
        logits_GMV = self.bert.predict(states).unflatten(0, (-1, len(masked.truth_M)))
        terms_GM = losses.mgc_terms(logits_GMV, masked.truth_M)
        return terms_GM, masked.chosen_M // masked.words_BL.shape[1]

    def look(
        self, seen: Seen, groups: tuple[GroupName, ...] = GROUPS
    ) -> tuple[list[list[Group]], dict[GroupName, Tensor]]:
        """What the decoder looks at, for every layer and group; and by group, which clips join it."""
        sides: Mapping[GroupName, tuple[Tensor | None, Tensor]] = {
            "tv": (seen.video_BND, seen.has_video_B),
            "ta": (seen.audio_BND, seen.has_audio_B),
        }
        projected: dict[GroupName, list[KeysValues]] = {}
        masks: dict[GroupName, Tensor] = {}
        for name, (tokens, has_B) in sides.items():
            if tokens is not None:
                projected[name] = self.bert.project(tokens)
                masks[name] = has_B[:, None].expand(tokens.shape[:2])
        if len(projected) == 2:
            projected["tva"] = [v.cat(a) for v, a in zip(projected["tv"], projected["ta"], strict=True)]
            masks["tva"] = torch.cat([masks["tv"], masks["ta"]], dim=1)
        asked = [name for name in groups if name in projected]
        layers = [
            [Group(projected[name][layer], None if seen.whole else _looking(masks[name])) for name in asked]
            for layer in range(len(self.bert.blocks))
        ]
        joins = _joining(seen)
        return layers, {name: joins[name] for name in asked}


def _joining(seen: Seen) -> dict[GroupName, Tensor]:
    """Which clips a group has a word on: with both, those that have both, or it would be another group."""
    both_B = seen.has_video_B & seen.has_audio_B
    return {"tv": seen.has_video_B, "ta": seen.has_audio_B, "tva": both_B}


def _answering(asked_BP: Tensor, length: int) -> Tensor:
    """The mask of self-attention where answers of `length` words stand behind their questions: a question
    sees itself whole, an answer's word the question, itself and what stands before it."""
    P = asked_BP.shape[1]
    sees_TT = torch.ones(P + length, P + length, dtype=torch.bool, device=asked_BP.device).tril()
    sees_TT[:P, :P] = True
    stands_BT = F.pad(asked_BP, (0, length), value=True)
    return sees_TT & stands_BT[:, None, None]


def _looking(mask_BN: Tensor) -> Tensor:
    """The mask of a cross-attention; a clip without any token is looked at all the same, and not counted."""
    return (mask_BN | ~mask_BN.any(1, keepdim=True))[:, None, None]


def _unit(x: Tensor) -> Tensor:
    """Vectors of length one, in fp32: in fp16 the zeros of a pad would be divided by zero."""
    return F.normalize(x.float(), dim=-1)


def _fit(width: int, wanted: int) -> nn.Module:
    return (
        nn.Identity()
        if width == wanted
        else nn.Sequential(Linear(width, wanted), nn.LayerNorm(wanted, 1e-12))
    )


def _weigher(config: ModelConfig) -> nn.Module:
    width = config.contra_dim
    if config.parity == "paper":
        return Linear(width, 1)
    return nn.Sequential(Linear(width, width), nn.ReLU(), Linear(width, 1))


def _init_bert(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)
