"""How measures are spread, counted inside the tables: the same as counted outside."""

from pathlib import Path

import numpy as np
import pytest

from tests.fakes import rows
from valor_data.records import Leak, Neighbour
from valor_data.rules import Column, spread
from valor_data.tables import Tables

CLIPS = 400


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    """Measured clips; of every tenth the loudness is not known."""
    made = Tables.open(str(tmp_path))
    made.append([rows.media(n) for n in range(CLIPS)])
    values = np.random.default_rng(0).normal(-30, 10, CLIPS).round(2)
    made.append(
        [
            rows.audio(
                n, loudness_lufs=None if n % 10 == 0 else value, silent_share=n % 5 / 4, has_audio=n % 4 > 0
            )
            for n, value in enumerate(values.tolist())
        ]
    )
    return made


def test_numbers_are_counted_as_outside_the_tables(tables: Tables) -> None:
    marks = [-55.0, -30.0, 99.0]
    found = tables.spreads(rows.PROFILE, {"loudness_lufs": marks, "silent_share": []})
    values = tables.measured(rows.PROFILE, ["loudness_lufs"])["loudness_lufs"].to_numpy()
    wanted = spread(Column(values), marks)
    assert found["loudness_lufs"]._replace(drops=[]) == wanted._replace(drops=[])
    assert found["loudness_lufs"].drops == [drop for drop in wanted.drops if drop.at in marks]
    assert found["loudness_lufs"].undefined == CLIPS // 10
    assert sum(bar.clips for bar in found["silent_share"].bars) == CLIPS  # the last bar holds its end


def test_a_few_values_far_away_do_not_squash_the_rest(tables: Tables) -> None:
    tables.append([rows.audio(1, loudness_lufs=1e9)])
    found = tables.spreads(rows.PROFILE, {"loudness_lufs": [0.0]})["loudness_lufs"]
    assert found.bars[-1].high < 100
    assert found.quantiles[1.0] == 1e9
    assert found.drops[0].above >= 1
    assert sum(bar.clips for bar in found.bars) < CLIPS - found.undefined


def test_words_groups_and_what_nobody_measured(tables: Tables) -> None:
    group = [rows.clip_id(n) for n in range(3)]
    same = {"kind": "both", "representative": group[0], "size": 3, "made_by": "n@1"}
    tables.append([Neighbour.model_validate({"clip_id": one, **same}) for one in group])
    leak = {"clip_id": group[1], "benchmark": "x", "how": "video", "match": "y", "made_by": "l@1"}
    tables.append([Leak.model_validate(leak)])
    asked = ["has_audio", "duplicate", "leak", "speech_share", 'tag.O\'Dog "x"']
    found = tables.spreads(rows.PROFILE, {name: [] for name in asked}, benchmarks=["x"])
    assert found["has_audio"].words == {"true": CLIPS * 3 // 4, "false": CLIPS // 4}
    assert found["duplicate"].words == {"true": 2, "false": CLIPS - 2}  # one stands for the others
    assert found["leak"].words == {"none": CLIPS - 1, "video": 1}
    assert (found["speech_share"].clips, found["speech_share"].undefined) == (CLIPS, CLIPS)
    assert found['tag.O\'Dog "x"'].undefined == CLIPS
