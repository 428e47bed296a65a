"""What a run tells while it goes on: a line of JSON and TensorBoard's scalars every so many steps."""

import json
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from torch import Tensor
from torch.distributed.tensor import DTensor

from valor_data import layout
from valor_data.train.model import Valor


class Log:
    """`log.jsonl` in the run's folder, one object a line, and TensorBoard's events where it is installed.
    A run that goes on begins behind its checkpoint: what it had told of later steps is told anew.

    `samples_per_s` is of all processes; `wait_share` is the time in which the model waited for data; `mfu`
    the share of the devices' peak that forward and backward took, without what checkpointing repeats (left
    out where the peak is not known). A norm that is no number, as fp16 has it where its scale was too large,
    is null.
    """

    def __init__(self, run: Path, step: int, *, leads: bool, peak: float | None = None) -> None:
        """`peak`: operations a second of all devices together."""
        self._leads, self._peak = leads, peak
        self._since, self._since_step, self._waited = time.monotonic(), step, 0.0
        self._file: Any = None
        self._board: Any = None
        if leads:
            run.mkdir(parents=True, exist_ok=True)
            _cut_back(run / "log.jsonl", step)
            self._file = (run / "log.jsonl").open("a", encoding="utf-8")
            self._board = _board(run, step)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
        if self._board is not None:
            self._board.close()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Around what waits for data."""
        begun = time.monotonic()
        yield
        self._waited += time.monotonic() - begun

    def tell(
        self,
        step: int,
        batch: int,
        losses: Mapping[str, float],
        model: Valor,
        rate: float,
        norm: Tensor,
        flops: float,
    ) -> None:
        """A step's figures; speeds are those since the last telling. `flops`: operations of a clip."""
        seconds, steps = time.monotonic() - self._since, step - self._since_step
        speed, gradients = steps * batch / seconds, _number(norm)
        told = {
            "step": step,
            **losses,
            "temperature": round(_number(model.temperature), 5),
            "rate": rate,
            "grad_norm": round(gradients, 4) if math.isfinite(gradients) else None,
            "samples_per_s": round(speed, 2),
            "wait_share": round(self._waited / seconds, 4),
        }
        if self._peak is not None:
            told["mfu"] = round(speed * flops / self._peak, 4)
        self._since, self._since_step, self._waited = time.monotonic(), step, 0.0
        self._write(told)

    def scored(self, step: int, score: float) -> None:
        """A validation."""
        self._write({"step": step, "validation": round(score, 4)})

    def _write(self, told: Mapping[str, float | None]) -> None:
        if not self._leads:
            return
        self._file.write(json.dumps(told) + "\n")
        self._file.flush()
        if self._board is not None:
            for name, value in told.items():
                if name != "step" and value is not None:
                    self._board.add_scalar(name, value, told["step"])


def _number(value: Tensor) -> float:
    """Of a tensor that processes may share (FSDP)."""
    return float((value.full_tensor() if isinstance(value, DTensor) else value).item())


def _cut_back(path: Path, step: int) -> None:
    """Drop what a hard stop left of steps that are made again, and lines that it tore."""
    if not path.is_file():
        return
    lines = path.read_bytes().splitlines(keepends=True)
    kept = [line for line in lines if line.endswith(b"\n") and _step(line) <= step]
    if len(kept) < len(lines):
        temporary = path.with_name(layout.temporary_name())
        temporary.write_bytes(b"".join(kept))
        temporary.replace(path)


def _step(line: bytes) -> float:
    """The step that a line tells of; infinite where it is torn."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, TypeError, KeyError):
        return math.inf


def _board(run: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(run / "tensorboard"), purge_step=step + 1)
