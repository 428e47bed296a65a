"""Runs a stage over its clips: todo -> do -> save, the ledger row last.

    tally = run_stage(stage, workspace, engine="local", workers=None, limit=None, progress=True)

A stage says what is missing (`todo`), what to do with one task in a worker (`open_worker`) and how
one batch of results is kept (`save`). The runner does the rest: processes, time limits, retries by
class of error, batches, the ledger, Ctrl-C.
"""

from valor_data.runner.run import run_stage
from valor_data.runner.stage import Done, Interrupted, Item, Patience, Stage, Tally, Task

__all__ = ["Done", "Interrupted", "Item", "Patience", "Stage", "Tally", "Task", "run_stage"]
