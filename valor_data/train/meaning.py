"""How near captions are in meaning to those of people: cosines of sentence embeddings.

As FENSE's first half (Zhou et al. 2022): a Transformer's last states, averaged over the words, scaled to
length one; the mean of the cosines to a clip's references. FENSE's second half, a penalty for sentences that
a classifier finds faulty, is left out, so the figures are no FENSE scores.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from valor_data.errors import UserError

Floats = NDArray[np.float64]
_AT_A_TIME = 64
_MOST_WORDS = 128
"""Word pieces of a sentence that are looked at."""


class Meaning:
    """A sentence model of Hugging Face, by name or folder; call it for a score by clip."""

    def __init__(self, source: str, device: torch.device) -> None:
        """Raises UserError where there is no such model, or no tokenizer beside it."""
        try:
            from transformers import AutoModel, AutoTokenizer
            from transformers.utils import logging
        except ImportError:
            raise UserError(
                f"--sentences {source}: needs transformers: pip install 'valor-data[hf]'"
            ) from None
        logging.disable_progress_bar()
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(source)
            model: Any = AutoModel.from_pretrained(source)
        except (OSError, ValueError, KeyError) as error:
            told = (str(error) or type(error).__name__).splitlines()[0]
            raise UserError(f"--sentences {source}: no sentence model there: {told}") from None
        if self._tokenizer.pad_token is None:
            raise UserError(f"--sentences {source}: its tokenizer pads nothing; take a sentence encoder")
        self._model, self._device = model.to(device).eval(), device

    def __call__(self, written: Mapping[str, str], references: Mapping[str, Sequence[str]]) -> Floats:
        """The mean cosine to a clip's references, from -1 to 1, in the order of `written`."""
        theirs = [text for clip in written for text in references[clip]]
        ours_ND, theirs_RD = self._embed(list(written.values())), self._embed(theirs)
        clip_R = torch.repeat_interleave(torch.tensor([len(references[clip]) for clip in written]))
        cosines_R = (ours_ND[clip_R] * theirs_RD).sum(dim=-1).double()
        sums_N = torch.zeros(len(ours_ND), dtype=torch.float64).index_add_(0, clip_R, cosines_R)
        means: Floats = (sums_N / torch.bincount(clip_R)).numpy()
        return means

    @torch.no_grad()
    def _embed(self, texts: Sequence[str]) -> Tensor:
        """Sentences, (N, D), of length one, on the host."""
        found = []
        for start in range(0, len(texts), _AT_A_TIME):
            cut = self._tokenizer(
                list(texts[start : start + _AT_A_TIME]),
                padding=True, truncation=True, max_length=_MOST_WORDS, return_tensors="pt",
            ).to(self._device)  # fmt: skip
            states_BLD = self._model(**cut).last_hidden_state.float()
            mask_BL1 = cut["attention_mask"][:, :, None].float()
            pooled_BD = (states_BLD * mask_BL1).sum(dim=1) / mask_BL1.sum(dim=1).clamp(min=1)
            found.append(F.normalize(pooled_BD, dim=-1).cpu())
        return torch.cat(found)
