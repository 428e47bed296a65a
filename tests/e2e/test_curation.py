"""Rules from outside: what a threshold would drop, which clips another recipe moves, presets and caps."""

import json
import shutil
from pathlib import Path

import pytest

from tests.e2e.conftest import Finished, Served, report, valor, write_recipe
from tests.fakes.columns import column
from valor_data import recipe
from valor_data.media.observe import Wanted, observe
from valor_data.rules import Verdicts, decide
from valor_data.stages.measure import numbers

pytestmark = pytest.mark.slow


def test_a_person_tunes_compares_and_changes_the_rules(
    finished: Finished, served: Served, tmp_path: Path
) -> None:
    shutil.copytree(finished.workspace / "tables", tmp_path / "workspace" / "tables")
    path = write_recipe(tmp_path, served.listed)
    query = "select clip_id, loudness_lufs, kept, labels from catalog where has_audio is not null"
    clips = report("catalog", "sql", query, "--workspace", str(tmp_path / "workspace"))
    loudness = [clip["loudness_lufs"] for clip in clips if clip["loudness_lufs"] is not None]

    found = report("filter", str(path), "--tune", "loudness_lufs")
    assert (found["clips"], found["undefined"]) == (len(clips), len(clips) - len(loudness))
    for row in found["thresholds"]:
        assert row["min_drops"] == sum(value < row["at"] for value in loudness)
    assert found["rules"] == [{"reason": "inaudible", "end": "min", "at": -60.0}]
    assert "<svg" in Path(found["page"]).read_text()
    assert "no such measure; did you mean 'loudness_lufs'" in valor(
        "filter", str(path), "--tune", "loudnes", code=2
    )

    (tmp_path / "other").mkdir()
    other = write_recipe(tmp_path / "other", served.listed)
    other.write_text(path.read_text().replace("min = -60.0", "min = -1.0"))
    moved = report("filter", str(path), "--diff", str(other))
    kept = {clip["clip_id"] for clip in clips if clip["kept"]}
    assert {clip["clip_id"] for clip in moved["dropped"]} == kept
    assert {clip["reason"] for clip in moved["dropped"]} == {"inaudible"}
    told = valor("filter", str(other), "--diff", str(path), "--workspace", str(tmp_path / "workspace"))
    assert f"rejected here, kept there: {len(kept)}" in told

    other.write_text(path.read_text().split("[[rules]]")[0] + "[balance]\nper_label = 1\n")
    done = report("filter", str(other), "--decide-only", "--workspace", str(tmp_path / "workspace"))
    labels = {label for clip in clips for label in clip["labels"]}
    assert done["reasons"]["no_audio"] == 1
    assert "inaudible" not in done["reasons"]  # it is listed as silence, which `audible` spares
    assert 0 < done["counts"]["kept"] <= len(labels) + sum(not clip["labels"] for clip in clips)
    told = json.loads(valor("filter", str(path), "--explain", min(kept), "--json"))["lines"]
    assert told[-1] == "verdict   kept"


def test_the_presets_tell_audible_silent_and_mute_clips_apart(real_data: Path) -> None:
    """The smallest clips, and the two quietest whose sound is true."""
    quiet = ("valor32k-avqa-2__-uGHAvfqs2I_30.000_40.000.mp4", "imageio-binaries__realshort.mp4")
    heard = sorted((real_data / "clips_av").iterdir(), key=lambda path: path.stat().st_size)
    heard = [path for path in heard[:10] if "testWMV" not in path.name]  # slides, which `strict` refuses
    heard += [real_data / "clips_av" / name for name in quiet]
    silent, mute = (sorted((real_data / folder).iterdir()) for folder in ("clips_silent", "clips_noaudio"))
    files = [*heard, *silent, *mute]
    seen = [observe(path, Wanted(sound=True, picture=True)) for path in files]
    rows = [numbers.audio(one) | numbers.video(one) | numbers.av(one) | {"duplicate": False} for one in seen]
    for preset in ("audible", "strict"):
        chosen = recipe.parse({"name": "real", "filter": {"preset": preset}}, "real.toml").effective_rules
        metrics = {str(leaf.metric) for rule in chosen for leaf in rule.leaves()}
        columns = {name: column([row.get(name) for row in rows]) for name in metrics}
        verdicts = decide(columns, chosen, Verdicts(len(rows)))
        said = [verdicts.reasons[code] for code in verdicts.code]
        assert said == [""] * len(heard) + ["inaudible"] * len(silent) + ["no_audio"] * len(mute)
