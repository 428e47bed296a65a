"""Captions that exist elsewhere become `Caption` rows of clips that the workspace lists."""

from typing import NamedTuple

from valor_data import segments
from valor_data.recipe import ListSpec
from valor_data.records import Segment
from valor_data.workspace import Workspace


class Imported(NamedTuple):
    """What one file of captions gave."""

    found: bool
    """Whether it holds any caption."""
    captions: int
    """Caption rows that are new or changed."""
    unknown_clips: int
    """Clips of the file that no list of the workspace names; their captions stay out."""
    bad_rows: list[str]
    """`line: reason` of every row that could not be read."""


def import_captions(workspace: Workspace, spec: ListSpec) -> Imported:
    """The captions of any list form that carries them (docs/format.md).

    A caption whose text changed becomes a new revision. Raises UserError for a file that cannot be read.
    """
    reader = segments.open_list(spec, workspace.recipe.segments.seconds, addresses=False)
    bad_rows: list[str] = []
    found = False

    with workspace.tables.segment_staging() as staging:
        for row in reader:
            if not isinstance(row, Segment):
                bad_rows.append(f"{row.line}: {row.reason}")
            elif row.captions:
                found = True
                staging.add([row])
        merged = staging.merge_captions(reader.name, reader.author, spec.language)
    return Imported(found, merged.captions, merged.unknown_clips, bad_rows)
