"""The rules of a recipe: rows over any measure, presets that ship, and the cap on each label."""

import difflib
import tomllib
from collections.abc import Iterator
from functools import cache
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from valor_data import layout
from valor_data.recipe.fetching import Count, Section, Share
from valor_data.recipe.metrics import LEAK_WORDS, metric
from valor_data.records import Leak


class Condition(Section):
    """One thing asked of a clip: of one number or word, or of several conditions together."""

    metric: str | None = None
    """A measure, such as `loudness_lufs`; docs/measures.md lists them."""
    min: float | None = None
    max: float | None = None
    equals: bool | str | None = None
    missing: Literal["reject", "keep"] = "reject"
    """What to do where it is not defined for a clip, or was never measured."""
    all: Annotated[tuple["Condition", ...] | None, Field(strict=False)] = None
    """Conditions that must all hold."""
    any: Annotated[tuple["Condition", ...] | None, Field(strict=False)] = None
    """Conditions of which one must hold."""

    @model_validator(mode="after")
    def _asks_one_thing(self) -> Self:
        given = [name for name in ("metric", "all", "any") if getattr(self, name) is not None]
        if len(given) != 1:
            told = " and ".join(given) or "nothing"
            raise ValueError(f"{told} given: give one of metric, all or any")
        if self.metric is not None:
            self._asks_of(self.metric)
            return self
        if not (self.all or self.any):
            raise ValueError(f"{given[0]} is empty: give conditions, such as {{ metric = ..., min = ... }}")
        if (self.min, self.max, self.equals, self.missing) != (None, None, None, "reject"):
            raise ValueError(f"min, max, equals and missing belong beside a metric, inside {given[0]}")
        return self

    def _asks_of(self, name: str) -> None:
        if self.min is None and self.max is None and self.equals is None:
            raise ValueError(f"rule on {name!r} asks nothing: give min, max or equals")
        if self.equals is not None and (self.min is not None or self.max is not None):
            raise ValueError(f"rule on {name!r}: give equals, or min and max")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"rule on {name!r} keeps nothing: min {self.min:g} > max {self.max:g}")
        kind = metric(name).kind
        if kind == "number" and self.equals is not None:
            raise ValueError(f"rule on {name!r}: it is a number; give min and max")
        if kind == "yes_no" and not isinstance(self.equals, bool):
            raise ValueError(f"rule on {name!r}: it is true or false; give equals = true or false")
        if kind == "words" and not isinstance(self.equals, str):
            raise ValueError(f"rule on {name!r}: it is a word; give equals = '...'")
        if metric(name).table == Leak.table and self.equals not in LEAK_WORDS:
            raise ValueError(
                f"rule on {name!r}: no such word {self.equals!r}; known: {', '.join(LEAK_WORDS)}"
            )

    def leaves(self) -> Iterator["Condition"]:
        """The conditions on one metric, in the order written."""
        if self.metric is not None:
            yield self
        for part in self.all or self.any or ():
            yield from part.leaves()


class Rule(Condition):
    """One row of the verdict. A clip is kept when no rule breaks."""

    reason: Annotated[str, Field(min_length=1)]
    """Why a clip that breaks it is rejected."""
    except_labels: Annotated[tuple[str, ...] | None, Field(strict=False)] = None
    """Clips with one of these labels, in letters of either case, are not asked."""

    @model_validator(mode="after")
    def _exception_is_one(self) -> Self:
        if self.except_labels is not None and not all(self.except_labels or [""]):
            raise ValueError(f"rule {self.reason!r}: except_labels is empty: name labels or leave it out")
        return self


class Filter(Section):
    """How verdicts are made and watched."""

    preset: str | None = None
    """Rules of `pipelines/rules/` that come before the recipe's own: `audible`, `strict`, `speech-light`,
    `benchmark`. A recipe with neither preset nor rules has `audible`."""
    max_drop_share: Share = 0.5
    """A rule that drops a larger share of the measured clips raises an alarm."""

    @model_validator(mode="after")
    def _preset_ships(self) -> Self:
        if self.preset is not None:
            preset(self.preset)
        return self


class Balance(Section):
    """A cap on each label, so that frequent ones do not drown the rest."""

    per_label: Count | None = None
    """At most so many kept clips of each label, but for those that another label needs; none: no cap. A
    clip without labels is not capped."""
    seed: int = 0
    """Which clips stay: those in the least frequent company, then by hash of seed and clip_id."""


@cache
def preset(name: str) -> tuple[Rule, ...]:
    """The rules of a preset that ships. Raises ValueError with the nearest one."""
    shipped = {path.stem: path for path in sorted(layout.asset("pipelines", "rules").glob("*.toml"))}
    if name not in shipped:
        near = difflib.get_close_matches(name, shipped, n=1, cutoff=0.5)
        mend = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(shipped)}"
        raise ValueError(f"no preset {name!r} ships with valor-data; {mend}")
    raw = tomllib.loads(shipped[name].read_text(encoding="utf-8"))
    return tuple(Rule.model_validate(rule) for rule in raw["rules"])
