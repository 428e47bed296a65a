"""MGA and MGC, the two objectives of VALOR (section 3.2), and that of answers, as pure functions.

Shapes: B clips, L text tokens, N tokens of a group (one a frame and one an audio slice), D features,
V words of the vocabulary. A mask is true where a token stands. Where the paper and the code that was
released with it differ, `parity` says whom to follow.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

Parity = Literal["paper", "released"]

CHUNK_ELEMENTS = 1 << 24
"""Most products of tokens that stand in memory at once: 64 MB in fp32."""


def token_weights(logits_BN: Tensor, mask_BN: Tensor) -> Tensor:
    """Softmax over the tokens that stand; zero at pads, and everywhere in a row without any token."""
    pads_BN = ~mask_BN.bool()
    # Not -inf: a row of pads alone would make its gradient nan.
    weights_BN = logits_BN.float().masked_fill(pads_BN, torch.finfo(torch.float32).min).softmax(dim=-1)
    return weights_BN.masked_fill(pads_BN, 0.0)


def mga_scores(
    text_BLD: Tensor,
    group_BND: Tensor,
    text_mask_BL: Tensor,
    group_mask_BN: Tensor,
    text_weight_BL: Tensor,
    group_weight_BN: Tensor,
    parity: Parity = "paper",
) -> Tensor:
    """Fine-grained similarity of every text with every clip (VALOR eq. 3-4): scores_BB, text by clip.

    Features are L2-normalised; weights are raw logits before mask and softmax. Each text token looks
    for its best token of the clip, each token of the clip for its best word; both sides are averaged
    by the learned weights. Memory is bounded: rows of texts are taken in chunks, which the backward
    pass computes again.

    `paper`: a pad is nobody's best match. `released`: products with a pad count as zero, so a padded
    text offers every clip token at least a zero. A text or clip without any token scores zero.
    """
    text_weights_BL = token_weights(text_weight_BL, text_mask_BL).to(text_BLD.dtype)
    group_weights_BN = token_weights(group_weight_BN, group_mask_BN).to(text_BLD.dtype)
    text_mask_BL, group_mask_BN = text_mask_BL.bool(), group_mask_BN.bool()
    texts, length = text_mask_BL.shape
    rows = max(1, CHUNK_ELEMENTS // max(1, length * group_mask_BN.numel()))
    whole = (group_BND, group_mask_BN, group_weights_BN, parity)
    if rows >= texts:
        return _scores(text_BLD, text_mask_BL, text_weights_BL, *whole)
    pieces = []
    for start in range(0, texts, rows):
        some = slice(start, start + rows)
        args = (text_BLD[some], text_mask_BL[some], text_weights_BL[some], *whole)
        piece: Tensor = checkpoint(_scores, *args, use_reentrant=False)
        pieces.append(piece)
    return torch.cat(pieces)


def _scores(
    text_BLD: Tensor,
    text_mask_BL: Tensor,
    text_weights_BL: Tensor,
    group_CND: Tensor,
    group_mask_CN: Tensor,
    group_weights_CN: Tensor,
    parity: Parity,
) -> Tensor:
    (B, L, D), (C, N) = text_BLD.shape, group_mask_CN.shape
    products_BLCN = (text_BLD.reshape(B * L, D) @ group_CND.reshape(C * N, D).T).view(B, L, C, N)
    text_4d, group_4d = text_mask_BL[:, :, None, None], group_mask_CN[None, None]
    if parity == "released":
        products_BLCN = products_BLCN * (text_4d & group_4d)
        best_for_text_BLC = products_BLCN.amax(dim=3)
        best_for_group_BCN = products_BLCN.amax(dim=1)
    else:
        least = torch.finfo(products_BLCN.dtype).min
        best_for_text_BLC = products_BLCN.masked_fill(~group_4d, least).amax(dim=3)
        best_for_group_BCN = products_BLCN.masked_fill(~text_4d, least).amax(dim=1)
        # Weights of pads are zero, but zero times the least number of a row without tokens is not wanted.
        best_for_text_BLC = best_for_text_BLC.masked_fill(~group_mask_CN.any(1)[None, None], 0.0)
        best_for_group_BCN = best_for_group_BCN.masked_fill(~text_mask_BL.any(1)[:, None, None], 0.0)
    text_to_group_BC = torch.einsum("bl,blc->bc", text_weights_BL, best_for_text_BLC)
    group_to_text_BC = torch.einsum("cn,bcn->bc", group_weights_CN, best_for_group_BCN)
    return (text_to_group_BC + group_to_text_BC) / 2


def mga_loss(scores_BB: Tensor, temperature: Tensor | float, joins_B: Tensor | None = None) -> Tensor:
    """Symmetric InfoNCE of the true pairs on the diagonal (VALOR eq. 2): the mean over the 2B terms.

    The paper writes a sum; the mean, as released, does not grow with the batch. Pairs for which `joins_B` is
    false are neither asked nor answers.
    """
    logits_BB = scores_BB.float() / temperature
    true_B = torch.arange(len(logits_BB), device=logits_BB.device)
    if joins_B is None:
        return (F.cross_entropy(logits_BB, true_B) + F.cross_entropy(logits_BB.T, true_B)) / 2
    logits_BB = logits_BB.masked_fill(~(joins_B & joins_B[:, None]), torch.finfo(torch.float32).min)
    terms_B = F.cross_entropy(logits_BB, true_B, reduction="none")
    terms_B = terms_B + F.cross_entropy(logits_BB.T, true_B, reduction="none")
    return terms_B.masked_fill(~joins_B, 0.0).sum() / (2 * joins_B.sum().clamp(min=1))


def mgc_terms(logits_GMV: Tensor, truth_M: Tensor) -> Tensor:
    """Cross-entropy at each masked word, by group (VALOR eq. 5): terms_GM."""
    groups, words, size = logits_GMV.shape
    truth = truth_M.expand(groups, words).reshape(-1)
    return F.cross_entropy(logits_GMV.view(-1, size).float(), truth, reduction="none").view(groups, words)


def mgc_loss(terms_M: Tensor, counts_M: Tensor, words: Tensor | None = None) -> Tensor:
    """Mean of the masked words that count, or their sum over `words`."""
    of = counts_M.sum() if words is None else words
    return (terms_M * counts_M).sum() / of.clamp(min=1e-9)


def qa_loss(terms_M: Tensor, row_M: Tensor, joins_B: Tensor, answers: Tensor | None = None) -> Tensor:
    """Mean over answers of the mean over an answer's hidden words, however many it has.

    `row_M` tells whose a word is. Answers for which `joins_B` is false do not count. `answers`: divide by so
    many, where other processes have some too.
    """
    words_B = torch.zeros(len(joins_B), device=terms_M.device).index_add_(0, row_M, torch.ones_like(terms_M))
    of = joins_B.sum() if answers is None else answers
    return (terms_M * joins_B[row_M] / words_B[row_M]).sum() / of.clamp(min=1e-9)
