"""Annotations as a server keeps them, sound ones and whatever else may stand there."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from valor_data.labelstudio.answers import said

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
NAMES = st.sampled_from(
    ["caption", "flags", "verdict", "reasons", "fixed_caption", "events", "no_caption", "x"]
)
KEYS = st.sampled_from(["text", "choices", "ranges", "start", "end", "timelinelabels", "labels"])
REGION = st.fixed_dictionaries({"from_name": NAMES, "value": st.dictionaries(KEYS, JSON, max_size=4) | JSON})


@given(
    JSON | st.fixed_dictionaries({"result": st.lists(REGION | JSON, max_size=5), "lead_time": JSON}),
    st.floats(),
)
def test_nothing_that_a_server_may_hold_stops_a_pull(annotation: Any, fps: float) -> None:
    told = said(annotation if isinstance(annotation, dict) else {"result": annotation}, fps)
    assert len(told.event_spans_ms) == 2 * len(told.event_senses)
    assert told.lead_ms >= 0


def region(name: str, **value: Any) -> dict[str, Any]:
    return {"from_name": name, "to_name": "video", "value": value}


def test_what_a_person_said_is_read() -> None:
    told = said(
        {
            "result": [
                region("caption", text=["  A dog barks.\n"]),
                region("flags", choices=["not_sure", "not_sure"]),
                region("no_caption", choices=["yes"]),
                region("events", ranges=[{"start": 1, "end": 25}], timelinelabels=["both"]),
                region("events", start=1.5, end=2.25, labels=["audible"]),
            ],
            "lead_time": 12.3456,
        },
        25.0,
    )
    assert (told.text, told.flags, told.odd) == ("A dog barks.", ("not_sure",), ())
    assert (told.event_spans_ms, told.event_senses) == ((0, 1000, 1500, 2250), ("av", "a"))
    assert (told.lead_ms, told.skipped) == (12346, False)


@pytest.mark.parametrize(
    ("result", "odd"),
    [
        ([region("mood", choices=["blue"])], ("unknown_region",)),
        (["?"], ("unknown_region",)),
        ([region("flags", choices=["loud"])], ("unknown_choice",)),
        ([region("caption", text=["One.", "Two."])], ("two_captions",)),
        ([region("caption", text="One."), region("caption", text="Two.")], ("two_captions",)),
        ([region("events", ranges=[], timelinelabels=["both"])], ("bad_event",)),
        ([region("events", ranges=[{"start": 9, "end": 2}], timelinelabels=["both"])], ("bad_event",)),
        ([region("events", start=float("nan"), end=1, labels=["audible"])], ("bad_event",)),
        ([region("flags", choices=5)], ("unknown_choice",)),
        ([region("events", ranges=5, timelinelabels=7)], ("bad_event",)),
        ([region("events", ranges=[{"start": 1e308, "end": 1}], timelinelabels=["both"])], ("bad_event",)),
        ("no list", ()),
    ],
)
def test_what_is_odd_is_told(result: Any, odd: tuple[str, ...]) -> None:
    assert said({"result": result}, 25.0).odd == odd


@pytest.mark.parametrize("lead", [None, -1, float("inf"), float("nan"), "12", True])
def test_a_time_that_is_none_is_told_as_none(lead: Any) -> None:
    assert said({"result": [], "lead_time": lead}, 25.0).lead_ms == 0


def test_the_later_of_two_captions_and_the_checkers_text_count() -> None:
    assert said({"result": [region("caption", text=["One.", " Two. "])]}, 25.0).text == "Two."
    fixed = [region("verdict", choices=["fix"]), region("fixed_caption", text=["Better."])]
    assert (said({"result": fixed}, 25.0).text, said({"result": fixed}, 25.0).verdict) == ("Better.", "fix")
