"""How far annotators and checkers agree, and what their work is worth and costs: lines, JSON and a page."""

from typing import Any, NamedTuple

from valor_data import layout
from valor_data.agreement import DraftEffect, Outlier
from valor_data.stages.annotate import agreement_drafts as drafts
from valor_data.stages.annotate import agreement_people as people
from valor_data.stages.annotate import agreement_told as told
from valor_data.stages.annotate import agreement_words as wording
from valor_data.stages.annotate.agreement_cells import NONE, Section
from valor_data.stages.annotate.agreement_page import page, sections_html
from valor_data.stages.annotate.agreement_rows import gather
from valor_data.workspace import Workspace


class Agreed(NamedTuple):
    """All numbers; docs/annotating-numbers.md says what each means."""

    workspace: str
    captions: int
    """Standing captions of our annotators."""
    checks: int
    writing: people.Writing
    checking: people.Checking
    writers: list[people.Writer]
    checkers: list[people.Checker]
    differing: dict[str, list[Outlier]]
    reviewing: people.Reviewing
    senses: list[wording.Sense]
    hints: wording.Hints
    drafts: DraftEffect
    cost: wording.Cost
    page: str
    """Path or URL of the page."""

    def sections(self) -> list[Section]:
        """For people."""
        return [
            told.agreeing(self.writing, self.checking),
            told.working(self.writers, self.checkers, self.differing),
            told.ruling(self.reviewing, self.cost),
            told.sensing(self.senses),
            told.hinting(self.hints),
            drafts.told(self.drafts),
            told.costing(self.cost),
        ]

    def about(self) -> str:
        """What it is made from, in a line."""
        return (
            f"{self.captions:,} captions of {len(self.writers):,} annotators, {self.checks:,} checks of "
            f"{len(self.checkers):,} checkers. Beside a number stands the interval that holds the truth 95 "
            f"times of 100; {NONE} is what cannot be told."
        )

    def panel(self) -> str:
        """The sections as HTML, to stand under a heading of a page."""
        return sections_html(self.about(), self.sections(), level=3)

    def as_json(self) -> dict[str, Any]:
        """All of it; an estimate is value, low, high and n."""
        notes = {one.title: one.notes for one in self.sections() if one.notes}
        return {"command": "annotate agreement", "ok": True, **_plain(self), "notes": notes}

    def lines(self) -> list[str]:
        """For the terminal."""
        found = [self.about()]
        for section in self.sections():
            found += told.lines(section)
        return [*found, "", f"page: {self.page}"]


def agree(workspace: Workspace) -> Agreed:
    """Numbers from the rows as they stand; the page is written into the workspace."""
    gathered = gather(workspace)
    counted = wording.count(gathered)
    wrote, checked = people.writers(gathered), people.checkers(gathered)
    found = Agreed(
        workspace.root,
        len(gathered.captions),
        len(gathered.checked),
        people.writing(gathered),
        people.checking(gathered),
        wrote,
        checked,
        people.differing(wrote, checked),
        people.reviewing(gathered),
        wording.senses(gathered, counted),
        wording.hints(gathered, counted),
        drafts.drafting(gathered),
        wording.cost(gathered),
        f"{workspace.root.rstrip('/')}/{layout.AGREEMENT}",
    )
    html = page(workspace.recipe.name, found.about(), found.sections())
    workspace.store.put_bytes(layout.AGREEMENT, html.encode())
    return found


def _plain(value: object) -> Any:
    """Named tuples as objects."""
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: _plain(one) for name, one in value._asdict().items()}
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value
