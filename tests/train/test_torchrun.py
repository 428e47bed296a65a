"""Two processes by torchrun: the same model as one, its gradients exchanged or its weights shared."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.train.test_use import TOML
from valor_data.train import checkpoint


def run(folder: Path, release: Path, processes: int, **optim: object) -> Path:
    """A run of three steps without dropout; its folder."""
    text = TOML.format(release=release).split("[optim]")[0]
    text = text.replace("[model.text]", "dropout = 0.0\n[model.text]\ndropout = 0.0")
    settings = {"steps": 3, "save_every": 2, "validate_every": 3, "log_every": 1, "rate": 1e-3, **optim}
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    folder.mkdir()
    (folder / "small.toml").write_text(text + "[optim]\n" + "\n".join(lines) + "\n")
    start(folder, processes)
    return folder / "run"


def start(folder: Path, processes: int) -> None:
    """Begin the folder's run, or go on with it."""
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    ran = subprocess.run(
        [sys.executable, *(torchrun if processes > 1 else []), "-m", "valor_data", "pretrain", "small.toml"],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count("pretrain: done") == 1


def weights(run: Path) -> dict[str, torch.Tensor]:
    newest = checkpoint.newest(run)
    assert newest is not None
    return load_file(newest / "model.safetensors")


@pytest.fixture(scope="module")
def alone(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("alone") / "one", release, 1)


@pytest.mark.slow
@pytest.mark.parametrize("fsdp", [False, True])
def test_two_processes_train_the_model_of_one(alone: Path, release: Path, tmp_path: Path, fsdp: bool) -> None:
    made = run(tmp_path / "two", release, 2, fsdp=fsdp)
    told, expected = (
        [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
        for folder in (made, alone)
    )
    for ours, theirs in zip(told, expected, strict=True):
        if "grad_norm" in theirs:
            assert ours["grad_norm"] == pytest.approx(theirs["grad_norm"], rel=1e-3)
        for name in theirs:
            if name == "validation":  # of eleven clips: where two score nearly alike, a rank may turn
                assert ours[name] == pytest.approx(theirs[name], abs=2)
            if name.startswith("mga"):
                assert ours[name] == pytest.approx(theirs[name], rel=1e-3), name
    newest = [checkpoint.newest(folder) for folder in (made, alone)]
    assert newest[0] is not None
    assert newest[1] is not None
    ours, theirs = (load_file(folder / "model.safetensors") for folder in newest if folder is not None)
    for name, value in theirs.items():
        assert (ours[name] - value).abs().max() < 1e-4, name


@pytest.mark.slow
def test_a_shared_run_goes_on_with_as_many_processes_or_with_one(release: Path, tmp_path: Path) -> None:
    """With as many the bits are the same; alone, with the same batches, nearly so."""
    whole = run(tmp_path / "two", release, 2, fsdp=True, steps=4, validate_every=4)
    expected = weights(whole)
    for processes in (2, 1):
        folder = tmp_path / f"on-{processes}"
        shutil.copytree(tmp_path / "two", folder)
        shutil.rmtree(folder / "run/checkpoints/step-00000004")
        start(folder, processes)
        for name, value in weights(folder / "run").items():
            if processes == 2:
                assert torch.equal(value, expected[name]), name
            else:
                assert (value - expected[name]).abs().max() < 1e-4, name


@pytest.mark.slow
def test_two_processes_go_on_with_the_run_of_one(alone: Path, release: Path, tmp_path: Path) -> None:
    """Its checkpoint after two steps of three, its weights now shared."""
    folder = tmp_path / "on"
    shutil.copytree(alone.parent, folder)
    shutil.rmtree(folder / "run/checkpoints/step-00000003")
    text = (folder / "small.toml").read_text()
    (folder / "small.toml").write_text(text + "fsdp = true\n")
    start(folder, 2)
    expected = weights(alone)
    for name, value in weights(folder / "run").items():
        assert (value - expected[name]).abs().max() < 1e-4, name


@pytest.mark.slow
def test_shared_weights_learn_in_half_precision_too(release: Path, tmp_path: Path) -> None:
    """fp16: a scale that is too large is found by all processes or by none, and the step is left out."""
    made = run(tmp_path / "half", release, 2, fsdp=True, precision="fp16", steps=8, validate_every=8)
    told = [json.loads(line) for line in (made / "log.jsonl").read_text().splitlines()]
    norms = [line["grad_norm"] for line in told if "grad_norm" in line]
    assert norms[0] is None  # no number, and no NaN in JSON
    assert norms[-1] > 0
    assert all(value.isfinite().all() for value in weights(made).values())
