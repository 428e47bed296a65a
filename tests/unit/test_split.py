"""Splits by video."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from valor_data.split import CAREFUL, assign, position

SHARES = {"train": 0.8, "val": 0.1, "test": 0.1}
names = st.text(alphabet="abcXYZ019_-", min_size=1, max_size=11)


@given(st.sets(names), st.sets(names), st.integers(0, 5))
def test_adding_videos_moves_no_old_one(old: set[str], new: set[str], seed: int) -> None:
    before = assign(sorted(old), {}, SHARES, seed).splits
    after = assign(sorted(old | new), {}, SHARES, seed).splits
    assert {video: after[video] for video in old} == before


@given(st.dictionaries(names, st.lists(st.sampled_from(CAREFUL), min_size=1)), st.sets(names))
def test_given_splits_hold_and_the_most_careful_wins(said: dict[str, list[str]], others: set[str]) -> None:
    made = assign([*said, *(others - said.keys())], said, SHARES, 0)
    for video, splits in said.items():
        assert made.splits[video] == min(splits, key=CAREFUL.index)
    assert set(made.mixed) == {video for video, splits in said.items() if len(set(splits)) > 1}
    assert made.splits.keys() == said.keys() | others


@settings(max_examples=10)
@given(st.integers(0, 1000))
def test_shares_are_near_their_targets(seed: int) -> None:
    made = list(assign((f"v{i}" for i in range(20_000)), {}, SHARES, seed).splits.values())
    for split, share in SHARES.items():
        assert made.count(split) / 20_000 == pytest.approx(share, abs=0.015)


@pytest.mark.parametrize(
    "shares",
    [
        {"train": 0.7 + 0.2, "val": 0.1, "test": 0.0},
        {"train": 0.1 * 3, "val": 0.7, "test": 0.0},
        {"train": 1.0, "val": 0.0, "test": 0.0},
        {"train": 0.0, "val": 0.0, "test": 1.0},
        {"train": 0.0, "val": 1.0, "test": 0.0},
    ],
)
def test_a_split_of_share_zero_stays_empty(shares: dict[str, float], monkeypatch: pytest.MonkeyPatch) -> None:
    for place in (0.0, 0.5, 1 - 2**-53):
        monkeypatch.setattr("valor_data.split.position", lambda seed, name, place=place: place)
        assert shares[assign(["a"], {}, shares, 0).splits["a"]] > 0


def test_the_seed_changes_the_split() -> None:
    videos = [f"v{i}" for i in range(100)]
    assert assign(videos, {}, SHARES, 0) != assign(videos, {}, SHARES, 1)


def test_positions_are_what_they_were() -> None:
    """A change here would move videos of standing datasets between splits."""
    assert [round(position(0, name), 6) for name in ("a", "-2Abohj8VY")] == [0.3715, 0.24158]


def test_a_million_videos_take_seconds() -> None:
    videos = [f"{i:011d}" for i in range(1_000_000)]
    start = time.process_time()
    assign(videos, {}, SHARES, 0)
    assert time.process_time() - start < 6  # 2 s on the machine it was written on
