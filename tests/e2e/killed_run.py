"""Kill a run at each of its writes in turn, and resume it: `killed_run.py RECIPE SCRATCH`.

A write is what makes a file durable or gone: the rename onto its final name, or a removal. Run n gets a
fresh workspace `SCRATCH/<n>` and dies by SIGKILL right after its n-th write; a second run
resumes it to the end. Ends at the first run that makes fewer than n writes. Every run is a fork of this
process, which imported the package once. Prints a JSON line a resumed run.
"""

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from valor_data import chain, recipe
from valor_data.records import Report
from valor_data.transfer import body

MOST_WRITES = 400


def main(recipe_path: str, scratch: str) -> int:
    """Exit code 0 when every resumed run ended well."""
    body._WAIT_S = 0.01  # the host fails often, and there are many runs
    for nth in range(1, MOST_WRITES):
        workspace = str(Path(scratch, str(nth)).resolve())
        first = _forked(recipe_path, workspace, lambda root=workspace, n=nth: _arm(root, n))
        if os.WIFEXITED(first):
            return os.WEXITSTATUS(first)
        resumed = _forked(recipe_path, workspace, lambda: None)
        if not os.WIFEXITED(resumed) or os.WEXITSTATUS(resumed):
            print(json.dumps({"write": nth, "resumed": False}), flush=True)
            return 1
    return 3


def _forked(recipe_path: str, workspace: str, arm: Callable[[], None]) -> int:
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    try:
        arm()
        report = _run(recipe_path, workspace)
        (release,) = (output for output in report.outputs if output.startswith("releases/"))
        manifest = json.loads(Path(workspace, release, "manifest.json").read_text())
        counts = report.counts
        print(json.dumps({"digest": manifest["content_sha256"], "ok": report.ok, **counts}), flush=True)
        os._exit(0 if report.ok else 1)
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        os._exit(2)


def _run(recipe_path: str, workspace: str) -> Report:
    options = chain.Options(workspace=workspace, engine="inline", progress=False)
    return chain.run(recipe.load(recipe_path), options)


def _arm(root: str, nth: int) -> None:
    writes = 0

    def deadly(real: Callable[..., Any]) -> Callable[..., Any]:
        def write(*args: Any, **kwargs: Any) -> Any:
            nonlocal writes
            if not any(str(arg).startswith(root) for arg in args):
                return real(*args, **kwargs)
            result = real(*args, **kwargs)  # a removal of what is not there raises, and counts for nothing
            writes += 1
            if writes == nth:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return write

    for name in ("replace", "rename", "unlink", "remove"):
        setattr(os, name, deadly(getattr(os, name)))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
