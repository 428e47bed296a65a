"""The language of `catalog search`: from a text to a tree of what is wanted. Pure.

dog barking near water      any of the words, those captions first that say most of it
"dog barks"                 the words in this order, one behind the other
bark*                       words that begin so
dog AND (bark OR growl)     both sides; either side
dog -cat    dog NOT cat     without it
+dog water                  dog must be there
label:Speech split:test     only clips with it; label:"Child speech, kid speaking", label:music*
"""

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from valor_data import text
from valor_data.errors import UserError

FIELDS = ("author", "clip", "label", "language", "modalities", "origin", "source", "split", "video")
"""What a caption can be filtered by: `<field>:<value>`, whole and in any case, or its beginning and `*`."""
_LONGEST = 4000
_DEEPEST = 40

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<close>\))
        | (?P<sign>[+-]?) (?:
            (?P<open>\()
            | (?:(?P<field>[A-Za-z_]+):)? (?: "(?P<quoted>[^"]*)" | (?P<bare>[^\s()"]+) )
        )
    )""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Words:
    """Words that follow one another."""

    words: tuple[str, ...]


@dataclass(frozen=True)
class Start:
    """Words that begin so."""

    beginning: str


@dataclass(frozen=True)
class Field:
    """A value that the caption or its clip has, case folded; of `starts` only its beginning."""

    name: str
    value: str
    starts: bool = False


@dataclass(frozen=True)
class All:
    """Every part."""

    parts: tuple["Node", ...]


@dataclass(frozen=True)
class Either:
    """At least one part."""

    parts: tuple["Node", ...]


@dataclass(frozen=True)
class Ranked:
    """Everything of `must`, nothing of `never`, and of `wished`, where there is any, one at least."""

    wished: tuple["Node", ...] = ()
    must: tuple["Node", ...] = ()
    never: tuple["Node", ...] = ()


Node = Words | Start | Field | All | Either | Ranked


def parse(query: str) -> Node:
    """The tree of a query. Raises UserError in one line for one that asks for nothing or breaks off."""
    if len(query) > _LONGEST:
        raise UserError(f"the query is {len(query):,} letters long; at most {_LONGEST:,} are read")
    parser = _Parser(list(_tokens(query)))
    found = parser.either(0)
    if parser.next is not None:
        raise UserError("the query closes a bracket that it did not open")
    return found


class _Token(NamedTuple):
    kind: Literal["(", ")", "AND", "OR", "NOT", "leaf"]
    sign: str = ""
    leaf: Words | Start | Field | None = None


def _tokens(query: str) -> Iterator[_Token]:
    place, end = 0, len(query.rstrip())
    while place < end:
        match = _TOKEN.match(query, place)
        if match is None:
            raise UserError('the query opens a quote " and does not close it')
        place = match.end()
        bare, field = match["bare"], match["field"]
        if match["close"]:
            yield _Token(")")
        elif match["open"]:
            yield _Token("(", match["sign"])
        elif bare in ("AND", "OR", "NOT") and not field and not match["sign"]:
            yield _Token(bare)  # type: ignore[arg-type]
        else:
            said, starts = (match["quoted"], False) if bare is None else (bare, bare[-1] == "*")
            leaf = _leaf(field, said, starts)
            if leaf is not None:  # such as a dash between words
                yield _Token("leaf", match["sign"], leaf)


def _leaf(field: str | None, said: str, starts: bool) -> Words | Start | Field | None:
    if field is not None:
        if field not in FIELDS:
            near = difflib.get_close_matches(field, FIELDS, n=1)
            hint = f"did you mean {near[0]}:?" if near else f"known: {', '.join(FIELDS)}"
            raise UserError(f"no field {field}: to filter by; {hint} (put a caption's own colon in quotes)")
        return Field(field, said.removesuffix("*").casefold() if starts else said.casefold(), starts)
    if said[-1:] == ":" and said[:-1] in FIELDS:
        raise UserError(f'{said} names no value; such as {said}... or {said}"..."')
    found = text.words(said)
    if starts and len(found) > 1:
        raise UserError(f"{said[:40]}: a beginning is one word, such as {found[-1][:20]}*")
    if not found:
        return None
    return Start(found[0]) if starts else Words(tuple(found))


class _Parser:
    """By recursive descent: OR binds loosest, then AND, then what stands side by side."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._place = 0

    @property
    def next(self) -> _Token | None:
        return self._tokens[self._place] if self._place < len(self._tokens) else None

    def either(self, depth: int) -> Node:
        parts = [self._all(depth)]
        while self._took("OR"):
            parts.append(self._all(depth))
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def _all(self, depth: int) -> Node:
        parts = [self._ranked(depth)]
        while self._took("AND"):
            parts.append(self._ranked(depth))
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def _ranked(self, depth: int) -> Node:
        wished: list[Node] = []
        must: list[Node] = []
        never: list[Node] = []
        while (token := self.next) is not None and token.kind in ("(", "NOT", "leaf"):
            denied = self._took("NOT")
            token = self.next
            if token is None or token.kind not in ("(", "leaf"):
                raise UserError("the query says NOT of nothing; give a word behind it")
            self._place += 1
            node = token.leaf if token.leaf is not None else self._inside(depth + 1)
            if denied or token.sign == "-":
                never.append(node)
            elif token.sign == "+" or isinstance(node, Field):
                must.append(node)
            else:
                wished.append(node)
        if not (wished or must or never):
            told = f"before {self.next.kind}" if self.next else "at its end" if self._place else "in it"
            raise UserError(f'the query has no word {told}; such as: dog "near water" bark* label:Speech')
        if len(wished) == 1 and not must and not never:
            return wished[0]
        return Ranked(tuple(wished), tuple(must), tuple(never))

    def _inside(self, depth: int) -> Node:
        if depth > _DEEPEST:
            raise UserError(f"the query nests brackets deeper than {_DEEPEST}")
        found = self.either(depth)
        if not self._took(")"):
            raise UserError("the query opens a bracket ( and does not close it")
        return found

    def _took(self, kind: str) -> bool:
        took = self.next is not None and self.next.kind == kind
        self._place += took
        return took
