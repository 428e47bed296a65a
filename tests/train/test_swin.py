"""Video Swin as VALOR uses it, with a stand-in of torchvision's shapes: the real one is not tried here."""

import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

from tests.train.conftest import TOWER
from valor_data.errors import UserError
from valor_data.train import cost
from valor_data.train.build import build, outline
from valor_data.train.config import (
    AudioConfig,
    DataConfig,
    ModelConfig,
    OptimConfig,
    Pretrain,
    TextConfig,
    VisionConfig,
)
from valor_data.train.model import Clips
from valor_data.train.swin import SwinVision


class Patches(nn.Module):
    """As PatchEmbed3d: its own forward halves the frames, and is not what VALOR wants."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv3d(3, width, kernel_size=(2, 4, 4), stride=(2, 4, 4))
        self.norm = nn.LayerNorm(width)


class Stage(nn.Module):
    """Halves the map's sides and doubles its width, as PatchMerging; frames stay as many."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fit = nn.Linear(width, 2 * width)

    def forward(self, x_BFHWD: Tensor) -> Tensor:
        return self.fit(x_BFHWD[:, :, ::2, ::2])


class Stand(nn.Module):
    """The names and shapes of torchvision.models.video.SwinTransformer3d; each token sees its place alone."""

    def __init__(self, width: int, weights: str | None) -> None:
        super().__init__()
        if weights not in (None, "KINETICS400_V1"):
            raise KeyError(weights)
        self.patch_embed, self.pos_drop = Patches(width // 8), nn.Dropout(0.0)
        self.features = nn.Sequential(*(Stage(width // part) for part in (8, 4, 2)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 400)


@pytest.fixture
def torchvision(monkeypatch: pytest.MonkeyPatch) -> None:
    videos = ModuleType("torchvision.models.video")
    videos.swin3d_t = videos.swin3d_s = lambda weights: Stand(768, weights)  # type: ignore[attr-defined]
    videos.swin3d_b = lambda weights: Stand(1024, weights)  # type: ignore[attr-defined]
    for name in ("torchvision", "torchvision.models"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, "torchvision.models.video", videos)


def swin(**changes: object) -> VisionConfig:
    sizes = {"kind": "swin", "width": 768, "layers": 24, "heads": 24, "resolution": 64, **changes}
    return VisionConfig.model_validate(sizes)


def frames(count: int, seed: int = 0) -> Tensor:
    made = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (2, count, 64, 64, 3), generator=made, dtype=torch.uint8)


@pytest.mark.usefixtures("torchvision")
@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_as_many_maps_come_out_as_frames_go_in(count: int) -> None:
    tower = SwinVision(swin())
    assert tower(frames(count)).shape == (2, count, 4, 768)
    assert not hasattr(tower.tower.head, "weight")


@pytest.mark.usefixtures("torchvision")
def test_a_frame_is_seen_with_the_one_after_it() -> None:
    """Patches are two frames deep and move by one; after the last stands a black one."""
    tower, given = SwinVision(swin()).eval(), frames(4)
    changed = given.clone()
    changed[:, 2] = 255 - changed[:, 2]
    differs = (tower(given) != tower(changed)).flatten(2).any(-1).any(0)
    assert differs.tolist() == [False, True, True, False]
    shorter = tower(given[:, :3])
    assert torch.allclose(shorter[:, :2], tower(given)[:, :2], atol=1e-6)
    assert not torch.allclose(shorter[:, 2], tower(given)[:, 2], atol=1e-3)


@pytest.mark.usefixtures("torchvision")
def test_the_mean_of_its_tokens_stands_for_a_frame() -> None:
    audio, text = AudioConfig(slice_frames=64, **TOWER), TextConfig(vocabulary=80, **TOWER)
    model = ModelConfig(vision=swin(), audio=audio, text=text, contra_dim=16)
    valor = build(model).eval()
    clips = Clips(frames(3), torch.ones(2, dtype=torch.bool), None, torch.zeros(2, dtype=torch.bool), False)
    seen = valor.see(clips)
    tokens_BFSD = valor.vision(clips.frames_BFHWC)
    wanted = nn.functional.normalize(valor.video_to_common(tokens_BFSD.mean(2)), dim=-1)
    assert seen.video_BFC is not None
    assert seen.video_BND is not None
    assert torch.allclose(seen.video_BFC, wanted, atol=1e-6)
    assert seen.video_BND.shape == (2, 3 * 4, 32)
    sizes = {name: weight.shape for name, weight in outline(model).named_parameters()}
    assert sizes == {name: weight.shape for name, weight in valor.named_parameters()}


@pytest.mark.usefixtures("torchvision")
def test_its_work_is_counted_on_its_shapes(tmp_path: Path) -> None:
    audio, text = AudioConfig(slice_frames=64, **TOWER), TextConfig(vocabulary=80, **TOWER)
    model = ModelConfig(vision=swin(), audio=audio, text=text, contra_dim=16)
    data = DataConfig(sources=[{"release": "x"}], frames=2, batch=4)
    made = cost.bill(Pretrain(name="x", model=model, data=data, optim=OptimConfig(steps=1)))
    widths = [(96, 192, 8), (192, 384, 4), (384, 768, 2)]  # with the side of the map that a stage gives
    cut = 2 * 16 * 16 * 3 * 2 * 4 * 4 * 96
    a_frame = cut + sum(2 * side * side * narrow * wide for narrow, wide, side in widths)
    assert made.parts["vision"].forward == 4 * 2 * a_frame
    assert made.need.activations > 0


@pytest.mark.usefixtures("torchvision")
def test_checkpointing_gives_the_same_gradients() -> None:
    torch.manual_seed(0)
    tower = SwinVision(swin()).train()
    found = []
    for tower.checkpointing in (False, True):
        tower.zero_grad()
        tower(frames(2)).square().mean().backward()
        found.append([weight.grad.clone() for weight in tower.parameters() if weight.grad is not None])
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


@pytest.mark.usefixtures("torchvision")
def test_weights_by_name_or_file(tmp_path: Path) -> None:
    SwinVision(swin(weights="KINETICS400_V1"))
    stand = Stand(768, None)
    torch.save(stand.state_dict(), tmp_path / "own.pt")
    tower = SwinVision(swin(weights=str(tmp_path / "own.pt")))
    assert torch.equal(tower.tower.norm.weight, stand.norm.weight)
    assert torch.equal(tower.tower.patch_embed.proj.weight, stand.patch_embed.proj.weight)
    for wrong in ("KINETICS_9000", str(tmp_path / "wide.pt")):
        torch.save(Stand(1024, None).state_dict(), tmp_path / "wide.pt")
        with pytest.raises(UserError, match=r"model\.vision\.weights: .*not weights of swin3d_s") as caught:
            SwinVision(swin(weights=wrong))
        assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("torchvision")
@pytest.mark.parametrize(
    ("changes", "told"),
    [({"layers": 7}, "no Video Swin has width 768 and 7 layers"), ({"resolution": 72}, "a multiple of 32")],
)
def test_sizes_that_it_has_not_are_told(changes: dict[str, int], told: str) -> None:
    with pytest.raises(UserError, match=told):
        SwinVision(swin(**changes))


def test_without_torchvision_the_pip_line_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision.models.video", None)
    with pytest.raises(UserError, match=r"needs torchvision.*: pip install torchvision"):
        SwinVision(swin())
