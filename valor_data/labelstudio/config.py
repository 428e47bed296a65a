"""The pages that annotators work on, built from the files in `annotation/`, which people edit.

    only="muted"              the element stands on the page of that mode only (av, muted, screen-off)
    only="events -screen-off" every word must hold; a minus turns one round; also: hints, events
    <Markdown name="guidelines"/> takes the text of guidelines.md, <Style name="page"/> that of page/page.css

A folder of one's own may hold some of these files; what it lacks is taken from those that ship.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple, get_args
from xml.etree import ElementTree

from valor_data import layout
from valor_data.errors import UserError

Page = Literal["caption", "qualify", "review"]
Mode = Literal["av", "muted", "screen-off"]
"""What a person is given of the clip: both senses, the picture alone, the sound alone."""

FLAGS = ("cannot_hear", "cannot_see", "broken", "unsafe", "not_sure")
VERDICTS = ("accept", "fix", "reject")
REASONS = ("missing_sound", "missing_visual", "hallucinated", "grammar", "wrong")
EVENTS = ("audible", "visible", "both")
ASIDE = ("no_caption", "heard")
"""Controls that serve the page or the qualification; no caption or review is read from them."""
WITHHELD: dict[Mode, tuple[str, ...]] = {
    "av": (), "muted": ("cannot_hear", "audible", "both"), "screen-off": ("cannot_see", "visible", "both"),
}  # fmt: skip
"""Choices that say nothing in a mode, so its page may lack them."""

GUIDELINES, STYLE = "guidelines.md", "page/page.css"
_CLIP = "video"  # the name of the player, which every control points at
_OPTIONS = ("hints", "events")
_PLAYERS = {"av": ("Video", "Audio"), "muted": ("Video",), "screen-off": ("Audio",)}


class _Control(NamedTuple):
    name: str
    tags: tuple[str, ...]
    values: tuple[str, ...] = ()


_CAPTION = (_Control("caption", ("TextArea",)), _Control("flags", ("Choices",), FLAGS))
_CONTROLS: dict[Page, tuple[_Control, ...]] = {
    "caption": _CAPTION,
    "qualify": _CAPTION,
    "review": (
        _Control("verdict", ("Choices",), VERDICTS),
        _Control("reasons", ("Choices",), REASONS),
        _Control("fixed_caption", ("TextArea",)),
    ),
}
_EVENTS = _Control("events", ("TimelineLabels", "Labels"), EVENTS)


def label_config(
    page: Page, mode: Mode = "av", *, hints: bool = False, events: bool = False, folder: Path | None = None
) -> str:
    """The label config of a project, ready for Label Studio.

    `hints`: show the labels that the list came with. `events`: let people mark when something is heard or
    seen (caption page). `folder`: a folder with edited files, else those that ship.
    Raises UserError that names the file and its fault, such as a missing control that answers are read from.
    """
    path = _file(f"{page}.xml", folder)
    root = _parse(path)
    held = {mode, *(word for word, wanted in zip(_OPTIONS, (hints, events), strict=True) if wanted)}
    _keep_only(root, held, path)
    _fill_in(root, folder)
    if mode == "muted":
        for player in root.iter("Video"):
            player.set("muted", "true")
    _check_players(root, mode, path)
    for control in (*_CONTROLS[page], *((_EVENTS,) if events and page == "caption" else ())):
        _check_control(root, control, WITHHELD[mode], path)
    return ElementTree.tostring(root, encoding="unicode")


def markdown(text: str) -> str:
    """Markdown in which nothing is HTML and nothing stands for task data, for the page shows both."""
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), ("$", "&#36;")):
        text = text.replace(character, entity)
    return text


def _file(name: str, folder: Path | None) -> Path:
    if folder is not None and not folder.is_dir():
        raise UserError(f"{folder}: no such folder; copy annotation/ there and edit what you need")
    own = folder / name if folder is not None else None
    return own if own is not None and own.is_file() else layout.asset("annotation", name)


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as UTF-8 text: {error}") from error


def _parse(path: Path) -> ElementTree.Element:
    text = _read(path)
    if re.search(r"<!(DOCTYPE|ENTITY)", text):
        raise UserError(f"{path}: a label config holds no DOCTYPE and no entities; remove them")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        line, column = error.position
        raise UserError(f"{path}: line {line}, column {column}: not well-formed XML: {error.msg}") from error
    if root.tag != "View":
        raise UserError(f"{path}: begins with <{root.tag}>; a label config is one <View>")
    return root


def _keep_only(parent: ElementTree.Element, held: set[str], path: Path) -> None:
    known = {*get_args(Mode), *_OPTIONS}
    for element in list(parent):
        words = element.attrib.pop("only", "").split()
        for word in words:
            if word.removeprefix("-") not in known:
                raise UserError(f'{path}: only="{word}" is none of {", ".join(sorted(known))}')
        if all((word.removeprefix("-") in held) != word.startswith("-") for word in words):
            _keep_only(element, held, path)
        else:
            parent.remove(element)


def _fill_in(root: ElementTree.Element, folder: Path | None) -> None:
    for place in root.iter("Markdown"):
        if place.attrib.pop("name", None) == "guidelines":
            place.set("value", markdown(_read(_file(GUIDELINES, folder))))
    for place in root.iter("Style"):
        if place.attrib.pop("name", None) == "page":
            place.text = f"\n{_read(_file(STYLE, folder))}"


def _check_players(root: ElementTree.Element, mode: Mode, path: Path) -> None:
    """In a mode that withholds a sense, nothing but the one player may get at the clip."""
    if not any(element.tag in _PLAYERS[mode] for element in _named(root, _CLIP)):
        wanted = " or ".join(f"<{tag}>" for tag in _PLAYERS[mode])
        raise UserError(f'{path}: has no {wanted} with name="{_CLIP}" in mode {mode}; nothing would play')
    for element in root.iter():
        text = " ".join((*element.attrib.values(), element.text or ""))
        if re.search(r"\$video\b", text) and element.tag not in _PLAYERS[mode] and mode != "av":
            raise UserError(f"{path}: <{element.tag}> shows $video, but mode {mode} withholds part of it")


def _check_control(
    root: ElementTree.Element, control: _Control, withheld: tuple[str, ...], path: Path
) -> None:
    wanted = f'<{control.tags[0]} name="{control.name}" toName="{_CLIP}">'
    found = next((e for e in _named(root, control.name) if e.tag in control.tags), None)
    if found is None or found.get("toName") != _CLIP:
        raise UserError(f"{path}: the control {control.name} is missing; add {wanted}")
    values = {element.get("alias") or element.get("value") for element in found.iter()}
    for value in control.values:
        if value not in values and value not in withheld:
            raise UserError(f"{path}: {control.name} lacks the choice {value}; answers are read by this word")


def _named(root: ElementTree.Element, name: str) -> Iterator[ElementTree.Element]:
    return (element for element in root.iter() if element.get("name") == name)
