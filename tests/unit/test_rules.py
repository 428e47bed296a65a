"""Rules: what breaks, which reason wins, what a missing number does."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from valor_data import rules
from valor_data.errors import UserError
from valor_data.recipe import Rule

QUIET = Rule(metric="loudness_lufs", min=-55.0, reason="inaudible")
SOUND = Rule(metric="has_audio", equals=True, reason="no_audio")
NUMBER = st.none() | st.floats(-100, 10)


def columns(loudness: list[float | None], sound: list[bool] | None = None) -> dict[str, rules.Column]:
    return {
        "loudness_lufs": np.array(loudness, dtype=np.float64),
        "has_audio": np.array([True] * len(loudness) if sound is None else sound, dtype=object),
    }


def test_a_clip_is_kept_when_no_rule_breaks() -> None:
    verdicts = rules.decide(columns([-20.0, -70.0, -55.0]), [SOUND, QUIET], 3)
    assert verdicts.kept.tolist() == [True, False, True]
    assert verdicts.reason == ["", "inaudible", ""]
    assert verdicts.detail[1] == "loudness_lufs -70 < -55"


def test_the_first_broken_rule_gives_the_reason_and_every_rule_is_counted() -> None:
    verdicts = rules.decide(columns([None, -70.0], [False, True]), [SOUND, QUIET], 2)
    assert verdicts.reason == ["no_audio", "inaudible"]
    assert verdicts.detail[0] == "has_audio is false, not true"
    assert verdicts.dropped == {"no_audio: has_audio = true": 1, "inaudible: loudness_lufs >= -55": 2}


def test_a_missing_number_can_be_let_through() -> None:
    lenient = QUIET.model_copy(update={"missing": "keep"})
    assert rules.decide(columns([None]), [lenient], 1).kept.tolist() == [True]
    strict = rules.decide(columns([None]), [QUIET], 1)
    assert strict.detail == ["loudness_lufs is not defined for this clip"]


def test_an_unknown_metric_is_the_users_mistake() -> None:
    with pytest.raises(UserError, match="'loudness': no such measure; known: has_audio, loudness_lufs"):
        rules.decide(columns([1.0]), [Rule(metric="loudness", min=0.0, reason="x")], 1)


def test_min_on_words_is_the_users_mistake() -> None:
    with pytest.raises(UserError, match="need a number"):
        rules.decide(columns([1.0]), [Rule(metric="has_audio", min=0.0, reason="x")], 1)


def test_no_clip_gives_no_verdict() -> None:
    assert rules.decide(columns([]), [SOUND, QUIET], 0).reason == []


@given(values=st.lists(NUMBER, max_size=30), ends=st.tuples(st.floats(-100, 10), st.floats(-100, 10)))
def test_kept_is_what_a_plain_loop_would_keep(values: list[float | None], ends: tuple[float, float]) -> None:
    low, high = sorted(ends)
    rule = Rule(metric="loudness_lufs", min=low, max=high, reason="out")
    verdicts = rules.decide(columns(values), [rule], len(values))
    assert verdicts.kept.tolist() == [v is not None and low <= v <= high for v in values]
    assert [bool(r) for r in verdicts.reason] == [not k for k in verdicts.kept.tolist()]
