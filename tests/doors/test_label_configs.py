"""Label configs from the files that people edit."""

from pathlib import Path
from typing import get_args
from xml.etree import ElementTree

import pytest

from valor_data import layout
from valor_data.errors import UserError
from valor_data.labelstudio import config
from valor_data.labelstudio.config import Mode, Page, label_config


def _own(folder: Path, page: str, old: str, new: str) -> Path:
    """A folder with a page that somebody edited."""
    text = layout.asset("annotation", f"{page}.xml").read_text()
    assert old in text
    (folder / f"{page}.xml").write_text(text.replace(old, new))
    return folder


@pytest.mark.parametrize("page", get_args(Page))
@pytest.mark.parametrize("mode", get_args(Mode))
@pytest.mark.parametrize("options", [{}, {"hints": True}, {"events": True}, {"hints": True, "events": True}])
def test_every_page_is_built_in_every_mode(page: Page, mode: Mode, options: dict[str, bool]) -> None:
    built = label_config(page, mode, **options)
    root = ElementTree.fromstring(built)
    names = [element.get("name") for element in root.iter() if element.tag not in ("Style", "Markdown")]
    assert names.count("video") == 1
    assert not [element for element in root.iter() if element.get("only")]
    controls = [name for name in names if name]
    assert len(controls) == len(set(controls))
    assert ("$hints" in built) == (bool(options.get("hints")) and page != "qualify")
    assert ("events" in controls) == (bool(options.get("events")) and page == "caption")
    assert "Play the clip twice" in built
    assert "--clip" in built
    # Inside <Style> Label Studio would escape the sign and drop the rule.
    assert not [
        style for style in root.iter("Style") if "&gt;" in (style.text or "") or ">" in (style.text or "")
    ]


@pytest.mark.parametrize("page", get_args(Page))
def test_a_mode_withholds_a_sense(page: Page) -> None:
    muted = ElementTree.fromstring(label_config(page, "muted"))
    assert [player.get("muted") for player in muted.iter("Video")] == ["true"]
    assert not list(muted.iter("Audio"))
    screened = ElementTree.fromstring(label_config(page, "screen-off"))
    assert not list(screened.iter("Video"))
    assert len(list(screened.iter("Audio"))) == 1


@pytest.mark.parametrize("mode", ["muted", "screen-off"])
def test_a_page_of_ones_own_cannot_get_round_a_mode(tmp_path: Path, mode: Mode) -> None:
    hole = (
        """<HyperText name="more" value="&lt;video src='$video' controls&gt;"/><View className="vd-note">"""
    )
    folder = _own(tmp_path, "caption", '<View className="vd-note">', hole)
    with pytest.raises(UserError, match=r"caption\.xml: <HyperText> shows \$video, but mode"):
        label_config("caption", mode, folder=folder)
    assert "HyperText" in label_config("caption", folder=folder)


@pytest.mark.parametrize(
    ("page", "old", "new", "told"),
    [
        ("caption", 'name="caption"', 'name="text"', "the control caption is missing; add <TextArea"),
        ("caption", 'name="flags" toName="video"', 'name="flags"', "the control flags is missing"),
        ("caption", '<Choice value="unsafe" hotkey="x"/>', "", "flags lacks the choice unsafe"),
        ("caption", '<Label value="visible"', '<Label value="seen"', "events lacks the choice visible"),
        ("review", 'name="verdict"', 'name="judgement"', "the control verdict is missing"),
        ("review", '<Choice value="grammar" hotkey="g"/>', "", "reasons lacks the choice grammar"),
        ("review", 'name="fixed_caption"', 'name="fixed"', "the control fixed_caption is missing"),
        ("caption", '<Video only="-screen-off events"', '<Video only="muted"', "has no <Video> or <Audio>"),
        ("caption", 'only="hints"', 'only="hint"', 'only="hint" is none of av, events, hints'),
        ("caption", "</Choices>", "</Choice>", "not well-formed XML: mismatched tag"),
        ("caption", "<View className=\"vd\">", "<!DOCTYPE x [<!ENTITY y 'z'>]><View>", "no DOCTYPE"),
    ],
)  # fmt: skip
def test_a_fault_of_a_page_is_told_with_its_file(
    tmp_path: Path, page: Page, old: str, new: str, told: str
) -> None:
    folder = _own(tmp_path, page, old, new)
    with pytest.raises(UserError) as error:
        label_config(page, events=page == "caption", folder=folder)
    assert str(folder / f"{page}.xml") in str(error.value)
    assert told in str(error.value)


def test_a_folder_of_ones_own_need_not_hold_all(tmp_path: Path) -> None:
    (tmp_path / "guidelines.md").write_text("Write *little*.")
    built = label_config("caption", folder=tmp_path)
    assert "Write *little*." in built
    assert "Play the clip twice" not in built
    with pytest.raises(UserError, match="no such folder"):
        label_config("caption", folder=tmp_path / "missing")
    (tmp_path / "guidelines.md").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match=r"guidelines\.md: cannot be read as UTF-8"):
        label_config("caption", folder=tmp_path)


def test_guidelines_hold_no_html_and_no_task_data(tmp_path: Path) -> None:
    (tmp_path / "guidelines.md").write_text("<script>x</script> R&D costs $5, not $video\n\n- one\n")
    root = ElementTree.fromstring(label_config("caption", folder=tmp_path))
    text = next(place.get("value") for place in root.iter("Markdown") if place.get("value"))
    assert text == "&lt;script>x&lt;/script> R&amp;D costs &#36;5, not &#36;video\n\n- one\n"


def test_words_of_the_reader_stand_on_the_pages() -> None:
    values = {element.get("value") for page in get_args(Page) for element in _elements(page)}
    assert {*config.FLAGS, *config.VERDICTS, *config.REASONS} <= values


def _elements(page: Page) -> list[ElementTree.Element]:
    return list(ElementTree.fromstring(label_config(page)).iter())
