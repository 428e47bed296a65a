"""The pages, worked on as annotators do: keys and clicks in a real browser, clips played with their sound."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.annotate.conftest import SECONDS, Studio
from valor_data.labelstudio.config import ASIDE, label_config

pytestmark = pytest.mark.slow

CAPTION = "A red circle bounces off a brick wall while a drum beats steadily in the background."
HACK = "<img src=x onerror=\"window.hacked=1\"><b>bold</b> & 'quotes'"
_ROUGH = "A red ball bounce on a brick wall and a man claps slowly somewhere in the distance."
_RED = (225, 30, 35)
_PLAYER = "document.querySelector('video, audio')"
_FITS = """[...document.querySelectorAll("html, body, .lsf-wrapper *")].every((one) =>
    one.closest(".vd-guide, textarea, .lsf-timeline-frames") || one.scrollHeight <= one.clientHeight + 1
    || !["auto", "scroll"].includes(getComputedStyle(one).overflowY))"""
_SHOTS = os.environ.get("VALOR_DATA_SHOTS")  # a folder for screenshots of every page


@dataclass
class Hands:
    """An annotator's hands on a page; counts what they do."""

    page: Any
    keys: int = 0
    clicks: int = 0

    def press(self, *keys: str) -> None:
        """Press keys, each with its modifiers, one after the other."""
        for key in keys:
            self.page.keyboard.press(key)
            self.keys += 1

    def type(self, text: str) -> None:
        """Type words; they are not counted, for somebody has to write them."""
        self.page.keyboard.type(text)

    def click(self, selector: str) -> None:
        """Click the first thing that the selector finds."""
        self.page.locator(selector).first.click()
        self.clicks += 1

    def player(self, what: str) -> Any:
        """A property of the element that plays."""
        return self.page.evaluate(f"{_PLAYER}?.{what}")

    def wait(self, condition: str) -> None:
        """Wait until JavaScript says so."""
        self.page.wait_for_function(condition, timeout=10_000)

    def ready(self) -> None:
        """Wait until the clip can be played."""
        self.wait(f"{_PLAYER}?.readyState === 4 && document.querySelector('[data-testid^=playback-button]')")
        clip = "window.Htx.annotationStore.selected.names.get('video')"
        self.wait(f"{clip}.type === 'audio' ? {clip}._ws?.loaded : {clip}.isReady")

    def submit(self) -> None:
        """Send the answer and wait for the next clip, or for the end."""
        before = self.page.evaluate("window.Htx.task.id")
        self.press("Control+Enter")
        self.wait(f"window.Htx?.task?.id !== {before} || document.body.innerText.includes('No More Tasks')")

    def see(self, name: str) -> Image.Image:
        """What the screen shows; also a file where they are collected."""
        shot = self.page.screenshot()
        if _SHOTS:
            Path(_SHOTS, f"{name}.png").write_bytes(shot)
        return Image.open(io.BytesIO(shot)).convert("RGB")


@pytest.fixture
def work(studio: Studio, annotator: Any) -> Any:
    """Opens the labelling stream of a project; all pages fit their screen."""

    @contextmanager
    def opened(project: int) -> Iterator[Hands]:
        page = annotator.new_page()
        try:
            page.goto(f"{studio.server.login.url}/projects/{project}/data?labeling=1")
            hands = Hands(page)
            hands.ready()
            yield hands
            assert page.evaluate(_FITS), "the page scrolls"
        finally:
            page.close()

    return opened


def _share(picture: Image.Image, colour: tuple[int, int, int]) -> float:
    """The share of pixels that have about this colour."""
    near = sum(
        count
        for count, found in picture.getcolors(picture.width * picture.height) or ()
        if all(abs(a - b) < 40 for a, b in zip(found, colour, strict=True))
    )
    return near / (picture.width * picture.height)


def test_a_clip_is_captioned_by_keys_alone(studio: Studio, work: Any, capsys: Any) -> None:
    project = studio.project(label_config("caption", hints=True), hints="Drum; Inside, small room")
    with work(project) as hands:
        ranges: list[int] = []
        hands.page.on("response", lambda r: ranges.append(r.status) if "local-files" in r.url else None)
        hands.wait("document.activeElement.name === 'caption'")
        hands.press("F2")
        hands.wait(f"{_PLAYER}.currentTime > 1")
        assert hands.player("webkitAudioDecodedByteCount") > 5_000
        assert not hands.player("muted")
        assert hands.player("getBoundingClientRect().width") > 700
        hands.type(CAPTION)
        hands.wait("document.querySelector('.vd-words').dataset.text.startsWith('16 words, good length')")
        assert _share(hands.see("caption"), _RED) > 0.01
        assert "Drum; Inside" in hands.page.inner_text(".vd-work")
        hands.submit()
        hands.ready()
        assert 206 in ranges

        hands.wait("document.activeElement.name === 'caption'")
        hands.press("F2")
        hands.type(CAPTION)
        hands.press("Escape", "n", "c")
        hands.type(" Sure?")
        hands.submit()
    text = {"text": [CAPTION]}
    assert studio.answers(project)[0] == {"caption": text}
    assert studio.answers(project)[1] == {
        "flags": {"choices": ["not_sure"]}, "caption": {"text": [f"{CAPTION} Sure?"]}
    }  # fmt: skip
    with capsys.disabled():
        print(f"\ncaption: {hands.clicks} clicks, {(hands.keys - 3) / 2:g} keys a clip, 3 more with a flag")
    assert (hands.clicks, hands.keys) == (0, 7)


def test_a_clip_seeks_and_loops(studio: Studio, work: Any) -> None:
    with work(studio.project(label_config("caption"))) as hands:
        bar = hands.page.locator(".lsf-seeker").first.bounding_box()
        hands.page.mouse.click(bar["x"] + bar["width"] * 0.8, bar["y"] + bar["height"] / 2)
        hands.wait(f"Math.abs({_PLAYER}.currentTime - {SECONDS * 0.8}) < 0.3")
        hands.press("c", "F4", "F2")
        hands.wait(f"{_PLAYER}.currentTime < 2 && !{_PLAYER}.paused")  # round the end
        hands.press("F2")
        hands.wait(f"{_PLAYER}.paused")


def test_a_caption_is_not_needed_where_there_is_nothing_to_say(studio: Studio, work: Any) -> None:
    project = studio.project(label_config("caption"))
    with work(project) as hands:
        hands.press("Control+Enter")
        hands.page.wait_for_selector("text=Write the caption, or tick what is wrong")
        hands.page.locator(".ant-modal button").first.click()
        hands.page.wait_for_selector(".ant-modal", state="hidden")
        hands.press("Escape", "h")
        assert hands.page.is_visible("textarea[name=caption]")
        hands.press("s")
        hands.page.wait_for_selector("textarea[name=caption]", state="hidden")
        hands.see("flags")
        hands.submit()
        hands.ready()
        hands.press("Escape", "b")
        hands.submit()
    first, second = studio.answers(project)
    assert first["flags"] == {"choices": ["cannot_hear", "cannot_see"]}
    assert set(first) <= {"flags", *ASIDE}
    assert second == {"flags": {"choices": ["broken"]}}


def test_text_outlives_a_reload(studio: Studio, work: Any) -> None:
    with work(studio.project(label_config("caption"))) as hands:
        hands.type("Half a caption")
        hands.page.reload()
        hands.ready()
        hands.wait("document.activeElement.value === 'Half a caption'")


def test_a_muted_clip_cannot_be_heard(studio: Studio, work: Any) -> None:
    with work(studio.project(label_config("caption", "muted"))) as hands:
        hands.press("F2")
        hands.wait(f"{_PLAYER}.currentTime > 1")
        assert _share(hands.see("muted"), _RED) > 0.01
        assert hands.page.locator("audio").count() == 0
        for index in range(hands.page.locator(".vd-clip button").count()):
            hands.page.locator(".vd-clip button").nth(index).click(timeout=2_000)
            hands.page.keyboard.press("Escape")
        hands.press("m", "F2", "F4", "ArrowUp")
        assert hands.player("muted")


def test_a_screened_clip_cannot_be_seen(studio: Studio, work: Any) -> None:
    with work(studio.project(label_config("caption", "screen-off"))) as hands:
        hands.press("F2")
        hands.wait(f"{_PLAYER}.currentTime > 1")
        assert hands.player("tagName") == "AUDIO"
        assert hands.player("webkitAudioDecodedByteCount") > 5_000
        assert hands.page.locator("video").count() == 0
        assert _share(hands.see("screen-off"), _RED) == 0
        hands.press("F4")
        hands.wait(f"{_PLAYER}.currentTime > {SECONDS - 1}")
        hands.wait(f"{_PLAYER}.currentTime < 2 && !{_PLAYER}.paused")


def test_events_are_drawn_on_the_timeline(studio: Studio, work: Any) -> None:
    project = studio.project(label_config("caption", events=True))
    with work(project) as hands:
        hands.type(CAPTION)
        hands.press("Escape", "1")
        lane = hands.page.locator(
            ".lsf-timeline-frames__scroll, [class*=frames__scroll]"
        ).first.bounding_box()
        y = lane["y"] + lane["height"] / 2
        hands.page.mouse.move(lane["x"] + 250, y)
        hands.page.mouse.down()
        hands.page.mouse.move(lane["x"] + 400, y, steps=5)
        hands.page.mouse.up()
        hands.see("events")
        hands.submit()
    events = studio.answers(project)[0]["events"]
    assert events["timelinelabels"] == ["audible"]
    assert 1 <= events["ranges"][0]["start"] < events["ranges"][0]["end"] <= SECONDS * 12


def test_a_caption_is_reviewed_by_keys_alone(studio: Studio, work: Any, capsys: Any) -> None:
    project = studio.project(label_config("review"), caption=_ROUGH, caption_id="0" * 24)
    with work(project) as hands:
        assert _ROUGH in hands.page.inner_text(".vd-caption")
        hands.see("review")
        hands.press("F2", "2", "w", "c", "Control+A")
        hands.type(CAPTION)
        hands.see("review-fix")
        hands.submit()
        fixed = hands.keys
        hands.ready()
        hands.press("F2", "1")
        hands.submit()
        accepted = hands.keys - fixed
        hands.ready()
        hands.press("F2", "3", "h")
        hands.submit()
    assert studio.answers(project) == [
        {"verdict": {"choices": ["fix"]}, "reasons": {"choices": ["wrong"]},
         "fixed_caption": {"text": [CAPTION]}},
        {"verdict": {"choices": ["accept"]}},
        {"verdict": {"choices": ["reject"]}, "reasons": {"choices": ["hallucinated"]}},
    ]  # fmt: skip
    with capsys.disabled():
        print(f"\nreview: {hands.clicks} clicks; {accepted} keys to accept, {fixed} to fix")


def test_words_of_others_are_words_on_the_page(studio: Studio, work: Any) -> None:
    config = label_config("review", hints=True)
    with work(studio.project(config, hints=HACK, caption=HACK, caption_id="0" * 24)) as hands:
        assert hands.page.inner_text(".vd-work").count(HACK) == 2
        hands.press("2")
        hands.wait("document.querySelector('textarea').value.startsWith('<img')")
        assert not hands.page.evaluate("window.hacked")


def test_the_qualification_asks_what_is_heard(studio: Studio, work: Any) -> None:
    project = studio.project(label_config("qualify"))
    with work(project) as hands:
        hands.type(CAPTION)
        hands.press("Escape", "6")
        hands.see("qualify")
        hands.submit()
    assert studio.answers(project)[0] == {"heard": {"choices": ["impact"]}, "caption": {"text": [CAPTION]}}


def test_the_guidelines_are_a_page_of_words(studio: Studio, work: Any, tmp_path: Path) -> None:
    Path(tmp_path, "guidelines.md").write_text(f"**Say** what you see.\n\n- $5 & more\n- {HACK}\n")
    with work(studio.project(label_config("caption", folder=tmp_path))) as hands:
        hands.click(".ant-collapse-header")
        hands.page.wait_for_selector(".vd-guide li")
        assert "$5 & more" in hands.page.inner_text(".vd-guide")
        assert HACK in hands.page.inner_text(".vd-guide")
        assert hands.page.locator(".vd-guide img, .vd-guide b").count() == 0
        assert not hands.page.evaluate("window.hacked")
    with work(studio.project(label_config("caption"))) as hands:
        hands.click(".ant-collapse-header")
        hands.page.wait_for_selector(".vd-guide li >> nth=-1")
        hands.page.wait_for_timeout(500)  # it unfolds
        hands.see("guidelines")
