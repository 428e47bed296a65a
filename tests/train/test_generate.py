"""Beam search finds what trying everything finds, and its kept keys change nothing."""

import itertools

import pytest
import torch

from tests.train import processes
from valor_data.errors import UserError
from valor_data.train.generate import generate
from valor_data.train.masking import Vocabulary
from valor_data.train.model import Clips, Seen, Texts, Valor

WORDS = Vocabulary(size=9, pad=0, first=1, last=2, mask=3, ordinary=4)


@pytest.fixture(scope="module")
def model() -> Valor:
    config = processes.model().config
    text = config.text.model_copy(update={"vocabulary": 9})
    torch.manual_seed(5)
    made = Valor(config.model_copy(update={"text": text})).eval()
    with torch.no_grad():  # sharper than random weights are
        made.bert.words.weight.mul_(30)
    return made


def seen_by(model: Valor, rows: int) -> Seen:
    generator = torch.Generator().manual_seed(4)
    frames = torch.randint(0, 256, (rows, 2, 32, 32, 3), generator=generator, dtype=torch.uint8)
    here = torch.ones(rows, dtype=torch.bool)
    with torch.no_grad():
        return model.see(Clips(frames, here, torch.randn(rows, 1, 32, 32, generator=generator), here, True))


def chance(model: Valor, seen: Seen, ids: tuple[int, ...], prompt: Texts | None = None) -> float:
    """Log-probability of a text and its end, each word by a pass over all that stands before it."""
    looked, _ = model.look(seen, ("tva",))
    total = 0.0
    for place, wanted in enumerate([*ids, WORDS.last]):
        words = torch.tensor([[WORDS.first, *ids[:place], WORDS.mask]])
        x = model.bert.embed(words)
        mask = None
        if prompt is not None:
            asked = prompt.words_BL.shape[1]
            x = torch.cat([model.bert.embed(prompt.words_BL, prompt=True), x], dim=1)
            mask = torch.ones(1, 1, x.shape[1], x.shape[1], dtype=torch.bool).tril()
            mask[..., :asked, :asked] = True
            mask[..., :asked] &= prompt.mask_BL
        with torch.no_grad():
            logits = model.bert.predict(model.bert.decode(x, looked, mask)[0, -1])
        logits[[WORDS.pad, WORDS.first, WORDS.mask]] = float("-inf")
        total += logits.log_softmax(-1)[wanted].item() if place < 2 else 0.0
    return total


@pytest.mark.parametrize("asked", [False, True])
def test_many_beams_find_the_best_of_all_texts(model: Valor, asked: bool) -> None:
    seen = seen_by(model, 1)
    prompt = Texts(torch.tensor([[1, 5, 6, 0]]), torch.tensor([[True, True, True, False]])) if asked else None
    ordinary = range(WORDS.ordinary, WORDS.size)
    texts = [ids for length in range(3) for ids in itertools.product(ordinary, repeat=length)]
    best = max(texts, key=lambda ids: chance(model, seen, ids, prompt))
    written = generate(model, seen, WORDS, beams=40, most=2, prompt=prompt)[0]
    assert tuple(written.ids) == best
    assert written.log_probability == pytest.approx(chance(model, seen, best, prompt), abs=1e-4)


def test_rows_do_not_disturb_one_another(model: Valor) -> None:
    whole = seen_by(model, 3)
    together = generate(model, whole, WORDS, beams=3, most=6)
    for row in range(3):
        alone = Seen(*(part[row : row + 1] if isinstance(part, torch.Tensor) else part for part in whole))
        (written,) = generate(model, alone, WORDS, beams=3, most=6)
        assert written.ids == together[row].ids
        assert written.log_probability == pytest.approx(together[row].log_probability, abs=1e-4)
    assert all(len(written.ids) <= 6 for written in together)
    assert all(WORDS.last not in written.ids for written in together)


def test_weights_that_make_no_numbers_are_told(model: Valor) -> None:
    seen = seen_by(model, 1)
    lost = seen._replace(video_BND=torch.full_like(seen.video_BND, torch.nan))  # type: ignore[arg-type]
    with pytest.raises(UserError, match="is no number; take an earlier one"):
        generate(model, lost, WORDS)
