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


labelled = st.dictionaries(names, st.sets(st.sampled_from("abcde"), max_size=3), max_size=40)


@given(labelled, labelled, st.integers(0, 5))
def test_adding_videos_moves_no_old_one_between_strata(
    old: dict[str, set[str]], new: dict[str, set[str]], seed: int
) -> None:
    before = assign(old, {}, SHARES, seed, labels=old).splits
    drawn = {video: [split] for video, split in before.items()}
    after = assign({**old, **new}, {}, SHARES, seed, drawn=drawn, labels={**old, **new}).splits
    assert {video: after[video] for video in old} == before
    assert after.keys() == old.keys() | new.keys()


@pytest.mark.parametrize("arriving", [1, 3])
def test_every_label_is_spread_by_the_shares(arriving: int) -> None:
    """The rarest too, whether the videos come at once or in three goes."""
    labels = {f"{label}-{number}": [str(label)] for label in range(60) for number in range(label + 1)}
    labels |= {f"alone-{number}": [f"alone-{number}"] for number in range(500)}
    drawn: dict[str, list[str]] = {}
    for go in range(arriving):
        so_far = {
            video: named for place, (video, named) in enumerate(labels.items()) if place % arriving <= go
        }
        made = assign(so_far, {}, SHARES, 7, drawn=drawn, labels=so_far).splits
        drawn = {video: [split] for video, split in made.items()}
    for label in range(60):
        found = [made[f"{label}-{number}"] for number in range(label + 1)]
        for split, share in SHARES.items():
            assert abs(found.count(split) - share * len(found)) < arriving
    for split, share in SHARES.items():
        assert list(made.values()).count(split) / len(made) == pytest.approx(share, abs=0.01)


def test_what_a_list_gives_does_not_count_for_the_shares() -> None:
    labels = {f"v{number}": ["a"] for number in range(1000)}
    given_ = {video: ["train"] for video in list(labels)[:900]}
    made = assign(labels, given_, SHARES, 0, labels=labels).splits
    assert [made[video] for video in list(labels)[900:]].count("test") == 10


@given(st.sets(names), st.dictionaries(names, st.sets(st.sampled_from(CAREFUL))), st.booleans())
def test_no_split_holds_what_it_must_not(
    videos: set[str], barred: dict[str, set[str]], stratified: bool
) -> None:
    ordered = sorted(videos)
    given_ = {video: ["train"] for video in ordered[::3]}
    drawn = {video: ["test"] for video in ordered[1::3]}
    labels = {video: [video[0]] for video in ordered} if stratified else None
    made = assign(ordered, given_, SHARES, 0, drawn=drawn, labels=labels, barred=barred).splits
    for video in ordered:
        closed = barred.get(video, set())
        if video in made:
            assert made[video] not in closed
            assert made[video] in (given_.get(video) or drawn.get(video) or CAREFUL)
        else:
            assert closed >= set(given_.get(video) or drawn.get(video) or CAREFUL)
