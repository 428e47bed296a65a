"""The list of what was taken down: tested by id, read without ids."""

import pytest

from valor_data.revocation import Revocations

CLIP, VIDEO = "-_a_b-0-_9_30000_40000", "dQw4w9WgXcQ"


def test_it_knows_clips_and_whole_videos_and_names_neither() -> None:
    listed = Revocations.fresh().add([CLIP], [VIDEO])
    assert listed.holds(CLIP)
    assert listed.holds(f"{VIDEO}_0_10000")
    assert listed.holds(f"{VIDEO}_77_88")
    assert not listed.holds("-_a_b-0-_9_30000_40001")
    assert not listed.holds("no clip id")
    assert CLIP.encode() not in listed.render()
    assert VIDEO.encode() not in listed.render()


def test_it_grows_under_one_key_and_renders_the_same_bytes() -> None:
    first = Revocations.fresh().add([CLIP])
    longer = Revocations.parse(first.render()).add(["x_0_1", CLIP])
    assert (len(first), len(longer)) == (1, 2)
    assert longer.clips > first.clips
    assert Revocations.parse(longer.render()) == longer
    assert longer.render() == first.add([CLIP, "x_0_1"]).render()
    other = Revocations.fresh().add([CLIP])
    assert other.clips.isdisjoint(first.clips)


@pytest.mark.parametrize(
    "data", [b"", b"{}", b'{"key": "short"}', b'{"key": "' + b"0" * 64 + b'", "clips": ["x"]}']
)
def test_what_is_no_list_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="Revocations"):
        Revocations.parse(data)
