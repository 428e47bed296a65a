"""Pretraining: steps, checkpoints, going on where a run stopped."""

import math
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from valor_data.errors import FatalError, UserError
from valor_data.train import checkpoint, optim, parallel, room
from valor_data.train.asked import askings, left_out, tally
from valor_data.train.batch import Batch, ClipSet, Collate, Decoder, Schedule, batches, open_releases
from valor_data.train.build import build
from valor_data.train.card import card
from valor_data.train.config import Pretrain
from valor_data.train.cost import Bill, bill
from valor_data.train.devices import here
from valor_data.train.log import Log
from valor_data.train.model import Losses, Valor
from valor_data.train.parallel import Place
from valor_data.train.words import Words

Validate = Callable[[Valor, Words], float]
"""A score of the model; the higher, the better."""
_FLOATS = {"bf16": torch.bfloat16, "fp16": torch.float16}


class _Noted(NamedTuple):
    """A pass's loss on its way to the host."""

    total: Tensor
    arrived: torch.cuda.Event | None
    """None: it is there."""
    clip_ids: list[str]

    @classmethod
    def of(cls, total: Tensor, clip_ids: list[str]) -> "_Noted":
        """Begin to copy it: asking a GPU for a number would wait for all that was given to it since."""
        if total.device.type != "cuda":
            return cls(total.detach(), None, clip_ids)
        copied = torch.empty((), dtype=total.dtype, pin_memory=True)
        copied.copy_(total.detach(), non_blocking=True)
        arrived = torch.cuda.Event()
        arrived.record()
        return cls(copied, arrived, clip_ids)

    def number(self) -> float:
        """The loss, once it is there."""
        if self.arrived is not None:
            self.arrived.synchronize()
        return self.total.item()


class Trained(NamedTuple):
    """What came of a run."""

    run: Path
    steps: int
    """Updates that the model has had, over all starts of the run."""
    stopped: bool
    """A signal ended it before its last step; it goes on with the next start."""
    losses: dict[str, float]
    """Of the last step."""
    faults: dict[str, str]
    """clip_id -> why it took part in nothing, in this start, by any process."""
    truncated: int
    """Captions, questions and answers that lost their end, in this start, by all processes."""
    asked: dict[str, int]
    """How many questions are learned from, and how many not; empty where no source has any."""


def pretrain(
    config: Pretrain, words: Words, place: Place, *, validate: Validate | None = None, progress: bool = True
) -> Trained:
    """Train, or go on training, until the last step, a SIGTERM or Ctrl-C; a checkpoint stands at the end.

    Raises UserError for a run folder of another model, where memory does not do, and where no clip can be
    read; FatalError for a loss that is no number: it names the clips of its batch, and the last checkpoint
    stays as it was; KeyboardInterrupt after a Ctrl-C.
    """
    made = bill(config, place.share.world, cpu=place.device.type == "cpu")
    short = room.check(made, place.device)
    if short and place.leads:
        tqdm.write(f"warning: {short}", file=sys.stderr)
    with room.explained(made, place.device):
        return _Run(config, words, place, made, validate, progress).go()


class _Run:
    """One start of a run."""

    def __init__(
        self,
        config: Pretrain,
        words: Words,
        place: Place,
        made: Bill,
        validate: Validate | None,
        progress: bool,
    ) -> None:
        self._config, self._words, self._place, self._bill = config, words, place, made
        self._validate, self._progress = validate, progress
        self._folder = Path(config.out)
        if config.optim.precision != "fp32":  # what autocast leaves in fp32, MGA's scores, may round to TF32
            torch.set_float32_matmul_precision("high")
        torch.manual_seed(config.optim.seed)
        self._model = build(config.model).to(place.device)
        torch.manual_seed(config.optim.seed + place.share.rank)  # the same weights, a dropout of its own
        if config.optim.checkpointing:
            for tower in (self._model.vision, self._model.audio, self._model.bert):
                tower.checkpointing = True  # type: ignore[assignment]
        self._trained = parallel.wrap(self._model, config.optim, place, asks=config.data.asks)
        self._optimizer = optim.adamw(self._model, config.optim)
        self._scaler = torch.amp.GradScaler(place.device.type, enabled=config.optim.precision == "fp16")
        self._step, self._best = 0, -math.inf
        self._owed = False  # a stop came before a validation that was due
        self._changes: list[str] = []  # of settings, at the starts so far
        self._begun, self._any_read = 0, False
        self._pending: _Noted | None = None
        self._last: Losses | None = None
        self._faults: dict[str, str] = {}
        self._truncated = 0
        self._asked: dict[str, int] = {}

    def go(self) -> Trained:
        """Train until the end, or until somebody asks to stop."""
        settings = self._config.optim
        self._resume()
        self._begun = self._step
        passes = iter(self._passes())
        leads = self._place.leads
        bar = tqdm(total=settings.steps, initial=self._step, desc="pretrain", unit="step",
                   disable=None if self._progress and leads else True)  # fmt: skip
        log = Log(self._folder, self._step, leads=leads, peak=self._peak())
        with _stopping() as asked, bar, log:
            stop = False
            if self._owed and self._validate is not None:
                self._choose(self._validate, log)
                self._owed = False
                self._save()
            while self._step < settings.steps and not stop:
                with log.waiting():
                    update = [next(passes) for _ in range(settings.accumulate)]
                norm = self._update(update)
                bar.update()
                if self._due(settings.log_every):
                    self._check_last()
                    log.tell(self._step, self._config.data.batch, self._told(), self._model,
                             optim.rate_at(self._step - 1, settings), norm, self._flops(update))  # fmt: skip
                stop = self._place.any(asked() > 0)
                is_judged = self._validate is not None and self._due(settings.validate_every)
                self._owed = stop and is_judged
                if stop or self._due(settings.save_every):
                    self._save()
                if self._validate is not None and is_judged and not stop:
                    self._choose(self._validate, log)
        stopped = stop and self._step < settings.steps
        if stopped and asked() == signal.SIGINT:
            raise KeyboardInterrupt
        every = self._place.gathered((self._faults, self._truncated))
        faults = {clip: why for found, _ in every for clip, why in found.items()}
        return Trained(self._folder, self._step, stopped, self._told(), faults, sum(cut for _, cut in every),
                       self._asked)  # fmt: skip

    def _told(self) -> dict[str, float]:
        """The losses of the last pass, over all processes: of MGC each has a part."""
        every = self._place.gathered({} if self._last is None else self._last.told())
        return {name: round(sum(one[name] for one in every) / len(every), 5) for name in every[0]}

    def _peak(self) -> float | None:
        """Operations a second of all devices, where that is known."""
        device = here(self._place.device)
        peak = device and device.peak(self._config.optim.precision)
        if peak is None and self._place.leads and self._progress:
            where = device.name if device else torch.cuda.get_device_name(self._place.device)
            tqdm.write(f"{where}: its peak in {self._config.optim.precision} is not known; no mfu is logged",
                       file=sys.stderr)  # fmt: skip
        return None if peak is None else peak * self._place.share.world

    def _flops(self, update: Sequence[Batch]) -> float:
        """Of a clip, with texts as long as those of an update."""
        found = []
        for batch in update:
            clips = len(batch.clip_ids)
            asked = None if batch.prompt is None else len(batch.prompt.stand()) / clips - 2
            found.append(self._bill.flops_a_clip(len(batch.texts.stand()) / clips - 2, asked))
        return sum(found) / len(found)

    def _passes(self) -> Sequence[Batch] | Any:
        data, share, settings = self._config.data, self._place.share, self._config.optim
        size = data.batch // settings.accumulate
        if size % share.world:
            raise UserError(f"data.batch: {size} clips a pass cannot be shared by {share.world} processes")
        readers = open_releases(data.sources)
        asked = askings(data.sources, readers)
        self._asked = tally(asked)
        if self._place.leads:
            for line in left_out(asked):
                tqdm.write(f"warning: {line}", file=sys.stderr)
        weights = [source.weight for source in data.sources]
        clips = ClipSet(readers, Decoder(data, self._config.model, settings.seed), asked)
        schedule = Schedule(clips.sizes, weights, size, settings.seed)
        collate = Collate(data, self._config.model, self._words, settings.seed, fixed=share.world > 1)
        steps = range(self._step * settings.accumulate, settings.steps * settings.accumulate)
        pinned = self._place.device.type == "cuda"
        return batches(clips, schedule, collate, steps, workers=data.workers, share=share, pinned=pinned)

    def _update(self, passes: Sequence[Batch]) -> Tensor:
        """One step: forward, backward, clip, AdamW; gives the norm of the gradients before they are
        clipped."""
        settings = self._config.optim
        self._trained.train()
        self._optimizer.zero_grad(set_to_none=True)
        for number, batch in enumerate(passes):
            with self._unsynchronised(last=number == len(passes) - 1):
                self._any_read |= bool((batch.clips.has_video_B | batch.clips.has_audio_B).any())
                on_device = batch.to(self._place.device)
                with self._autocast():
                    given = (on_device.clips, on_device.texts, on_device.masked, settings.groups)
                    losses: Losses = self._trained(*given, on_device.prompt)
                    total = losses.total(settings.alpha)
                self._check_last()
                self._pending = _Noted.of(total, batch.clip_ids)
                self._scaler.scale(total / len(passes)).backward()
            self._last = losses
            self._faults |= batch.faults
            self._truncated += batch.truncated
        self._scaler.unscale_(self._optimizer)
        norm = nn.utils.clip_grad_norm_(self._model.parameters(), settings.clip_norm)
        if not self._scaler.is_enabled():  # which leaves such a step out by itself
            whole = norm.full_tensor() if isinstance(norm, DTensor) else norm
            self._pending = _Noted.of(total + 0 * whole, batch.clip_ids)
        for group in self._optimizer.param_groups:
            group["lr"] = optim.rate_at(self._step, settings)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._step += 1
        return norm

    def _check_last(self) -> None:
        """Look at the loss of the pass before: its number is there by now."""
        if self._pending is None:
            return
        noted, self._pending = self._pending, None
        if not math.isfinite(total := noted.number()):
            clips = list(dict.fromkeys(noted.clip_ids))
            shown = ", ".join(clips[:64]) + (" ..." if len(clips) > 64 else "")
            stands = checkpoint.newest(self._folder)
            raise FatalError(
                f"{self._folder}: the loss of step {self._step}, or its gradients, are {total}; "
                f"{stands.name + ' stands' if stands else 'there is no checkpoint yet'}. "
                f"Lower optim.rate, or look at the clips of its batch: {shown}"
            )

    def _unsynchronised(self, *, last: bool) -> AbstractContextManager[Any]:
        """Gradients are exchanged after the last pass of an update only."""
        if last or not isinstance(self._trained, DistributedDataParallel):
            return nullcontext()
        return self._trained.no_sync()

    def _autocast(self) -> AbstractContextManager[Any]:
        precision = self._config.optim.precision
        if precision == "fp32":
            return nullcontext()
        return torch.autocast(self._place.device.type, dtype=_FLOATS[precision])

    def _due(self, every: int) -> bool:
        return self._step % every == 0 or self._step == self._config.optim.steps

    def _save(self) -> None:
        self._check_last()
        if self._step > self._begun and not self._place.any(self._any_read):
            first = next((f"; the first, {clip}: {why}" for clip, why in self._faults.items()), "")
            raise UserError(
                f"data.sources: no clip of {self._step - self._begun} steps has a picture or a sound to be "
                f"read, nothing was learned, and nothing is saved{first}"
            )
        weights, optimizer = parallel.states(self._model, self._optimizer)
        generators = self._place.gathered(_random_numbers(self._place.device))
        if self._place.leads:
            state = {
                "step": self._step,
                "owed": self._owed,
                "changes": self._changes,
                "optimizer": optimizer,
                "scaler": self._scaler.state_dict(),
                "random": generators,
            }
            folder = checkpoint.step_folder(self._folder, self._step)
            text = card(self._config, self._step, self._best, self._changes)
            checkpoint.write(folder, weights, self._config, self._words, text, state)
            checkpoint.prune(self._folder)
        self._place.wait()

    def _resume(self) -> None:
        folder = checkpoint.newest(self._folder)
        if any(other != folder for other in self._place.gathered(folder)):
            raise UserError(f"{self._folder}: not all processes find the same checkpoint there; set out to a "
                            "folder that all machines share")  # fmt: skip
        if folder is None:
            return
        loaded = checkpoint.load(folder)
        checkpoint.check_same_model(loaded.config.model, self._config.model, folder)
        state = checkpoint.load_state(folder)
        parallel.restore(self._model, self._optimizer, loaded.weights, state["optimizer"])
        self._scaler.load_state_dict(state["scaler"])
        self._step, self._owed = state["step"], state["owed"]
        self._best = self._place.gathered(checkpoint.score_of(self._folder / "best"))[0]
        changed = ", ".join(checkpoint.changed(loaded.config, self._config))
        self._changes = [*state["changes"], *([f"from step {self._step} on {changed}"] if changed else [])]
        if changed and self._place.leads:
            told = f"{folder.name} was made with other settings: {changed}"
            tqdm.write(f"warning: {told}; the run goes on with those of now", file=sys.stderr)
        if len(state["random"]) == self._place.share.world:
            _set_random_numbers(state["random"][self._place.share.rank], self._place.device)

    def _choose(self, validate: Validate, log: Log) -> None:
        """Score the model, and keep it apart where it is the best so far."""
        self._check_last()
        self._model.eval()
        random = _random_numbers(self._place.device)
        # One process's word: where they differ in the last bit, some would wait here for the others.
        score = self._place.gathered(validate(self._model, self._words))[0]
        _set_random_numbers(random, self._place.device)
        log.scored(self._step, score)
        if score <= self._best:
            return
        self._best = score
        weights, _ = parallel.states(self._model, self._optimizer)
        if self._place.leads:
            text = card(self._config, self._step, score, self._changes)
            checkpoint.write(self._folder / "best", weights, self._config, self._words, text, score=score)
        self._place.wait()


@contextmanager
def _stopping() -> Iterator[Callable[[], int]]:
    """Turn SIGTERM, by which spot machines are taken away, and Ctrl-C into an answer that is asked for after
    each step: the signal's number, or 0. A second Ctrl-C does not wait."""
    asked = 0

    def note(number: int, _: FrameType | None) -> None:
        nonlocal asked
        asked = number
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, before[signal.SIGINT])

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _random_numbers(device: torch.device) -> dict[str, Tensor]:
    states = {"cpu": torch.get_rng_state()}
    return states | ({"cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else {})


def _set_random_numbers(states: Mapping[str, Tensor], device: torch.device) -> None:
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"], device)
