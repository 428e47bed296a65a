"""What fetching will cost: sane figures that move the right way."""

import pytest

from valor_data.recipe import Fetch, Host, Recipe
from valor_data.stages.estimate import estimate
from valor_data.tables import HostWork, Sizes

NOTHING = Sizes(0, 0, 0, 0, 0)
WORK = [HostWork("www.youtube.com", 600, 1000, 10_000_000)]


def recipe(**fetch: object) -> Recipe:
    return Recipe(name="x", fetch=Fetch.model_validate(fetch))


@pytest.mark.parametrize(
    ("less", "more"),
    [
        ({"max_height": 360}, {"max_height": 720}),
        ({"crf": 28}, {"crf": 18}),
        ({"profile": "small", "fps": 4.0}, {"profile": "small", "fps": 12.0}),
        ({"profile": "small"}, {"profile": "exact"}),
        ({"audio_kbps": 64}, {"audio_kbps": 256}),
        ({"profile": "exact"}, {"profile": "copy"}),
    ],
)
def test_settings_move_what_is_kept(less: dict[str, object], more: dict[str, object]) -> None:
    few = estimate(recipe(**less), WORK, NOTHING).bytes_to_keep
    many = estimate(recipe(**more), WORK, NOTHING).bytes_to_keep
    assert 0 < few < many


def test_a_ten_second_clip_of_480_lines_takes_about_a_megabyte() -> None:
    told = estimate(recipe(), WORK, NOTHING)
    assert 0.7e9 < told.bytes_to_keep < 2e9
    assert told.bytes_to_keep < told.bytes_to_read < 4e9


def test_rate_rest_and_several_names_of_one_host() -> None:
    work = [*WORK, HostWork("youtu.be", 301, 301, 1000), HostWork("other.org", 5, 5, 1000)]
    told = estimate(recipe(), work, NOTHING)
    assert told.videos == 906
    (ours,) = [line for line in told.lines if line.startswith("youtube.com")]
    assert ours.startswith("youtube.com: 901 videos, 1,301 clips, about 3.0 hours at 300 videos an hour")
    rests = Recipe(name="x", hosts=(Host(host="other.org", sleep_s=(60.0, 120.0)),))
    (theirs,) = [line for line in estimate(rests, work, NOTHING).lines if line.startswith("other.org")]
    assert "about 6 minutes at 60 to 120 s apart, 8 at a time" in theirs


def test_many_hosts_are_cut_to_the_slowest() -> None:
    work = [HostWork(f"h{number}.org", number + 1, 1, 1000) for number in range(30)]
    lines = estimate(recipe(), work, NOTHING).lines
    assert len(lines) == 12
    assert lines[1].startswith("h29.org")
    assert lines[-1] == "and 20 more hosts, none slower"


def test_nothing_to_do_costs_nothing() -> None:
    told = estimate(recipe(), [], NOTHING)
    assert told == (0, 0, 0, ())
