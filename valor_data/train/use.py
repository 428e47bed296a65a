"""Entry points of the trainer: a run from its config, a checkpoint on a release."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import torch

from valor_data.errors import UserError
from valor_data.train import checkpoint, evaluate, loop, parallel
from valor_data.train.asked import askings
from valor_data.train.batch import captions_of, open_releases
from valor_data.train.build import build
from valor_data.train.config import Pretrain
from valor_data.train.loop import Trained
from valor_data.train.model import Valor
from valor_data.train.sources import Reader
from valor_data.train.words import Words


class Opened(NamedTuple):
    """A model that is ready for use."""

    model: Valor
    config: Pretrain
    words: Words


def pretrain(config: Pretrain, *, progress: bool = True) -> Trained:
    """Train by a config, or go on where its run stopped.

    Raises UserError for what is wrong with config, releases or vocabulary; FatalError for a loss that is
    no number.
    """
    with parallel.joined(config.device) as place:
        config, words = with_words(config)
        validate = None
        if config.validation:
            readers = open_validation(config)

            def validate(model: Valor, words: Words) -> float:
                return evaluate.recall(model, config, words, readers)

        return loop.pretrain(config, words, place, validate=validate, progress=progress)


def open_validation(config: Pretrain) -> list[Reader]:
    """The releases that checkpoints are chosen by. Raises UserError for one that holds no caption."""
    readers = open_releases(config.validation)
    for source, reader in zip(config.validation, readers, strict=True):
        if next(_captions(reader), None) is None:
            raise UserError(
                f"validation: no clip of {source.release}, split {source.split}, has a caption to be found by"
            )
    return readers


def open_checkpoint(folder: str, device: str = "auto") -> Opened:
    """A checkpoint's model on a device. Raises UserError where there is none."""
    loaded = checkpoint.load(Path(folder))
    model = build(loaded.config.model, pretrained=False)
    checkpoint.check_fits(loaded.weights, model.state_dict(), Path(folder))
    model.load_state_dict(loaded.weights)
    kind = "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"
    return Opened(model.to(kind).eval(), loaded.config, loaded.words)


def with_words(config: Pretrain) -> tuple[Pretrain, Words]:
    """The vocabulary: of the run's last checkpoint, of the config's file, or made of all texts that are to be
    learned."""
    standing = checkpoint.newest(Path(config.out))
    if standing is not None:
        words = checkpoint.load(standing).words
    elif config.data.vocabulary:
        words = Words.open(config.data.vocabulary)
    else:
        if config.model.text.weights:
            raise UserError(
                "data.vocabulary: pretrained text weights need the vocabulary that they were made with"
            )
        words = _from_captions(config)
    wanted, size = config.model.text.vocabulary, words.vocabulary.size
    if config.data.vocabulary and wanted != size:
        raise UserError(
            f"{config.data.vocabulary}: {size} word pieces, and model.text.vocabulary says {wanted}"
        )
    text = config.model.text.model_copy(update={"vocabulary": size})
    return config.model_copy(update={"model": config.model.model_copy(update={"text": text})}), words


def _from_captions(config: Pretrain) -> Words:
    words = Words.of(_texts(config), config.model.text.vocabulary)
    if words.vocabulary.size == words.vocabulary.ordinary:
        raise UserError(
            "data.sources: no clip has a caption, and there is nothing to learn; see shard.require_caption"
        )
    return words


def _texts(config: Pretrain) -> Iterator[str]:
    """Captions of the sources that teach them; questions and answers of the others."""
    readers = open_releases(config.data.sources)
    for reader, asking in zip(readers, askings(config.data.sources, readers), strict=True):
        if asking is not None:
            yield from asking.texts
        else:
            yield from _captions(reader)


def _captions(reader: Reader) -> Iterator[str]:
    for sample in reader:
        with suppress(ValueError, KeyError):  # its turn comes, and names it
            yield from captions_of(sample.members)
