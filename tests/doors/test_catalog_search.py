"""`catalog search`: what is found, by whom it may be, and the cache that it lies in."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes import rows
from valor_data import chain
from valor_data.cli import rows as shown
from valor_data.errors import UserError
from valor_data.records import OptOut, Quarantine, SplitOf
from valor_data.search import forget
from valor_data.tables import Tables

ODD = {
    5: "a dog\0with NUL, <b>HTML</b> &amp; \x1b[31mred\x1b[0m",
    6: "كلب ينبح قرب الماء \u202e reversed",
    7: "一只狗在水边叫",
    8: "huge " + "x" * 1_000_000,
}
TEXTS = {
    0: "A dog barks near the water.",
    1: "Two dogs were barking.",
    2: "A cat sleeps near a dog.",
    3: "The barker sings; a dog listens.",
    4: "Water runs, and runs.",
    **ODD,
}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    tables = Tables.open(str(tmp_path / "w"))
    pets = ("Dog", "Domestic animals, pets")
    tables.append([rows.clip(n, labels=pets if n < 3 else ()) for n in range(20)])
    tables.append([rows.caption(n, text) for n, text in TEXTS.items()])
    tables.append([rows.caption(9, "a dog by a model", origin="model", author="model:x")])
    tables.append([rows.caption(10, "a dog deleted", deleted=True)])
    tables.append([rows.caption(11, "a dog in quarantine"), rows.caption(12, "a dog opted out")])
    tables.append([Quarantine(clip_id=rows.clip_id(11), cause="person", made_by="person")])
    tables.append([OptOut(scope="video", value=rows.clip(12).video_id, made_by="list:x")])
    tables.append(
        SplitOf(clip_id=rows.clip_id(n), split="test" if n % 2 else "train", made_by="x") for n in range(9)
    )
    return str(tmp_path / "w")


def found(root: str, query: str, limit: int = 50) -> list[int]:
    numbers = {rows.clip_id(n): n for n in range(20)}
    return [numbers[clip] for clip in chain.search(query, root, limit)["clip_id"].to_pylist()]


def test_best_first_and_only_what_may_be_shown(root: str) -> None:
    assert found(root, "dog barking near water")[0] == 0
    assert sorted(found(root, "dog")) == [0, 1, 2, 3, 5]
    assert found(root, "dog", 2) == found(root, "dog")[:2]
    assert sorted(found(root, "dog AND (water OR cat)")) == [0, 2]
    assert found(root, '"dog barks"') == [0]
    assert sorted(found(root, "bark*")) == [0, 1, 3]
    assert sorted(found(root, "dog -near -listens")) == [1, 5]
    assert sorted(found(root, 'dog label:"domestic animals, pets" split:train')) == [0, 2]
    assert sorted(found(root, "label:dom*")) == [0, 1, 2]
    assert found(root, "dog author:nobody") == []
    assert sorted(found(root, "author:people -label:dog")) == [3, 4, 5, 6, 7, 8]


def test_captions_of_any_kind_are_found_and_do_not_move_the_terminal(
    root: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, query in ((5, "html"), (6, "ينبح"), (7, "狗在水"), (8, "huge")):
        assert found(root, query) == [number]
        shown.show(chain.search(query, root, 1), as_json=False, as_csv=False)
        told = capsys.readouterr().out
        assert all(char.isprintable() or char == "\n" for char in told)
        assert len(told) < 2_000


def test_a_caption_that_changes_is_found_as_it_stands(root: str, tmp_path: Path) -> None:
    assert found(root, "zebra") == []
    tables = Tables.open(root)
    tables.append([rows.caption(0, TEXTS[0]).model_copy(update={"text": "A zebra.", "revision": 2})])
    assert found(root, "zebra") == [0]
    assert found(root, '"barks near"') == []
    homes = list((tmp_path / "cache" / "valor-data" / "search").iterdir())
    assert [len(list(home.iterdir())) for home in homes] == [1]  # that of the captions before is gone
    forget(root)
    assert not homes[0].exists()
    assert found(root, "zebra") == [0]


def test_a_broken_cache_is_built_again_and_one_that_cannot_be_is_told(
    root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found(root, "dog")
    for path in (tmp_path / "cache").rglob("meta.json"):
        path.write_text("{")
    assert found(root, "cat") == [2]
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(UserError, match="XDG_CACHE_HOME"):
        found(root, "dog")


def test_two_processes_may_build_at_once(root: str) -> None:
    words = [sys.executable, "-m", "valor_data", "catalog", "search", "dog", "--json", "--workspace", root]
    running = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    both = [json.loads(process.communicate()[0]) for process in running]
    assert both[0] == both[1]
    assert len(both[0]) == len(found(root, "dog")) > 0


def test_no_workspace_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--workspace"):
        chain.search("dog", str(tmp_path), 1)
