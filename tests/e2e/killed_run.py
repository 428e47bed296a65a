"""What a kill after each write of a run leaves behind, and resume it: `killed_run.py RECIPE SCRATCH`.

A write is what makes a file durable or gone: the rename onto its final name, or a removal. One run goes
through in `SCRATCH/0`; after every third write its workspace is copied to `SCRATCH/<n>`, which is what
SIGKILL would leave at that moment, and a second run takes each copy to the end (doors/test_release.py has
every write of a release). Every run is a fork of this process, which imported the package once. Prints a
JSON line a run.
"""

import json
import os
import shutil
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.dataset  # noqa: F401 (loaded once, and not by every fork)

from valor_data import recipe
from valor_data.chain import Options, run
from valor_data.records import Report
from valor_data.transfer import body


def main(recipe_path: str, scratch: str) -> int:
    """Exit code 0 when the run and every resumed one ended well."""
    body._WAIT_S = 0.01  # the host fails often, and there are many runs
    root = Path(scratch, "0").resolve()
    if _forked(recipe_path, str(root), lambda: _arm(root)):
        return 2
    for copy in sorted(root.parent.iterdir(), key=lambda path: int(path.name))[1:]:
        if _forked(recipe_path, str(copy), lambda: None):
            print(json.dumps({"write": int(copy.name), "resumed": False}), flush=True)
            return 1
    return 0


def _forked(recipe_path: str, workspace: str, arm: Callable[[], None]) -> int:
    """How the run ended: 0 is well."""
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
    options = Options(workspace=workspace, engine="inline", progress=False)
    return run(recipe.load(recipe_path), options)


def _arm(root: Path) -> None:
    writes = 0

    def noted(real: Callable[..., Any]) -> Callable[..., Any]:
        def write(*args: Any, **kwargs: Any) -> Any:
            nonlocal writes
            result = real(*args, **kwargs)  # a removal of what is not there raises, and counts for nothing
            if any(str(arg).startswith(f"{root}{os.sep}") for arg in args):
                writes += 1
                if writes % 3 == 1:
                    shutil.copytree(root, root.with_name(str(writes)))
            return result

        return write

    for name in ("replace", "rename", "unlink", "remove"):
        setattr(os, name, noted(getattr(os, name)))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
