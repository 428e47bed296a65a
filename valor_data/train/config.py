"""A trainer's TOML: what a model is made of, what it learns from, and how."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from valor_data.errors import UserError
from valor_data.recipe.fetching import Count, Section, Share
from valor_data.recipe.reading import absolute, read_toml, validated

SEVERAL = "::"
"""Between patterns of tars, as in webdataset."""
Probability = Annotated[float, Field(ge=0, lt=1)]
Size = Annotated[int, Field(ge=1, le=2**20)]
"""Of a part of a model: beyond it, torch cannot even count what a layer takes."""


class Tower(Section):
    """Sizes of a Transformer."""

    width: Size = 768
    layers: Annotated[int, Field(ge=1, le=1000)] = 12
    heads: Size = 12
    mlp_ratio: Annotated[float, Field(gt=0, le=64)] = 4.0

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} cannot be shared by {self.heads} heads")
        return self

    @property
    def mlp_width(self) -> int:
        """Width of the layer between."""
        return max(1, round(self.width * self.mlp_ratio))


class VisionConfig(Tower):
    """The picture encoder, frame by frame."""

    kind: Literal["clip", "huggingface", "swin"] = "clip"
    """`swin`: Video Swin of torchvision, which must be installed; width and layers choose its size (1024 and
    24: Swin-B), patch is its own."""
    weights: str = ""
    """Name or folder of pretrained weights; empty: random (not for `huggingface`, which needs a model). Of
    `swin`: torchvision's name of them, such as `KINETICS400_IMAGENET22K_V1`, or a file."""
    resolution: Size = 224
    """Frames are squares of so many pixels."""
    patch: Size = 16
    """CLIP: side of a patch."""


class AudioConfig(Tower):
    """The sound encoder: AST over slices of a log-mel spectrogram, patches without overlap."""

    weights: str = ""
    """Name or folder of an AST of Hugging Face; empty: random."""
    mel_bins: Size = 64
    slice_frames: Size = 512
    """Spectrogram frames of a slice: 5.12 s at a shift of 10 ms."""
    patch: Size = 16
    first_tokens: Literal[1, 2] = 1
    """CLS; 2: also the distillation token that AST was trained with and VALOR drops."""
    dropout: Probability = 0.1


class TextConfig(Tower):
    """BERT, the text encoder and (with cross-attention) the decoder."""

    weights: str = ""
    """Name or folder of a BERT of Hugging Face; empty: random."""
    vocabulary: Size = 30_522
    positions: Size = 512
    dropout: Probability = 0.1


class ModelConfig(Section):
    """The whole model (VALOR section 4.1)."""

    vision: VisionConfig = VisionConfig()
    audio: AudioConfig = AudioConfig()
    text: TextConfig = TextConfig()
    contra_dim: Size = 512
    """Width of the space in which texts and clips are compared."""
    most_frames: Size = 32
    """Frames, or slices of sound, that the decoder has embeddings for."""
    parity: Literal["paper", "released"] = "paper"
    """Where paper and released code differ: `paper` takes pads out of the comparison and weighs tokens by one
    linear layer; `released` compares with pads as zeros, and weighs by two layers with a ReLU."""
    temperature: Annotated[float, Field(gt=0)] = 0.07
    """At the start; it is learned, and divides."""


class Source(Section):
    """A release to learn from."""

    release: str
    """Its folder or fsspec URL; a relative folder counts from the config's. Or plain webdataset: a folder of
    tars, or tars by a pattern, such as `s3://bucket/train-{000..012}.tar`, several joined by `::`."""
    split: Literal["train", "val", "test"] = "train"
    weight: Annotated[float, Field(gt=0)] = 1.0
    """Share of the steps, beside the other sources' weights; a step takes its clips from one source."""
    questions: str = ""
    """A list of questions about its clips, in a form that `evaluate --questions` reads; a relative file
    counts from the config's folder. Steps of this source then learn answers, and nothing from captions, which
    another source with the same release may teach."""

    @property
    def is_pattern(self) -> bool:
        """It names tars, not a folder."""
        return self.release.endswith(".tar") or SEVERAL in self.release


class DataConfig(Section):
    """What a model sees and hears of a clip (VALOR section 4.1), and how it is read."""

    sources: Annotated[tuple[Source, ...], Field(strict=False, min_length=1)]
    vocabulary: str = ""
    """A `vocab.txt` or `tokenizer.json`; empty: made of the captions, questions and answers."""
    frames: Count = 2
    """Frames of a clip."""
    slices: Count = 1
    """Slices of its sound."""
    words: Count = 40
    """Most word pieces of a caption, a question or an answer; more are cut off, and counted."""
    sample_rate: Literal[16_000, 22_050] = 16_000
    """Of the sound that spectra are made of; 22,050 as the paper."""
    batch: Count = 64
    """Clips of a step, over all processes."""
    workers: Annotated[int, Field(ge=0)] = 2
    """Processes that decode, beside each that trains; 0: it decodes itself."""

    @property
    def asks(self) -> bool:
        """Some steps learn answers."""
        return any(source.questions for source in self.sources)


class OptimConfig(Section):
    """How a model learns (VALOR section 5.1.3)."""

    steps: Count
    """Updates of the weights."""
    rate: Annotated[float, Field(gt=0)] = 1e-4
    """Learning rate at its height."""
    warm_up: Share = 0.1
    """Share of the steps in which the rate rises from nothing; then it falls to nothing, both in a line."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    """Not of biases, norms, embeddings of places and kinds, and the temperature (the released code decays
    most of these)."""
    betas: tuple[Probability, Probability] = Field((0.9, 0.98), strict=False)
    clip_norm: Annotated[float, Field(gt=0)] = 5.0
    """Most that the norm of all gradients may be."""
    alpha: Annotated[float, Field(ge=0)] = 1.5
    """Weight of MGA beside MGC."""
    groups: Annotated[tuple[Literal["tv", "ta", "tva"], ...], Field(strict=False, min_length=1)] = (
        "tv", "ta", "tva",
    )  # fmt: skip
    """Groups that all objectives are computed over; fewer, as in VALOR's ablations (tables 8 and 9)."""
    accumulate: Count = 1
    """Passes whose gradients make one update; each takes its part of `data.batch`, and MGA tells clips
    apart within
    it."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    checkpointing: bool = False
    """Compute activations again in the backward pass: less memory, a third more work."""
    compile: bool = False
    """Compile the encoders of picture and sound with torch.compile."""
    fsdp: bool = False
    """Share weights and optimizer over the processes (FSDP2), for models that one device does not hold."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 50
    save_every: Count = 1000
    """Updates between checkpoints."""
    validate_every: Count = 1000
    """Updates between validations; the checkpoint with the best one is kept apart."""
    log_every: Count = 10


class Pretrain(Section):
    """A trainer's TOML."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
    out: str = ""
    """Folder of the run; empty: `./<name>`. A relative folder counts from the config's."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """`cuda` stops where there is no GPU; `auto` takes one where there is."""
    validation: Annotated[tuple[Source, ...], Field(strict=False)] = ()
    """Releases to choose the best checkpoint by: retrieval over their `val`, never `test`."""
    model: ModelConfig = ModelConfig()
    data: DataConfig
    optim: OptimConfig

    @model_validator(mode="after")
    def _never_chosen_on_test(self) -> Self:
        if any(source.split == "test" for source in self.validation):
            raise ValueError("validation: a model that was chosen on test has no test left; take val")
        if any(source.questions for source in self.validation):
            raise ValueError("validation: it is by retrieval, and asks nothing; leave questions out")
        if self.data.batch % self.optim.accumulate:
            raise ValueError("optim.accumulate must divide data.batch")
        return self

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        vision, audio, most = self.model.vision, self.model.audio, self.model.most_frames
        sides = [
            ("model.audio.mel_bins", audio.mel_bins, "model.audio.patch", audio.patch),
            ("model.audio.slice_frames", audio.slice_frames, "model.audio.patch", audio.patch),
        ]
        if vision.kind == "clip":
            sides.append(("model.vision.resolution", vision.resolution, "model.vision.patch", vision.patch))
        for name, side, of, patch in sides:
            if side % patch:
                raise ValueError(f"{name} is {side}, and cannot be cut by {of}, {patch}")
        for name, count in (("data.frames", self.data.frames), ("data.slices", self.data.slices)):
            if count > most:
                raise ValueError(f"{name} is {count}, and model.most_frames {most}")
        if self.model.text.positions < self.data.words + 2:
            raise ValueError("model.text.positions must be data.words and two more, at least")
        return self


def load(path: str) -> Pretrain:
    """A trainer's TOML; relative folders are made absolute against its own. Raises UserError that names the
    file, the key and the mend."""
    if not Path(path).is_file():
        raise UserError(f"{path}: no such file; pipelines/pretrain-tiny.toml is one to begin with")
    read = validated(Pretrain, read_toml(path), path).model_dump()
    folder = str(Path(path).parent)
    if "://" in read["out"]:
        raise UserError(f"{path}: key 'out': {read['out']} is an address; a run needs a folder")
    read["out"] = absolute(read["out"], folder) if read["out"] else str(Path(read["name"]).resolve())
    for source in (*read["data"]["sources"], *read["validation"]):
        parts = source["release"].split(SEVERAL)
        source["release"] = SEVERAL.join(absolute(part, folder) for part in parts)
        source["questions"] = source["questions"] and absolute(source["questions"], folder)
    run = Path(read["out"])
    if file := next((one for one in (run, *run.parents) if one.is_file()), None):
        raise UserError(f"{path}: key 'out': {file} is a file; name a folder for the run")
    towers = (read["model"][name] for name in ("vision", "audio", "text"))
    for place, key in ((read["data"], "vocabulary"), *((tower, "weights") for tower in towers)):
        if place[key] and Path(folder, place[key]).exists():  # else a name on the hub
            place[key] = absolute(place[key], folder)
    return Pretrain.model_validate(read)
