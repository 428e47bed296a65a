"""`release verify`, `diff` and `push`: what a publisher does with a finished release."""

import json
from itertools import islice, takewhile
from typing import TYPE_CHECKING, Annotated

import typer

from valor_data.cli import show, takedown
from valor_data.cli.options import Json

if TYPE_CHECKING:
    from valor_data.stages.release import Diff

_MOST_CHANGES, _LONGEST = 20, 60

app = typer.Typer(help="Work on finished releases.", no_args_is_help=True)
takedown.add_to(app)


@app.callback()
def _group() -> None:
    pass


@app.command()
def verify(
    release: Annotated[
        str, typer.Argument(metavar="RELEASE_DIR", help="Folder or URL that holds manifest.json.")
    ],
    deep: Annotated[bool, typer.Option("--deep", help="Decode every clip, not a sample.")] = False,
    as_json: Json = False,
) -> None:
    """Hash, count and decode a release; exit code 1 and a line for each problem.

    Example: valor-data release verify desc_test/releases/desc_test-0.1.0
    """
    from valor_data import chain

    show.report(chain.verify(release, deep=deep), as_json=as_json)


@app.command()
def diff(
    old: Annotated[str, typer.Argument(metavar="OLD", help="Folder or URL of a release.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="Folder or URL of another one.")],
    as_json: Json = False,
) -> None:
    """Tell what was added, removed or changed between two releases, with media or without.

    Example: valor-data release diff releases/desc_test-0.1.0 releases/desc_test-0.2.0
    """
    from valor_data import chain

    with chain.release_diff(old, new) as found:
        if as_json:
            _as_json(found)
        else:
            _for_people(found)


@app.command()
def push(
    release: Annotated[str, typer.Argument(metavar="RELEASE_DIR", help="Folder or URL of the release.")],
    url: Annotated[
        str, typer.Argument(metavar="URL", help="Folder or fsspec URL that will be the release's own.")
    ],
    as_json: Json = False,
) -> None:
    """Copy a release elsewhere, its manifest last; what was copied and read back is not copied again.

    Example: valor-data release push releases/desc_test-0.1.0 s3://my-bucket/desc_test-0.1.0
    """
    from valor_data import chain

    show.report(chain.release_push(release, url), as_json=as_json)


def _as_json(found: "Diff") -> None:
    """One object, written as its changes stream."""
    head = {
        "command": "release diff",
        "ok": True,
        "old": {"name": found.old.name, "version": found.old.version},
        "new": {"name": found.new.name, "version": found.new.version},
        "said": found.said,
        "counts": found.counts,
    }
    print(f'{json.dumps(head, ensure_ascii=False)[:-1]}, "changes": [', end="")
    comma = ""
    for change in found.changes:
        print(f"{comma}\n{json.dumps(change._asdict(), ensure_ascii=False)}", end="")
        comma = ","
    print("]}")


def _for_people(found: "Diff") -> None:
    from valor_data.cli.rows import plain

    print(f"{found.old.name} {found.old.version} -> {found.new.name} {found.new.version}")
    if found.contradicts:
        print("  two releases of one version that do not hold the same")
    for name, (before, after) in found.said.items():
        if name.endswith(("sha256", "digest")):
            before, after = before[:12], after[:12]
        print(f"  {name:<16}{_cut(plain(before))} -> {_cut(plain(after))}")
    for name, count in found.counts.items():
        print(f"  {name:<10}{count:>12,}")
    for change in islice(found.changes, _MOST_CHANGES):
        before, after = (plain(" | ".join(side)) for side in (change.old, change.new))
        before, after = where_they_differ(before, after)
        print(f"  {change.change:<9} {change.clip_id}  {_cut(before) or '-'} -> {_cut(after) or '-'}")
    # Of a clip that changed in several ways, each counts.
    left = sum(found.counts.values()) - found.counts["same"] - _MOST_CHANGES
    if left > 0:
        print(f"  ... and {left:,} more: --json lists all")


def where_they_differ(old: str, new: str) -> tuple[str, str]:
    """Of long texts that begin alike the part from shortly before they differ."""
    alike = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(old, new, strict=False)))
    if max(len(old), len(new)) <= _LONGEST or alike < _LONGEST // 2:
        return old, new
    start = alike - _LONGEST // 4
    return f"…{old[start:]}", f"…{new[start:]}"


def _cut(told: str) -> str:
    return told if len(told) <= _LONGEST else f"{told[: _LONGEST - 1]}…"
