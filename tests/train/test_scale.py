"""What a config costs: operations against torch's counter, memory against what autograd keeps, dry runs."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from tests.train.conftest import TOWER, config
from tests.train.test_use import TOML, valor_data
from valor_data import chain
from valor_data.errors import UserError
from valor_data.train import cost, devices, scale
from valor_data.train.build import outline
from valor_data.train.config import AudioConfig, ModelConfig, TextConfig, VisionConfig
from valor_data.train.losses import Parity
from valor_data.train.masking import Dice, Masked, Vocabulary, mask_words
from valor_data.train.memory import activations
from valor_data.train.model import Clips, Texts, Valor

CLIPS, FRAMES, SLICES, PADDED = 4, 2, 1, 14


@pytest.fixture
def plain_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    """oneDNN's layers are neither in torch's tables nor do they say how large they are."""
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", False)


def model_of(width: int, dropout: float, parity: Parity) -> ModelConfig:
    return ModelConfig(
        vision=VisionConfig(resolution=64, patch=16, width=width, layers=3, heads=2),
        audio=AudioConfig(slice_frames=96, dropout=dropout, **TOWER),
        text=TextConfig(vocabulary=300, dropout=dropout, **{**TOWER, "layers": 3}),
        contra_dim=32,
        parity=parity,
    )


def batch(model: ModelConfig) -> tuple[Clips, Texts, Masked]:
    """Whole clips; two captions of four end in pads."""
    words = torch.randint(5, 300, (CLIPS, PADDED), generator=torch.Generator().manual_seed(1))
    words[:, 0] = 2
    words[1, 7:] = words[2, 12:] = 0
    masked = mask_words(words, Vocabulary(300, 0, 2, 3, 4, 5), Dice((1,), CLIPS))
    whole = torch.ones(CLIPS, dtype=torch.bool)
    side, audio = model.vision.resolution, model.audio
    frames = torch.randint(0, 255, (CLIPS, FRAMES, side, side, 3), dtype=torch.uint8)
    slices = torch.randn(CLIPS, SLICES, audio.slice_frames, audio.mel_bins)
    return Clips(frames, whole, slices, whole, True), Texts(words, words != 0), masked


def size_of(texts: Texts, masked: Masked) -> scale.Pass:
    said, chosen = float(texts.mask_BL.sum()) / CLIPS, len(masked.chosen_M) / CLIPS
    return scale.Pass(CLIPS, CLIPS, FRAMES, SLICES, said, PADDED, chosen)


def built(model: ModelConfig, *, checkpointing: bool) -> Valor:
    torch.manual_seed(0)
    valor = Valor(model).train()
    for tower in (valor.vision, valor.audio, valor.bert):
        tower.checkpointing = checkpointing  # type: ignore[assignment]
    return valor


@pytest.mark.usefixtures("plain_layers")
@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize(("width", "dropout", "parity"), [(32, 0.1, "paper"), (64, 0.0, "released")])
def test_operations_are_those_that_torch_counts(
    width: int, dropout: float, parity: Parity, checkpointing: bool
) -> None:
    model = model_of(width, dropout, parity)
    clips, texts, masked = batch(model)
    valor = built(model, checkpointing=checkpointing)
    parts = scale.flops(model, size_of(texts, masked), checkpointing=checkpointing)
    whole = scale.total(parts)

    def counted(work: Callable[[], object]) -> float:
        # Fused attention on a CPU is not in torch's tables; as plain products it is.
        with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
            work()
        return float(counter.get_total_flops())

    losses = []
    assert counted(lambda: losses.append(valor(clips, texts, masked))) == pytest.approx(
        whole.forward, rel=0.01
    )
    backward = counted(lambda: losses[0].total(1.5).backward())
    assert backward == pytest.approx(whole.backward + whole.again, rel=0.01)
    assert (whole.again > 0) == checkpointing
    for name, part in (("vision", lambda: valor.vision(clips.frames_BFHWC)),
                       ("audio", lambda: valor.audio(clips.slices_BATM))):  # fmt: skip
        assert counted(part) == pytest.approx(parts[name].forward, rel=0.01), name


def kept_bytes(work: Callable[[], object], valor: Valor) -> int:
    """Bytes of the storages that autograd keeps, but for weights."""
    weights = {weight.untyped_storage().data_ptr() for weight in valor.parameters()}
    found: dict[int, int] = {}
    alive = []

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            found[storage.data_ptr()] = storage.nbytes()
            alive.append(tensor)  # or its address might come again
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        result = work()
    assert result is not None
    return sum(found.values())


@pytest.mark.usefixtures("plain_layers")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_activations_are_those_that_autograd_keeps(precision: str, dropout: float, tmp_path: Path) -> None:
    """Within a tenth; in bf16 autograd also keeps the weights that autocast rounded."""
    model = model_of(64, dropout, "paper")
    made = config(tmp_path, tmp_path, precision=precision)
    made = made.model_copy(update={"model": model})
    clips, texts, masked = batch(model)
    valor = built(model, checkpointing=False)
    told = activations(made, size_of(texts, masked), cpu=True)
    half = precision == "bf16"
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
        seen = kept_bytes(lambda: valor.vision(clips.frames_BFHWC), valor)
        whole = kept_bytes(lambda: valor(clips, texts, masked), valor)
    rounded = 2 * sum(weight.numel() for weight in valor.vision.parameters()) if half else 0
    assert told["vision"] + rounded == pytest.approx(seen, rel=0.1)
    rounded = 2 * sum(weight.numel() for weight in valor.parameters()) if half else 0
    assert sum(told.values()) + rounded == pytest.approx(whole, rel=0.1)


def test_checkpointing_keeps_less_and_fsdp_shares(tmp_path: Path) -> None:
    plain = cost.bill(config(tmp_path, tmp_path), 4)
    again = cost.bill(config(tmp_path, tmp_path, checkpointing=True), 4)
    shared = cost.bill(config(tmp_path, tmp_path, fsdp=True), 4)
    assert again.need.activations < plain.need.activations
    assert again.need.fixed == plain.need.fixed == 16 * plain.weights.all
    assert shared.need.fixed == plain.need.fixed / 4
    assert shared.need.exchange > 0
    assert plain.flops_a_clip() == again.flops_a_clip()


def test_an_outline_has_the_sizes_of_the_model() -> None:
    model = model_of(64, 0.1, "released")
    sizes = {name: weight.shape for name, weight in outline(model).named_parameters()}
    assert sizes == {name: weight.shape for name, weight in Valor(model).named_parameters()}


def test_known_devices_are_known_by_their_drivers_names() -> None:
    assert devices.known("NVIDIA H100 80GB HBM3") == devices.H100
    assert devices.known("NVIDIA A100-SXM4-80GB") == devices.A100
    pcie = devices.known("NVIDIA H100 PCIe")
    assert pcie is not None
    assert pcie.name == "H100 PCIe"
    assert devices.known("NVIDIA GeForce GT 710") is None
    cpu = devices.measured_cpu(rounds=1)
    assert cpu.peak("bf16") is None
    assert cpu.peak("fp32") > 1e8  # type: ignore[operator]
    assert cpu.memory > 0


def test_a_dry_run_counts_and_tells_and_writes_nothing(release: Path, tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(TOML.format(release=release))
    ran = valor_data("pretrain", "small.toml", "--dry-run", "--json", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    report = json.loads(ran.stdout)
    counts, details = report["counts"], report["details"]
    assert (counts["clips"], counts["captions"], counts["validation_clips"]) == (13, 26, 13)
    assert counts["flops_a_clip"] == pytest.approx(
        sum(part["forward"] + part["backward"] for part in details["flops_a_clip"].values()), abs=1
    )
    assert set(details["devices"]) == {"cpu", "H100", "A100"}
    assert details["data"]["payload"] == "video"
    shards = [path.stat().st_size for path in release.glob("train/*.tar")]
    assert 0 < counts["bytes_a_clip"] < sum(shards)
    assert [path.name for path in tmp_path.iterdir()] == ["small.toml"]
    assert "ItemError" in ran.stderr  # the broken clip


def test_a_dry_run_says_what_would_stop_the_run(release: Path, tmp_path: Path) -> None:
    for old, new, told in [
        (str(release), str(tmp_path / "none"), "no release there"),
        ("[data]", '[data]\nvocabulary = "nowhere.txt"', "no vocabulary there"),
    ]:
        (tmp_path / "wrong.toml").write_text(TOML.format(release=release).replace(old, new))
        with pytest.raises(UserError, match=told):
            chain.pretrain(str(tmp_path / "wrong.toml"), dry_run=True, progress=False)
