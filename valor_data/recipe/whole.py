"""The whole recipe, and the parts that say what becomes of fetched clips."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from valor_data import layout
from valor_data.recipe.annotating import Annotate
from valor_data.recipe.captions import Captions
from valor_data.recipe.deriving import Derive
from valor_data.recipe.fetching import (
    Access,
    Count,
    Fetch,
    Host,
    Mirror,
    Retry,
    Rights,
    Section,
    Segments,
    Share,
)
from valor_data.recipe.measuring import Benchmark, Measure, Safety, Subset
from valor_data.recipe.metrics import LEAK, needs
from valor_data.recipe.rules import Balance, Filter, Rule, preset

_DEFAULT_PRESET = "audible"


class ReviewRule(Section):
    """When a caption of our annotators is accepted (VALOR section 3.3: three checkers, one no)."""

    checkers: Annotated[int, Field(ge=0)] = 1
    """Reviews that a caption needs."""
    max_rejects: Annotated[int, Field(ge=0)] = 0
    """Rejections it survives."""
    gold_share: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    """Share of the captions beside which another clip's caption is put before the checkers, who must reject
    it: how well do they look?"""
    good_gold_share: Share = 0.0
    """Share of the captions that two people or more checked and all accepted as they stand, which one more
    must accept: how often is good work sent back?"""
    audit_share: Share = 0.0
    """Share of what was accepted that somebody else checks once more: how much is still wrong?"""


class Split(Section):
    """Shares of the videos that no list assigns. By video: no video stands in two splits."""

    train: Share = 0.8
    val: Share = 0.1
    test: Share = 0.1
    seed: int = 0
    stratify: bool = False
    """True: every label is spread by these shares too, as far as whole videos allow, the rarest first. What
    was drawn once stays where it is."""

    @model_validator(mode="after")
    def _sums_to_one(self) -> Self:
        if abs(self.train + self.val + self.test - 1) > 1e-9:
            raise ValueError("train + val + test must be 1")
        return self


class Shard(Section):
    """How a release is cut into shards."""

    payload: Literal["video", "train", "ids"] = "video"
    """`video`: `<clip_id>.mp4 .json .txt`, the clips as fetched. `train`: a small silent `.mp4` and a `.flac`
    in their place, as [derive] says. `ids`: no media, only the catalog, from which `fetch` gets the clips."""
    samples: Count = 1000
    """Most clips in a shard."""
    max_mb: Count = 1000
    """Most megabytes in a shard (a larger clip gets one of its own)."""
    require_caption: bool = True
    """False: clips without a caption are released too, and the card says how many."""
    seed: int = 0
    """Order of the clips: by hash of seed and clip_id."""


class ReleaseInfo(Section):
    """What a release calls itself."""

    version: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$")] = "0.1.0"
    title: str = ""
    licence: str = "not stated"
    """Licence of the captions and tables; the media keep their owners' terms."""
    description: str = ""
    """What the dataset is, in Markdown. What this and the keys below leave out the card calls not stated."""
    motivation: str = ""
    """Why it was made, and for which uses."""
    creators: Annotated[tuple[str, ...], Field(strict=False)] = ()
    contact: str = ""
    """Where to report errors and ask for removal."""
    citation: str = ""
    """How to cite it, best as BibTeX."""
    url: str = ""
    """Where it is published."""
    date: Annotated[str, Field(pattern=r"^(\d{4}-\d{2}-\d{2})?$")] = ""
    """When, as `2026-11-27`; nothing in a release knows the clock."""


class Recipe(Section):
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
    retry: Retry = Retry()
    hosts: Annotated[tuple[Host, ...], Field(strict=False)] = ()
    access: Access = Access()
    mirrors: Annotated[tuple[Mirror, ...], Field(strict=False)] = ()
    rights: Rights = Rights()
    measure: Measure = Measure()
    safety: Safety = Safety()
    benchmarks: Annotated[tuple[Benchmark, ...], Field(strict=False)] = ()
    filter: Filter = Filter()
    rules: Annotated[tuple[Rule, ...] | None, Field(strict=False)] = None
    """The recipe's own; an empty list beside no preset: every measured clip is kept."""
    balance: Balance = Balance()
    annotate: Annotate = Annotate()
    captions: Captions = Captions()
    review: ReviewRule = ReviewRule()
    split: Split = Split()
    subsets: Annotated[tuple[Subset, ...], Field(strict=False)] = ()
    derive: Derive = Derive()
    shard: Shard = Shard()
    release: ReleaseInfo = ReleaseInfo()

    @model_validator(mode="after")
    def _names_are_their_own(self) -> Self:
        for what, told in (("benchmarks", self.benchmarks), ("subsets", self.subsets)):
            names = [one.name for one in told]
            twice = next((name for name in names if names.count(name) > 1), None)
            if twice is not None:
                raise ValueError(f"two {what} are called {twice!r}: their clips are told by their names")
        return self

    @model_validator(mode="after")
    def _rules_have_their_measures(self) -> Self:
        for rule in self.effective_rules:
            for leaf in rule.leaves():
                mend = self._lacks(str(leaf.metric))
                if mend:
                    raise ValueError(f"rule {rule.reason!r} on {leaf.metric!r} needs {mend}")
        return self

    def _lacks(self, metric: str) -> str | None:
        """What the recipe must say for a metric to be there; None: it says so."""
        need = needs(metric)
        if need == "safety":
            key = {"nsfw_score": "nsfw_max", "text_share": "text_max"}[metric]
            return None if getattr(self.safety, key) is not None else f"{key} in [safety]"
        if need == "benchmarks":
            names = [benchmark.name for benchmark in self.benchmarks]
            asked = metric.removeprefix(LEAK) if metric.startswith(LEAK) else None
            if not names or (asked and asked not in names):
                return f"a benchmark{f' named {asked!r}' if asked else ''} in [[benchmarks]]"
            return None
        if need is None or need in self.measure.also:
            return None
        return f"{need!r} in measure.also" + (", and measure.tagger" if need == "tags" else "")

    @property
    def effective_rules(self) -> tuple[Rule, ...]:
        """The preset's rules, then the recipe's own; those of `audible` where it names neither."""
        name = self.filter.preset or (_DEFAULT_PRESET if self.rules is None else None)
        return (preset(name) if name else ()) + (self.rules or ())

    @property
    def profile(self) -> str:
        """`exact-1f2e3d4c`: the profile's name and a hash of all settings that shape the bytes."""
        shaping = {"profile", "max_height", "codecs"}
        if self.fetch.profile != "copy":
            shaping |= {"crf", "audio_kbps"}
        if self.fetch.profile == "small":
            shaping |= {"short_side", "fps", "gop"}
        return f"{self.fetch.profile}-{layout.digest(self.fetch.model_dump(include=shaping))[:8]}"

    @property
    def derived_profile(self) -> str:
        """`train-1f2e3d4c`: a hash of all settings that shape the derived bytes, and of the media they are
        made from."""
        return f"{layout.DERIVED}-{layout.digest([self.profile, self.derive.model_dump()])[:8]}"

    @property
    def rules_digest(self) -> str:
        """16 hex digits that name the rules and the balance; verdicts carry them."""
        return layout.digest([self._rules_content(), self.balance.model_dump()])[:16]

    @property
    def benchmarks_digest(self) -> str:
        """16 hex digits that name the benchmarks, not what is in them."""
        named = [benchmark.model_dump(exclude={"not_in"}) for benchmark in self.benchmarks]
        return layout.digest(named)[:16]

    @property
    def digest(self) -> str:
        """sha256 of the recipe's content; holds no folder, so that it repeats on any machine."""
        content = self.model_dump(mode="json", exclude={"workspace", "access", "hosts", "retry"})
        for spec in content["segments"]["lists"]:
            spec["path"] = Path(spec["path"]).name
        for mirror in content["mirrors"]:
            mirror["at"] = Path(mirror["at"]).name
        content["rights"]["opt_out"] = [Path(path).name for path in content["rights"]["opt_out"]]
        content["safety"]["hash_lists"] = [Path(path).name for path in content["safety"]["hash_lists"]]
        del content["annotate"]["url"]
        paths = (
            (content["measure"], "tagger"),
            (content["safety"], "nsfw_model"),
            (content["annotate"], "pages"),
        )
        for place in paths:
            place[0][place[1]] = place[0][place[1]] and Path(place[0][place[1]]).name
        for benchmark in content["benchmarks"]:
            for key in ("path", "workspace"):
                benchmark[key] = benchmark[key] and Path(benchmark[key]).name
        for subset in content["subsets"]:
            subset["path"] = Path(subset["path"]).name
        content["rules"] = self._rules_content()
        return layout.digest(content)

    def _rules_content(self) -> list[dict[str, Any]]:
        return [rule.model_dump(mode="json", exclude_none=True) for rule in self.effective_rules]
