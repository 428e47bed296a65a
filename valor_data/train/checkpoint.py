"""Checkpoints: a folder each, complete under its name or not there.

<run>/checkpoints/step-00001000/
    model.safetensors  config.json  tokenizer.json  README.md     what a user needs
    state.pt                                                     what going on needs
<run>/best/            the same without state.pt, of the best validation; the weights' header tells its score
"""

import hashlib
import math
import os
import pickle
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from valor_data import layout
from valor_data.errors import FatalError, UserError, full_disk_told
from valor_data.train.config import ModelConfig, Pretrain
from valor_data.train.words import Words

_MODEL, _CONFIG, _WORDS, _CARD, _STATE = (
    "model.safetensors",
    "config.json",
    "tokenizer.json",
    "README.md",
    "state.pt",
)
_GOING_ON = ("step", "owed", "changes", "optimizer", "scaler", "random")
"""What a state holds."""
_SCORE = "validation"
_KEPT = 2


class Loaded(NamedTuple):
    """A checkpoint that was opened."""

    weights: dict[str, Tensor]
    config: Pretrain
    words: Words


def write(
    folder: Path,
    weights: Mapping[str, Tensor],
    config: Pretrain,
    words: Words,
    card: str,
    state: Mapping[str, Any] | None = None,
    score: float | None = None,
) -> None:
    """Write a checkpoint under a temporary name, make it last, then give it its own; an old one of that
    name goes only then. `score`: of its validation, for `score_of`."""
    made = folder.parent / layout.temporary_name()
    made.mkdir(parents=True)
    try:
        plain = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
        with _faults_told(folder):
            judged = {} if score is None else {_SCORE: repr(score)}
            save_file(plain, made / _MODEL, metadata={"format": "pt", **judged})
            (made / _CONFIG).write_text(config.model_dump_json(indent=2) + "\n", encoding="utf-8")
            words.save(made / _WORDS)
            (made / _CARD).write_text(card, encoding="utf-8")
            if state is not None:
                torch.save(dict(state), made / _STATE)
        (made / _MODEL).chmod((made / _CONFIG).stat().st_mode)  # its writer keeps it from everybody else
        for file in made.iterdir():
            _make_last(file)
        old = made.with_name(f"{made.name}-old")
        if folder.exists():
            folder.rename(old)
        made.rename(folder)
        _make_last(folder.parent)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(made, ignore_errors=True)


@contextmanager
def _faults_told(folder: Path) -> Iterator[None]:
    """Raises FatalError for a checkpoint that cannot be written; those before it stand."""
    try:
        with full_disk_told(str(folder)):
            yield
    except (SafetensorError, RuntimeError) as error:  # what the writers of weights and of state raise
        said = str(error).splitlines()[0]
        raise FatalError(
            f"{folder}: cannot be written: {said}; free some space, and the same command goes on"
        ) from error


def step_folder(run: Path, step: int) -> Path:
    """Where the checkpoint after so many updates lies."""
    return run / "checkpoints" / f"step-{step:08d}"


def newest(run: Path) -> Path | None:
    """The last checkpoint of a run from which it can go on."""
    found = sorted(folder.parent for folder in (run / "checkpoints").glob(f"step-*/{_STATE}"))
    return found[-1] if found else None


def score_of(folder: Path) -> float:
    """What a validation gave the checkpoint there; minus infinity where none is told, or none is there."""
    try:
        with safe_open(folder / _MODEL, "pt") as held:
            return float((held.metadata() or {}).get(_SCORE, "-inf"))
    except (OSError, SafetensorError):
        return -math.inf


def prune(run: Path) -> None:
    """Let go of all but the newest checkpoints, and of what a killed writer left."""
    folder = run / "checkpoints"
    for old in sorted(folder.glob("step-*"))[:-_KEPT]:
        shutil.rmtree(old)
    for left in (*folder.glob(f"{layout.TEMPORARY}*"), *run.glob(f"{layout.TEMPORARY}*")):
        shutil.rmtree(left, ignore_errors=True)


def look(folder: Path) -> Pretrain:
    """The config of a checkpoint, of which no weight is read. Raises UserError where there is none, or one
    that is cut short."""
    lacking = [name for name in (_CONFIG, _WORDS, _MODEL) if not (folder / name).is_file()]
    if lacking:
        inside = [folder / "best", *sorted(folder.glob("checkpoints/step-*"))[-1:]]
        own = next((one for one in inside if one.is_dir()), None)
        if own:
            raise UserError(
                f"{folder}: no checkpoint there: a run; give one of its checkpoints, such as {own}"
            )
        raise UserError(f"{folder}: no checkpoint there: it lacks {', '.join(lacking)}")
    try:
        with safe_open(folder / _MODEL, "pt"):  # its header, and that it is as long as that says
            return Pretrain.model_validate_json((folder / _CONFIG).read_bytes())
    except ValidationError as error:
        fault = error.errors()[0]
        key = ".".join(map(str, fault["loc"]))
        raise UserError(f"{folder / _CONFIG}: not readable as a checkpoint: {key}: {fault['msg']}") from None
    except SafetensorError as error:
        raise UserError(f"{folder / _MODEL}: not readable as a checkpoint: {error}") from None


def load(folder: Path) -> Loaded:
    """A checkpoint for use. Raises UserError where there is none, or a broken one."""
    config = look(folder)
    weights = load_file(folder / _MODEL)
    broken = next((name for name, one in weights.items() if not bool(torch.isfinite(one).all())), None)
    if broken is not None:
        raise UserError(f"{folder / _MODEL}: {broken} holds what is no number; take an earlier checkpoint")
    return Loaded(weights, config, Words.open(str(folder / _WORDS)))


def identity(folder: Path) -> str:
    """The name of a checkpoint's run, and 12 hex digits of a hash of its config, vocabulary and weights."""
    summed = hashlib.sha256()
    for name in (_CONFIG, _WORDS, _MODEL):
        with (folder / name).open("rb") as file:
            summed.update(hashlib.file_digest(file, "sha256").digest())
    return f"{look(folder).name}@{summed.hexdigest()[:12]}"


def load_state(folder: Path) -> dict[str, Any]:
    """Optimizer, random numbers and place of a checkpoint, for going on."""
    try:
        state: dict[str, Any] = torch.load(folder / _STATE, map_location="cpu", weights_only=True)
        lacking = [name for name in _GOING_ON if name not in state]
        said = f"it lacks {', '.join(lacking)}" if lacking else ""
    except (OSError, RuntimeError) as error:
        said = f"not readable ({next(iter(str(error).splitlines()), 'cut short')})"
    except (EOFError, TypeError, pickle.UnpicklingError):  # torch's words are about other loaders
        said = "not readable: no state of a run, or cut short"
    if said:
        raise UserError(
            f"{folder / _STATE}: {said}; remove that folder, and the run goes on from the one before"
        )
    return state


def check_fits(weights: Mapping[str, Tensor], wanted: Mapping[str, Tensor], folder: Path) -> None:
    """Raises UserError naming the first weight that differs in name or size: another config."""
    for name in sorted(weights.keys() | wanted.keys()):
        there, here = (tuple(side[name].shape) if name in side else "absent" for side in (weights, wanted))
        if there != here:
            raise UserError(
                f"{folder}: made with another [model]: {name} is {there} there and {here} here; "
                "take the config beside it (config.json), or another run folder"
            )


_FREE = {
    "data": ("workers",),
    "optim": ("save_every", "validate_every", "log_every", "compile", "checkpointing", "fsdp"),
}
"""Keys that change nothing of what is learned."""
_PLACES = {"sources", "vocabulary"}
"""Keys that name places of this machine, which a card shall not tell."""


def changed(there: Pretrain, here: Pretrain) -> list[str]:
    """What of data and learning is set otherwise than it was: `data.batch 8 -> 16`."""
    found = []
    for section, free in _FREE.items():
        old, new = (getattr(side, section).model_dump() for side in (there, here))
        keys = [key for key in new if key not in free and old[key] != new[key]]
        found += [
            f"{section}.{key}" + ("" if key in _PLACES else f" {old[key]} -> {new[key]}") for key in keys
        ]
    return found


def check_same_model(there: ModelConfig, here: ModelConfig, folder: Path) -> None:
    """Raises UserError naming the first key of [model] that differs."""
    ours, theirs = here.model_dump(), there.model_dump()
    for section, values in ours.items():
        if values != theirs[section]:
            raise UserError(
                f"{folder}: made with another [model.{section}]: {theirs[section]}; here {values}. "
                "Take that, or another folder for the run (out)"
            )


def _make_last(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
