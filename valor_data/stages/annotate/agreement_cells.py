"""What stands in the tables of agreement."""

from typing import NamedTuple

from valor_data.agreement import Estimate

NONE = "-"


class Cell(NamedTuple):
    """What stands in a table."""

    text: str
    ends: str = ""
    """Of its interval."""
    drawn: Estimate | None = None
    """To be drawn on an axis from 0 to 1."""

    def __str__(self) -> str:
        return f"{self.text} ({self.ends})" if self.ends else self.text


class Table(NamedTuple):
    """Rows under a head; the first cell of a row names it."""

    head: tuple[str, ...]
    rows: list[tuple[Cell, ...]]


class Section(NamedTuple):
    """A part of the page."""

    title: str
    about: str
    """How to read it."""
    tables: list[Table]
    notes: list[str]
    """What cannot be told, and what to do; what to bear in mind."""


def cells(*given: Cell | str) -> tuple[Cell, ...]:
    """A row."""
    return tuple(one if isinstance(one, Cell) else Cell(one) for one in given)


def share_cell(found: Estimate | None, *, drawn: bool = True) -> Cell:
    """In percent."""
    if found is None:
        return Cell(NONE)
    ends = f"{found.low * 100:.1f} to {found.high * 100:.1f}"
    return Cell(percent(found.value), ends, found if drawn else None)


def number_cell(found: Estimate | None, digits: int = 2) -> Cell:
    """With its interval."""
    if found is None:
        return Cell(NONE)
    return Cell(f"{found.value:.{digits}f}", f"{found.low:.{digits}f} to {found.high:.{digits}f}")


def drawn_cell(found: Estimate | None) -> Cell:
    """The same, with its interval drawn too."""
    return number_cell(found)._replace(drawn=found)


def percent(found: float) -> str:
    """A share."""
    return f"{found * 100:.1f} %"


def plain(found: float | None, digits: int = 1) -> str:
    """A number that has no interval."""
    return NONE if found is None else f"{found:,.{digits}f}"
