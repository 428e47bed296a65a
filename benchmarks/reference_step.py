"""A training step of ours beside the released computation, written plainly.

    python -m benchmarks.reference_step

The released code in a few words: attention and GELU written out, but for CLIP, which has torch's attention;
captions padded to 42 words in every pass; a decoder pass a group, which projects the clip's keys and values
anew; weights and products of tokens anew for each group; the vocabulary at hidden words only; words hidden by
a loop over all places; AdamW parameter by parameter. Both sides have the same weights and the same batch: 8
clips of 2 frames (112 pixels) and one slice of sound (64 x 512), about 20 words, towers of 4 layers and width
256. A step hides words, goes forward and backward through all groups of MGA and MGC, clips gradients and
updates. Losses must agree to 1e-4 (dropout off). Then the sides run in turn, A B A B, in one thread, with
dropout off and on; figures are medians, ratios medians of the ratios of neighbours, by CPU time and by the
clock. `without oneDNN` multiplies by MKL, as the released side does. The bound is what ours multiplies, at
the speed of a bare product.
"""

import math
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from valor_data.train import optim
from valor_data.train.config import AudioConfig, ModelConfig, OptimConfig, TextConfig, VisionConfig
from valor_data.train.linear import linear
from valor_data.train.masking import Dice, Masked, Vocabulary, mask_words
from valor_data.train.model import GROUPS, Clips, Texts, Valor

ROUNDS, LEAST, NEAR = 9, 1.5, 1e-4
SETTINGS = OptimConfig(steps=1000)
FIRST, LAST, MASK, ORDINARY = 101, 102, 103, 106
MOST_WORDS = 42
"""Of a caption, with [CLS] and [SEP]: all are padded to it."""


def gelu(x: Tensor) -> Tensor:
    """Written out, as the released code has it in AST, BERT and the head."""
    return x * 0.5 * (1.0 + torch.erf(x / math.sqrt(2.0)))


class Attention(nn.Module):
    """Multi-head attention, written out."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.out = (nn.Linear(width, width) for _ in range(4))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, looked: Tensor, mask: Tensor | None = None) -> Tensor:
        rows, _, width = x.shape

        def split(projected: Tensor) -> Tensor:
            return projected.view(rows, -1, self.heads, width // self.heads).transpose(1, 2)

        q, k, v = split(self.q(x)), split(self.k(looked)), split(self.v(looked))
        scores = q @ k.transpose(-1, -2) / math.sqrt(width // self.heads)
        if mask is not None:
            scores = scores + mask
        seen = self.dropout(scores.softmax(-1)) @ v
        joined: Tensor = self.out(seen.transpose(1, 2).reshape(rows, -1, width))
        return joined


class ClipBlock(nn.Module):
    """Of CLIP, whose sequences come first in all shapes."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(width, heads)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.into, self.out = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        y = self.into(self.norm2(x))
        added: Tensor = x + self.out(y * torch.sigmoid(1.702 * y))
        return added


class AstBlock(nn.Module):
    """Of AST: normalise, work, add."""

    def __init__(self, width: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.attention = Attention(width, heads, dropout)
        self.norm1, self.norm2 = nn.LayerNorm(width, 1e-12), nn.LayerNorm(width, 1e-12)
        self.into, self.out = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(x)
        x = x + self.dropout(self.attention(y, y))
        added: Tensor = x + self.dropout(self.out(gelu(self.into(self.norm2(x)))))
        return added


class BertBlock(nn.Module):
    """Of BERT, encoder and decoder: work, add, normalise."""

    def __init__(self, width: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.attention, self.cross = Attention(width, heads, dropout), Attention(width, heads, dropout)
        self.norm1, self.norm_cross, self.norm2 = (nn.LayerNorm(width, 1e-12) for _ in range(3))
        self.into, self.out = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor, looked: Tensor | None) -> Tensor:
        x = self.norm1(self.dropout(self.attention(x, x, mask)) + x)
        if looked is not None:
            x = self.norm_cross(self.dropout(self.cross(x, looked)) + x)
        normal: Tensor = self.norm2(self.dropout(self.out(gelu(self.into(x)))) + x)
        return normal


class Released(nn.Module):
    """VALOR as its code computes it, with CLIP for pictures."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        vision, audio, text = config.vision, config.audio, config.text
        width, common = text.width, config.contra_dim
        assert vision.width == audio.width == width, "sizes that need no layer between"
        places = (vision.resolution // vision.patch) ** 2
        self.picture_patches = nn.Conv2d(3, width, vision.patch, stride=vision.patch, bias=False)
        self.picture_first = nn.Parameter(torch.zeros(width))
        self.picture_places = nn.Parameter(torch.zeros(places + 1, width))
        self.picture_before, self.picture_after = nn.LayerNorm(width), nn.LayerNorm(width)
        self.picture_blocks = nn.ModuleList(
            ClipBlock(width, vision.heads, vision.mlp_width) for _ in range(vision.layers)
        )
        places = audio.mel_bins * audio.slice_frames // audio.patch**2
        self.sound_patches = nn.Conv2d(1, width, audio.patch, stride=audio.patch)
        self.sound_first = nn.Parameter(torch.zeros(1, width))
        self.sound_places = nn.Parameter(torch.zeros(places + 1, width))
        self.sound_after = nn.LayerNorm(width, 1e-12)
        self.sound_blocks = nn.ModuleList(
            AstBlock(width, audio.heads, audio.mlp_width, audio.dropout) for _ in range(audio.layers)
        )
        self.words, self.places = nn.Embedding(text.vocabulary, width), nn.Embedding(text.positions, width)
        self.kinds = nn.Embedding(2, width)
        self.words_norm = nn.LayerNorm(width, 1e-12)
        self.text_blocks = nn.ModuleList(
            BertBlock(width, text.heads, text.mlp_width, text.dropout) for _ in range(text.layers)
        )
        self.head, self.head_norm = nn.Linear(width, width), nn.LayerNorm(width, 1e-12)
        self.head_bias = nn.Parameter(torch.zeros(text.vocabulary))
        self.frame_places = nn.Parameter(torch.zeros(config.most_frames, width))
        self.slice_places = nn.Parameter(torch.zeros(config.most_frames, width))
        self.video_kind, self.audio_kind = (nn.Parameter(torch.zeros(width)) for _ in range(2))
        self.to_common = nn.ModuleDict({name: nn.Linear(width, common, bias=False) for name in "tva"})
        self.weigh = nn.ModuleDict(
            {
                name: nn.Sequential(nn.Linear(common, common), nn.ReLU(inplace=True), nn.Linear(common, 1))
                for name in "tva"
            }
        )
        self.temperature = nn.Parameter(torch.zeros(1))
        self.dropout_sound, self.dropout_text = nn.Dropout(audio.dropout), nn.Dropout(text.dropout)

    def forward(
        self, pixels_BFCHW: Tensor, mels_BATM: Tensor, words_BL: Tensor, shown_BL: Tensor, labels_BL: Tensor
    ) -> dict[str, Tensor]:
        """Losses by name, of words with hidden ones (`shown_BL`) and the truth where they are (else -1)."""
        video_BFSD, audio_BASD = self._picture(pixels_BFCHW), self._sound(mels_BATM)
        text_BLD = self._text(words_BL, None, causal=False)
        features = {
            name: F.normalize(self.to_common[name](tokens), dim=-1)
            for name, tokens in (("t", text_BLD), ("v", video_BFSD[:, :, 0]), ("a", audio_BASD[:, :, 0]))
        }
        found = {f"mga_{group}": self._mga(features, words_BL, group) for group in GROUPS}
        video_BFSD = video_BFSD + self.frame_places[: video_BFSD.shape[1], None]
        video_BND = video_BFSD.flatten(1, 2) + self.video_kind
        audio_BASD = audio_BASD + self.slice_places[: audio_BASD.shape[1], None]
        audio_BND = audio_BASD.flatten(1, 2) + self.audio_kind
        looks = {"tva": (video_BND, audio_BND), "tv": (video_BND,), "ta": (audio_BND,)}
        for group, looked in looks.items():
            found[f"mgc_{group}"] = self._mgc(shown_BL, labels_BL, looked)
        return found

    def _picture(self, pixels_BFCHW: Tensor) -> Tensor:
        x = self.picture_patches(pixels_BFCHW.flatten(0, 1)).flatten(2).transpose(1, 2)
        x = torch.cat([self.picture_first.expand(len(x), 1, -1), x], dim=1)
        x = self.picture_before(x + self.picture_places).transpose(0, 1)
        for block in self.picture_blocks:
            x = block(x)
        tokens: Tensor = self.picture_after(x.transpose(0, 1))
        return tokens.unflatten(0, pixels_BFCHW.shape[:2])

    def _sound(self, mels_BATM: Tensor) -> Tensor:
        x = mels_BATM.flatten(0, 1).transpose(1, 2).unsqueeze(1)
        x = self.sound_patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.sound_first.expand(len(x), -1, -1), x], dim=1)
        x = self.dropout_sound(x + self.sound_places)
        for block in self.sound_blocks:
            x = block(x)
        tokens: Tensor = self.sound_after(x)
        return tokens.unflatten(0, mels_BATM.shape[:2])

    def _text(self, words_BL: Tensor, looked: Tensor | None, *, causal: bool) -> Tensor:
        length = words_BL.shape[1]
        places = torch.arange(length).expand_as(words_BL)
        x = self.words(words_BL) + self.places(places) + self.kinds(torch.zeros_like(words_BL))
        x = self.dropout_text(self.words_norm(x))
        may_BLL = (words_BL != 0).long()[:, None].expand(-1, length, -1).clone()
        if causal:
            may_BLL = torch.tril(may_BLL)
        mask = (1.0 - may_BLL[:, None].to(x.dtype)) * -10000.0
        for block in self.text_blocks:
            x = block(x, mask, looked)
        return x

    def _mga(self, features: dict[str, Tensor], words_BL: Tensor, group: str) -> Tensor:
        sides = group[1:]
        text, clip = features["t"], torch.cat([features[side] for side in sides], dim=1)
        text_mask, clip_mask = (words_BL != 0).float(), torch.ones(clip.shape[:2])
        text_raw = self.weigh["t"](text).squeeze(2).masked_fill(text_mask == 0, float("-inf"))
        clip_raw = torch.cat([self.weigh[side](features[side]).squeeze(2) for side in sides], dim=1)
        products = torch.einsum("atd,bvd->abtv", text, clip)
        products = torch.einsum("abtv,at->abtv", products, text_mask)
        products = torch.einsum("abtv,bv->abtv", products, clip_mask)
        forth = torch.einsum("abt,at->ab", products.max(dim=-1)[0], text_raw.softmax(-1))
        back = torch.einsum("abv,bv->ab", products.max(dim=-2)[0], clip_raw.softmax(-1))
        scores = (forth + back) / 2 / self.temperature
        rows, columns = -F.log_softmax(scores, dim=1), -F.log_softmax(scores, dim=0)
        return torch.cat([rows.diag(), columns.diag()]).mean()

    def _mgc(self, shown_BL: Tensor, labels_BL: Tensor, sides: Iterable[Tensor]) -> Tensor:
        states = self._text(shown_BL, torch.cat(list(sides), dim=1), causal=True)[labels_BL != -1]
        states = self.head_norm(gelu(self.head(states)))
        logits = F.linear(states, self.words.weight, self.head_bias)
        return F.cross_entropy(logits, labels_BL[labels_BL != -1])


def with_weights_of(ours: Valor) -> Released:
    """The released computation, with the weights of a model of ours."""
    made, given, taken = Released(ours.config), ours.state_dict(), {}

    def take(name: str, theirs: str, *, kinds: Iterable[str] = ("weight", "bias")) -> None:
        for kind in kinds:
            taken[f"{name}.{kind}"] = given[f"{theirs}.{kind}"]

    def attention(name: str, fused: str, parts: str) -> None:
        for kind in ("weight", "bias"):
            for part, value in zip(parts, given[f"{fused}.{kind}"].chunk(len(parts)), strict=True):
                taken[f"{name}.{part}.{kind}"] = value

    def block(name: str, theirs: str, norms: Iterable[str] = ("norm1", "norm2")) -> None:
        for norm in norms:
            take(f"{name}.{norm}", f"{theirs}.{norm}")
        take(f"{name}.into", f"{theirs}.mlp.into")
        take(f"{name}.out", f"{theirs}.mlp.out")

    for tower, their in (("picture", "vision"), ("sound", "audio")):
        take(
            f"{tower}_patches",
            f"{their}.patches",
            kinds=("weight",) if tower == "picture" else ("weight", "bias"),
        )
        taken[f"{tower}_first"], taken[f"{tower}_places"] = (
            given[f"{their}.first"],
            given[f"{their}.positions"],
        )
        take(f"{tower}_after", f"{their}.norm_after")
    take("picture_before", "vision.norm_before")
    for number in range(len(made.picture_blocks)):
        name, theirs = f"picture_blocks.{number}", f"vision.blocks.{number}"
        block(name, theirs)
        for kind in ("weight", "bias"):
            taken[f"{name}.attention.in_proj_{kind}"] = given[f"{theirs}.attention.qkv.{kind}"]
        take(f"{name}.attention.out_proj", f"{theirs}.attention.out")
    for number in range(len(made.sound_blocks)):
        name, theirs = f"sound_blocks.{number}", f"audio.blocks.{number}"
        block(name, theirs)
        attention(f"{name}.attention", f"{theirs}.attention.qkv", "qkv")
        take(f"{name}.attention.out", f"{theirs}.attention.out")
    for number in range(len(made.text_blocks)):
        name, theirs = f"text_blocks.{number}", f"bert.blocks.{number}"
        block(name, theirs, ("norm1", "norm_cross", "norm2"))
        attention(f"{name}.attention", f"{theirs}.attention.qkv", "qkv")
        attention(f"{name}.cross", f"{theirs}.cross.kv", "kv")
        take(f"{name}.cross.q", f"{theirs}.cross.q")
        for part in ("attention", "cross"):
            take(f"{name}.{part}.out", f"{theirs}.{part}.out")
    for name, theirs in (("words", "words"), ("places", "positions")):
        take(name, f"bert.{theirs}", kinds=("weight",))
    taken["kinds.weight"], taken["head_bias"] = given["bert.kinds"], given["bert.head_bias"]
    for name, theirs in (("words_norm", "norm"), ("head", "head"), ("head_norm", "head_norm")):
        take(name, f"bert.{theirs}")
    for name in ("frame_places", "slice_places", "video_kind", "audio_kind", "temperature"):
        taken[name] = given[name]
    for side, theirs in (("t", "text"), ("v", "video"), ("a", "audio")):
        take(f"to_common.{side}", f"{theirs}_to_common", kinds=("weight",))
        for layer in ("0", "2"):
            take(f"weigh.{side}.{layer}", f"weigh_{theirs}.{layer}")
    made.load_state_dict(taken)
    return made


class Hidden(NamedTuple):
    """Captions with hidden words, as the released code has them."""

    shown_BL: Tensor
    labels_BL: Tensor
    """The truth at hidden words, else -1."""


def hide(words_BL: Tensor, dice: random.Random, size: int) -> Hidden:
    """Hide 60 % of the words, one place after another."""
    words = words_BL.clone().numpy()
    chosen = words * 0
    for row in range(len(words)):
        while not chosen[row].any():
            for place in range(1, words.shape[1]):
                if words[row, place] != 0 and dice.random() < 0.6:
                    chosen[row, place] = 1
    labels = words * 0 - 1
    for row in range(len(words)):
        for place in range(words.shape[1]):
            if chosen[row, place]:
                labels[row, place] = words[row, place]
                fate = dice.random()
                if fate < 0.8:
                    words[row, place] = MASK
                elif fate < 0.9:
                    words[row, place] = dice.choice(list(range(ORDINARY, size)))
    return Hidden(torch.from_numpy(words), torch.from_numpy(labels))


def as_hidden(masked: Masked) -> Hidden:
    """What ours hid, as the released code has it."""
    labels_BL = torch.full_like(masked.words_BL, -1)
    labels_BL.view(-1)[masked.chosen_M] = masked.truth_M
    return Hidden(masked.words_BL, labels_BL)


class PlainAdamW:
    """AdamW as it was written before optimizers knew of many parameters at once."""

    def __init__(self, groups: list[dict[str, Tensor]], settings: OptimConfig) -> None:
        self._groups, self._rate, self._betas = groups, settings.rate, settings.betas
        self._known: dict[Tensor, tuple[Tensor, Tensor]] = {}
        self._steps = 0

    @torch.no_grad()
    def step(self) -> None:
        """Update all parameters."""
        self._steps += 1
        first, second = self._betas
        size = self._rate * math.sqrt(1 - second**self._steps) / (1 - first**self._steps)
        for group in self._groups:
            for parameter in group["params"]:
                gradient = parameter.grad
                if gradient is None:
                    continue
                if parameter not in self._known:
                    self._known[parameter] = torch.zeros_like(parameter), torch.zeros_like(parameter)
                mean, square = self._known[parameter]
                mean.mul_(first).add_(gradient, alpha=1 - first)
                square.mul_(second).addcmul_(gradient, gradient, value=1 - second)
                parameter.addcdiv_(mean, square.sqrt().add_(1e-6), value=-size)
                if group["weight_decay"] > 0:
                    parameter.add_(parameter, alpha=-self._rate * group["weight_decay"])


class Given(NamedTuple):
    """A batch."""

    clips: Clips
    texts: Texts
    """Padded to `MOST_WORDS`, as our loader does too where a score looks at pads."""


def batch(config: ModelConfig, clips: int, frames: int, seed: int = 0) -> Given:
    """Noise, and captions of 14 to 26 words, 20 on average."""
    generator = torch.Generator().manual_seed(seed)
    side, audio = config.vision.resolution, config.audio
    pictures = torch.randint(0, 256, (clips, frames, side, side, 3), generator=generator, dtype=torch.uint8)
    mels = torch.randn(clips, 1, audio.slice_frames, audio.mel_bins, generator=generator) * 4.6 - 4.3
    here = torch.ones(clips, dtype=torch.bool)
    words_BL = torch.zeros(clips, MOST_WORDS, dtype=torch.long)
    for row, length in enumerate(14 + (number * 5) % 13 for number in range(clips)):
        words_BL[row, 1 : length - 1] = torch.randint(
            ORDINARY, config.text.vocabulary, (length - 2,), generator=generator
        )
        words_BL[row, 0], words_BL[row, length - 1] = FIRST, LAST
    mask_BL = words_BL != 0
    texts = Texts(words_BL, mask_BL, mask_BL.flatten().nonzero().squeeze(1))
    return Given(Clips(pictures, here, mels, here, True), texts)


def normalised(ours: Valor, clips: Clips) -> tuple[Tensor, Tensor]:
    """Pixels and spectra as the released loader hands them on."""
    assert clips.frames_BFHWC is not None
    assert clips.slices_BATM is not None
    pixels = clips.frames_BFHWC.permute(0, 1, 4, 2, 3).float() / 255
    pixels = (pixels - ours.vision.mean) / ours.vision.std
    return pixels.contiguous(), (clips.slices_BATM + 4.2677393) / (2 * 4.5689974)


def vocabulary_of(config: ModelConfig) -> Vocabulary:
    return Vocabulary(config.text.vocabulary, 0, FIRST, LAST, MASK, ORDINARY)


def losses_of_both(config: ModelConfig, given: Given) -> tuple[dict[str, float], dict[str, float]]:
    """Ours and theirs by name, of the same weights, batch and hidden words, without dropout."""
    ours, words_BL = Valor(config).eval(), given.texts.words_BL
    masked = mask_words(words_BL, vocabulary_of(config), Dice((1,), len(words_BL)))
    with torch.no_grad():
        for parameter in ours.parameters():  # biases and norms too: none must be left out unseen
            parameter.add_(torch.randn_like(parameter) * 0.05)
        found = ours(given.clips, given.texts, masked)
        plain = with_weights_of(ours).eval()(*normalised(ours, given.clips), words_BL, *as_hidden(masked))
    told = {f"{kind}_{name}": loss.item() for kind, by_name in (("mga", found.mga), ("mgc", found.mgc))
            for name, loss in by_name.items()}  # fmt: skip
    return told, {name: loss.item() for name, loss in plain.items()}


def steps(config: ModelConfig, given: Given) -> dict[str, Callable[[], None]]:
    """A training step by side."""
    ours = Valor(config)
    theirs = with_weights_of(ours)
    fused, plain = optim.adamw(ours, SETTINGS), PlainAdamW(optim.groups(theirs, 0.01), SETTINGS)
    pixels, mels = normalised(ours, given.clips)
    dice, vocabulary, words_BL = random.Random(0), vocabulary_of(config), given.texts.words_BL

    def step_ours() -> None:
        masked = mask_words(words_BL, vocabulary, Dice((dice.randrange(1000),), len(words_BL)))
        fused.zero_grad(set_to_none=True)
        ours(given.clips, given.texts, masked).total(SETTINGS.alpha).backward()
        nn.utils.clip_grad_norm_(ours.parameters(), SETTINGS.clip_norm)
        fused.step()

    def step_theirs() -> None:
        hidden = hide(words_BL, dice, config.text.vocabulary)
        theirs.zero_grad(set_to_none=True)
        found = theirs(pixels, mels, words_BL, *hidden)
        contrast = torch.stack([found[f"mga_{group}"] for group in GROUPS]).mean() * SETTINGS.alpha
        (contrast + torch.stack([found[f"mgc_{group}"] for group in GROUPS]).mean()).backward()
        nn.utils.clip_grad_norm_(theirs.parameters(), SETTINGS.clip_norm)
        plain.step()

    def step_by_mkl() -> None:
        torch.backends.mkldnn.enabled = False  # type: ignore[assignment]
        step_ours()
        torch.backends.mkldnn.enabled = True  # type: ignore[assignment]

    return {"released": step_theirs, "ours": step_ours, "ours without oneDNN": step_by_mkl}


def sizes(width: int, layers: int, dropout: float, *, resolution: int, vocabulary: int) -> ModelConfig:
    """All towers alike."""
    tower = {"width": width, "layers": layers, "heads": max(1, width // 64)}
    return ModelConfig(
        vision=VisionConfig(resolution=resolution, patch=16, **tower),
        audio=AudioConfig(dropout=dropout, **tower),
        text=TextConfig(vocabulary=vocabulary, dropout=dropout, **tower),
        contra_dim=width,
        parity="released",
    )


class Took(NamedTuple):
    clock: float
    cpu: float


def took(work: Callable[[], object]) -> Took:
    clock, cpu = time.perf_counter(), time.process_time()
    work()
    return Took(time.perf_counter() - clock, time.process_time() - cpu)


def measured(dropout: float) -> bool:
    """Print the figures with this dropout; whether the bound holds."""
    config = sizes(256, 4, dropout, resolution=112, vocabulary=30_522)
    sides = steps(config, batch(config, 8, 2))
    with FlopCounterMode(display=False) as counter:  # which does not know oneDNN's products
        sides["ours without oneDNN"]()
    square = torch.randn(1024, 1024)
    sides["product"] = lambda: linear(square, square)
    for work in sides.values():
        work()
    rounds = [{name: took(work) for name, work in sides.items()} for _ in range(ROUNDS)]

    def median(of: Callable[[dict[str, Took]], float]) -> float:
        return statistics.median(map(of, rounds))

    print(f"dropout {dropout:g}")
    print(f"  released: {median(lambda one: one['released'].cpu):.3f} s of CPU a step")
    for name in ("ours", "ours without oneDNN"):
        ratio = median(lambda one, name=name: one["released"].cpu / one[name].cpu)  # type: ignore[misc]
        clock = median(lambda one, name=name: one["released"].clock / one[name].clock)  # type: ignore[misc]
        held = "" if name != "ours" else f" (>= {LEAST}) {'ok' if ratio >= LEAST else 'MISSED'}"
        seconds = median(lambda one, name=name: one[name].cpu)  # type: ignore[misc]
        print(f"  {name}: {seconds:.3f} s; released / {name} {ratio:.2f}{held}, by the clock {clock:.2f}")
    operations = counter.get_total_flops()
    speed = 2 * 1024**3 / median(lambda one: one["product"].cpu)
    spent = median(lambda one: one["ours"].cpu / (one["product"].cpu * operations / (2 * 1024**3)))
    print(f"  ours multiplies {operations / 1e9:.1f} billion times; bare products of 1024 x 1024 reach "
          f"{speed / 1e9:.0f} billion a second: ours takes {spent:.2f} times that bound")  # fmt: skip
    return median(lambda one: one["released"].cpu / one["ours"].cpu) >= LEAST


def main() -> int:
    """Run all; exit code 1 when a bound is missed."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = sizes(256, 4, 0.0, resolution=112, vocabulary=30_522)
    told, plain = losses_of_both(config, batch(config, 8, 2))
    worst = max(abs(told[name] - plain[name]) for name in plain)
    million = sum(parameter.numel() for parameter in Valor(config).parameters()) / 1e6
    print(f"{million:.1f} million parameters; largest difference of a loss {worst:.1e} (<= {NEAR:g}) "
          f"{'ok' if worst <= NEAR else 'MISSED'}")  # fmt: skip
    return 0 if all([worst <= NEAR, *(measured(dropout) for dropout in (0.0, 0.1))]) else 1


if __name__ == "__main__":
    sys.exit(main())
