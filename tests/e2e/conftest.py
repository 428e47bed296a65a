"""Commands typed as a user types them, on the demo's footage served on loopback."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from valor_data import layout
from valor_data.demo.footage import Footage, make_footage, make_list
from valor_data.demo.server import serve

# No proxy of the machine may come between the programs and loopback.
ENVIRONMENT = {"NO_PROXY": "*", "no_proxy": "*"}


def valor(*words: str, code: int = 0, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    """stdout of one command, which must end with this exit code."""
    ran = subprocess.run(
        [sys.executable, "-m", "valor_data", *words],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, **ENVIRONMENT, **(env or {})},
        timeout=280,
    )
    assert ran.returncode == code, f"exit {ran.returncode}\n{ran.stdout}\n{ran.stderr}"
    return ran.stdout if code in (0, 1) else ran.stderr


def report(*words: str, code: int = 0, cwd: Path | None = None, env: dict[str, str] | None = None) -> Any:
    """The JSON object (or list) that a command prints with --json."""
    return json.loads(valor(*words, "--json", code=code, cwd=cwd, env=env))


class Served(NamedTuple):
    """The footage, and where it is served."""

    footage: Footage
    base_url: str
    listed: Path


class Finished(NamedTuple):
    """A workspace that a whole run left."""

    recipe: Path
    workspace: Path
    report: Any

    @property
    def release(self) -> Path:
        """The folder of its release."""
        return self.workspace / "releases" / "demo-0.1.0"


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The demo's footage, rendered once."""
    footage = make_footage(tmp_path_factory.mktemp("footage"), spoken=False)
    with serve(footage.folder) as base_url:
        yield Served(footage, base_url, make_list(footage, base_url))


def write_recipe(folder: Path, listed: Path, **lines: Sequence[str]) -> Path:
    """The demo's recipe beside `folder`, on one list; `lines` go under their [section]."""
    text = layout.asset("pipelines", "demo.toml").read_text()
    text = text.replace('"segments.csv"', json.dumps(str(listed)))
    for section, added in lines.items():
        head = f"[{section}]\n"
        body = "".join(f"{line}\n" for line in added)
        text = text.replace(head, head + body) if head in text else f"{text}\n{head}{body}"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "demo.toml"
    path.write_text(text)
    return path


@pytest.fixture(scope="session")
def finished(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """One whole run, shared by the tests that only read it."""
    folder = tmp_path_factory.mktemp("finished")
    recipe = write_recipe(folder, served.listed)
    done = report("run", str(recipe))
    return Finished(recipe, folder / "workspace", done)
