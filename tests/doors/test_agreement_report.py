"""What `annotate agreement` makes of the rows: planted answers whose numbers are known, and none at all."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.fakes import rows
from valor_data import chain, layout, recipe
from valor_data.agreement import Rule
from valor_data.chain import Options
from valor_data.cli import app
from valor_data.recipe import Recipe
from valor_data.records import Answer, Caption, CaptionFault, LabelTask, Qualified, Record, Review, Verdict
from valor_data.stages.annotate import Agreed, agree, agreement_people, agreement_words
from valor_data.workspace import Workspace

CLIPS = 10
SEEN = {"av": "av", "muted": "v", "screen-off": "a"}
VOID = {"meta", "br", "rect"}


def made(**raw: Any) -> Recipe:
    return recipe.parse({"name": "made", "rules": [], **raw}, "made.toml")


@contextmanager
def opened(folder: Path, chosen: Recipe, planted: Sequence[Record] = ()) -> Iterator[Workspace]:
    """Ten kept clips, every second one labelled, and whatever rows are planted."""
    with Workspace.open(chosen, str(folder / "w"), write=True) as workspace:
        tables = workspace.tables
        tables.append([rows.clip(n, labels=("Dog", "Rain on roof") if n % 2 else ()) for n in range(CLIPS)])
        tables.append([rows.media(n, profile=chosen.profile) for n in range(CLIPS)])
        digest = chosen.rules_digest
        tables.append(
            Verdict(clip_id=rows.clip_id(n), rules_digest=digest, kept=True, made_by="decide@1")
            for n in range(CLIPS)
        )
        for record in {type(row) for row in planted}:
            tables.append([row for row in planted if type(row) is record])
        yield workspace


def report(folder: Path, chosen: Recipe, planted: Sequence[Record] = ()) -> Agreed:
    with opened(folder, chosen, planted) as workspace:
        return agree(workspace)


def asked(clip_id: str, stage: str, **changes: Any) -> LabelTask:
    facts = {"clip_id": clip_id, "stage": stage, "made_by": "asking@1", **changes}
    return LabelTask.model_validate({"task_id": layout.digest(repr(sorted(facts.items())))[:24], **facts})


def said(task: LabelTask, who: str, **changes: Any) -> Answer:
    facts = {
        "answer_id": layout.digest([task.task_id, who])[:24],
        "task_id": task.task_id,
        "clip_id": task.clip_id,
        "annotator": who,
        "lead_ms": 60_000,
        "made_by": "pull@1",
    }
    return Answer.model_validate(facts | changes)


def captioned(number: int, who: str, text: str, **changes: Any) -> tuple[LabelTask, Answer, Caption]:
    """The question, the answer and the caption that a pull makes of it."""
    of_answer = {name: changes.pop(name) for name in ("flags", "lead_ms") if name in changes}
    task = asked(rows.clip_id(number), "caption", **changes)
    answer = said(task, who, text=text, **of_answer)
    facts = {
        "caption_id": layout.caption_id(task.clip_id, "human", who, task.task_id),
        "clip_id": task.clip_id,
        "text": text,
        "author": who,
        "origin": "human",
        "modalities_seen": SEEN[task.mode],
        "external_id": task.task_id,
        "lead_ms": answer.lead_ms,
        "made_by": "pull@1",
    }
    caption = Caption.model_validate(facts)
    return task, answer, caption


def checked(caption: Caption, who: str, verdict: str, on: int | None = None, **changes: Any) -> list[Record]:
    """A check of a caption, shown on its own clip or, as gold is, on another."""
    reasons = ("wrong",) if verdict == "reject" else ()
    facts = {"caption_id": caption.caption_id, "revision": 1, "not_for": caption.author, **changes}
    task = asked(caption.clip_id if on is None else rows.clip_id(on), "review", **facts)
    found: list[Record] = [task, said(task, who, verdict=verdict, reasons=reasons, lead_ms=20_000)]
    if task.kind == "work":
        review = rows.review(caption.caption_id, who, verdict)
        found.append(review.model_copy(update={"reasons": reasons}))
    return found


def faulty(caption: Caption, revision: int, *kinds: str) -> CaptionFault:
    facts = {"caption_id": caption.caption_id, "revision": revision, "faults": kinds, "made_by": "text@1"}
    return CaptionFault.model_validate(facts)


class WellFormed(HTMLParser):
    """Counts what is open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert not {"src", "onclick"} & {name for name, _ in attrs}
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in VOID

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data.strip())


def read_page(found: Agreed) -> str:
    """The words of the page, which is well formed and fetches nothing."""
    html = Path(found.page).read_text()
    parser = WellFormed()
    parser.feed(html)
    parser.close()
    assert not parser.open
    assert "http" not in html
    assert "@import" not in html
    return " ".join(filter(None, parser.words))


def test_without_answers_each_part_says_what_to_do(tmp_path: Path) -> None:
    found = report(tmp_path, made())
    assert (found.captions, found.checks, found.writers, found.checkers) == (0, 0, [], [])
    assert found.cost.waiting == CLIPS
    assert found.cost.hours_left is None
    told = found.as_json()
    json.dumps(told, allow_nan=False)
    parts = {"Agreement", "People", "Review", "Senses", "Labels shown", "Drafts", "Hours"}
    assert set(told["notes"]) == parts
    words = read_page(found)
    for hint in (
        "annotate.overlap_share", "review.checkers", "annotate push", "review.gold_share",
        "review.audit_share", "annotate.muted_share", 'annotate.hints = "random"',
        "nothing is known of the pace",
    ):  # fmt: skip
        assert hint in words
        assert hint.split()[0] in "\n".join(found.lines())


def test_an_empty_workspace_has_a_page_too(tmp_path: Path) -> None:
    with Workspace.open(made(), str(tmp_path / "w"), write=True) as workspace:
        found = agree(workspace)
    assert found.cost.waiting == 0
    assert found.page == str(tmp_path / "w" / "runs" / "agreement.html")
    read_page(found)


def test_one_annotator_and_nothing_accepted(tmp_path: Path) -> None:
    planted = captioned(0, "ann-a", "A dog barks in the rain.")
    found = report(tmp_path, made(), planted)
    (one,) = found.writers
    assert (one.annotator, one.captions, one.lead_s, one.accepted, one.gold) == ("ann-a", 1, None, None, None)
    assert one.per_hour == pytest.approx(60)
    words = read_page(found)
    assert "nobody to compare with" in words
    assert "no caption is accepted yet" in words
    assert found.hints.hidden.captions == 0  # the clip has no labels


def test_two_annotators_of_the_same_clips(tmp_path: Path) -> None:
    """On clips 0 to 3 they agree on `not_sure` but for clip 3, where one word of five differs too."""
    planted: list[Record] = []
    for n in range(4):
        planted += captioned(n, "ann-a", "A dog barks at night.", flags=("not_sure",) if n > 1 else ())
        text = "A dog barks at home." if n == 3 else "A dog barks at night."
        planted += captioned(n, "ann-b", text, flags=("not_sure",) if n == 2 else (), slot=1)
    planted += captioned(4, "ann-a", "A dog barks.")
    planted += captioned(5, "ann-a", "A cat.", flags=("not_sure",))
    planted += captioned(5, "ann-c", "A cat meows.", turn=2)  # a second try is no overlap
    planted += captioned(4, "ann-b", "A dog.", mode="muted")  # neither is another mode
    found = report(tmp_path, made(), planted).writing
    assert (found.clips, found.compared) == (4, 4)
    assert found.flagged["not_sure"] == 3
    flag = found.flags["not_sure"]
    # 3 of 8 say yes: chance agreement by Fleiss (3/8)^2 + (5/8)^2, by Gwet 2 * 3/8 * 5/8.
    assert flag.same is not None
    assert flag.same.value == pytest.approx(3 / 4)
    assert flag.fleiss_kappa is not None
    assert flag.fleiss_kappa.value == pytest.approx(1 - (1 / 4) / (1 - 34 / 64))
    assert flag.gwet_ac1 is not None
    assert flag.gwet_ac1.value == pytest.approx(1 - (1 / 4) / (1 - 30 / 64))
    assert flag.krippendorff_alpha is not None
    assert flag.krippendorff_alpha.value == pytest.approx(1 - (1 / 4) / (30 / 56))
    assert found.captions is not None
    edits = found.captions.edit_distance
    assert edits.same_clip is not None
    assert edits.same_clip.value == pytest.approx((1 / 5) / 4)
    assert found.captions.sounds_f1.same_clip is not None
    assert found.captions.sounds_f1.same_clip.value == 1


def test_checkers_of_the_same_caption(tmp_path: Path) -> None:
    planted: list[Record] = []
    verdicts = [("accept", "accept"), ("accept", "reject"), ("reject", "reject"), ("accept", "accept")]
    for n, pair in enumerate(verdicts):
        *asking, caption = captioned(n, "ann-a", "A dog barks at night.")
        planted += [*asking, caption]
        for who, verdict in zip(("ann-b", "ann-c"), pair, strict=True):
            planted += checked(caption, who, verdict)
    paid = {"wage_per_hour": 30, "currency": "EUR"}
    found = report(tmp_path, made(review={"checkers": 2, "max_rejects": 0}, annotate=paid), planted)
    checking = found.checking
    assert checking.captions == 4
    assert checking.rejected.same is not None
    assert checking.rejected.same.value == pytest.approx(3 / 4)
    assert checking.reasons is not None
    assert checking.reasons.value == pytest.approx(1 - (1 / 4) / (30 / 56))  # one reason or none: nominal
    assert checking.reasons_of_faulty is None  # but one caption that both found faulty
    (one,) = found.writers
    assert one.accepted is not None
    assert (one.accepted.value, one.accepted.n) == (0.5, 4)
    assert {one.annotator: one.rejected.value for one in found.checkers if one.rejected} == {
        "ann-b": 0.25, "ann-c": 0.5,
    }  # fmt: skip
    assert found.cost.accepted == 2
    assert found.cost.caption_hours == pytest.approx(4 / 60)
    assert found.cost.check_hours == pytest.approx(8 / 180)
    assert found.cost.captions_per_hour == pytest.approx(60)
    assert found.cost.checks_per_hour == pytest.approx(180)
    assert found.cost.hours_per_accepted == pytest.approx((4 / 60 + 8 / 180) / 2)
    assert found.cost.waiting == CLIPS - 2
    assert found.cost.hours_left == pytest.approx((4 / 60 + 8 / 180) / 2 * 8)
    assert "an accepted caption, all counted 0.056 1.67" in read_page(found)  # 30 EUR for 1 / 18 of an hour


def gold(good: bool) -> list[Record]:
    """Ten captions, each checked once; two are rejected. Of five bad gold ones four are seen. With `good`,
    four good ones, of which one is rejected."""
    planted: list[Record] = []
    captions = []
    for n in range(CLIPS):
        *asking, caption = captioned(n, "ann-a", "A dog barks at night.")
        planted += [*asking, caption]
        captions.append(caption)
        planted += checked(caption, "ann-b", "reject" if n < 2 else "accept")
    for n in range(5):
        verdict = "accept" if n == 4 else "reject"
        planted += checked(captions[n], "ann-b", verdict, (n + 3) % CLIPS, kind="gold", expected="reject")
    for n in range(4 if good else 0):
        planted += checked(captions[n], "ann-b", "accept" if n else "reject", kind="gold", expected="accept")
    # Who wrote a caption is no checker of it.
    planted += checked(captions[0], "ann-a", "accept", kind="gold", expected="reject", on=9)
    for n in range(2, 6):
        planted += checked(captions[n], "ann-c", "reject" if n == 2 else "accept", kind="audit")
    planted += checked(captions[0], "ann-c", "reject", kind="audit")  # it is not accepted any more
    return planted


def test_the_rule_of_review_where_only_bad_gold_is_known(tmp_path: Path) -> None:
    found = report(tmp_path, made(review={"checkers": 1, "max_rejects": 0}), gold(good=False))
    rule = found.reviewing
    assert rule.assumed
    assert rule.gold == 5
    assert rule.quality.sensitivity is not None
    assert rule.quality.sensitivity.value == pytest.approx(0.8)
    assert rule.bad_share is not None
    assert rule.bad_share.value == pytest.approx(0.2 / 0.8)
    at = dict(zip((row.rule for row in rule.rules), rule.rules, strict=True))
    # Of 100 written 25 are bad, 5 of which pass beside 75 good ones.
    assert at[Rule(1, 0)].residual == pytest.approx(5 / 80)
    assert at[Rule(1, 0)].written == pytest.approx(100 / 80)
    assert at[Rule(2, 0)].residual == pytest.approx(1 / 76)
    left = rule.left[[row.rule for row in rule.rules].index(Rule(1, 0))]
    assert left is not None
    assert left.value == pytest.approx(5 / 80)
    assert left.low < 5 / 80 < left.high
    # With a sensitivity at its low end more are bad, and more of them pass: both move the same way.
    seen = rule.quality.sensitivity.low
    assert left.high > 0.2 * (1 - seen) / (seen * 0.8)
    assert rule.overlap is None
    assert rule.accepted == 8
    assert rule.audit is not None
    assert (rule.audit.value, rule.audit.n) == (0.25, 4)
    assert rule.audit.low >= 1 / 8  # one is known to be bad
    assert rule.audit.high <= 5 / 8  # and three of the eight to be good
    (checker,) = (one for one in found.checkers if one.annotator == "ann-b")
    assert (checker.checks, checker.quality.specificity) == (15, None)
    # A caption takes 1 minute and a check 20 s; of 100 written and checked 80 are accepted.
    assert found.cost.hours_of(at[Rule(1, 0)].written, at[Rule(1, 0)].checks) == pytest.approx(8 / 360 * 1.25)
    assert rule.audit_seen_through is None
    words = read_page(found)
    assert "1 checker, no rejection borne (this recipe)" in words
    assert "taken for 100 %" in words
    assert "no gold caption was checked by two people" in words


def test_a_check_by_somebody_who_failed_the_test_tells_nothing(tmp_path: Path) -> None:
    """Nor does one by who never took it; their hours were paid all the same."""
    facts = {"attempts": 1, "passed_tasks": 5, "tasks": 5, "made_by": "q@1"}
    passed = Qualified.model_validate({"annotator": "ann-b", "passed": True, **facts})
    chosen = made(review={"checkers": 1}, annotate={"qualify": True})
    found = report(tmp_path, chosen, [passed, *gold(good=False)])
    assert found.reviewing.gold == 5
    assert found.reviewing.audit is None  # by ann-c
    assert found.cost.check_hours == pytest.approx(20 / 180)


def test_an_audit_by_people_who_see_badly_is_seen_through(tmp_path: Path) -> None:
    rule = report(tmp_path, made(review={"checkers": 1}), gold(good=True)).reviewing
    assert rule.audit is not None
    assert rule.audit.value == 0.25
    assert rule.audit_seen_through is not None
    assert rule.audit_seen_through.value == 0  # one of four good ones is rejected in gold, too
    assert rule.audit_seen_through.high > 0.25


def test_the_rule_of_review_where_both_kinds_of_gold_are_known(tmp_path: Path) -> None:
    rule = report(tmp_path, made(review={"checkers": 4, "max_rejects": 2}), gold(good=True)).reviewing
    assert not rule.assumed
    assert rule.quality.specificity is not None
    assert rule.quality.specificity.value == pytest.approx(0.75)
    assert rule.bad_share is not None
    assert rule.bad_share.value == 0  # 20 % rejections are fewer than good captions get
    assert rule.rules[0].rule == rule.own == Rule(4, 2)


def test_checks_that_tell_nothing_give_no_rules(tmp_path: Path) -> None:
    planted: list[Record] = []
    for n in range(4):
        *asking, caption = captioned(n, "ann-a", "A dog barks.")
        planted += [*asking, caption, *checked(caption, "ann-b", "reject")]
        for expected in ("accept", "reject"):
            verdict = "reject" if n % 2 else "accept"
            planted += checked(caption, "ann-b", verdict, kind="gold", expected=expected, on=n + 4)
    found = report(tmp_path, made(review={"checkers": 1, "max_rejects": 3}), planted)
    assert found.reviewing.bad_share is None
    assert found.reviewing.rules == []
    words = read_page(found)
    assert "their checks tell nothing" in words
    assert "can never send a caption back" in words


def test_checkers_who_overlook_the_same_are_told(tmp_path: Path) -> None:
    planted: list[Record] = []
    for n in range(CLIPS):
        *asking, caption = captioned(n, "ann-a", "A dog barks.")
        planted += [*asking, caption]
        for who in ("ann-b", "ann-c"):
            verdict, on = "reject" if n % 2 else "accept", (n + 2) % CLIPS
            planted += checked(caption, who, verdict, on, kind="gold", expected="reject")
    found = report(tmp_path, made(), planted).reviewing.overlap
    assert found is not None
    assert (found.captions, found.observed) == (CLIPS, 1)
    assert found.p_value < 0.05


def test_who_differs_is_named_by_pseudonym(tmp_path: Path) -> None:
    planted: list[Record] = []
    for turn, who in enumerate(("ann-a", "ann-b", "ann-c"), start=1):
        for n in range(CLIPS):
            *asking, caption = captioned(n, who, "A dog barks at night.", turn=turn)
            planted += [
                *asking,
                caption,
                *checked(caption, "ann-d", "reject" if who == "ann-c" else "accept"),
            ]
            if who == "ann-c" and n < 3:
                kinds = ("no_sound", "cut") if n else ("no_sound",)
                planted.append(faulty(caption, 1, *kinds))
            elif who == "ann-a":
                planted.append(faulty(caption, 2, "cut"))  # of another revision
    found = report(tmp_path, made(), planted)
    assert found.differing["captions accepted"][0].annotator == "ann-c"
    (last,) = (one for one in found.writers if one.annotator == "ann-c")
    assert last.faults == {"no_sound": 3, "cut": 2}
    assert last.faulty is not None
    assert last.faulty.value == pytest.approx(0.3)
    assert found.writers[0].faults == {}
    assert "ann-c captions accepted 0.0 % 100.0 %" in read_page(found)


def test_each_sense_and_shown_labels(tmp_path: Path) -> None:
    """By eye alone they name no sound. Who is shown the labels writes two of three words from them."""
    planted: list[Record] = []
    for n in range(1, CLIPS, 2):
        planted += captioned(n, "ann-a", "Dog and rain." if n % 4 == 1 else "A man sleeps.",
                             hints=("Dog", "Rain on roof") if n % 4 == 1 else ())  # fmt: skip
        planted += captioned(n, "ann-b", "A man runs on grass.", mode="muted")
        planted += captioned(n, "ann-c", "A dog barks.", mode="screen-off")
    planted += captioned(0, "ann-a", "A dog and rain.")  # of a clip without labels
    found = report(tmp_path, made(), planted)
    told = {one.senses: one for one in found.senses}
    assert {name: one.captions for name, one in told.items()} == {"av": 6, "v": 5, "a": 5}
    assert told["v"].sounds is not None
    assert told["a"].sounds is not None
    assert (told["v"].sounds.value, told["a"].sounds.value) == (0, 1)
    assert told["v"].words is not None
    assert told["v"].words.value == 5
    assert told["a"].density is not None
    assert told["a"].density.value == pytest.approx(2 / 3)  # `dog` and `barks` of three words
    hints = found.hints
    assert (hints.shown.captions, hints.hidden.captions) == (3, 2)
    assert hints.shown.from_labels is not None
    assert hints.shown.from_labels.value == pytest.approx(2 / 3)
    assert hints.difference.from_labels is not None
    assert hints.difference.from_labels.value == pytest.approx(2 / 3)
    assert hints.difference.words is not None
    assert hints.difference.words.value == 0
    read_page(found)


def test_of_many_captions_a_sample_is_looked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreement_words, "MOST_COUNTED", 3)
    monkeypatch.setattr(agreement_people, "MOST_COMPARED", 2)
    planted: list[Record] = []
    for n in range(4):
        planted += captioned(n, "ann-a", "A dog barks.")
        planted += captioned(n, "ann-b", "A dog.", slot=1)
    found = report(tmp_path, made(), planted)
    assert (found.writing.clips, found.writing.compared) == (4, 2)
    assert found.senses[0].captions == 8
    assert found.senses[0].words is not None
    assert found.senses[0].words.n == 3


def test_sounds_of_other_languages_are_not_told(tmp_path: Path) -> None:
    planted = [*captioned(0, "ann-a", "Ein Hund bellt."), *captioned(0, "ann-b", "Ein Hund.", slot=1)]
    planted += captioned(1, "ann-a", "Ein Hund bellt.")
    found = report(tmp_path, made(captions={"language": "de"}), planted)
    assert found.senses[0].sounds is None
    assert found.senses[0].words is not None
    assert "English captions only" in read_page(found)


def test_deleted_skipped_and_untimed_answers(tmp_path: Path) -> None:
    gone_task, gone, gone_caption = captioned(0, "ann-a", "A dog barks.")
    skipped = asked(rows.clip_id(1), "caption")
    untimed = captioned(2, "ann-a", "A dog barks.", lead_ms=0)
    planted: list[Record] = [
        gone_task,
        gone.model_copy(update={"deleted": True}),
        gone_caption.model_copy(update={"deleted": True}),
        skipped,
        said(skipped, "ann-a", skipped=True, lead_ms=36_000),
        *untimed,
    ]
    found = report(tmp_path, made(), planted)
    assert found.captions == 1
    assert (found.cost.answers, found.cost.untimed) == (2, 1)
    assert found.cost.caption_hours == pytest.approx(2 * 36 / 3600)
    assert "1 of 2 answers carry no time" in read_page(found)


def test_the_command_and_its_twin(tmp_path: Path) -> None:
    chosen = tmp_path / "made.toml"
    chosen.write_text('name = "made"\nrules = []\n')
    with opened(tmp_path, made(), captioned(1, "ann-a", "A dog barks at a <b>cat</b>.")):
        pass
    before = sorted((tmp_path / "w").rglob("*.parquet"))
    words = ["annotate", "agreement", str(chosen), "--workspace", str(tmp_path / "w")]
    run = CliRunner().invoke(app, [*words, "--json"])
    assert run.exit_code == 0
    told = json.loads(run.stdout)
    assert {"command", "ok", "workspace", "captions", "checks", "writing", "checking", "writers", "checkers",
            "differing", "reviewing", "senses", "hints", "drafts", "cost", "page",
            "notes"} == set(told)  # fmt: skip
    assert told["command"] == "annotate agreement"
    assert told["writers"][0]["annotator"] == "ann-a"
    assert told["reviewing"]["own"] == {"checkers": 1, "tolerated": 0, "in_turn": False}
    shown = CliRunner().invoke(app, words)
    assert shown.exit_code == 0
    assert max(map(len, shown.stdout.splitlines())) <= 220
    assert "ann-a" in shown.stdout
    assert shown.stdout.splitlines()[-1] == f"page: {told['page']}"
    html = Path(told["page"]).read_text()
    assert "cat" not in html  # no text of anybody
    assert sorted((tmp_path / "w").rglob("*.parquet")) == before
    assert chain.agreement(made(), Options(workspace=str(tmp_path / "w"))).captions == 1


def test_no_account_gets_into_the_page(tmp_path: Path) -> None:
    """The one file that links pseudonyms to accounts is not even read."""
    with opened(tmp_path, made(), captioned(0, "ann-a", "A dog barks.")) as workspace:
        workspace.store.put_bytes(layout.PEOPLE, b'{"secret": "jane@example.org"}')
        found = agree(workspace)
    for text in (Path(found.page).read_text(), json.dumps(found.as_json()), "\n".join(found.lines())):
        assert "jane" not in text
        assert "@example" not in text


def test_a_review_that_is_deleted_does_not_count(tmp_path: Path) -> None:
    *asking, caption = captioned(0, "ann-a", "A dog barks.")
    review = Review(
        caption_id=caption.caption_id, reviewer="ann-b", decision="accept", deleted=True, made_by="pull@1"
    )
    found = report(tmp_path, made(), [*asking, caption, review])
    assert found.reviewing.accepted == 0
    assert found.reviewing.rejected is None
