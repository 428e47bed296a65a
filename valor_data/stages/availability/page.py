"""The numbers of a manifest as one HTML file that needs nothing else."""

from collections.abc import Sequence
from html import escape
from importlib import resources
from itertools import groupby
from string import Template
from typing import NamedTuple

from valor_data.errors import Kind
from valor_data.tables import Group

_MEANING = {
    Kind.PERMANENT: "gone, or closed for good",
    Kind.LOGIN: "asks for an account",
    Kind.HOST: "the host refused the visitor, not the clip",
    Kind.EXPIRED: "its address was refused; may come with the next try",
    Kind.TRANSIENT: "a passing fault; may come with the next try",
    Kind.LATER: "not out yet, or still running",
    Kind.OURS: "came, and could not be used",
    Kind.POLICY: "left out: its owner's wish, or a rule on rights",
    Kind.UNKNOWN: "a fault without a name",
}
_STATES = ("available", "missing", "not_tried")


class _Part(NamedTuple):
    """One split of one list."""

    name: str
    groups: list[Group]

    def clips(self, state: str) -> int:
        return sum(group.clips for group in self.groups if group.state == state)

    @property
    def total(self) -> int:
        return sum(group.clips for group in self.groups)

    @property
    def checked(self) -> str:
        """From when to when somebody asked."""
        first = min((group.first_checked for group in self.groups if group.first_checked), default="")
        last = max((group.last_checked for group in self.groups if group.last_checked), default="")
        if not first:
            return "never checked"
        return (
            f"checked {_day(first)}"
            if _day(first) == _day(last)
            else f"checked {_day(first)} to {_day(last)}"
        )


def render(name: str, profile: str, tool: str, counts: dict[str, int], groups: Sequence[Group]) -> str:
    """The page: `counts` of distinct clips by state, `groups` by list and split."""
    parts = [
        _Part(list_name if split is None else f"{list_name}, {split}", list(found))
        for (list_name, split), found in groupby(groups, key=lambda group: (group.list, group.split))
    ]
    total = sum(counts.values())
    template = Template((resources.files(__package__) / "page.html").read_text(encoding="utf-8"))
    return template.substitute(
        name=escape(name),
        profile=escape(profile),
        tool=escape(tool),
        total=f"{total:,}",
        available=f"{counts['available']:,}",
        share=_share(counts["available"], total),
        missing=f"{counts['missing']:,}",
        not_tried=f"{counts['not_tried']:,}",
        rows="\n".join(map(_row, parts)),
        reasons="\n".join(filter(None, map(_reasons, parts))) or "<p>No clip is missing.</p>",
        citations="\n".join(f"<li>{escape(_citation(name, part))}</li>" for part in parts),
    )


def _row(part: _Part) -> str:
    numbers = [part.clips(state) for state in _STATES]
    told = ", ".join(
        f"{_share(number, part.total)} {state.replace('_', ' ')}"
        for number, state in zip(numbers, _STATES, strict=True)
    )
    bar = "".join(
        f'<span class="{state}" style="width:{100 * number / part.total:.3f}%"></span>'
        for number, state in zip(numbers, _STATES, strict=True)
        if number
    )
    cells = [
        ("Clips", f"{part.total:,}"),
        ("Available", f"{numbers[0]:,}"),
        ("Missing", f"{numbers[1]:,}"),
        ("Not tried", f"{numbers[2]:,}"),
    ]
    return (
        f'<tr role="row"><th scope="row" role="rowheader">{escape(part.name)}'
        f'<span class="bar" role="img" aria-label="{told}">{bar}</span>'
        f"<small>{_share(numbers[0], part.total)} available, {part.checked}</small></th>"
        + "".join(f'<td role="cell" data-label="{label}">{cell}</td>' for label, cell in cells)
        + "</tr>"
    )


def _reasons(part: _Part) -> str:
    """Why clips of one part are missing; empty where none is."""
    missing = [group for group in part.groups if group.state == "missing"]
    if not missing:
        return ""
    rows = "\n".join(
        f'<tr><th scope="row"><code>{escape(group.reason or "unknown")}</code>'
        f"<small>{_MEANING[Kind(group.kind or 'unknown')]}</small></th>"
        f"<td>{group.clips:,}</td><td>{_share(group.clips, part.total)}</td></tr>"
        for group in missing
    )
    return (
        f"<table><caption>{escape(part.name)}</caption><thead><tr>"
        '<th scope="col">Reason</th><th scope="col">Clips</th><th scope="col">Share</th>'
        f"</tr></thead><tbody>\n{rows}\n</tbody></table>"
    )


def _citation(name: str, part: _Part) -> str:
    there = part.clips("available")
    share = _share(there, part.total)
    return f"{name}, {part.name}: {there:,} of {part.total:,} clips ({share}), {part.checked}"


def _share(number: int, total: int) -> str:
    """A share in per cent that says neither all nor none where it is not so."""
    if number in (0, total):
        return "100 %" if number else "0 %"
    percent = f"{100 * number / total:.1f}"
    return {"0.0": "under 0.1 %", "100.0": "over 99.9 %"}.get(percent, f"{percent} %")


def _day(moment: str) -> str:
    return moment.split("T")[0]
