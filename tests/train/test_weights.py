"""Our towers compute what Hugging Face's compute, on the same weights."""

from pathlib import Path

import pytest
import torch

from valor_data.errors import UserError
from valor_data.train import weights
from valor_data.train.config import AudioConfig, TextConfig, VisionConfig
from valor_data.train.towers import Ast, Bert, ClipVision

transformers = pytest.importorskip("transformers")

SIZES = {"hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 96}
TOWER = {"width": 48, "layers": 3, "heads": 4, "mlp_ratio": 2.0}


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def randomised(model: torch.nn.Module) -> torch.nn.Module:
    """Every weight another, biases and norms too, so that none can be left out unseen."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model.eval()


def test_bert_encodes_and_predicts_the_same(tmp_path: Path) -> None:
    theirs = randomised(transformers.BertForMaskedLM(transformers.BertConfig(vocab_size=300, **SIZES)))
    theirs.save_pretrained(tmp_path)
    ours = Bert(TextConfig(vocabulary=300, **TOWER)).eval()
    weights.load_bert(ours, str(tmp_path))
    words = torch.randint(5, 300, (3, 11))
    mask = torch.arange(11) < torch.tensor([[11], [7], [2]])
    with torch.no_grad():
        expected = theirs(words, attention_mask=mask.long()).logits
        found = ours.predict(ours.encode(words, mask, mask.flatten().nonzero().squeeze(1)))
    torch.testing.assert_close(found[mask], expected[mask], atol=1e-5, rtol=1e-5)


def test_clip_sees_the_same(tmp_path: Path) -> None:
    config = transformers.CLIPVisionConfig(image_size=48, patch_size=16, **SIZES)
    theirs = randomised(transformers.CLIPVisionModel(config))
    theirs.save_pretrained(tmp_path)
    ours = ClipVision(VisionConfig(resolution=48, patch=16, **TOWER)).eval()
    weights.load_clip(ours, str(tmp_path))
    frames = torch.randint(0, 256, (2, 3, 48, 48, 3), dtype=torch.uint8)
    images = (frames.flatten(0, 1).permute(0, 3, 1, 2) / 255 - ours.mean) / ours.std
    with torch.no_grad():
        expected = theirs(images)
        states = ours.states(images)
        tokens = ours(frames)
    torch.testing.assert_close(states, expected.last_hidden_state, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(tokens[:, :, 0].flatten(0, 1), expected.pooler_output, atol=1e-5, rtol=1e-5)


def test_ast_hears_the_same(tmp_path: Path) -> None:
    config = transformers.ASTConfig(
        frequency_stride=16, time_stride=16, num_mel_bins=64, max_length=128, patch_size=16, **SIZES
    )
    theirs = randomised(transformers.ASTModel(config))
    theirs.save_pretrained(tmp_path)
    ours = Ast(AudioConfig(slice_frames=128, first_tokens=2, **TOWER)).eval()
    weights.load_ast(ours, str(tmp_path))
    mels = torch.randn(2, 128, 64)
    with torch.no_grad():
        expected = theirs(mels).last_hidden_state
        found = ours.states(mels)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_positions_of_another_grid_are_resized(tmp_path: Path) -> None:
    config = transformers.ASTConfig(num_mel_bins=128, max_length=1024, **SIZES)
    transformers.ASTModel(config).save_pretrained(tmp_path)
    tower = Ast(AudioConfig(**TOWER))
    weights.load_ast(tower, str(tmp_path))
    assert tower(torch.randn(1, 2, 512, 64)).shape == (1, 2, 129, 48)


def test_weights_that_do_not_fit_say_which(tmp_path: Path) -> None:
    transformers.BertForMaskedLM(transformers.BertConfig(vocab_size=300, **SIZES)).save_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"words\.weight is \(300, 48\) there and \(200, 48\)"):
        weights.load_bert(Bert(TextConfig(vocabulary=200, **TOWER)), str(tmp_path))
    with pytest.raises(UserError, match="no weights of a CLIPVisionModel there"):
        weights.load_clip(ClipVision(VisionConfig(resolution=48, **TOWER)), str(tmp_path / "none"))
