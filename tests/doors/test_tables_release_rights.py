"""Wishes and policies on rights hold when a clip is judged, explained and released."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.doors.test_release import RECIPE, VIDEOS, clip_id, fill, mp4s, opened, recipe, samples_of
from valor_data.errors import UserError
from valor_data.recipe import Recipe
from valor_data.records import Clip, OptOut, Outcome, Status, Verdict, Video
from valor_data.stages.decide import decide, explain
from valor_data.stages.shard import write_release
from valor_data.workspace import Workspace

__all__ = ["mp4s"]  # a fixture

REQUIRES = recipe(rights={"licence": "require"})
KEPT = 2 * VIDEOS - 1
"""The last clip is rejected by the rules."""


def video(number: int, licence: str | None = "Creative Commons Attribution") -> Video:
    return Video(
        video_id=f"-v_{number:02d}",
        webpage_url="u",
        extractor="youtube",
        licence=licence,
        licence_evidence="youtube: license" if licence else None,
        made_by="yt-dlp",
    )


@pytest.fixture
def filled(tmp_path: Path, mp4s: list[bytes]) -> Path:
    with opened(tmp_path) as workspace:
        fill(workspace, mp4s)
    return tmp_path


@pytest.fixture
def asked(filled: Path) -> Path:
    """All videos but one claim a licence that the policy accepts."""
    with opened(filled) as workspace:
        workspace.tables.append([video(number, None if number == 1 else "CC BY") for number in range(VIDEOS)])
    return filled


def released(root: Path) -> set[str]:
    return {str(sample.key) for sample in samples_of(root / "releases" / "tiny-0.1.0")}


def release(root: Path, made_with: Recipe, recheck: "Recheck | None" = None) -> dict[str, int]:
    with opened(root, made_with) as workspace:
        return write_release(workspace, progress=False, recheck=recheck).reasons


class Recheck:
    """Asks again, as a test wants it answered."""

    def __init__(self, answers: Iterable[Video]) -> None:
        self.answers, self.seen = list(answers), list[str]()

    def __call__(self, clips: Sequence[Clip]) -> Iterator[Video]:
        self.seen += [clip.video_id for clip in clips]
        return iter(self.answers)


def test_an_opted_out_clip_is_not_released_whatever_an_older_verdict_says(filled: Path) -> None:
    with opened(filled) as workspace:
        workspace.tables.append([OptOut(scope="video", value="-v_01", made_by="opt_out:x")])
        workspace.tables.append([video(2).model_copy(update={"channel_id": "UCx"})])
        workspace.tables.append([OptOut(scope="channel", value="UCx", made_by="opt_out:x")])
    assert release(filled, RECIPE) == {"opted_out": 4}
    gone = {clip_id(number, part) for number in (1, 2) for part in (0, 1)}
    assert len(released(filled)) == KEPT - 4
    assert released(filled).isdisjoint(gone)


def test_a_policy_keeps_clips_out_of_the_release(asked: Path) -> None:
    assert release(asked, REQUIRES) == {"not_permitted": 2}
    assert released(asked).isdisjoint({clip_id(1, 0), clip_id(1, 1)})
    assert len(released(asked)) == KEPT - 2


def test_a_recipe_that_only_records_keeps_nobody_out(asked: Path) -> None:
    assert release(asked, RECIPE) == {}
    assert len(released(asked)) == KEPT


def test_verdicts_and_explanations_say_so_early(asked: Path) -> None:
    with opened(asked, REQUIRES) as workspace:
        tables = workspace.tables
        tables.append([OptOut(scope="video", value="-v_02", made_by="opt_out:x")])
        decision = decide(workspace)
        assert decision.reasons["not_permitted"] == 2
        assert decision.reasons["opted_out"] == 2
        verdicts = {
            row.clip_id: row for row in tables.rows(Verdict, rules_digest=workspace.recipe.rules_digest)
        }
        refused = verdicts[clip_id(1, 0)]
        assert (refused.kept, refused.reason) == (False, "not_permitted")
        assert "licence: none stated" in refused.detail
        assert verdicts[clip_id(2, 1)].detail == "video -v_02 has opted out"
        told = explain(workspace, clip_id(1, 0))
        assert any(line.startswith("rights    not_permitted: licence") for line in told)
        assert told[-1] == "verdict   rejected: not_permitted"
        assert explain(workspace, clip_id(2, 0))[-1] == "verdict   rejected: opted_out"
        assert explain(workspace, clip_id(3, 0))[-1] == "verdict   kept"
        assert decide(workspace).changed == 0


def test_a_clip_that_was_never_fetched_is_explained_too(asked: Path) -> None:
    with opened(asked) as workspace:
        made = next(workspace.tables.rows(Clip, clip_id=clip_id(2, 0)))
        new = made.model_copy(update={"clip_id": "-v_02_50000_60000", "start_ms": 50_000, "end_ms": 60_000})
        workspace.tables.append([new])
        workspace.tables.append([OptOut(scope="video", value="-v_02", made_by="opt_out:x")])
        workspace.tables.reject_opted_out(f"fetch/{workspace.recipe.profile}", "opt_out@1")
        (ledger,) = workspace.tables.rows(Outcome, clip_id=new.clip_id)
        assert ledger.status is Status.REJECTED
        told = explain(workspace, new.clip_id)
    assert told[-2:] == [
        "rights    opted_out: video -v_02 has opted out",
        "verdict   rejected: opted_out",
    ]


def test_old_rights_stop_a_release_that_requires_them(filled: Path) -> None:
    with pytest.raises(UserError, match="nothing to release"):
        release(filled, REQUIRES)  # nobody was ever asked: nothing is licensed
    with opened(filled) as workspace:
        workspace.tables.append([video(number) for number in range(VIDEOS)])
    daily = recipe(rights={"licence": "require", "recheck_days": 0})
    with pytest.raises(UserError, match=r"7 videos, such as -v_0\d, were read .*recheck_days = 0 days"):
        release(filled, daily)


def test_old_rights_are_asked_again_and_what_is_stated_now_counts(filled: Path) -> None:
    with opened(filled) as workspace:
        workspace.tables.append([video(number) for number in range(VIDEOS)])
    recheck = Recheck([*(video(number) for number in range(6)), video(6, "standard")])
    daily = recipe(rights={"licence": "require", "recheck_days": 0})
    assert release(filled, daily, recheck) == {"not_permitted": 2}  # one of the two the rules reject too
    assert sorted(recheck.seen) == [f"-v_{number:02d}" for number in range(7)]
    assert len(released(filled)) == KEPT - 1


def test_who_cannot_be_asked_again_stops_the_release(filled: Path) -> None:
    with opened(filled) as workspace:
        workspace.tables.append([video(number) for number in range(VIDEOS)])
    daily = recipe(rights={"licence": "require", "recheck_days": 0})
    with pytest.raises(UserError, match="1 videos, such as -v_06"):
        release(filled, daily, Recheck(video(number) for number in range(6)))


def test_fresh_rights_are_not_asked_again(asked: Path) -> None:
    recheck = Recheck([])
    release(asked, REQUIRES, recheck)
    assert recheck.seen == []


def test_the_workspace_of_an_older_version_has_no_wishes(filled: Path) -> None:
    with opened(filled) as workspace:
        assert isinstance(workspace, Workspace)
        assert workspace.tables.barred(RECIPE.rights, RECIPE.profile).num_rows == 0
