"""The part of a recipe that says what annotators are asked."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from valor_data.recipe.fetching import Section, Share


class Annotate(Section):
    """Which tasks are pushed to Label Studio, and where that is. Its token is no part of a recipe: it is
    taken from LABEL_STUDIO_API_KEY, or from the file that `annotate serve` keeps."""

    url: str | None = None
    """The server; none: the one that `annotate serve` started for the workspace."""
    muted_share: Share = 0.0
    """Share of the clips that somebody else captions by the picture alone, too: what is the sound worth?"""
    screen_off_share: Share = 0.0
    """The same by the sound alone."""
    overlap_share: Share = 0.0
    """Share of the clips that a second person captions, so that agreement can be told."""
    hints: Literal["off", "on", "random"] = "off"
    """Whether the clip's labels are shown. `random`: for half of the tasks, by hash; what was shown is kept
    with each task, for people copy it."""
    events: bool = False
    """Asks for timed events too: what, from when to when, heard or seen."""
    captioned_too: bool = False
    """Asks for captions of clips that have an imported one."""
    qualify: bool = False
    """Whether only captions and checks count whose author has passed the test of `qualification.json`."""
    drafts: Annotated[str, Field(pattern=r"^model:.+$")] | None = None
    """Author of imported captions, `model:<name>`, that are put before the first writer of a clip, in a
    project of their own."""
    undrafted_share: Share = 0.2
    """Share of that project's clips that come without the draft, so that what a draft does can be told."""
    planted_share: Share = 0.05
    """Share of its drafts into which a wrong word is put: do people read what they are given?"""
    media: Literal["files", "signed", "http"] = "files"
    """How the page gets the clips: from the server's own disk, by addresses that an object store signs, or
    from `media_url`."""
    media_url: str | None = None
    """`http`: what stands before a clip's key, such as `https://clips.example.org/`."""
    pages: str | None = None
    """Folder with label configs or guidelines of your own, as in `annotation/`; what it lacks is taken from
    there."""
    wage_per_hour: Annotated[float, Field(gt=0)] | None = None
    """What an hour of work costs, with all that is paid beside the wage; reports then tell costs, too."""
    currency: str = ""
    """Of the wage: any words, such as `EUR`."""
    seed: int = 0
    """Which clips fall into the shares."""

    @model_validator(mode="after")
    def _http_has_an_address(self) -> Self:
        if (self.media == "http") != (self.media_url is not None):
            raise ValueError("annotate.media = 'http' and media_url go together: give both or neither")
        return self
