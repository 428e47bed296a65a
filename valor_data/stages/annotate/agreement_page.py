"""The numbers of agreement as one HTML file that needs nothing beside itself."""

from collections.abc import Sequence
from html import escape

from valor_data.agreement import Estimate
from valor_data.stages.annotate.agreement_cells import Cell, Section, Table

_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; --ink: light-dark(#222, #ddd); --bar: light-dark(#4a7fb5, #7fb0e0); }}
:root {{ --mark: light-dark(#b45309, #f0a35e); --faint: light-dark(#666, #999); }}
body {{ font: 15px/1.5 system-ui, sans-serif; color: var(--ink); }}
body {{ max-width: 76rem; margin: 2rem auto; padding: 0 1rem; }}
h2 {{ margin: 2.2rem 0 .2rem; }}
p {{ max-width: 48rem; margin: .3rem 0 .8rem; }}
nav a {{ color: var(--bar); margin-right: 1rem; }}
.wide {{ overflow-x: auto; margin: .8rem 0 1.2rem; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; }}
th, td {{ padding: .2rem .9rem .2rem 0; text-align: left; vertical-align: top; }}
th, td {{ border-bottom: 1px solid #8884; }}
th {{ font-weight: 600; }}
th, td {{ white-space: nowrap; }}
td:last-child {{ white-space: normal; }}
td span {{ display: inline-block; min-width: 8rem; white-space: nowrap; }}
small {{ color: var(--faint); }}
/* A width of 0 lets the words say how wide the column is. */
svg {{ display: block; width: 0; min-width: 100%; height: 7px; margin-bottom: .25rem; }}
ul {{ padding-left: 1.2rem; max-width: 48rem; }}
li {{ color: var(--mark); }}
</style>
</head>
<body>
<h1>{title}</h1>
<p>{about}</p>
<nav>{links}</nav>
{body}
</body>
</html>
"""


def page(name: str, about: str, sections: Sequence[Section]) -> str:
    """The page of a dataset."""
    links = "".join(f'<a href="#{_anchor(one)}">{escape(one.title)}</a>' for one in sections)
    body = "\n".join(_section(one) for one in sections)
    title = f"{escape(name)}: agreement"
    return _PAGE.format(title=title, about=escape(about), links=links, body=body)


def _anchor(section: Section) -> str:
    return section.title.lower().replace(" ", "-")


def _section(section: Section) -> str:
    parts = [f'<h2 id="{_anchor(section)}">{escape(section.title)}</h2>', f"<p>{escape(section.about)}</p>"]
    parts += [_table(table) for table in section.tables]
    if section.notes:
        parts.append(f"<ul>{''.join(f'<li>{escape(one)}</li>' for one in section.notes)}</ul>")
    return "\n".join(parts)


def _table(table: Table) -> str:
    head = "".join(f"<th>{escape(one)}</th>" for one in table.head)
    rows = "\n".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in table.rows)
    return f'<div class="wide"><table>\n<tr>{head}</tr>\n{rows}\n</table></div>'


def _cell(cell: Cell) -> str:
    if not cell.ends:
        return f"<td>{escape(cell.text)}</td>"
    drawn = _drawn(cell.drawn) if cell.drawn else ""
    return f"<td><span>{escape(cell.text)} <small>{escape(cell.ends)}</small>{drawn}</span></td>"


def _drawn(found: Estimate) -> str:
    """The interval as a bar from 0 to 1, and the number as a stroke on it."""
    low, value, high = (100 * min(1.0, max(0.0, one)) for one in (found.low, found.value, found.high))
    return (
        '<svg aria-hidden="true"><rect y="3" width="100%" height="1" fill="#8886"/>'
        f'<rect x="{low:.1f}%" y="1" width="{high - low:.1f}%" height="5" fill="var(--bar)"/>'
        f'<rect x="{min(value, 98.5):.1f}%" y="0" width="1.5%" height="7" fill="var(--ink)"/></svg>'
    )
