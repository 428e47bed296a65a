"""What the command line promises: its options, its speed, its manners."""

import os
import subprocess
import sys

import typer.main

from tests.ratchets.generate import commands
from valor_data.cli import app

SHARED = {"--workspace", "--workers", "--engine", "--limit", "--dry-run", "--json", "--take-over", "--help"}
OWN = {
    "init": {"--recipe"},
    "fetch": {"--retry"},
    "filter": {"--decide-only", "--explain", "--tune", "--diff"},
    "quarantine": {"--lift"},
    "annotate serve": {"--port"},
    "annotate import": {"--author", "--language"},
    "catalog sql": {"--csv", "--out"},
    "catalog stats": {"--out"},
    "catalog export": {"--out", "--media"},
    "release attest": {"--out"},
    "release retract": {"--ids", "--reason", "--requested", "--delete-old"},
    "release verify": {"--deep"},
    "status": {"--availability"},
    "caption": {"--split"},
    "embed": {"--split", "--text", "--out"},
    "evaluate": {
        "--split",
        "--subset",
        "--against",
        "--dual-softmax",
        "--sentences",
        "--questions",
        "--expected",
        "--attested",
        "--necessity",
        "--out",
    },
}
HEAVY = ["pyarrow", "duckdb", "av", "yt_dlp", "webdataset", "pandas", "fsspec", "numpy", "pydantic", "rich"]


def _command(words: list[str]) -> typer.main.TyperCommand:
    found = typer.main.get_command(app)
    for word in words:
        found = found.commands[word]  # type: ignore[attr-defined]
    return found  # type: ignore[return-value]


def test_the_list_of_options_is_frozen() -> None:
    """A new option needs a reason that no recipe key serves; then change this list."""
    for words in commands():
        options = {opt for param in _command(words).params for opt in param.opts if opt.startswith("-")}
        assert options - SHARED == OWN.get(" ".join(words), set()), words


def test_every_command_explains_itself_with_an_example() -> None:
    for words in commands():
        help_text = _command(words).help or ""
        assert "Example: valor-data " + " ".join(words) in help_text, words
        for param in _command(words).params:
            assert param.name == "help" or getattr(param, "help", ""), (words, param.name)


def test_help_imports_nothing_heavy() -> None:
    code = f"import sys, valor_data.cli; print([m for m in {HEAVY!r} if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_a_short_command_waits_for_nothing_that_it_does_not_use() -> None:
    code = (
        "import sys; from valor_data import chain; chain.status; "
        "print(sorted({'pandas', 'yt_dlp', 'torch', 'tantivy', 'webdataset'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_help_takes_less_than_300_ms() -> None:
    """Of CPU, which is what it waits for: other tests may hold the cores meanwhile."""

    def once() -> float:
        run = subprocess.Popen([sys.executable, "-m", "valor_data", "--help"], stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(run.pid, 0)
        run.returncode = os.waitstatus_to_exitcode(status)
        assert run.returncode == 0
        return used.ru_utime + used.ru_stime

    once()  # warm the file cache and the compiled modules
    assert min(once() for _ in range(5)) < 0.3
