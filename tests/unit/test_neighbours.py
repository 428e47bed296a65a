"""Groups and leaks: what comparing each with each would say, in whatever order the clips come."""

import random
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from valor_data import neighbours, prints
from valor_data.neighbours import Duplicate, Leak, Prints

Clip = tuple[bytes | None, bytes | None]
"""Print of the picture, print of the sound."""


def random_print(
    form: prints.Form, rng: np.random.Generator, seconds: float = 5.0, still: bool = False
) -> bytes:
    steps = int(seconds * form.steps_a_second)
    values = np.zeros((steps, form.values)) if still else 2.5 * rng.standard_normal((steps, form.values))
    looks = rng.integers(20, 120, (-(-steps // form.look_steps), form.values))
    return built(form, looks, values)


def built(form: prints.Form, looks: np.ndarray, values: np.ndarray) -> bytes:
    whole = (np.clip(np.round(values), -7, 7) + 8).astype(np.uint8).ravel()
    course = (whole[::2] << 4 | whole[1::2]).astype(np.uint8)
    head = bytes([form.tag]) + len(values).to_bytes(2, "little")
    return head + looks.astype(np.uint8).tobytes() + course.tobytes()


def recoded(one: bytes | None, rng: np.random.Generator) -> bytes | None:
    """What another coding leaves of a print."""
    if one is None:
        return None
    form, looks, course = prints.unpack(one)
    noise = 0.15 * course.std() * rng.standard_normal(course.shape)
    return built(form, looks / form.unit + rng.integers(-1, 2, looks.shape), course + noise)


def some_clips(rng: np.random.Generator, count: int) -> list[Clip]:
    """Clips that share picture, sound, both or nothing; some have only one of them, some neither."""
    made: list[Clip] = []
    for _ in range(count):
        picture = random_print(prints.PICTURE, rng, still=rng.random() < 0.3)
        sound = random_print(prints.SOUND, rng)
        of = made[rng.integers(len(made))] if made and rng.random() < 0.6 else (None, None)
        what = rng.integers(5)
        made.append(
            (
                recoded(of[0], rng) if what in (0, 1) else None if what == 4 else picture,
                recoded(of[1], rng) if what in (1, 2) else None if what == 3 else sound,
            )
        )
    return made


def held(clips: list[Clip]) -> tuple[Prints, Prints]:
    return Prints.of(clip[0] for clip in clips), Prints.of(clip[1] for clip in clips)


def kind_of(one: Clip, other: Clip) -> str | None:
    seeing, hearing = prints.same_picture(one[0], other[0]), prints.same_sound(one[1], other[1])
    if (seeing or one[0] is other[0] is None) and (hearing or one[1] is other[1] is None):
        return "both" if seeing or hearing else None
    return "video" if seeing else "audio" if hearing else None


def components(count: int, joined: list[tuple[int, int]]) -> list[int]:
    root = list(range(count))
    for i, j in joined:
        low, high = sorted((root[i], root[j]))
        root = [low if each == high else each for each in root]
    return root


def by_comparing_all(ids: list[str], clips: list[Clip]) -> list[Duplicate]:
    order = sorted(range(len(ids)), key=ids.__getitem__)
    ids, clips = [ids[n] for n in order], [clips[n] for n in order]
    pairs = list(combinations(range(len(ids)), 2))
    kinds = {(i, j): kind_of(clips[i], clips[j]) for i, j in pairs}
    both = components(len(ids), [pair for pair in pairs if kinds[pair] == "both"])
    rows = [Duplicate(ids[n], ids[root], "both") for n, root in enumerate(both) if both.count(root) > 1]
    for kind, same, place in (("video", prints.same_picture, 0), ("audio", prints.same_sound, 1)):
        found = components(len(ids), [(i, j) for i, j in pairs if same(clips[i][place], clips[j][place])])
        for n, root in enumerate(found):
            if len({both[m] for m, other in enumerate(found) if other == root}) > 1:
                rows.append(Duplicate(ids[n], ids[root], kind))  # type: ignore[arg-type]
    return sorted(rows, key=lambda row: (row.kind, row.representative, row.clip_id))


@settings(deadline=None, max_examples=8)
@given(seed=st.integers(0, 10_000), count=st.integers(0, 40))
def test_groups_are_what_comparing_all_would_say_in_any_order(seed: int, count: int) -> None:
    clips = some_clips(np.random.default_rng(seed), count)
    ids = [f"clip-{n:03}" for n in range(count)]
    random.Random(seed).shuffle(ids)
    expected = by_comparing_all(ids, clips)
    assert neighbours.near_duplicates(ids, *held(clips)) == expected
    turned = ids[::-1], clips[::-1]
    assert neighbours.near_duplicates(turned[0], *held(turned[1])) == expected


@settings(deadline=None, max_examples=5)
@given(seed=st.integers(0, 10_000))
def test_leaks_are_what_comparing_all_would_say(seed: int) -> None:
    rng = np.random.default_rng(seed)
    clips = some_clips(rng, 40)
    ours, theirs = clips[::2], clips[1::2]
    our_ids, their_ids = [f"our-{n}" for n in range(20)], [f"their-{n}" for n in range(20)]
    expected = sorted(
        Leak(our_ids[i], their_ids[j], kind)  # type: ignore[arg-type]
        for i, one in enumerate(ours)
        for j, other in enumerate(theirs)
        if (kind := kind_of(one, other))
    )
    assert neighbours.leaks(our_ids, *held(ours), their_ids, *held(theirs)) == expected


def test_the_same_id_may_stand_on_both_sides_of_a_leak() -> None:
    clip = some_clips(np.random.default_rng(1), 1)
    assert neighbours.leaks(["a"], *held(clip), ["a"], *held(clip)) == [Leak("a", "a", "both")]


def test_a_music_bed_is_told_beside_the_copies() -> None:
    rng = np.random.default_rng(3)
    first, second = (random_print(prints.PICTURE, rng) for _ in range(2))
    music = random_print(prints.SOUND, rng)
    clips: list[Clip] = [
        (first, music),
        (recoded(first, rng), recoded(music, rng)),
        (second, recoded(music, rng)),
    ]
    assert neighbours.near_duplicates(["b", "c", "a"], *held(clips)) == [
        Duplicate("a", "a", "audio"),
        Duplicate("b", "a", "audio"),
        Duplicate("c", "a", "audio"),
        Duplicate("b", "b", "both"),
        Duplicate("c", "b", "both"),
    ]


def test_a_clip_with_sound_is_no_duplicate_of_a_silent_one() -> None:
    rng = np.random.default_rng(3)
    picture, sound = random_print(prints.PICTURE, rng), random_print(prints.SOUND, rng)
    found = neighbours.near_duplicates(["a", "b"], *held([(picture, sound), (picture, None)]))
    assert {row.kind for row in found} == {"video"}
    found = neighbours.near_duplicates(["a", "b"], *held([(picture, None), (picture, None)]))
    assert {row.kind for row in found} == {"both"}
    assert neighbours.near_duplicates(["a", "b"], *held([(None, None), (None, None)])) == []


def test_a_still_that_thousands_share_stays_cheap_and_their_copies_are_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(5)
    card = random_print(prints.PICTURE, rng, still=True)
    sounds = [random_print(prints.SOUND, rng, 2) for _ in range(1500)]
    clips: list[Clip] = [(card, sound) for sound in sounds]
    clips += [(card, recoded(sound, rng)) for sound in sounds[:50]]
    asked = 0
    really = prints.distance

    def counted(one: bytes, other: bytes) -> float:
        nonlocal asked
        asked += 1
        return really(one, other)

    monkeypatch.setattr(prints, "distance", counted)
    ids = [f"{n:04}" for n in range(len(clips))]
    found = neighbours.near_duplicates(ids, *held(clips))
    both = [row for row in found if row.kind == "both" and row.clip_id != row.representative]
    assert both == [Duplicate(ids[1500 + n], ids[n], "both") for n in range(50)]
    assert sum(row.kind == "video" for row in found) == len(clips)
    assert asked < 10 * len(clips)


def test_copies_are_found_among_many() -> None:
    rng = np.random.default_rng(7)
    clips: list[Clip] = [
        (random_print(prints.PICTURE, rng, 10), random_print(prints.SOUND, rng, 10)) for _ in range(1500)
    ]
    clips += [(recoded(picture, rng), recoded(sound, rng)) for picture, sound in clips[:500]]
    ids = [f"{n:04}" for n in range(len(clips))]
    found = neighbours.near_duplicates(ids, *held(clips))
    wanted = {Duplicate(ids[1500 + n], ids[n], "both") for n in range(500)}
    assert len(wanted & set(found)) >= 498
    assert len(found) == 2 * len(wanted & set(found))


def test_prints_of_other_numbers_of_clips_are_refused() -> None:
    with pytest.raises(ValueError, match="1 prints of 2 clips"):
        neighbours.near_duplicates(["a", "b"], Prints.of([None]), Prints.of([None, None]))
