"""Captions to word pieces and back, as BERT cuts them.

A vocabulary comes from a `vocab.txt`, a `tokenizer.json`, or, where there is neither, from the captions
that a model is to learn.
"""

import string
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, Self

from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import WordPiece

from valor_data.errors import UserError
from valor_data.train.masking import Vocabulary

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


class Cut(NamedTuple):
    """A caption as ids, between [CLS] and [SEP]."""

    ids: list[int]
    truncated: bool
    """Longer than the limit: its end is lost."""


def clean(text: str) -> str:
    """As VALOR's code reads captions: single spaces, lower case, no ASCII punctuation."""
    return " ".join(text.lower().translate(_PUNCTUATION).split())


class Words:
    """Word pieces of one vocabulary."""

    def __init__(self, tokenizer: Tokenizer, source: str) -> None:
        """Raises UserError where the vocabulary lacks BERT's special words."""
        special = [tokenizer.token_to_id(word) for word in _SPECIAL]
        ids = [number for number in special if number is not None]
        if len(ids) < len(_SPECIAL):
            lacking = [word for word, number in zip(_SPECIAL, special, strict=True) if number is None]
            raise UserError(f"{source}: no vocabulary for BERT: it lacks {', '.join(lacking)}")
        tokenizer.no_padding()
        tokenizer.no_truncation()
        self._tokenizer = tokenizer
        pad, _, first, last, mask = ids
        size = tokenizer.get_vocab_size()
        # BERT's ids up to 105 are special or unused; a vocabulary of captions has only its five.
        ordinary = 106 if first == 101 else 1 + max(ids)
        self.vocabulary = Vocabulary(size, pad, first, last, mask, ordinary)

    @classmethod
    def open(cls, path: str) -> Self:
        """From a `vocab.txt` (a word piece a line), a `tokenizer.json`, or a folder that holds either.

        Raises UserError where there is none, or it is not readable.
        """
        file = Path(path)
        if file.is_dir():
            file = next(
                (file / name for name in ("tokenizer.json", "vocab.txt") if (file / name).is_file()), file
            )
        if not file.is_file():
            raise UserError(f"{path}: no vocabulary there; give a vocab.txt or a tokenizer.json")
        try:
            if file.suffix == ".json":
                return cls(Tokenizer.from_file(str(file)), path)
            lines = file.read_text(encoding="utf-8").splitlines()
        except Exception as error:  # the library raises plain Exception
            raise UserError(f"{path}: not readable as a vocabulary: {error}") from None
        return cls(_tokenizer({word: number for number, word in enumerate(lines)}), path)

    @classmethod
    def of(cls, captions: Iterable[str], size: int) -> Self:
        """The most frequent words of these captions, and all their letters, by which others are spelled:
        `size` pieces, or as many as the letters need. The same captions give the same ones, in every process.

        (The library's own trainer gives others every time: its ties fall by the order of a hash table.)
        """
        tokenizer = _tokenizer({"[UNK]": 0})
        counts: Counter[str] = Counter()
        for caption in captions:
            normal = tokenizer.normalizer.normalize_str(clean(caption))
            counts.update(word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(normal))
        letters = sorted(set("".join(counts)))
        pieces = [*_SPECIAL, *letters, *(f"##{letter}" for letter in letters)]
        words = sorted(counts.keys() - set(letters), key=lambda word: (-counts[word], word))
        kept = [*pieces, *words[: max(0, size - len(pieces))]]
        return cls(_tokenizer({piece: number for number, piece in enumerate(kept)}), "captions")

    def save(self, path: Path) -> None:
        """Write a `tokenizer.json`."""
        self._tokenizer.save(str(path))

    def cut(self, text: str, most: int) -> Cut:
        """At most `most` word pieces of a caption, between [CLS] and [SEP]."""
        ids = self._tokenizer.encode(clean(text), add_special_tokens=False).ids
        return Cut([self.vocabulary.first, *ids[:most], self.vocabulary.last], len(ids) > most)

    def join(self, ids: Sequence[int]) -> str:
        """The text of word pieces, without special ones."""
        text: str = self._tokenizer.decode(list(ids), skip_special_tokens=True)
        return text


def _tokenizer(vocabulary: dict[str, int]) -> Tokenizer:
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.add_special_tokens([word for word in _SPECIAL if word in vocabulary])
    return tokenizer
