"""The one look of all our HTML pages: skeleton, style, tables, and the escaping of what others wrote.

A page needs nothing beside itself and asks for nothing on the net. It follows the reader's choice of light
or dark, fits a phone, and has one landmark of each kind.
"""

import re
from collections.abc import Iterable, Sequence
from html import escape
from importlib import resources

_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What neither XML nor HTML may hold, such as NUL and lone surrogates."""


def escaped(text: object, longest: int | None = None) -> str:
    """Text for HTML, XML or an attribute in quotes; cut to `longest` letters, with a mark where it was."""
    told = str(text)
    if longest is not None and len(told) > longest:
        told = f"{told[: longest - 1]}…"
    return escape(_UNPRINTABLE.sub("\ufffd", told))


def number(value: float) -> str:
    """A number as people read it: five digits at most behind the first, thousands apart."""
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) < 1e12 else f"{value:.6g}"


def share(part: float, whole: float) -> str:
    """A share in per cent that says neither all nor none where it is not so."""
    if part in (0, whole):
        return "100 %" if part else "0 %"
    percent = f"{100 * part / whole:.1f}"
    return {"0.0": "under 0.1 %", "100.0": "over 99.9 %"}.get(percent, f"{percent} %")


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]], *, hidden: bool = False) -> str:
    """A table whose first column names its rows. All cells are HTML; `hidden`: the caption is only read out.

    It scrolls by itself where the window is too narrow, by keyboard too.
    """
    cells = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    lines = "\n".join(
        f'<tr><th scope="row">{row[0]}</th>{"".join(f"<td>{cell}</td>" for cell in row[1:])}</tr>'
        for row in rows
    )
    told = f"<caption{' class=unseen' if hidden else ''}>{escaped(caption)}</caption>"
    return (
        f'<div class="wide" role="group" aria-label="{escaped(caption)}" tabindex="0"><table>{told}\n'
        f"<thead><tr>{cells}</tr></thead>\n<tbody>\n{lines}\n</tbody></table></div>"
    )


def page(
    title: str,
    lead: str,
    body: str,
    *,
    foot: str = "",
    links: Iterable[tuple[str, str]] = (),
    style: str = "",
) -> str:
    """A whole page. `title` is plain text; `lead`, `body` and `foot` are HTML; `links` are (anchor, name) of
    its parts; `style` is CSS that this page has beyond the common one."""
    common = (resources.files(__package__) / "style.css").read_text(encoding="utf-8")
    named = "".join(f'<li><a href="#{escaped(anchor)}">{escaped(name)}</a></li>' for anchor, name in links)
    nav = f'<nav aria-label="Parts of the page"><ul>{named}</ul></nav>\n' if named else ""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escaped(title)}</title>\n<style>\n{common}{style}</style>\n</head>\n<body>\n"
        '<a class="skip" href="#main">Skip to the content</a>\n'
        f'<header>\n<h1>{escaped(title)}</h1>\n<p class="lead">{lead}</p>\n{nav}</header>\n'
        f'<main id="main" tabindex="-1">\n{body}\n</main>\n'
        f"{f'<footer>{foot}</footer>' if foot else ''}\n</body>\n</html>\n"
    )
