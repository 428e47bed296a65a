"""From commands to a manifest that stands beside a paper: lists, splits, wishes, reasons."""

import json
from pathlib import Path

import pandas as pd
import pytest

from tests.e2e.conftest import report, valor
from tests.fakes import footage
from tests.fakes.media_server import MediaServer

pytestmark = pytest.mark.slow


def recipe(folder: Path, server: MediaServer) -> Path:
    """A test list of three films, one of which is not there, and a training list of a fourth."""
    rows = {"test": ("there", "gone", "closed"), "train": ("more",)}
    lists = ""
    for split, names in rows.items():
        lines = [f"{server.url(f'{name}.mp4')},0,1" for name in names]
        (folder / f"{split}.csv").write_text("url,start,end\n" + "\n".join(lines) + "\n")
        lists += f'[[segments.lists]]\npath = "{split}.csv"\nsplit = "{split}"\n'
    (folder / "out.txt").write_text(f"{server.url('closed.mp4')}  # asked by mail\n")
    path = folder / "tiny.toml"
    wishes = '[rights]\nopt_out = ["out.txt"]\n'
    path.write_text(f'name = "tiny"\nworkspace = "w"\nmax_fault_share = 1.0\n{lists}{wishes}')
    return path


def test_what_was_fetched_and_what_was_not_is_published(tmp_path: Path) -> None:
    films = tmp_path / "films"
    films.mkdir()
    for name in ("there", "closed", "more"):
        footage.make(films / f"{name}.mp4", seconds=2)
    with MediaServer(films) as server:
        made = recipe(tmp_path, server)
        planned = report("fetch", str(made), "--dry-run")
        assert planned["counts"]["to_fetch"] == planned["counts"]["videos"] == 3
        assert planned["plan"]
        assert not (tmp_path / "w").exists()
        fetched = report("fetch", str(made), "--workers", "1")
    assert fetched["reasons"] == {"not_found": 1, "opted_out": 1}
    out = tmp_path / "published"
    told = report("status", str(made), "--availability", str(out))
    assert {name: told["counts"][name] for name in ("available", "missing", "not_tried")} == {
        "available": 2,
        "missing": 2,
        "not_tried": 0,
    }
    assert [Path(path).name for path in told["outputs"]] == [
        "availability.parquet",
        "availability.csv",
        "availability.html",
    ]
    found = pd.read_csv(out / "availability.csv").fillna("")
    stands = found[["list", "split", "state", "reason", "kind"]].sort_values(["list", "reason"])
    assert stands.to_numpy().tolist() == [
        ["test.csv", "test", "available", "", ""],
        ["test.csv", "test", "missing", "not_found", "permanent"],
        ["test.csv", "test", "missing", "opted_out", "policy"],
        ["train.csv", "train", "available", "", ""],
    ]
    closed = found[found["reason"] == "opted_out"]["clip_id"].item()
    lines = json.loads(valor("filter", str(made), "--explain", closed, "--json"))["lines"]
    assert any("has opted out" in line for line in lines)
    assert lines[-1] == "verdict   rejected: opted_out"
    report("status", str(made), "--availability", str(tmp_path / "again"))
    assert (tmp_path / "again" / "availability.csv").read_bytes() == (out / "availability.csv").read_bytes()


def test_a_bad_line_among_the_wishes_stops_the_command_with_the_mend(tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    with MediaServer(tmp_path / "films") as server:
        made = recipe(tmp_path, server)
        (tmp_path / "out.txt").write_text("# wishes\nsomebody\n")
        told = valor("fetch", str(made), "--dry-run", code=2)
    assert "out.txt:2: 'somebody'" in told
    assert "a YouTube id" in told
