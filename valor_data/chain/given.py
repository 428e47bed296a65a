"""What a checkpoint is to describe: files, releases, a workspace's clips; and what of it is still to do."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from valor_data import layout
from valor_data import recipe as recipes
from valor_data.chain.notes import Notes, Options, root_of
from valor_data.errors import UserError
from valor_data.manifest import SplitName
from valor_data.recipe import Recipe
from valor_data.shards import ReleaseReader, manifest_of
from valor_data.stages import optout as opting_out
from valor_data.store import Store
from valor_data.workspace import Workspace

if TYPE_CHECKING:
    from valor_data.train.describe import Model
    from valor_data.train.looking import Source, Task

_ASKED_AT_A_TIME = 8_192
_RECIPES = (".toml", ".json", ".jsonl", ".csv", ".tsv")


class Given(NamedTuple):
    """What is to be described."""

    files: list[str]
    readers: list[ReleaseReader]
    revoked: dict[str, int]
    """Release -> its clips that were taken down, where there are any."""


class Album(NamedTuple):
    """Clips that can be looked at, one after the other."""

    sources: "list[Source]"
    tasks: "Iterable[Task]"
    many: int
    """How many they are at most."""


def is_recipe(what: str) -> bool:
    """Whether it is a recipe, or a bare segment list that stands for one."""
    return "://" not in what and what.endswith(_RECIPES) and Path(what).is_file()


def given_of(what: Sequence[str], split: SplitName | None) -> Given:
    """Files and releases. Raises UserError for what is neither."""
    files: list[str] = []
    readers: list[ReleaseReader] = []
    revoked: dict[str, int] = {}
    for one in what:
        folder = Path(one)
        if "://" not in one and folder.is_file():
            files.append(one)
            continue
        if "://" not in one and not (one and folder.is_dir()):
            told = "neither file nor folder" if one and folder.exists() else "no such file"
            raise UserError(f"{one or repr(one)}: {told}; give a video or sound file, a release or a recipe")
        if layout.youtube_id(one):
            raise UserError(f"{one}: a video page; list it and fetch it first: 'valor-data fetch LIST'")
        if folder.is_dir() and not (folder / layout.MANIFEST).is_file():
            mend = (
                "a workspace; give its recipe in place of it"
                if (folder / layout.TABLES).is_dir()
                else f"a folder, and no release; name the files in it, such as {one.rstrip('/')}/*.mp4"
            )
            raise UserError(f"{one}: {mend}")
        store = Store.open(one)
        reader = ReleaseReader(store, split)
        held = sum(shard.samples for shard in manifest_of(store).shards if split in (None, shard.split))
        if not held:
            raise UserError(f"{one}: no clip in its split {split!r}" if split else f"{one}: it has no clip")
        readers.append(reader)
        if held > len(reader):
            revoked[one] = held - len(reader)
    if split is not None and not readers:
        raise UserError("--split: only a release has splits; leave it out")
    return Given(files, readers, revoked)


def into(what: Sequence[str], options: Options, split: SplitName | None) -> tuple[Recipe, Given | None]:
    """The recipe of a workspace, and what is described beside its own clips; None: these.

    Raises UserError where there is no workspace.
    """
    asked = [one for one in what if is_recipe(one)]
    if asked and len(what) > 1:
        raise UserError(f"{asked[0]}: a recipe stands for all its clips; give it alone")
    if asked and split:
        raise UserError("--split: only a release has splits; leave it out")
    given = None if asked else given_of(what, split)
    # A lock and a place are all that is needed of a recipe where none is given.
    recipe = recipes.load(asked[0]) if asked else Recipe(name="workspace")
    root = root_of(recipe, options)
    if not any(Store.open(root).list(layout.TABLES)):
        raise UserError(f"{root}: no workspace there; 'valor-data fetch RECIPE' makes one")
    return recipe, given


def shown(model: "Model", given: Given) -> Album:
    """Files and releases, in the order in which they were given."""
    from valor_data.train.looking import Films, Released, Task

    config = model.opened.config
    sources: list[Source] = [Films(config), *(Released(reader, config) for reader in given.readers)]
    tasks = chain(
        (Task(path, path) for path in given.files),
        (
            Task(reader[number].key, number, source)
            for source, reader in enumerate(given.readers, 1)
            for number in range(len(reader))
        ),
    )
    return Album(sources, tasks, len(given.files) + sum(map(len, given.readers)))


def of_workspace(workspace: Workspace, model: "Model", given: Given | None) -> Album:
    """What is given; or the clips of the workspace that its recipe keeps and that may be shown. Raises
    UserError where there is none."""
    from valor_data.train.looking import Stored, Task

    if given is not None:
        return shown(model, given)
    opting_out.load(workspace)
    recipe = workspace.recipe
    found = workspace.tables.funnel(recipe.profile, recipe.rules_digest)[0]["kept"]
    if not found:
        raise UserError(f"{workspace.root}: no kept clip; 'valor-data filter RECIPE' decides which are kept")

    def tasks() -> "Iterator[Task]":
        # Asked for only when the workers stand: nothing of a query shall be open where they fork.
        kept = workspace.tables.releasable(recipe.profile, recipe.rules_digest, 0, 0, require_caption=False)
        for batch in kept:
            columns = (batch[name].to_pylist() for name in ("clip_id", "object_key"))
            yield from (Task(str(clip), str(key)) for clip, key in zip(*columns, strict=True))

    return Album([Stored(workspace.store, model.opened.config)], tasks(), found)


class Missing:
    """Of some tasks those whose clips the tables know and have nothing of yet; the others are counted."""

    def __init__(self, workspace: Workspace, notes: Notes, made_by: str, author: str | None) -> None:
        self._workspace, self._counts, self._by = workspace, notes.counts, (made_by, author)
        self._counts |= {"clips": 0, "new": 0, "there": 0, "unknown": 0, "barred": 0}
        self.revisions: dict[str, int] = {}
        """Clip -> the revision of its caption that is to be replaced."""

    def of(self, tasks: "Iterable[Task]") -> "Iterator[Task]":
        """Asked some thousand at a time, named by clip_id."""
        tasks = iter(tasks)
        while some := list(islice(tasks, _ASKED_AT_A_TIME)):
            self._counts["clips"] += len(some)
            named = [task._replace(name=_clip_of(task.name)) for task in some]
            clips = {task.name for task in named if task.name}
            found = self._workspace.tables.standing(clips, *self._by)
            for task in named:
                state, revision = found[task.name] if task.name else ("unknown", 0)
                if state == "missing":
                    if revision:
                        self.revisions[task.name] = revision
                    yield task
                else:
                    self._counts[state] += 1

    def check(self, what: Sequence[str]) -> None:
        """Raises UserError where the workspace knows none of the clips."""
        if self._counts["clips"] and self._counts["unknown"] == self._counts["clips"]:
            raise UserError(
                f"{self._workspace.root}: none of the {self._counts['clips']} clips of {', '.join(what)} is "
                "in this workspace; name the one that they were made from (files by their clip_id)"
            )


def _clip_of(name: str) -> str:
    """The clip_id that a name is, or that a file is named by in whichever form; empty: none."""
    stem = Path(name).stem
    for read in (layout.parse_clip_id, layout.parse_official_id):
        for text in (name, stem):
            try:
                return layout.clip_id(*read(text))
            except ValueError:
                continue
    return ""
