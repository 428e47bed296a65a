"""MGA's scores and loss: as released, as the paper, in chunks, with what is missing."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from valor_data.train import losses

REAL = Path(os.environ.get("VALOR_DATA_REAL", "../shared/data"))


@pytest.fixture(scope="module")
def fixture() -> dict[str, Any]:
    path = REAL / "valor_mga_fixture.json"
    if not path.is_file():
        pytest.skip(f"{path} is not there: scores of the released functions")
    loaded: dict[str, Any] = json.loads(path.read_text())
    return loaded


def test_equals_the_released_functions(fixture: dict[str, Any]) -> None:
    tensor = {name: torch.tensor(fixture[name]) for name in fixture if name[:2] in ("fe", "te", "w_")
              and name != "temp"}  # fmt: skip
    both = torch.cat([tensor["feat_v"], tensor["feat_a"]], 1), torch.cat([tensor["w_v"], tensor["w_a"]], 1)
    groups = {
        "tv": (tensor["feat_v"], tensor["w_v"]),
        "ta": (tensor["feat_a"], tensor["w_a"]),
        "tva": both,
    }
    found = []
    for name, (features, raw) in groups.items():
        scores = losses.mga_scores(
            tensor["feat_t"],
            features,
            tensor["text_mask"],
            torch.ones_like(raw),
            tensor["w_t"],
            raw,
            parity="released",
        )
        torch.testing.assert_close(scores, torch.tensor(fixture["score"][name]), atol=1e-6, rtol=0)
        found.append(losses.mga_loss(scores, 0.07))
        assert found[-1].item() == pytest.approx(fixture["loss"][name], abs=1e-6)
    assert torch.stack(found).mean().item() == pytest.approx(fixture["mga"], abs=1e-6)


def random_side(rows: int, tokens: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(rows, tokens, 8, generator=generator)
    mask = torch.rand(rows, tokens, generator=generator) < 0.7
    mask[:, 0] = True
    weights = torch.randn(rows, tokens, generator=generator)
    return torch.nn.functional.normalize(features, dim=-1), mask, weights


def test_the_papers_scores_word_by_word() -> None:
    text, text_mask, text_raw = random_side(5, 6, 1)
    clip, clip_mask, clip_raw = random_side(4, 3, 2)
    scores = losses.mga_scores(text, clip, text_mask, clip_mask, text_raw, clip_raw)
    for i in range(5):
        for j in range(4):
            words, parts = text[i][text_mask[i]], clip[j][clip_mask[j]]
            products = words @ parts.T
            forth = text_raw[i][text_mask[i]].softmax(0) @ products.max(1).values
            back = clip_raw[j][clip_mask[j]].softmax(0) @ products.max(0).values
            assert scores[i, j].item() == pytest.approx(((forth + back) / 2).item(), abs=1e-6)


@pytest.mark.parametrize("parity", ["paper", "released"])
def test_chunks_change_neither_scores_nor_gradients(
    parity: losses.Parity, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run() -> list[Tensor]:
        sides = [random_side(7, 5, 3), random_side(7, 4, 4)]
        (text, text_mask, text_raw), (clip, clip_mask, clip_raw) = sides
        leaves = [
            text.requires_grad_(),
            clip.requires_grad_(),
            text_raw.requires_grad_(),
            clip_raw.requires_grad_(),
        ]
        scores = losses.mga_scores(text, clip, text_mask, clip_mask, text_raw, clip_raw, parity)
        losses.mga_loss(scores, 0.1).backward()
        return [scores.detach(), *(leaf.grad for leaf in leaves if leaf.grad is not None)]

    whole = run()
    monkeypatch.setattr(losses, "CHUNK_ELEMENTS", 5 * 7 * 4 * 2)
    assert len(whole) == 5
    for one, other in zip(whole, run(), strict=True):
        torch.testing.assert_close(one, other)


def test_a_row_without_any_token_scores_zero_and_spoils_nothing() -> None:
    text, text_mask, text_raw = random_side(3, 4, 5)
    clip, clip_mask, clip_raw = random_side(3, 2, 6)
    clip_mask[1] = False
    text_mask[2] = False
    raw = clip_raw.requires_grad_()
    scores = losses.mga_scores(text.requires_grad_(), clip, text_mask, clip_mask, text_raw, raw)
    assert torch.equal(scores[:, 1], torch.zeros(3))
    assert torch.equal(scores[2], torch.zeros(3))
    losses.mga_loss(scores, 0.07).backward()
    assert raw.grad is not None
    assert raw.grad.isfinite().all()
    assert text.grad is not None
    assert text.grad.isfinite().all()


def test_mgc_is_the_mean_over_the_words_that_count() -> None:
    logits = torch.randn(4, 7, generator=torch.Generator().manual_seed(0))
    truth, counts = torch.tensor([1, 6, 0, 3]), torch.tensor([True, False, True, True])
    chances = logits.softmax(-1)[range(4), truth]
    expected = -(chances[counts].log().mean())
    terms = losses.mgc_terms(torch.stack([logits, 2 * logits]), truth)
    assert losses.mgc_loss(terms[0], counts).item() == pytest.approx(expected.item(), abs=1e-6)
    assert losses.mgc_loss(terms[1], counts).item() != pytest.approx(expected.item(), abs=1e-3)
    assert losses.mgc_loss(terms[0], counts, torch.tensor(6.0)).item() == pytest.approx(expected.item() / 2)
    assert losses.mgc_loss(terms[0], ~counts & counts).item() == 0


def test_true_pairs_that_are_told_apart_cost_little() -> None:
    assert losses.mga_loss(torch.eye(6), 0.05).item() < 1e-6
    assert losses.mga_loss(torch.zeros(6, 6), 0.05).item() == pytest.approx(torch.tensor(6.0).log().item())
