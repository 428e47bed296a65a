"""A recipe: one closed TOML file that says all that a dataset's making depends on.

Unknown keys are refused with the nearest known one. A bare segment list in place of a recipe gets
the default recipe. What has no place here (workers, engine, limits of one run) is an option.
"""

import difflib
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from valor_data import layout
from valor_data.errors import UserError
from valor_data.records import AudioMeasures, Record

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
FORMS = (
    "audioset-csv", "valor-desc", "valor-ids", "valor-mapper", "audiocaps-csv", "vggsound-csv",
    "table", "jsonl", "parquet", "urls",
)  # fmt: skip
"""The forms of segment lists that `segments` reads."""


MEASURES = tuple(
    name
    for name in AudioMeasures.model_fields
    if name not in {*Record.model_fields, "clip_id", "media_sha256"}
)
"""The numbers that rules may name."""


class _Section(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class ListSpec(_Section):
    """One segment list."""

    path: str
    """File or URL; a relative path counts from the recipe's folder."""
    form: str = "auto"
    """`auto` recognises it; or one of the forms in docs/format.md."""
    split: Literal["train", "val", "test"] | None = None
    """Split of every segment in it, where the list itself names none."""
    author: str | None = None
    """Author of its captions; else the list's name."""
    language: str = "en"
    """Language of its captions."""
    encoding: str | None = None
    """Text encoding; else recognised."""

    @model_validator(mode="after")
    def _form_is_known(self) -> Self:
        if self.form not in ("auto", *FORMS):
            raise ValueError(f"unknown form {self.form!r}; known: auto, {', '.join(FORMS)}")
        return self


class Segments(_Section):
    """What to fetch."""

    strict: bool = False
    """True: one bad row stops the run; else it is reported and counted."""
    seconds: Annotated[float, Field(gt=0)] = 10.0
    """Length of a clip where the list gives a start only (AudioSet's clips last 10 s)."""
    lists: Annotated[tuple[ListSpec, ...], Field(strict=False)] = ()


class Fetch(_Section):
    """How clips are fetched and encoded."""

    profile: Literal["exact", "small"] = "exact"
    """`exact` keeps size and frame rate of the source; `small` scales and thins for space."""
    max_height: Count = 480
    """Largest picture height asked of the platform."""
    short_side: Count = 256
    """`small`: pixels of the shorter side; never scaled up."""
    fps: Annotated[float, Field(gt=0)] = 12.0
    """`small`: frames per second, never more than the source has."""
    crf: Annotated[int, Field(ge=0, le=51)] = 23
    """x264's quality: lower is larger and better."""
    audio_kbps: Count = 128
    """AAC bit rate."""
    attempts: Count = 3
    """Tries per clip in one run, for errors that may pass; the next run tries anew."""
    clip_seconds_limit: Annotated[float, Field(gt=0)] = 300.0
    """Wall-clock limit per clip, seconds; a video's limit is this times its clips."""


class Filter(_Section):
    """How verdicts are watched."""

    max_drop_share: Share = 0.5
    """A rule that drops a larger share of the measured clips raises an alarm."""


class Rule(_Section):
    """One row of the verdict. A clip is kept when no rule breaks."""

    metric: str
    """Column of a measures table, such as `loudness_lufs`."""
    reason: str
    """Why a clip that breaks it is rejected."""
    min: float | None = None
    max: float | None = None
    equals: bool | str | None = None
    missing: Literal["reject", "keep"] = "reject"
    """What to do where the number is not defined for a clip."""

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if self.min is None and self.max is None and self.equals is None:
            raise ValueError(f"rule on {self.metric!r} asks nothing: give min, max or equals")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"rule on {self.metric!r} keeps nothing: min {self.min:g} > max {self.max:g}")
        return self


class ReviewRule(_Section):
    """When a caption of our annotators is accepted (VALOR section 3.3: three checkers, one no)."""

    checkers: Annotated[int, Field(ge=0)] = 1
    """Reviews that a caption needs."""
    max_rejects: Annotated[int, Field(ge=0)] = 0
    """Rejections it survives."""


class Split(_Section):
    """Shares of the videos that no list assigns. By video: no video stands in two splits."""

    train: Share = 0.8
    val: Share = 0.1
    test: Share = 0.1
    seed: int = 0

    @model_validator(mode="after")
    def _sums_to_one(self) -> Self:
        if abs(self.train + self.val + self.test - 1) > 1e-9:
            raise ValueError("train + val + test must be 1")
        return self


class Shard(_Section):
    """How a release is cut into shards."""

    payload: Literal["video"] = "video"
    """`video`: `<clip_id>.mp4 .json .txt`."""
    samples: Count = 1000
    """Most clips in a shard."""
    max_mb: Count = 1000
    """Most megabytes in a shard (a larger clip gets one of its own)."""
    require_caption: bool = True
    """False: clips without a caption are released too, and the card says how many."""
    seed: int = 0
    """Order of the clips: by hash of seed and clip_id."""


class ReleaseInfo(_Section):
    """What a release calls itself."""

    version: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$")] = "0.1.0"
    title: str = ""
    licence: str = "not stated"
    """Licence of the captions and tables; the media keep their owners' terms."""
    description: str = ""


class Recipe(_Section):
    """The whole file."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
    """Name of the dataset, of its default workspace and of its releases."""
    workspace: str | None = None
    """Folder or fsspec URL; a relative folder counts from the recipe's. `--workspace` comes first,
    `./<recipe stem>` last."""
    max_fault_share: Share = 0.2
    """More failed items than this share end a command with exit code 1."""
    segments: Segments = Segments()
    fetch: Fetch = Fetch()
    filter: Filter = Filter()
    rules: Annotated[tuple[Rule, ...], Field(strict=False)] = (
        Rule(metric="has_audio", equals=True, reason="no_audio"),
        Rule(metric="loudness_lufs", min=-55.0, reason="inaudible"),
    )
    review: ReviewRule = ReviewRule()
    split: Split = Split()
    shard: Shard = Shard()
    release: ReleaseInfo = ReleaseInfo()

    @model_validator(mode="after")
    def _rules_name_measures(self) -> Self:
        for rule in self.rules:
            if rule.metric not in MEASURES:
                near = difflib.get_close_matches(rule.metric, MEASURES, n=1, cutoff=0.5)
                mend = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(MEASURES)}"
                raise ValueError(f"rule on {rule.metric!r}: no such measure; {mend}")
        return self

    @property
    def profile(self) -> str:
        """`exact-1f2e3d4c`: the profile's name and a hash of all settings that shape the bytes."""
        shaping = {"profile", "max_height", "crf", "audio_kbps"}
        if self.fetch.profile == "small":
            shaping |= {"short_side", "fps"}
        return f"{self.fetch.profile}-{layout.digest(self.fetch.model_dump(include=shaping))[:8]}"

    @property
    def rules_digest(self) -> str:
        """16 hex digits that name the rules; verdicts carry them."""
        return layout.digest([rule.model_dump() for rule in self.rules])[:16]

    @property
    def digest(self) -> str:
        """sha256 of the recipe's content; holds no folder, so that it repeats on any machine."""
        content = self.model_dump(mode="json", exclude={"workspace"})
        for spec in content["segments"]["lists"]:
            spec["path"] = Path(spec["path"]).name
        return layout.digest(content)


def load(path: str) -> Recipe:
    """The recipe in a TOML file, or the default recipe of a bare segment list.

    Relative paths are made absolute against the recipe's folder, and the workspace is filled in.
    Raises UserError that names the file, the key and the mend.
    """
    if path.startswith("-"):
        path = f"./{path}"
    if "://" not in path:
        _check_file(path)
    if not path.endswith(".toml"):
        name = re.sub(r"[^a-z0-9._-]+", "-", Path(path).name.lower().split(".")[0]).strip("-._")
        bare = Recipe(name=name[:63] or "dataset", segments=Segments(lists=(ListSpec(path=path),)))
        return _rooted(bare, path, folder=".")
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
        raw = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise UserError(f"{path}: not readable as TOML: {error}") from error
    return _rooted(parse(raw, path), path, folder=str(Path(path).parent))


def _check_file(path: str) -> None:
    try:
        exists, is_folder = Path(path).exists(), Path(path).is_dir()
    except OSError as error:  # such as a name that is too long, or a folder that may not be entered
        raise UserError(f"{path[:200]}: not readable: {error.strerror}. Check the path.") from error
    if not exists:
        raise UserError(f"{path}: no such file. Give a recipe (.toml) or a segment list.")
    if is_folder:
        raise UserError(f"{path} is a folder. Give a recipe (.toml) or a segment list.")


def parse(raw: dict[str, Any], name: str) -> Recipe:
    """A recipe from TOML's dict. Raises UserError naming `name`, the key and the nearest known key."""
    try:
        return Recipe.model_validate(raw)
    except ValidationError as error:
        raise UserError(f"{name}: " + "; ".join(_explain(fault) for fault in error.errors())) from None


def _rooted(recipe: Recipe, path: str, folder: str) -> Recipe:
    raw = recipe.model_dump()
    for spec in raw["segments"]["lists"]:
        spec["path"] = _absolute(spec["path"], folder)
    stem = Path(path).name.split(".")[0] or recipe.name
    raw["workspace"] = _absolute(recipe.workspace, folder) if recipe.workspace else f"./{stem}"
    return Recipe.model_validate(raw)


def _absolute(path: str, folder: str) -> str:
    return path if "://" in path else str(Path(folder, path).resolve())


def _explain(fault: Any) -> str:
    key = ".".join(str(part) for part in fault["loc"])
    if fault["type"] != "extra_forbidden":
        told = str(fault["msg"]).removeprefix("Value error, ")
        return f"key {key!r}: {told}" if key else told
    known = _known_keys(fault["loc"][:-1])
    near = difflib.get_close_matches(str(fault["loc"][-1]), known, n=1, cutoff=0.5)
    mend = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
    return f"unknown key {key!r}; {mend}"


def _known_keys(loc: tuple[Any, ...]) -> list[str]:
    model: Any = Recipe
    for part in loc:
        if isinstance(part, int):
            continue
        annotation = model.model_fields[part].annotation
        model = annotation.__args__[0] if hasattr(annotation, "__args__") else annotation
    return list(model.model_fields)
