"""The parts of a recipe that say what is measured of a clip, and what it is compared with."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from valor_data.recipe.fetching import Count, Section, Share


class Measure(Section):
    """What is measured beside the sound, which always is. One that is added later reads old clips again
    for its own numbers only."""

    also: Annotated[tuple[Literal["video", "av", "prints", "speech", "tags"], ...], Field(strict=False)] = (
        "video", "av", "prints",
    )  # fmt: skip
    """Measurers; docs/measures.md says what each gives. `speech` and `tags` need the extra `models`."""
    tagger: str | None = None
    """`tags`: a YAMNet file (`.tflite`), or name or folder of a Hugging Face audio classifier."""
    top: Count = 10
    """`tags`: so many of the likeliest classes are kept."""

    @model_validator(mode="after")
    def _tags_have_a_tagger(self) -> Self:
        if ("tags" in self.also) != (self.tagger is not None):
            raise ValueError("measure.tagger and 'tags' in measure.also go together: give both or neither")
        return self


class Safety(Section):
    """What puts a clip into quarantine before anybody is shown it. A person's word does so too."""

    hash_lists: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Files of hashes, a line each: `sha256:`, `md5:` or `pdq:` and hex digits."""
    nsfw_max: Share | None = None
    """Largest score that passes; none: not asked for."""
    nsfw_model: str | None = None
    """Folder of an image classifier exported for ONNX in the Hugging Face form; none: open_nsfw, of the extra
    `safety`."""
    text_max: Share | None = None
    """Largest share of a frame covered by text that passes; none: not asked for."""

    @model_validator(mode="after")
    def _a_model_has_a_limit(self) -> Self:
        if self.nsfw_model is not None and self.nsfw_max is None:
            raise ValueError("nsfw_model is given and nsfw_max is not: give the largest score that passes")
        return self

    @property
    def asks(self) -> bool:
        """Whether anything is to be looked for."""
        return bool(self.hash_lists) or self.nsfw_max is not None or self.text_max is not None


class Benchmark(Section):
    """Clips that a model is going to be tested on, and that a training set must not hold."""

    name: Annotated[str, Field(min_length=1)]
    """What leaks are told by."""
    path: str | None = None
    """A segment list, in any form that `[[segments.lists]]` takes; it tells ids."""
    workspace: str | None = None
    """A workspace that has measured the benchmark's clips; it tells ids and fingerprints."""
    not_in: Annotated[tuple[Literal["train", "val", "test"], ...], Field(strict=False)] = ()
    """Splits that must hold no video of which it holds a clip: such a video is drawn into another, and is
    left out where a list or an earlier run gave it one of these. Rules on `leak` keep clips out of all."""

    @model_validator(mode="after")
    def _has_a_source(self) -> Self:
        if self.path is None and self.workspace is None:
            raise ValueError(f"benchmark {self.name!r} names nothing: give path, workspace or both")
        return self


class Subset(Section):
    """Clips of ours that stand in somebody's list, told apart by a name: scores on parts of a set differ by
    where the clips come from."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    """What the facts of its clips, and counts, call it."""
    path: str
    """A segment list, in any form that `[[segments.lists]]` takes."""
    match: Literal["clip", "video"] = "clip"
    """Whether a clip stands in it whose span overlaps one of the list, or any span of a video of the list."""
