"""The numbers of a manifest as one HTML file that needs nothing else."""

from collections.abc import Sequence
from importlib import resources
from itertools import groupby
from string import Template
from typing import NamedTuple

from valor_data.errors import Kind
from valor_data.page import escaped, page, share
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
    body = Template(_file("page.html")).substitute(
        rows="\n".join(map(_row, parts)),
        reasons="\n".join(filter(None, map(_reasons, parts))) or "<p>No clip is missing.</p>",
        citations="\n".join(f"<li>{escaped(_citation(name, part))}</li>" for part in parts),
    )
    lead = (
        f"{counts['available']:,} of {total:,} clips ({share(counts['available'], total)}) are there; "
        f"{counts['missing']:,} are missing, {counts['not_tried']:,} were not tried yet."
    )
    foot = (
        f"<p><small>Made by {escaped(tool)} for the profile <code>{escaped(profile)}</code>. Times are UTC. "
        "Whether a clip is there is what the platform answered one visitor on that day; others may be "
        "answered differently.</small></p>"
    )
    return page(f"Availability of {name}", lead, body, foot=foot, style=_file("page.css"))


def _file(name: str) -> str:
    return (resources.files(__package__) / name).read_text(encoding="utf-8")


def _row(part: _Part) -> str:
    numbers = [part.clips(state) for state in _STATES]
    told = ", ".join(
        f"{share(number, part.total)} {state.replace('_', ' ')}"
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
        f'<tr role="row"><th scope="row" role="rowheader">{escaped(part.name)}'
        f'<span class="bar" role="img" aria-label="{told}">{bar}</span>'
        f"<small>{share(numbers[0], part.total)} available, {part.checked}</small></th>"
        + "".join(f'<td role="cell" data-label="{label}">{cell}</td>' for label, cell in cells)
        + "</tr>"
    )


def _reasons(part: _Part) -> str:
    """Why clips of one part are missing; empty where none is."""
    missing = [group for group in part.groups if group.state == "missing"]
    if not missing:
        return ""
    rows = "\n".join(
        f'<tr><th scope="row"><code>{escaped(group.reason or "unknown")}</code>'
        f"<small>{_MEANING[Kind(group.kind or 'unknown')]}</small></th>"
        f"<td>{group.clips:,}</td><td>{share(group.clips, part.total)}</td></tr>"
        for group in missing
    )
    return (
        f"<table><caption>{escaped(part.name)}</caption><thead><tr>"
        '<th scope="col">Reason</th><th scope="col">Clips</th><th scope="col">Share</th>'
        f"</tr></thead><tbody>\n{rows}\n</tbody></table>"
    )


def _citation(name: str, part: _Part) -> str:
    there = part.clips("available")
    return (
        f"{name}, {part.name}: {there:,} of {part.total:,} clips ({share(there, part.total)}), {part.checked}"
    )


def _day(moment: str) -> str:
    return moment.split("T")[0]
