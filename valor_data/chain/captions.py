"""Captions: those that exist, and those of our annotators."""

import importlib.util
import os
from pathlib import Path

from valor_data import layout
from valor_data.chain.notes import DEFAULTS, Notes, Options, reading, root_of, take_funnel, writing
from valor_data.errors import UserError
from valor_data.labelstudio import server
from valor_data.labelstudio.client import Studio
from valor_data.recipe import ListSpec, Recipe
from valor_data.records import Report
from valor_data.stages import annotate, importing
from valor_data.stages import decide as deciding
from valor_data.stages import optout as opting_out
from valor_data.workspace import Workspace

TOKEN = "LABEL_STUDIO_API_KEY"
"""Environment variable with a Label Studio token, legacy or personal."""
DATABASE = "VALOR_DATA_DATABASE"
"""Environment variable with `postgresql://user:password@host:port/name`: arguments are seen by every user."""

_MOST_ROWS = 20


def import_captions(recipe: Recipe, options: Options = DEFAULTS, *, spec: ListSpec | None = None) -> Report:
    """Captions of one file, or else of the recipe's own lists, as `Caption` rows; a list may lack any.

    Raises UserError where no caption is in any of them.
    """
    specs = (spec,) if spec else recipe.segments.lists
    with writing("annotate import", recipe, options) as (workspace, notes):
        captions = unknown = bad = 0
        is_any = False
        for one in specs:
            imported = importing.import_captions(workspace, one)
            is_any |= imported.found
            captions += imported.captions
            unknown += imported.unknown_clips
            bad += len(imported.bad_rows)
            notes.warnings += [f"{Path(one.path).name}:{row}" for row in imported.bad_rows[:_MOST_ROWS]]
            if imported.unknown_clips:
                notes.warnings.append(
                    f"{Path(one.path).name}: {imported.unknown_clips} clips are in no list of this "
                    "workspace; their captions stay out"
                )
        if not is_any:
            names = ", ".join(Path(one.path).name for one in specs)
            raise UserError(f"{names}: no caption in it; a column 'caption' (or 'desc') is needed")
        notes.counts |= {"new_captions": captions, "unknown_clips": unknown, "bad_rows": bad}
        take_funnel(workspace, notes, "captioned", "accepted")
    return notes.report()


def serve(recipe: Recipe, options: Options = DEFAULTS, *, port: int = 0) -> server.Server:
    """A Label Studio server on this machine for the workspace's clips, started; who calls stops it. It keeps
    its data in SQLite, or in the database whose address is in VALOR_DATA_DATABASE.

    Raises UserError: the workspace is no folder or has no clip, the port is taken, or a link leads out of it.
    """
    root = Path(root_of(recipe, options))
    if "://" in root_of(recipe, options):
        raise UserError(
            f"{root}: clips are served from a folder; give annotate.media = 'signed' and your own server"
        )
    return server.start(_home(root), root / layout.OBJECTS, port=port, database=os.environ.get(DATABASE))


def push(recipe: Recipe, options: Options = DEFAULTS, *, review: bool = False) -> Report:
    """Questions for captions to Label Studio, or with `review` the checks of those that have come back."""
    with writing("annotate review" if review else "annotate push", recipe, options) as (workspace, notes):
        opting_out.load(workspace)
        with open_studio(workspace) as studio:
            annotate.take_down(workspace, studio)
            done = annotate.push(workspace, studio, review=review, progress=options.progress)
        notes.counts |= {"tasks": done.wanted, "new": done.new, "withdrawn": done.withdrawn}
        notes.outputs += done.projects
        notes.warnings += done.warnings
    return notes.report()


def pull(recipe: Recipe, options: Options = DEFAULTS) -> Report:
    """Answers from Label Studio to rows: captions and reviews. Their texts are checked, and a clip that
    anybody called unsafe is taken back from all."""
    with writing("annotate pull", recipe, options) as (workspace, notes):
        opting_out.load(workspace)
        languages = importlib.util.find_spec("py3langid") is not None
        with open_studio(workspace) as studio:
            annotate.take_down(workspace, studio)
            got = annotate.pull(workspace, studio)
            checked = annotate.check(workspace, languages=languages)
            if got.unsafe:
                deciding.decide(workspace)
            withdrawn = annotate.take_back(workspace, studio)
        notes.counts |= {
            "answers": got.answers,
            "new_captions": got.captions,
            "new_reviews": got.reviews,
            "sent_back": checked.back,
            "unsafe": got.unsafe,
            "withdrawn": withdrawn,
        }
        if recipe.annotate.qualify:
            notes.counts |= {"passed": got.passed, "waiting": got.waiting}
        notes.reasons.update(checked.faulty)
        notes.outputs += got.outputs
        _tell_odd(got, notes)
        if not languages:
            notes.warnings.append("no language was told: run pip install 'valor-data[text]'")
        take_funnel(workspace, notes, "captioned", "accepted")
    return notes.report()


def forget(recipe: Recipe, options: Options, pseudonym: str) -> Report:
    """Cut the link from a pseudonym to a person, in the workspace's own file and in what was kept of pulls.

    Raises UserError where nobody has that pseudonym.
    """
    with writing("annotate forget", recipe, options) as (workspace, notes):
        notes.counts["raw_files"] = annotate.forget(workspace, pseudonym)
    return notes.report()


def readmit(recipe: Recipe, options: Options, pseudonym: str) -> Report:
    """Annul the last attempt of somebody who failed the test, who may then try once more.

    Raises UserError where the recipe asks for no test, or there is nothing to annul.
    """
    if not recipe.annotate.qualify:
        raise UserError("this recipe asks for no test: annotate.qualify is false")
    with writing("annotate readmit", recipe, options) as (workspace, notes):
        notes.counts["attempt"] = annotate.readmit(workspace, pseudonym)
        notes.warnings.append("run 'valor-data annotate push', which opens that attempt")
    return notes.report()


def agreement(recipe: Recipe, options: Options = DEFAULTS) -> annotate.Agreed:
    """How far annotators and checkers agree, what their work is worth and what it costs; a page of it is
    written into the workspace, and nothing else."""
    with reading(recipe, options) as workspace:
        return annotate.agree(workspace)


def _tell_odd(got: annotate.Pulled, notes: Notes) -> None:
    if got.foreign:
        notes.warnings.append(f"{got.foreign} tasks in our projects were not pushed from here; they stay out")
    if got.odd:
        notes.warnings.append(f"{got.odd} answers have an odd form; see 'odd' in the table answers")
    if got.own:
        notes.warnings.append(
            f"{got.own} answers are by people who must not give them, such as a check of their own "
            "caption; they do not count. Send each person his own queue, as 'annotate push' prints it"
        )
    if got.waiting:
        notes.warnings.append(
            f"{got.waiting} captions and checks wait: their authors have not passed the test. The table "
            "qualifications tells who has; 'annotate push' opens a second attempt"
        )


def _home(root: Path) -> Path:
    return root / "annotation" / "server"


def open_studio(workspace: Workspace) -> Studio:
    """The server that the recipe names, or the one that `serve` started for the workspace."""
    url, token = workspace.recipe.annotate.url, os.environ.get(TOKEN)
    if url is not None and token:
        return Studio(url, token)
    if not workspace.store.is_local:
        raise UserError(f"give annotate.url in the recipe and a token in {TOKEN}")
    login = server.read_login(_home(Path(workspace.store.root)))
    if url is not None and url.rstrip("/") != login.url:
        raise UserError(f"{url}: no token for this server; give one in {TOKEN}")
    return Studio(login.url, token or login.token)
