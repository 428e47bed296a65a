"""A recipe from its file, with errors that name file, key and mend."""

import difflib
import json
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from valor_data.errors import UserError
from valor_data.recipe.fetching import ListSpec, Segments
from valor_data.recipe.whole import Recipe

M = TypeVar("M", bound=BaseModel)


def load(path: str) -> Recipe:
    """The recipe in a TOML file, or the default recipe of a bare segment list.

    Relative paths are made absolute against the recipe's folder, and the workspace is filled in.
    Raises UserError that names the file, the key and the mend.
    """
    if path.startswith("-"):
        path = f"./{path}"
    if "://" not in path:
        _check_file(path)
    if not path.endswith(".toml"):
        name = re.sub(r"[^a-z0-9._-]+", "-", Path(path).name.lower().split(".")[0]).strip("-._")
        bare = Recipe(name=name[:63] or "dataset", segments=Segments(lists=(ListSpec(path=path),)))
        return _rooted(bare, path, folder=".")
    return _rooted(parse(read_toml(path), path), path, folder=str(Path(path).parent))


def read_toml(path: str) -> dict[str, Any]:
    """The content of a TOML file. Raises UserError where it is none."""
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise UserError(f"{path}: not readable as TOML: {error}") from error


def _check_file(path: str) -> None:
    try:
        exists, is_folder = Path(path).exists(), Path(path).is_dir()
    except OSError as error:  # such as a name that is too long, or a folder that may not be entered
        raise UserError(f"{path[:200]}: not readable: {error.strerror}. Check the path.") from error
    if not exists:
        raise UserError(f"{path}: no such file. Give a recipe (.toml) or a segment list.")
    if is_folder:
        raise UserError(f"{path} is a folder. Give a recipe (.toml) or a segment list.")


def parse(raw: dict[str, Any], name: str) -> Recipe:
    """A recipe from TOML's dict. Raises UserError naming `name`, the key and the nearest known key."""
    return validated(Recipe, raw, name)


def validated(model: type[M], raw: dict[str, Any], name: str) -> M:
    """The same for any closed TOML."""
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        told = "; ".join(_explain(fault, model) for fault in error.errors())
        raise UserError(f"{name}: {told}") from None


def _rooted(recipe: Recipe, path: str, folder: str) -> Recipe:
    raw = recipe.model_dump()
    for spec in raw["segments"]["lists"]:
        spec["path"] = absolute(spec["path"], folder)
    for mirror in raw["mirrors"]:
        mirror["at"] = absolute(mirror["at"], folder)
    raw["rights"]["opt_out"] = [absolute(path, folder) for path in raw["rights"]["opt_out"]]
    raw["safety"]["hash_lists"] = [absolute(path, folder) for path in raw["safety"]["hash_lists"]]
    if recipe.safety.nsfw_model:
        raw["safety"]["nsfw_model"] = absolute(recipe.safety.nsfw_model, folder)
    tagger = recipe.measure.tagger
    if tagger and (tagger.endswith(".tflite") or Path(folder, tagger).exists()):  # else a name on the hub
        raw["measure"]["tagger"] = absolute(tagger, folder)
    for benchmark in raw["benchmarks"]:
        for key in ("path", "workspace"):
            benchmark[key] = benchmark[key] and absolute(benchmark[key], folder)
    for subset in raw["subsets"]:
        subset["path"] = absolute(subset["path"], folder)
    if recipe.annotate.pages:
        raw["annotate"]["pages"] = absolute(recipe.annotate.pages, folder)
    if recipe.access.cookies:
        raw["access"]["cookies"] = absolute(recipe.access.cookies, folder)
    stem = Path(path).name.split(".")[0] or recipe.name
    raw["workspace"] = absolute(recipe.workspace, folder) if recipe.workspace else f"./{stem}"
    return Recipe.model_validate(raw)


def absolute(path: str, folder: str) -> str:
    """A path counted from a folder; an address as it is. Raises UserError for what no path can hold."""
    if "\0" in path:
        raise UserError(f"{path!r}: no path holds a NUL character; mend it in the recipe")
    return path if "://" in path else str(Path(folder, path).resolve())


def _explain(fault: Any, model: type[BaseModel]) -> str:
    key = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "literal_error":
        words = [str(word.strip("'")) for word in re.split(", | or ", fault["ctx"]["expected"])]
        return f"key {key!r}: no such word {fault['input']!r}; {_mend(str(fault['input']), words)}"
    if fault["type"] == "tuple_type":
        return f"key {key!r}: give a list, such as [{json.dumps(fault['input'])}]"
    if fault["type"] != "extra_forbidden":
        told = str(fault["msg"]).removeprefix("Value error, ")
        return f"key {key!r}: {told}" if key else told
    known = _known_keys(fault["loc"][:-1], model)
    return f"unknown key {key!r}; {_mend(str(fault['loc'][-1]), known)}"


def _mend(given: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(given, known, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"


def _known_keys(loc: tuple[Any, ...], model: type[BaseModel]) -> list[str]:
    for part in loc:
        if isinstance(part, str):
            model = _section(model.model_fields[part].annotation) or model
    return list(model.model_fields)


def _section(annotation: Any) -> type[BaseModel] | None:
    """The section that a key's type holds, be it one, a list of them, or none at all."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _section(part))), None)
