"""A small release of rendered clips to train on."""

from pathlib import Path

import pytest
import torch

from tests.doors.test_release import PREFIX, fill, opened, recipe
from valor_data.scenes import make_scene, pairs, render_clip
from valor_data.stages.shard import write_release
from valor_data.train.config import (
    AudioConfig,
    DataConfig,
    ModelConfig,
    OptimConfig,
    Pretrain,
    TextConfig,
    VisionConfig,
)

torch.set_num_threads(1)  # many small products: a second thread would only wait
TOWER = {"width": 32, "layers": 2, "heads": 2}


@pytest.fixture(scope="session")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """13 clips of a second and a half, six of them alike in twos; one of them broken, one without sound."""
    folder = tmp_path_factory.mktemp("rendered")
    mp4s = []
    for number, (visual, sound) in enumerate(pairs()[::11][:5]):
        render_clip(folder / "clip.mp4", make_scene(visual, sound, seconds=1.5), channels=number > 0, fps=4)
        mp4s.append((folder / "clip.mp4").read_bytes())
    mp4s.append(mp4s[0][:900])
    with opened(folder / "w", recipe(split={"train": 1.0, "val": 0.0, "test": 0.0})) as workspace:
        fill(workspace, mp4s)
        write_release(workspace, progress=False)
    return folder / "w" / PREFIX


def config(release: Path, out: Path, **optim: object) -> Pretrain:
    """A model so small that a step takes a blink."""
    return Pretrain(
        name="small",
        out=str(out),
        device="cpu",
        model=ModelConfig(
            vision=VisionConfig(resolution=32, patch=16, **TOWER),
            audio=AudioConfig(slice_frames=64, **TOWER),
            text=TextConfig(vocabulary=80, **TOWER),
            contra_dim=16,
        ),
        data=DataConfig(sources=[{"release": str(release)}], batch=4, workers=0, words=12),
        optim=OptimConfig.model_validate(
            {"steps": 6, "rate": 1e-3, "save_every": 100, "log_every": 2, **optim}
        ),
    )
