"""Recipes: closed, forgiving in nothing, and clear about each fault."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from valor_data import recipe
from valor_data.errors import UserError
from valor_data.recipe import Recipe


def parsed(**raw: Any) -> Recipe:
    return recipe.parse({"name": "demo", **raw}, "demo.toml")


class TestFaults:
    @pytest.mark.parametrize(
        ("raw", "why"),
        [
            ({"nmae": "x"}, r"unknown key 'nmae'; did you mean 'name'\?"),
            ({"fetch": {"max_hight": 1}}, r"unknown key 'fetch.max_hight'; did you mean 'max_height'\?"),
            ({"segments": {"lists": [{"paht": "x"}]}}, r"'segments.lists.0.paht'; did you mean 'path'\?"),
            ({"rules": [{"metric": "m", "reason": "r", "mni": 1}]}, r"'rules.0.mni'; did you mean 'min'\?"),
            ({"split": {"zzz": 1}}, "unknown key 'split.zzz'; known: train, val, test, seed"),
            ({"fetch": {"crf": 99}}, "key 'fetch.crf'.*51"),
            ({"fetch": {"crf": "23"}}, "key 'fetch.crf'.*integer"),
            ({"fetch": {"profile": "huge"}}, "key 'fetch.profile'.*'exact'"),
            ({"fetch": {"fps": float("inf")}}, "key 'fetch.fps'.*finite"),
            ({"segments": {"seconds": 0}}, "key 'segments.seconds'.*greater than 0"),
            ({"segments": {"seconds": float("inf")}}, "key 'segments.seconds'.*finite"),
            ({"segments": {"lists": [{"path": "x", "form": "excel"}]}}, "unknown form 'excel'; known: auto"),
            ({"segments": {"lists": [{"path": "x", "split": "dev"}]}}, "'segments.lists.0.split'.*'val'"),
            ({"segments": {"lists": [{}]}}, "'segments.lists.0.path': Field required"),
            ({"segments": 3}, "key 'segments'"),
            ({"rules": [{"metric": "m", "reason": "r"}]}, "rule on 'm' asks nothing"),
            ({"rules": [{"metric": "m", "reason": "r", "min": float("nan")}]}, "finite"),
            ({"rules": [{"metric": "m", "reason": "r", "min": 2, "max": 1}]}, "keeps nothing: min 2 > max 1"),
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
        assert made.rules == Recipe(name="x").rules

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
