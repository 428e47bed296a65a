"""The real lists through the command line: no row lost, counts told, a plan without a write."""

import shutil
from pathlib import Path

import pytest

from tests.e2e.conftest import report, valor


@pytest.mark.slow
def test_the_real_valor_32k_plan_loses_no_row(real_data: Path, tmp_path: Path) -> None:
    valor("init", "valor32k", "--recipe", "valor32k", cwd=tmp_path)
    for path in (real_data / "meta" / "valor32k").iterdir():
        shutil.copy(path, tmp_path / "valor32k" / path.name)
    plan = report("run", "valor32k/valor32k.toml", "--dry-run", cwd=tmp_path)
    assert plan["counts"]["listed"] == plan["counts"]["to_fetch"] == 32_318
    assert plan["counts"]["duplicate"] == plan["counts"]["bad_rows"] == 0
    assert not (tmp_path / "valor32k" / "workspace").exists()
    assert not (tmp_path / "valor32k" / "valor32k").exists()


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("valor1m", {"unbalanced_train_segments.csv": "audioset/eval_segments.csv"}),
        (
            "audiocaps",
            {
                "train.csv": "audiocaps/val.csv",
                "val.csv": "audiocaps/val.csv",
                "test.csv": "audiocaps/test.csv",
            },
        ),
    ],
)
def test_every_shipped_recipe_plans(
    name: str, files: dict[str, str], real_data: Path, tmp_path: Path
) -> None:
    """With the real lists that are at hand in the place of those that are not."""
    valor("init", ".", "--recipe", name, cwd=tmp_path)
    for target, source in files.items():
        shutil.copy(real_data / "meta" / source, tmp_path / target)
    plan = report("run", f"{name}.toml", "--dry-run", cwd=tmp_path)
    expected = 20_371 if name == "valor1m" else 495 + 975
    assert plan["counts"]["listed"] == expected
    assert plan["counts"]["bad_rows"] == 0


def test_the_starter_recipe_plans_as_it_ships(tmp_path: Path) -> None:
    valor("init", "mine", cwd=tmp_path)
    assert report("run", "mine/starter.toml", "--dry-run", cwd=tmp_path)["counts"]["to_fetch"] == 2


def test_a_list_of_which_no_row_can_be_read_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text("video_id,start,end\n?,0,10\n?,5,15\n")
    done = report("fetch", "bad.csv", "--dry-run", code=1, cwd=tmp_path)
    assert (done["ok"], done["counts"]["bad_rows"]) == (False, 2)
    assert "bad.csv: 2 of 2 rows refused; line 2: '?' is not a YouTube id" in done["warnings"][0]
    assert "bad_rows" not in done["warnings"][0], "a dry run leaves no table to ask"
    for more in ((), ("--dry-run",)):  # the list is read for the first time, then known
        done = report("fetch", "bad.csv", *more, code=1, cwd=tmp_path)
        assert "line 2: '?' is not" in done["warnings"][0]
