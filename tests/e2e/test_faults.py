"""Bad input and bad luck: one clear line, the right exit code, nothing lost."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import ENVIRONMENT, Served, report, valor, write_recipe
from valor_data import chain
from valor_data import recipe as recipes
from valor_data.demo.server import serve
from valor_data.errors import FatalError
from valor_data.scenes import make_scene, pairs, render_clip


def one_line(stderr: str) -> str:
    lines = stderr.strip().splitlines()
    assert len(lines) == 1, stderr
    return lines[0]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["fetch", "nowhere.toml"], "nowhere.toml: no such file"),
        (["fetch", "."], ". is a folder"),
        (["fetch", "--", "-dash.csv"], "-dash.csv: no such file"),
        (["status", "good.toml"], "no workspace there"),
        (["run", "typo.toml"], "unknown key 'fetch.profil'; did you mean 'profile'?"),
        (
            ["run", "rule.toml"],
            "rule.toml: key 'rules.0': rule on 'loudnes_lufs': no such measure; did you mean 'loudness",
        ),
        (["run", "broken.toml"], "broken.toml: not readable as TOML"),
        (["run", "nolist.toml"], "names no list"),
        (["run", "lost.toml"], "lost.csv"),
        (["run", "page.html"], "page.html"),
        (["filter", "good.toml"], "run 'valor-data fetch' first"),
        (["shard", "good.toml"], "fetch"),
        (["quarantine", "good.toml", "-x_2Abohj8V_0_10000"], "-x_2Abohj8V_0_10000: no such clip"),
        (["init", "folder", "--recipe", "nosuch"], "no recipe 'nosuch'"),
        (["catalog", "sql", "select 1", "--workspace", "nowhere"], "nowhere"),
    ],
)
def test_a_wrong_word_gets_one_line_and_exit_code_2(words: list[str], told: str, tmp_path: Path) -> None:
    (tmp_path / "good.toml").write_text('name = "good"\n[[segments.lists]]\npath = "good.csv"\n')
    (tmp_path / "good.csv").write_text("url,start,end\nhttp://127.0.0.1:1/a.mp4,0,10\n")
    (tmp_path / "typo.toml").write_text('name = "typo"\n[fetch]\nprofil = "exact"\n')
    rule = '[[rules]]\nmetric = "loudnes_lufs"\nmin = -50\nreason = "quiet"\n'
    (tmp_path / "rule.toml").write_text(f'name = "rule"\n{rule}')
    (tmp_path / "broken.toml").write_text('name = "broken\n')
    (tmp_path / "nolist.toml").write_text('name = "nolist"\n')
    (tmp_path / "lost.toml").write_text('name = "lost"\n[[segments.lists]]\npath = "lost.csv"\n')
    (tmp_path / "page.html").write_text("<!doctype html><html><body>Sign in</body></html>")
    assert told in one_line(valor(*words, code=2, cwd=tmp_path))


def test_an_unknown_option_is_exit_code_2(tmp_path: Path) -> None:
    assert "No such option" in valor("fetch", "x.toml", "--fast", code=2)


def test_a_strict_list_stops_at_its_first_bad_row(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text(
        "url,start,end\nhttp://127.0.0.1:1/a.mp4,0,10\nhttp://127.0.0.1:1/b.mp4,9,3\n"
    )
    text = 'name = "strict"\n[segments]\nstrict = true\n[[segments.lists]]\npath = "list.csv"\n'
    (tmp_path / "strict.toml").write_text(text)
    assert "list.csv:3" in one_line(valor("fetch", "strict.toml", code=2, cwd=tmp_path))


def test_a_second_writer_is_told_who_writes(served: Served, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, served.listed)
    first = subprocess.Popen(
        [sys.executable, "-m", "valor_data", "fetch", str(recipe)],
        env={**os.environ, **ENVIRONMENT},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        lock = tmp_path / "workspace" / ".lock"
        _wait_for(lambda: lock.exists() and lock.stat().st_size > 0)
        assert str(first.pid) in one_line(valor("filter", str(recipe), code=2))
    finally:
        first.send_signal(signal.SIGINT)
        assert first.wait(timeout=60) == 130


def test_ctrl_c_keeps_what_is_done(served: Served, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, served.listed)
    run = subprocess.Popen(
        [sys.executable, "-m", "valor_data", "fetch", str(recipe), "--workers", "1"],
        env={**os.environ, **ENVIRONMENT},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    clips = tmp_path / "workspace" / "clips"
    _wait_for(lambda: len(list(clips.rglob("*.mp4"))) >= 2)
    run.send_signal(signal.SIGINT)
    _, stderr = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "the same command goes on from here" in stderr
    kept = set(clips.rglob("*.mp4"))
    rows = report(
        "catalog", "sql", "select object_key from media", "--workspace", str(tmp_path / "workspace")
    )
    assert len(rows) >= 1
    assert {tmp_path / "workspace" / row["object_key"] for row in rows} <= kept
    report("run", str(recipe))


def test_a_full_disk_stops_the_run_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The third media object finds no room; after making room the same command goes on."""
    media = tmp_path / "media"
    media.mkdir()
    rows = ["url,start,end,caption"]
    with serve(media) as base_url:
        for number, (visual, sound) in enumerate(pairs()[:4]):
            render_clip(media / f"{number}.mp4", make_scene(visual, sound, seed=number, seconds=2.0))
            rows.append(f"{base_url}/{number}.mp4,0,2,Clip {number}.")
        (tmp_path / "list.csv").write_text("\n".join(rows) + "\n")
        loaded = recipes.load(str(write_recipe(tmp_path / "r", tmp_path / "list.csv")))
        options = chain.Options(workspace=str(tmp_path / "w"), engine="inline", progress=False)
        real, puts = os.replace, 0

        def no_room(source: object, target: object) -> None:
            nonlocal puts
            if str(target).endswith(".mp4"):
                puts += 1
                if puts > 2:
                    raise OSError(28, "No space left on device")
            real(source, target)  # type: ignore[call-overload]

        monkeypatch.setattr(os, "replace", no_room)
        with pytest.raises(FatalError, match=r"(?i)space|full"):
            chain.fetch(loaded, options)
        monkeypatch.setattr(os, "replace", real)
        kept = list((tmp_path / "w").rglob("*.mp4"))
        assert len(kept) == 2
        assert chain.fetch(loaded, options).counts["fetched"] == 4
        assert not [path for path in (tmp_path / "w").rglob("*") if ".tmp-" in path.name]


def test_too_many_faults_are_exit_code_1(tmp_path: Path) -> None:
    """Nobody listens on that port: every clip fails for a cause that may pass."""
    (tmp_path / "list.csv").write_text("url,start,end\nhttp://127.0.0.1:9/a.mp4,0,10\n")
    told = report("fetch", "list.csv", code=1, cwd=tmp_path)
    assert told["ok"] is False
    assert told["reasons"] == {"transport": 1}
    row = report(
        "catalog", "sql", "select message, attempts from outcomes", "--workspace", "list", cwd=tmp_path
    )[0]
    assert row["attempts"] == 4  # the default budget for faults that may pass
    assert "refused" in row["message"].lower()


def test_reports_of_every_run_are_kept(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("url,start,end\nhttp://127.0.0.1:9/a.mp4,0,10\n")
    report("fetch", "list.csv", code=1, cwd=tmp_path)
    kept = list((tmp_path / "list" / "runs").glob("*.json"))
    assert [json.loads(path.read_text())["command"] for path in kept] == ["fetch"]


def _wait_for(condition: object, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
