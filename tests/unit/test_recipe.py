"""Recipes: closed, forgiving in nothing, and clear about each fault."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from valor_data import layout, recipe
from valor_data.errors import UserError
from valor_data.recipe import Recipe
from valor_data.records import MEASURES


def _rule(**raw: Any) -> dict[str, Any]:
    return {"rules": [{"reason": "r", **raw}]}


def parsed(**raw: Any) -> Recipe:
    return recipe.parse({"name": "demo", **raw}, "demo.toml")


class TestFaults:
    @pytest.mark.parametrize(
        ("raw", "why"),
        [
            ({"nmae": "x"}, r"unknown key 'nmae'; did you mean 'name'\?"),
            ({"fetch": {"max_hight": 1}}, r"unknown key 'fetch.max_hight'; did you mean 'max_height'\?"),
            ({"segments": {"lists": [{"paht": "x"}]}}, r"'segments.lists.0.paht'; did you mean 'path'\?"),
            ({"measure": {"also": ["speach"]}}, "also.0': no such word 'speach'; did you mean 'speech'"),
            ({"measure": {"also": "speech"}}, r"'measure.also': give a list, such as \[\"speech\"\]"),
            ({"safety": {"nsfw_model": "m"}}, "nsfw_max is not: give the largest score"),
            ({"rules": [{"metric": "m", "reason": "r", "mni": 1}]}, r"'rules.0.mni'; did you mean 'min'\?"),
            ({"split": {"zzz": 1}}, "unknown key 'split.zzz'; known: train, val, test, seed"),
            ({"fetch": {"crf": 99}}, "key 'fetch.crf'.*51"),
            ({"fetch": {"crf": "23"}}, "key 'fetch.crf'.*integer"),
            ({"fetch": {"profile": "huge"}}, "key 'fetch.profile': no such word 'huge'; known: exact"),
            ({"fetch": {"fps": float("inf")}}, "key 'fetch.fps'.*finite"),
            ({"segments": {"seconds": 0}}, "key 'segments.seconds'.*greater than 0"),
            ({"segments": {"seconds": float("inf")}}, "key 'segments.seconds'.*finite"),
            ({"segments": {"lists": [{"path": "x", "form": "excel"}]}}, "unknown form 'excel'; known: auto"),
            ({"segments": {"lists": [{"path": "x", "split": "dev"}]}}, "no such word 'dev'; known: train"),
            ({"segments": {"lists": [{}]}}, "'segments.lists.0.path': Field required"),
            ({"segments": 3}, "key 'segments'"),
            ({"rules": [{"metric": "m", "reason": "r"}]}, "rule on 'm' asks nothing"),
            ({"rules": [{"metric": "m", "reason": "r", "min": float("nan")}]}, "finite"),
            ({"rules": [{"metric": "m", "reason": "r", "min": 2, "max": 1}]}, "keeps nothing: min 2 > max 1"),
            (_rule(metric="loudness_luf", min=1), "no such measure; did you mean 'loudness_lufs'"),
            (_rule(metric="xyzzy", min=1), "known: has_audio, .*, tag.<Class>, leak.<benchmark>"),
            (_rule(metric="has_audio", min=1), "'has_audio': it is true or false; give equals"),
            (_rule(metric="leak", equals=True), "'leak': it is a word; give equals"),
            (_rule(metric="fps", equals="many"), "'fps': it is a number; give min and max"),
            (_rule(metric="fps", equals=True, min=1), "'fps': give equals, or min and max"),
            (_rule(), "nothing given: give one of metric, all or any"),
            (_rule(metric="fps", any=[{"metric": "fps", "min": 1}]), "metric and any given: give one of"),
            (_rule(any=[]), "any is empty: give conditions"),
            (_rule(all=[{"metric": "fps", "min": 1}], missing="keep"), "belong beside a metric, inside all"),
            (_rule(any=[{"metric": "fps", "mni": 1}]), "key 'rules.0.any.0.mni'; did you mean 'min'"),
            (_rule(any=[{"all": [{"metric": "fps"}]}]), "'rules.0.any.0.all.0': rule on 'fps' asks nothing"),
            (_rule(metric="fps", min=1, except_labels=[]), "rule 'r': except_labels is empty"),
            (_rule(metric="fps", min=1, except_labels=[""]), "rule 'r': except_labels is empty"),
            (_rule(metric="speech_share", max=1), "'r' on 'speech_share' needs 'speech' in measure.also"),
            (_rule(metric="tag.Dog", min=0.1), "needs 'tags' in measure.also, and measure.tagger"),
            (_rule(metric="nsfw_score", max=0.5), "on 'nsfw_score' needs nsfw_max in .safety."),
            (_rule(metric="leak", equals="none"), r"on 'leak' needs a benchmark in \[\[benchmarks\]\]"),
            (_rule(metric="leak.us", equals="none"), r"needs a benchmark named 'us' in \[\[benchmarks\]\]"),
            ({"measure": {"also": []}, "filter": {"preset": "strict"}}, "'has_video' needs 'video'"),
            ({"filter": {"preset": "strickt"}}, "no preset 'strickt' ships .*; did you mean 'strict'"),
            ({"filter": {"preset": "xyzzy"}}, "known: audible, benchmark, speech-light, strict"),
            ({"balance": {"per_label": 0}}, "'balance.per_label'.*1"),
            ({"split": {"train": 0.9}}, r"train \+ val \+ test must be 1"),
            ({"release": {"version": "1"}}, "key 'release.version'"),
            ({"name": "No Spaces"}, "key 'name'"),
            ({"name": "../up"}, "key 'name'"),
        ],
    )  # fmt: skip
    def test_a_fault_is_told_with_its_key_and_mend(self, raw: dict[str, Any], why: str) -> None:
        with pytest.raises(UserError, match=why) as caught:
            parsed(**raw)
        assert str(caught.value).startswith("demo.toml: ")
        assert "\n" not in str(caught.value)

    def test_every_fault_is_told_at_once(self) -> None:
        with pytest.raises(UserError, match=r"'fetch.crf'.*'fetch.hight'"):
            parsed(fetch={"crf": -1, "hight": 2})


class TestDigests:
    def test_the_profile_names_only_what_shapes_the_bytes(self) -> None:
        plain = parsed()
        assert plain.profile.startswith("exact-")
        assert parsed(retry={"transient": 9}).profile == plain.profile
        assert parsed(fetch={"short_side": 100}).profile == plain.profile
        assert parsed(fetch={"crf": 20}).profile != plain.profile
        copied = parsed(fetch={"profile": "copy"})
        assert parsed(fetch={"profile": "copy", "crf": 20}).profile == copied.profile != plain.profile
        assert parsed(fetch={"codecs": ["avc1"]}).profile != plain.profile
        small = parsed(fetch={"profile": "small"})
        assert parsed(fetch={"profile": "small", "gop": 12}).profile != small.profile
        assert small.profile.startswith("small-")
        assert parsed(fetch={"profile": "small", "short_side": 100}).profile != small.profile

    def test_the_rules_digest_moves_with_a_threshold_alone(self) -> None:
        rule = {"metric": "loudness_lufs", "reason": "inaudible"}
        one, two = parsed(rules=[{**rule, "min": -55.0}]), parsed(rules=[{**rule, "min": -50}])
        assert one.rules_digest != two.rules_digest
        assert parsed(rules=[{**rule, "min": -55.0}], fetch={"crf": 1}).rules_digest == one.rules_digest

    def test_the_rules_digest_covers_preset_and_balance(self) -> None:
        plain = parsed()
        assert parsed(filter={"preset": "audible"}).rules_digest == plain.rules_digest
        assert parsed(filter={"preset": "audible", "max_drop_share": 0.1}).rules_digest == plain.rules_digest
        others = [
            parsed(rules=[]),
            parsed(filter={"preset": "strict"}),
            parsed(balance={"per_label": 5}),
            parsed(balance={"per_label": 5, "seed": 1}),
        ]
        assert len({made.rules_digest for made in [plain, *others]}) == 5

    def test_the_digest_holds_no_folder(self) -> None:
        one = parsed(workspace="/a", segments={"lists": [{"path": "/a/list.csv"}]})
        two = parsed(workspace="/b", segments={"lists": [{"path": "/b/list.csv"}]})
        other = parsed(segments={"lists": [{"path": "/b/other.csv"}]})
        assert one.digest == two.digest != other.digest

    @given(st.floats(0, 1), st.integers(0, 51))
    def test_a_recipe_survives_its_own_dump(self, share: float, crf: int) -> None:
        made = parsed(max_fault_share=share, fetch={"crf": crf}, rules=[])
        assert recipe.parse(made.model_dump(), "again") == made
        assert recipe.parse(made.model_dump(mode="json"), "again").digest == made.digest


class TestRules:
    def test_a_preset_comes_before_the_recipes_own_rules(self) -> None:
        own = {"reason": "small", "metric": "height", "min": 240}
        audible = parsed().effective_rules
        assert [rule.reason for rule in audible] == ["no_audio", "inaudible"]
        assert [rule.reason for rule in parsed(rules=[own]).effective_rules] == ["small"]
        both = parsed(rules=[own], filter={"preset": "audible"}).effective_rules
        assert both[:-1] == audible
        assert both[-1].reason == "small"
        assert parsed(rules=[]).effective_rules == ()

    def test_every_preset_serves_with_what_it_says_it_needs(self) -> None:
        needed: dict[str, dict[str, Any]] = {
            "audible": {"measure": {"also": []}},
            "strict": {},
            "speech-light": {"measure": {"also": ["speech"]}},
            "benchmark": {"benchmarks": [{"name": "ours", "path": "train.csv"}]},
        }
        shipped = {path.stem for path in layout.asset("pipelines", "rules").glob("*.toml")}
        assert shipped == set(needed)
        for name, raw in needed.items():
            reasons = [rule.reason for rule in parsed(filter={"preset": name}, **raw).effective_rules]
            assert len(set(reasons)) == len(reasons) > 1

    def test_every_number_and_word_of_a_measure_is_a_metric(self) -> None:
        lists = {"pdq_hashes", "speech_spans_ms", "tags", "tag_scores", "sound", "picture"}
        names = [
            name
            for record in MEASURES
            for name in record.model_fields
            if name not in {"clip_id", "media_sha256", "made_by", "made_at_us"}
        ]
        assert len(set(names)) == len(names)
        assert set(names) - set(recipe.METRICS) == lists

    def test_a_rule_says_what_stands_in_it(self) -> None:
        made = parsed(
            **_rule(all=[{"any": [{"metric": "fps", "min": 1}, {"metric": "duplicate", "equals": False}]}])
        )
        assert [leaf.metric for leaf in made.effective_rules[0].leaves()] == ["fps", "duplicate"]


class TestLoad:
    def test_paths_count_from_the_recipes_folder(self, tmp_path: Path) -> None:
        path = tmp_path / "my.toml"
        path.write_text(
            'name = "demo"\n[[segments.lists]]\npath = "lists/a.csv"\n[[segments.lists]]\npath = "https://x.org/b.csv"\n'
        )
        made = recipe.load(str(path))
        assert [spec.path for spec in made.segments.lists] == [
            str(tmp_path.resolve() / "lists" / "a.csv"),
            "https://x.org/b.csv",
        ]

    def test_a_bom_does_not_hurt(self, tmp_path: Path) -> None:
        path = tmp_path / "my.toml"
        path.write_text('name = "demo"\n', encoding="utf-8-sig")
        assert recipe.load(str(path)).name == "demo"

    @pytest.mark.parametrize(
        ("file", "name"),
        [
            ("desc_test.json", "desc_test"),
            ("My List (2).csv.gz", "my-list-2"),
            ("-odd.csv", "odd"),
            ("목록.csv", "dataset"),
            (".hidden", "dataset"),
            ("x" * 100 + ".csv", "x" * 63),
        ],
    )
    def test_a_bare_list_gets_the_default_recipe(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, name: str
    ) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / file).write_text("url\n")
        made = recipe.load(file)
        assert made.name == name
        assert [spec.path for spec in made.segments.lists] == [str(tmp_path.resolve() / file)]
        assert made.effective_rules == Recipe(name="x").effective_rules

    def test_a_list_at_an_address_is_left_as_it_is(self) -> None:
        made = recipe.load("https://example.org/lists/desc_val.json")
        assert (made.name, made.segments.lists[0].path) == (
            "desc_val",
            "https://example.org/lists/desc_val.json",
        )

    @pytest.mark.parametrize(
        ("content", "why"),
        [(b"name = ", "not readable as TOML"), (b'name = "\xff"', "not readable as TOML"), (b"", "'name'")],
    )
    def test_an_unreadable_recipe_is_told(self, tmp_path: Path, content: bytes, why: str) -> None:
        path = tmp_path / "bad.toml"
        path.write_bytes(content)
        with pytest.raises(UserError, match=rf"bad\.toml: .*{why}"):
            recipe.load(str(path))

    def test_a_path_that_no_system_has_is_told(self, tmp_path: Path) -> None:
        path = tmp_path / "nul.toml"
        path.write_text('name = "x"\nworkspace = "a\\u0000b"\n')
        with pytest.raises(UserError, match="NUL character; mend it in the recipe"):
            recipe.load(str(path))

    def test_what_is_not_there_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"gone\.toml: no such file"):
            recipe.load(str(tmp_path / "gone.toml"))
        with pytest.raises(UserError, match="is a folder"):
            recipe.load(str(tmp_path))
        with pytest.raises(UserError, match="not readable"):
            recipe.load("x" * 5000)

    def test_the_recipes_of_every_form_are_accepted(self) -> None:
        for form in ("auto", *recipe.FORMS):
            made = parsed(segments={"lists": [{"path": "x", "form": form}]})
            assert made.segments.lists[0].form == form


def test_two_benchmarks_of_one_name_are_refused() -> None:
    twice = [{"name": "x", "path": "a.csv"}, {"name": "x", "path": "b.csv"}]
    with pytest.raises(UserError, match="two benchmarks are called 'x'"):
        recipe.parse({"name": "a", "benchmarks": twice}, "a.toml")
