"""What people do after the first run: mend a list, lose a file, live with a dead link."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import report, valor, write_recipe
from tests.fakes.media_server import Fault, MediaServer
from valor_data.scenes import make_scene, pairs, render_clip

pytestmark = pytest.mark.slow


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MediaServer]:
    media = tmp_path / "media"
    media.mkdir()
    for number, (visual, sound) in enumerate(pairs()[:5]):
        render_clip(media / f"{number}.mp4", make_scene(visual, sound, seed=number, seconds=2.5))
    with MediaServer(media) as running:
        yield running


def write_list(path: Path, server: MediaServer, names: list[str], query: str = "") -> None:
    rows = [f"v{n},{server.url(name)}{query},0,2.5,Caption {n}." for n, name in enumerate(names)]
    path.write_text("\n".join(["video_id,url,start,end,caption", *rows]) + "\n")


def test_a_link_that_stays_dead_does_not_stop_the_chain(server: MediaServer, tmp_path: Path) -> None:
    server.faults["4.mp4"] = Fault(status=403)
    write_list(tmp_path / "list.csv", server, [f"{n}.mp4" for n in range(5)])
    recipe = write_recipe(tmp_path, tmp_path / "list.csv", fetch=[])
    for _ in range(2):
        done = report("run", str(recipe))
        assert done["ok"] is True
        assert done["counts"]["failed"] == 1
        assert done["reasons"] == {"forbidden": 1}
        assert done["counts"]["released"] == 4


def test_a_mended_address_is_fetched(server: MediaServer, tmp_path: Path) -> None:
    write_list(tmp_path / "list.csv", server, ["0.mp4", "gone.mp4"])
    recipe = write_recipe(tmp_path, tmp_path / "list.csv")
    assert report("fetch", str(recipe))["reasons"] == {"not_found": 1}
    write_list(tmp_path / "list.csv", server, ["0.mp4", "1.mp4"])
    done = report("fetch", str(recipe))
    assert done["counts"]["new"] == 1
    assert done["counts"]["fetched"] == 2
    assert done["reasons"] == {}


def test_a_lost_object_is_fetched_again(server: MediaServer, tmp_path: Path) -> None:
    write_list(tmp_path / "list.csv", server, ["0.mp4", "1.mp4"])
    recipe = write_recipe(tmp_path, tmp_path / "list.csv")
    report("fetch", str(recipe))
    report("filter", str(recipe))
    next((tmp_path / "workspace" / "clips").rglob("*.mp4")).unlink()
    assert "valor-data fetch" in json.loads(valor("shard", str(recipe), "--json", code=1))["warnings"][0]
    assert report("fetch", str(recipe))["counts"]["new"] == 1
    assert report("run", str(recipe))["counts"]["released"] == 2


def test_what_signs_an_address_stays_out_of_the_release(server: MediaServer, tmp_path: Path) -> None:
    write_list(tmp_path / "list.csv", server, ["0.mp4"], query="?token=SECRETWORD")
    recipe = write_recipe(tmp_path, tmp_path / "list.csv")
    report("run", str(recipe))
    for place in ("releases", "runs", "tables/outcomes", "tables/videos"):
        for path in (tmp_path / "workspace" / place).rglob("*"):
            assert not path.is_file() or b"SECRETWORD" not in path.read_bytes(), path


def test_a_join_may_repeat_a_column(server: MediaServer, tmp_path: Path) -> None:
    write_list(tmp_path / "list.csv", server, ["0.mp4"])
    recipe = write_recipe(tmp_path, tmp_path / "list.csv")
    report("fetch", str(recipe))
    odd = "'a' || chr(27) || '[31m' as odd"
    query = f"select c.clip_id, m.clip_id, {odd} from clips c join media m using (clip_id)"
    place = ("--workspace", str(tmp_path / "workspace"))
    (row,) = report("catalog", "sql", query, *place)
    assert list(row) == ["clip_id", "clip_id_2", "odd"]
    assert "\x1b" not in valor("catalog", "sql", query, *place)
