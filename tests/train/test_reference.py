"""Ours computes what the released code computes, and its own shortcuts change no loss and no gradient."""

import random

import pytest
import torch

from benchmarks import reference_step as reference
from valor_data.train.linear import Linear
from valor_data.train.masking import Dice, mask_words
from valor_data.train.model import Losses, Texts, Valor

SIZES = reference.sizes(64, 2, 0.0, resolution=32, vocabulary=400)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("seed", [0, 1])
def test_losses_are_those_of_the_released_computation(seed: int) -> None:
    told, plain = reference.losses_of_both(SIZES, reference.batch(SIZES, 5, 2, seed))
    assert set(told) == {f"{kind}_{name}" for kind in ("mga", "mgc") for name in ("tv", "ta", "tva")}
    assert len(set(told.values())) == len(told)
    assert told == pytest.approx(plain, abs=1e-4)


def test_another_weight_is_seen() -> None:
    """The comparison above would find a weight that one side lacks."""
    given = reference.batch(SIZES, 5, 2)
    ours = Valor(SIZES).eval()
    theirs = reference.with_weights_of(ours).eval()
    hidden = reference.hide(given.texts.words_BL, random.Random(0), 400)
    inputs = (*reference.normalised(ours, given.clips), given.texts.words_BL, *hidden)
    with torch.no_grad():
        before = theirs(*inputs)
        theirs.text_blocks[1].cross.v.weight.add_(torch.randn(64, 64) * 0.1)
        after = theirs(*inputs)
    assert all((before[name] == after[name]) == name.startswith("mga") for name in before)


def test_both_sides_take_a_step_alike() -> None:
    """Gradients of every weight, by way of what a step makes of the losses."""
    given = reference.batch(SIZES, 4, 2)
    ours = Valor(SIZES)
    theirs = reference.with_weights_of(ours)
    words_BL = given.texts.words_BL
    masked = mask_words(words_BL, reference.vocabulary_of(SIZES), Dice((1,), len(words_BL)))
    total(ours(given.clips, given.texts, masked)).backward()
    plain = theirs(*reference.normalised(ours, given.clips), words_BL, *reference.as_hidden(masked))
    torch.stack(list(plain.values())).sum().backward()
    gradients = dict(ours.named_parameters())
    for name, one in theirs.named_parameters():
        other = {
            "words.weight": "bert.words.weight",
            "head_bias": "bert.head_bias",
            "picture_places": "vision.positions",
            "sound_patches.weight": "audio.patches.weight",
            "text_blocks.0.into.weight": "bert.blocks.0.mlp.into.weight",
            "text_blocks.1.cross.q.weight": "bert.blocks.1.cross.q.weight",
            "text_blocks.1.out.weight": "bert.blocks.1.mlp.out.weight",
            "temperature": "temperature",
        }.get(name)
        if other is not None:
            assert one.grad is not None
            torch.testing.assert_close(gradients[other].grad, one.grad, atol=2e-5, rtol=1e-3, msg=name)


def total(losses: Losses) -> torch.Tensor:
    return torch.stack([*losses.mga.values(), *losses.mgc.values()]).sum()


def test_more_pads_change_neither_losses_nor_gradients() -> None:
    config = SIZES.model_copy(update={"parity": "paper"})
    given = reference.batch(config, 4, 2)
    ours = Valor(config)

    def run(texts: Texts) -> tuple[torch.Tensor, list[torch.Tensor]]:
        ours.zero_grad()
        masked = mask_words(texts.words_BL, reference.vocabulary_of(config), Dice((1,), 4))
        loss = total(ours(given.clips, texts, masked))
        loss.backward()
        return loss.detach(), [one.grad.clone() for one in ours.parameters() if one.grad is not None]

    short_BL = given.texts.words_BL[:, : int(given.texts.mask_BL.sum(1).max())]
    (loss, gradients), (other, others) = run(given.texts), run(Texts(short_BL, short_BL != 0))
    torch.testing.assert_close(loss, other)
    assert len(gradients) == len(list(ours.parameters()))
    for one, two in zip(gradients, others, strict=True):
        torch.testing.assert_close(one, two, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("shape", [(7, 48), (2, 5, 48), (2, 3, 5, 48), (0, 48)])
def test_a_linear_layer_is_torchs(shape: tuple[int, ...]) -> None:
    layer, x = Linear(48, 96), torch.randn(shape).requires_grad_()
    found, weights = layer(x), torch.randn(*shape[:-1], 96)
    gradients = torch.autograd.grad((found * weights).sum(), (x, *layer.parameters()))
    expected = torch.nn.functional.linear(x, layer.weight, layer.bias)
    wanted = torch.autograd.grad((expected * weights).sum(), (x, *layer.parameters()))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    for one, other in zip(gradients, wanted, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_words_are_hidden_by_the_loop_as_by_ours() -> None:
    """Both hide six of ten, and never what may not be hidden."""
    words_BL = reference.batch(SIZES, 200, 1).texts.words_BL
    hidden = reference.hide(words_BL, random.Random(0), 400)
    masked = mask_words(words_BL, reference.vocabulary_of(SIZES), Dice((1,), 200))
    for one in (hidden, reference.as_hidden(masked)):
        chosen_BL = one.labels_BL != -1
        assert chosen_BL.any(1).all()
        assert not chosen_BL[:, 0].any()
        assert torch.equal(one.labels_BL[chosen_BL], words_BL[chosen_BL])
        share = chosen_BL.sum() / ((words_BL != 0).sum() - len(words_BL))
        assert share.item() == pytest.approx(0.6, abs=0.03)
