"""Too little memory: said before a run where it is certain, and in one line where it ran out."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.train.conftest import config
from tests.train.test_use import TOML
from valor_data.errors import UserError
from valor_data.train import cost, room
from valor_data.train.config import AudioConfig, Pretrain

CPU = torch.device("cpu")


def with_audio(made: Pretrain, **audio: object) -> Pretrain:
    model = made.model.model_copy(update={"audio": AudioConfig.model_validate(audio)})
    return made.model_copy(update={"model": model})


def test_a_model_that_no_batch_is_small_enough_for_is_refused(tmp_path: Path) -> None:
    made = with_audio(config(tmp_path, tmp_path), width=16_384, layers=400, heads=2)
    told = r"memory: .*GiB \(weights .*cpu has .* GiB left; take a smaller \[model\]"
    with pytest.raises(UserError, match=told) as caught:
        room.check(cost.bill(made), CPU)
    assert "\n" not in str(caught.value)


def test_a_batch_that_is_too_large_is_warned_of_with_the_mend(tmp_path: Path) -> None:
    made = config(tmp_path, tmp_path)
    made = made.model_copy(update={"data": made.data.model_copy(update={"batch": 10_000_000})})
    assert "set optim.checkpointing = true" in room.check(cost.bill(made), CPU)
    again = made.model_copy(update={"optim": made.optim.model_copy(update={"checkpointing": True})})
    assert "set optim.accumulate = 2" in room.check(cost.bill(again), CPU)
    assert room.check(cost.bill(config(tmp_path, tmp_path)), CPU) == ""


LIMITED = """
import resource, sys
from valor_data.train import use
from valor_data.cli import main
pages = int(open("/proc/self/statm").read().split()[0])
most = pages * resource.getpagesize() + (2 << 30)
resource.setrlimit(resource.RLIMIT_AS, (most, most))
sys.argv = ["valor-data", "pretrain", "large.toml"]
main()
"""
"""The command with a real limit: two gigabytes of addresses above what the program itself takes."""


def test_memory_that_ran_out_is_one_line(release: Path, tmp_path: Path) -> None:
    text = TOML.format(release=release)
    for small, large in (
        ("batch = 4", "batch = 400"),
        ("slice_frames = 64", ""),
        ("layers = 2", "layers = 6"),
    ):
        text = text.replace(small, large)
    (tmp_path / "large.toml").write_text(text)
    ran = subprocess.run(
        [sys.executable, "-c", LIMITED], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 2, ran.stderr
    line = next(line for line in ran.stderr.splitlines() if "memory ran out" in line)
    assert "this config is estimated at" in line
    assert "set optim.checkpointing = true" in line
    assert "Traceback" not in ran.stderr


def test_shared_memory_that_ran_out_names_the_workers(tmp_path: Path) -> None:
    made = cost.bill(config(tmp_path, tmp_path))
    said = "unable to write to file </torch_1>: No space left on device (28); shared memory"
    with (
        pytest.raises(UserError, match=r"enlarge /dev/shm .*or lower data\.workers"),
        room.explained(made, CPU),
    ):
        raise RuntimeError(said)
    with pytest.raises(RuntimeError, match="else"), room.explained(made, CPU):
        raise RuntimeError("something else")
