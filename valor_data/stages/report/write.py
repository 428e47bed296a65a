"""The page in the workspace."""

from collections.abc import Collection
from importlib import resources
from typing import NamedTuple

from valor_data import __version__, layout
from valor_data.page import escaped, page
from valor_data.records import OptOut
from valor_data.stages.report import parts
from valor_data.stages.report.facts import Facts, gather
from valor_data.stages.report.measures import measures
from valor_data.stages.report.sheet import sheet
from valor_data.workspace import Workspace

_BASE = "../"
"""From the page to the workspace."""


class Reported(NamedTuple):
    """What the page tells in numbers, and where it lies."""

    page: str
    """Its key."""
    counts: dict[str, int]
    """The funnel."""
    reasons: dict[str, dict[str, int]]
    """Stage -> reason -> clips."""


def report(workspace: Workspace, wishes: Collection[OptOut], annotating: str) -> Reported:
    """Write the page. `wishes` are those to opt out that the tables do not have yet; `annotating` is
    the part on annotators and their agreement as HTML, empty where there is none."""
    facts = gather(workspace, wishes)
    totals = facts.reasons["filter"] | {"": facts.counts["kept"]}
    told = {
        "funnel": ("The funnel", parts.funnel(facts)),
        "clips": ("Clips to look at", sheet(workspace.store, facts.drawn, totals, _BASE)),
        "measures": ("Measures", measures(facts.spreads, facts.thresholds)),
        "labels": ("Labels", parts.labels(facts)),
        "captions": ("Captions", parts.captions(facts.overview.statistics)),
        "splits": ("Splits, sources and terms", parts.splits(facts)),
        "availability": ("Availability", parts.availability(facts)),
        "annotators": ("Annotators and agreement", annotating),
        "releases": ("Releases", parts.releases(facts, _BASE)),
    }
    shown = {anchor: part for anchor, part in told.items() if part[1]}
    body = "\n".join(
        f'<section aria-labelledby="{anchor}"><h2 id="{anchor}">{title}</h2>\n{html}\n</section>'
        for anchor, (title, html) in shown.items()
    )
    made = page(
        f"{workspace.recipe.name}: report",
        _lead(facts),
        body,
        links=[(anchor, title) for anchor, (title, _) in shown.items()],
        foot=_foot(workspace),
        style=(resources.files(__package__) / "report.css").read_text(encoding="utf-8"),
    )
    workspace.store.put_bytes(layout.REPORT, made.encode())
    return Reported(layout.REPORT, facts.counts, facts.reasons)


def _lead(facts: Facts) -> str:
    said = facts.counts
    told = f"{said['listed']:,} clips listed, {said['fetched']:,} fetched, {said['kept']:,} kept"
    return f"{told}, {said['captioned']:,} of them with a caption, {said['released']:,} released."


def _foot(workspace: Workspace) -> str:
    profile, rules = workspace.recipe.profile, workspace.recipe.rules_digest[:16]
    return (
        f"<p><small>Made by valor-data {__version__} for the profile <code>{escaped(profile)}</code> and the "
        f"rules <code>{rules}</code>. Clips that were taken down, opted out or lie in quarantine are not "
        "shown. The pictures and captions are under the terms of their sources.</small></p>"
    )
