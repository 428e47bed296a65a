"""The command line: each command parses, calls the function of the same name in `chain`, and prints.

stdout is the result, stderr the log and the progress bar. Exit codes: 0 done; 1 a check failed, too
many clips failed, or a fatal stop; 2 the user's input is wrong; 130 Ctrl-C.
"""

import os
import sys

import typer

from valor_data.cli import (
    annotate,
    catalog,
    describe,
    fetch,
    filter,
    quarantine,
    release,
    run,
    setup,
    shard,
    train,
)
from valor_data.errors import UserError, ValorDataError

app = typer.Typer(
    name="valor-data",
    help="From a list of video segments to a released vision-audio-language dataset.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # importing rich would double the time of --help
    pretty_exceptions_enable=False,
)
setup.add_to(app)
fetch.add_to(app)
filter.add_to(app)
quarantine.add_to(app)
app.add_typer(annotate.app, name="annotate")
app.add_typer(catalog.app, name="catalog")
shard.add_to(app)
app.add_typer(release.app, name="release")
run.add_to(app)
train.add_to(app)
describe.add_to(app)


_CTRL_C = 130


def main() -> None:
    """The console script."""
    guarded(app)


def guarded(commands: typer.Typer) -> None:
    """Run one command and turn every expected error into one line and an exit code."""
    try:
        commands()
    except UserError as error:
        _stop(str(error), 2)
    except ValorDataError as error:
        _stop(str(error), 1)
    except SystemExit as end:
        if end.code == _CTRL_C:  # Typer has turned KeyboardInterrupt into it
            _stop("stopped; what is done is kept, and the same command goes on from here", _CTRL_C)
        raise
    except BrokenPipeError:
        # The reader of our stdout went away (`| head`): nothing is wrong, and nobody listens.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        _stop(f"{error}; check the path, its rights and the disk", 1)


def _stop(message: str, code: int) -> None:
    print(f"valor-data: {message}", file=sys.stderr)
    if "--json" in sys.argv:
        from valor_data.records import Report

        groups = {group.name for group in app.registered_groups}
        words = sys.argv[1:3] if sys.argv[1] in groups else sys.argv[1:2]
        print(Report(command=" ".join(words), ok=False, warnings=(message,)).model_dump_json())
    sys.exit(code)
