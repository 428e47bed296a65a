"""The part of a recipe that says what the small media of a training set are made like."""

from typing import Annotated

from pydantic import Field

from valor_data.recipe.fetching import Count, Section


class Derive(Section):
    """How the payload `train` is made of the clips as fetched, for loaders that shall not wait."""

    short_side: Annotated[int, Field(ge=16)] = 256
    """Pixels of the shorter side, rounded down to even; never scaled up."""
    fps: Count = 4
    """Frames per second: frame k is what the clip shows at k / fps seconds."""
    gop: Count = 4
    """Frames from one keyframe to the next."""
    crf: Annotated[int, Field(ge=0, le=51)] = 28
    """x264's quality: lower is larger and better. 28 is some 38 dB beside the scaled frames; 23 is 4 dB
    better and 60 % larger."""
    sample_rate: Annotated[int, Field(ge=8000, le=48000)] = 16_000
    """Samples a second of the sound, mono. 22050: parity with the paper."""
