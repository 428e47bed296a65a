"""The numbers of agreement as HTML: a page of their own, or a part of another one."""

from collections.abc import Sequence

from valor_data.agreement import Estimate
from valor_data.page import escaped, table
from valor_data.page import page as whole
from valor_data.stages.annotate.agreement_cells import Cell, Section, Table


def page(name: str, about: str, sections: Sequence[Section]) -> str:
    """The page of a dataset."""
    return whole(
        f"{name}: agreement",
        escaped(about),
        sections_html("", sections),
        links=[(_anchor(one), one.title) for one in sections],
    )


def sections_html(about: str, sections: Sequence[Section], *, level: int = 2) -> str:
    """The sections under headings of a level, below a line about them."""
    lead = f"<p>{escaped(about)}</p>\n" if about else ""
    body = "\n".join(_section(one, level) for one in sections)
    return f'<div class="words">\n{lead}{body}\n</div>'


def _anchor(section: Section) -> str:
    return section.title.lower().replace(" ", "-")


def _section(section: Section, level: int) -> str:
    parts = [f'<h{level} id="{_anchor(section)}">{escaped(section.title)}</h{level}>']
    parts += [f"<p>{escaped(section.about)}</p>", *(_table(section.title, one) for one in section.tables)]
    if section.notes:
        parts.append(f"<ul>{''.join(f'<li>{escaped(one)}</li>' for one in section.notes)}</ul>")
    return "\n".join(parts)


def _table(title: str, found: Table) -> str:
    return table(
        title, [escaped(one) for one in found.head], [[*map(_cell, row)] for row in found.rows], hidden=True
    )


def _cell(cell: Cell) -> str:
    if not cell.ends:
        return escaped(cell.text)
    drawn = _drawn(cell.drawn) if cell.drawn else ""
    return f"<span>{escaped(cell.text)} <small>{escaped(cell.ends)}</small>{drawn}</span>"


def _drawn(found: Estimate) -> str:
    """The interval as a bar from 0 to 1, and the number as a stroke on it."""
    low, value, high = (100 * min(1.0, max(0.0, one)) for one in (found.low, found.value, found.high))
    return (
        '<svg aria-hidden="true"><rect y="3" width="100%" height="1" fill="#8886"/>'
        f'<rect x="{low:.1f}%" y="1" width="{high - low:.1f}%" height="5" fill="var(--bar)"/>'
        f'<rect x="{min(value, 98.5):.1f}%" y="0" width="1.5%" height="7" fill="var(--ink)"/></svg>'
    )
