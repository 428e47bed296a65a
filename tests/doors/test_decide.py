"""Judging what the tables hold: rights, quarantine, rules and balance; what is explained, tuned, compared."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import rows
from valor_data import recipe
from valor_data.recipe import Recipe
from valor_data.records import (
    Compared,
    Leak,
    Neighbour,
    Prints,
    Quarantine,
    SafetyMeasures,
    SpeechMeasures,
    TagMeasures,
    Verdict,
    VideoMeasures,
)
from valor_data.scorers import signing
from valor_data.stages.decide import compare, decide, explain, tune, unmade
from valor_data.workspace import Workspace

CLIPS = 12
QUIET = {"metric": "loudness_lufs", "min": -55.0, "reason": "inaudible"}


def made(**raw: Any) -> Recipe:
    return recipe.parse({"name": "made", "rules": [QUIET], **raw}, "made.toml")


@contextmanager
def opened(folder: Path, chosen: Recipe, **changes: Any) -> Iterator[Workspace]:
    """Twelve measured clips, each 5 LU quieter than the one before; every second one is music, and all but
    the last have a label."""
    with Workspace.open(chosen, str(folder / "w"), write=True) as workspace:
        if not workspace.tables.count("clips"):
            labels = [("Music", "Dog") if n % 2 else ("Dog",) for n in range(CLIPS - 1)]
            tables = workspace.tables
            tables.append([rows.clip(n, labels=words) for n, words in enumerate([*labels, ()])])
            tables.append([rows.media(n, profile=chosen.profile) for n in range(CLIPS)])
            tables.append([rows.audio(n, loudness_lufs=-5.0 * n, **changes) for n in range(CLIPS)])
        yield workspace


def verdicts(workspace: Workspace) -> dict[str, Verdict]:
    digest = workspace.recipe.rules_digest
    return {row.clip_id: row for row in workspace.tables.rows(Verdict, rules_digest=digest)}


def held(number: int, **changes: Any) -> Quarantine:
    facts = {"clip_id": rows.clip_id(number), "cause": "person", "detail": "x", "made_by": "person"}
    return Quarantine.model_validate(facts | changes)


def tagged(number: int, name: str, score: float, **changes: Any) -> TagMeasures:
    facts = {"clip_id": rows.clip_id(number), "media_sha256": rows.media(number).sha256}
    return TagMeasures.model_validate({**facts, "tags": (name,), "tag_scores": (score,), **changes})


def test_an_empty_workspace_gives_no_verdict(tmp_path: Path) -> None:
    with Workspace.open(made(), str(tmp_path / "w"), write=True) as workspace:
        assert decide(workspace).measured == 0


def test_a_quarantined_clip_is_rejected_before_any_rule_is_asked(tmp_path: Path) -> None:
    with opened(tmp_path, made(rules=[{**QUIET, "min": -50.0}])) as workspace:
        workspace.tables.append([held(0), held(1, lifted=True), held(11), held(99)])
        decision = decide(workspace)
        assert decision.reasons == {"quarantined": 2}
        said = verdicts(workspace)
        assert (said[rows.clip_id(0)].reason, said[rows.clip_id(0)].detail) == ("quarantined", "person")
        assert said[rows.clip_id(1)].kept
        told = explain(workspace, rows.clip_id(0))
        assert "safety    person: quarantined" in told
        assert told[-1] == "verdict   rejected: quarantined"
        assert "safety    person: lifted: a person found it harmless" in explain(workspace, rows.clip_id(1))
        workspace.tables.append([held(0, lifted=True)])
        assert decide(workspace).changed == 1


def test_labels_spare_and_cap(tmp_path: Path) -> None:
    spared = made(rules=[{**QUIET, "min": -20.0, "except_labels": ["music"]}], balance={"per_label": 4})
    with opened(tmp_path, spared) as workspace:
        decision = decide(workspace)
        # The rule keeps 0 to 4, and 5, 7, 9 for their music; all of them are dogs, five are music.
        assert decision.reasons == {"inaudible": 4, "balance": 4}
        assert decision.kept == 4
        assert not decision.alarms
        out = next(row for row in verdicts(workspace).values() if row.reason == "balance")
        assert re.fullmatch(r"label '(Music|Dog)' has its 4 clips without it", out.detail)
        told = explain(workspace, out.clip_id)
        assert told[-2:] == [f"balance   {out.detail}", "verdict   rejected: balance"]
        kept = next(row for row in verdicts(workspace).values() if row.kept)
        assert explain(workspace, kept.clip_id)[-2:] == ["balance   has room for it", "verdict   kept"]
        assert decide(workspace).changed == 0
    with opened(tmp_path, made(rules=[], balance={"per_label": 9})) as workspace:
        assert decide(workspace).alarms == [
            "balance: 1 kept clips have no label, so that no cap reaches them"
        ]
        new = Workspace(made(rules=[], balance={"per_label": 8}), workspace.store, None)
        assert "not asked yet" in explain(new, rows.clip_id(0))[-2]


def test_all_that_is_known_is_explained(tmp_path: Path) -> None:
    own = made(
        measure={"also": ["video"]}, rules=[QUIET, {"metric": "still_share", "max": 0.9, "reason": "still"}]
    )
    with opened(tmp_path, own) as workspace:
        bare = {"clip_id": rows.clip_id(3), "media_sha256": "0" * 64}
        tables = workspace.tables
        tables.append([VideoMeasures(**bare, made_by="video@9", has_video=True, still_share=0.5)])
        tables.append([VideoMeasures(**bare, made_by="video@10", has_video=True, still_share=1.0)])
        tables.append([TagMeasures(**bare, made_by="tags-x@1", tags=("Dog",), tag_scores=(0.25,))])
        tables.append([Prints(**bare, made_by="prints@1", sound=b"1234")])
        tables.append(
            [
                Neighbour(
                    clip_id=bare["clip_id"],
                    kind="audio",
                    representative=rows.clip_id(1),
                    size=3,
                    made_by="neighbours@1",
                )
            ]
        )
        tables.append(
            [
                Leak(clip_id=bare["clip_id"], benchmark="b", how="video", match="m", made_by="leaks@1"),
                Leak(clip_id=bare["clip_id"], benchmark="c", how="none", match="", made_by="leaks@1"),
            ]
        )
        told = explain(workspace, bare["clip_id"])
    for line in (
        "labels    Music, Dog",
        "measure   loudness_lufs = -15",
        "measured  by video@10",
        "measure   still_share = 1",
        "tag       Dog = 0.25",
        "measure   sound = 4 bytes",
        f"group     audio: one of 3; {rows.clip_id(1)} stands for them",
        "leak      b: video m",
        "rule      passes  inaudible: loudness_lufs >= -55",
        "rule      BREAKS  still: still_share <= 0.9  (still_share 1 > 0.9)",
    ):
        assert line in told
    assert "measured  by video@9" not in told
    assert sum(line.startswith("leak") for line in told) == 1
    assert told[-1] == "verdict   rejected: still"


def test_two_recipes_are_compared_both_ways(tmp_path: Path) -> None:
    one = made()
    other = made(rules=[{**QUIET, "min": -30.0}], balance={"per_label": 2})
    with opened(tmp_path, one) as workspace:
        there = compare(workspace, other)
        assert workspace.tables.count("verdicts") == 0
        back = compare(Workspace(other, workspace.store, None), one)
    assert (there.measured, there.kept, back.other_kept) == (CLIPS, CLIPS, CLIPS)
    assert there.other_kept == back.kept == CLIPS - len(there.dropped)
    assert (there.dropped, there.regained) == (back.regained, back.dropped)
    assert [clip.clip_id for clip in there.dropped if clip.reason == "inaudible"] == [
        rows.clip_id(n) for n in range(7, CLIPS)
    ]
    assert {clip.reason for clip in there.dropped} == {"inaudible", "balance"}
    lines = there.lines()
    assert lines[0] == f"12 measured clips: 12 kept here, {there.other_kept} there"
    assert lines[1] == f"kept here, rejected there: {len(there.dropped)}"
    assert lines[-1] == "rejected here, kept there: 0"


def test_a_metric_is_tuned_in_words_and_as_a_page(tmp_path: Path) -> None:
    with opened(tmp_path, made(), has_audio=True) as workspace:
        workspace.tables.append([rows.audio(4, loudness_lufs=None)])
        found = tune(workspace, "loudness_lufs")
        page = Path(found.page).read_text()
        facts = tune(workspace, "has_audio").as_json()
        undefined = tune(workspace, "tag.Dog / <b>")
        told = Path(undefined.page).read_text()
    assert found.page == str(tmp_path / "w" / "runs" / "tune-loudness_lufs.html")
    assert found.lines()[0].startswith(
        "loudness_lufs: 12 measured clips, 1 without a value (which a rule rejects too"
    )
    (row,) = (line for line in found.lines() if "<- min of inaudible" in line)
    assert re.fullmatch(r" +-55 +█+ +1 +0 +0.0% +10 +83.3%  <- min of inaudible", row)
    at = {row["at"]: row for row in found.as_json()["thresholds"]}
    assert (at[-30.0]["min_drops"], at[-30.0]["max_drops"]) == (5, 5)
    assert at[-30.0]["min_drops_share"] == pytest.approx(5 / 12)
    assert "<svg" in page
    assert "://" not in page.replace("http://www.w3.org/2000/svg", "")  # a name, which nobody asks for
    assert "min of inaudible" in page
    assert facts["words"] == {"false": 0, "true": 12}
    assert "&lt;b&gt;" in told
    assert undefined.page.endswith("/runs/tune-tag.Dog-b-.html")


def test_a_group_whose_representative_is_rejected_keeps_another(tmp_path: Path) -> None:
    """Clips 0, 1 and 2 are one and the same; clip 0 is in quarantine, clip 1 too loud for the rules."""
    one_of_each = {"metric": "duplicate", "equals": False, "reason": "duplicate"}
    chosen = made(rules=[one_of_each, {"metric": "loudness_lufs", "max": -8.0, "reason": "loud"}])
    with opened(tmp_path, chosen) as workspace:
        group = [
            Neighbour(
                clip_id=rows.clip_id(n), kind="both", representative=rows.clip_id(0), size=4, made_by="test@1"
            )
            for n in range(4)
        ]
        workspace.tables.append(group)
        workspace.tables.append([held(0)])
        assert decide(workspace).reasons == {"quarantined": 1, "loud": 1, "duplicate": 1}
        said = verdicts(workspace)
        assert [said[rows.clip_id(n)].reason for n in range(4)] == ["quarantined", "loud", "", "duplicate"]
        assert explain(workspace, rows.clip_id(2))[-1] == "verdict   kept"
        assert explain(workspace, rows.clip_id(3))[-1] == "verdict   rejected: duplicate"


def test_the_newest_verdicts_are_those_of_the_rules_asked_last(tmp_path: Path) -> None:
    strict, lenient = made(rules=[{**QUIET, "min": -20.0}]), made()
    kept = []
    for chosen in (strict, lenient, strict):
        with opened(tmp_path, chosen) as workspace:
            decide(workspace)
            counted = workspace.tables.sql("select count(*) as n from newest_verdicts where kept")
            kept.append(counted["n"][0].as_py())
            assert decide(workspace).changed == 0
    assert kept == [5, 12, 5]


def test_what_the_rules_ask_and_nobody_made_is_told(tmp_path: Path) -> None:
    asked = made(
        rules=[
            {"metric": "speech_share", "max": 0.5, "reason": "speech"},
            {"metric": "duplicate", "equals": False, "reason": "duplicate"},
            {"metric": "leak.x", "equals": "none", "reason": "leak"},
        ],
        measure={"also": ["prints", "speech"]},
        benchmarks=[{"name": "x", "path": "x.csv"}],
        safety={"hash_lists": ["hashes.txt"]},
    )
    with opened(tmp_path, asked) as workspace:
        told = unmade(workspace)
        assert [line.partition(":")[0] for line in told] == [
            "no clip has speech measures yet",
            "nobody looked for near-duplicates yet",
            "nobody looked for leaks of these benchmarks yet",
            "no clip has safety measures yet",
        ]
        facts = {"clip_id": rows.clip_id(0), "media_sha256": "0" * 64}
        for record, by in ((SpeechMeasures, "speech@1"), (SafetyMeasures, "safety-x@1")):
            workspace.tables.append([record.model_validate({**facts, "made_by": by})])
        done = f"{asked.benchmarks_digest}-abc"
        workspace.tables.append([Compared(what="neighbours", digest="a", made_by="n@1")])
        workspace.tables.append([Compared(what="leaks", digest=done, made_by="n@1")])
        assert unmade(workspace) == []
    with opened(tmp_path, made()) as workspace:
        assert unmade(workspace) == []


def test_words_that_no_clip_has_are_told_with_the_nearest(tmp_path: Path) -> None:
    loud = {"metric": "tag.Druum", "min": 0.5, "reason": "no_drum"}
    asked = made(
        rules=[{**QUIET, "except_labels": ["Dogg", "music"]}, loud, {**loud, "metric": "tag.drum"}],
        measure={"also": ["tags"], "tagger": "nowhere.tflite"},
    )
    with opened(tmp_path, asked) as workspace:
        workspace.tables.append([tagged(0, "Drum", 0.9, made_by="tags-one@1")])
        alarms = [line for line in decide(workspace).alarms if "did you mean" in line]
    assert alarms == [
        "rule 'inaudible' spares 'Dogg': no clip has that label; did you mean 'Dog'?",
        "rule on 'tag.Druum': the tagger heard that class in no clip; did you mean 'Drum'?",
    ]


def test_labels_of_a_preset_are_nobodys_misspelling(tmp_path: Path) -> None:
    with opened(tmp_path, made(filter={"preset": "audible"})) as workspace:
        assert any(rule.except_labels for rule in workspace.recipe.effective_rules)
        assert not any("spares" in line for line in decide(workspace).alarms)


def test_tags_of_the_recipes_own_tagger_count_whoever_came_last(tmp_path: Path, real_data: Path) -> None:
    """Going back to a tagger finds its rows still there: nothing is measured again."""
    model = str(real_data / "models" / "yamnet.tflite")
    measure = {"also": ["tags"], "tagger": model}
    asked = made(rules=[{"metric": "tag.Drum", "min": 0.5, "reason": "no_drum"}], measure=measure)
    own = signing.of_tags(asked.measure)
    with opened(tmp_path, asked) as workspace:
        workspace.tables.append([tagged(0, "Drum", 0.9, made_by=own), tagged(1, "Drum", 0.1, made_by=own)])
        other = [
            tagged(0, "Drum", 0.1, made_by="tags-other@1"),
            tagged(1, "Drum", 0.9, made_by="tags-other@1"),
        ]
        workspace.tables.append(other)
        decide(workspace)
        said = verdicts(workspace)
    assert (said[rows.clip_id(0)].kept, said[rows.clip_id(1)].kept) == (True, False)


def test_a_comparison_says_that_it_leaves_safety_out(tmp_path: Path) -> None:
    with opened(tmp_path, made()) as workspace:
        decide(workspace)
        assert compare(workspace, made()).notes == ()
        (note,) = compare(workspace, made(safety={"nsfw_max": 0.5})).notes
    assert "quarantine" in note
