"""Rows of a query, as a table for people, as JSON, or as a file."""

import csv
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from valor_data.outfile import replaced

_WIDEST = 60


def show(table: pa.Table, *, as_json: bool, as_csv: bool) -> None:
    """A list of row objects as JSON, CSV, or else a table for people."""
    table = _named_apart(table)
    if as_json:
        print(_json(table))
    elif as_csv:
        _csv(table, sys.stdout)
    else:
        _draw(table)


def write(table: pa.Table, out: str) -> None:
    """Write rows to a file whose suffix says the form, whole or not at all.

    Raises UserError for another suffix and a place that cannot be written to, FatalError for a full disk.
    """
    with replaced(out, ".csv", ".json", ".parquet") as path:
        _fill(_named_apart(table), path)


def _fill(table: pa.Table, path: Path) -> None:
    if path.suffix == ".parquet":
        pq.write_table(table, path, compression="zstd")
    elif path.suffix == ".csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            _csv(table, file)
    else:
        path.write_text(_json(table) + "\n", encoding="utf-8")


def _named_apart(table: pa.Table) -> pa.Table:
    """The same rows with a number behind a column's name where a join repeats it."""
    times: dict[str, int] = {}
    names = []
    for name in table.column_names:
        times[name] = times.get(name, 0) + 1
        names.append(name if times[name] == 1 else f"{name}_{times[name]}")
    return table.rename_columns(names)


def _json(table: pa.Table) -> str:
    return json.dumps(table.to_pylist(), ensure_ascii=False, default=str)


def _csv(table: pa.Table, file: Any) -> None:
    writer = csv.writer(file, lineterminator="\n")  # what other programs of the shell expect
    writer.writerow(table.column_names)
    for batch in table.to_batches():
        writer.writerows([_cell(value) for value in row.values()] for row in batch.to_pylist())


def _draw(table: pa.Table) -> None:
    names = table.column_names
    body = [[plain(_cell(value)) for value in row.values()] for row in table.to_pylist()]
    widths = [
        min(_WIDEST, max([len(name), *(len(row[column]) for row in body)]))
        for column, name in enumerate(names)
    ]
    across = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for row in [names, ["-" * width for width in widths], *body]:
        cells = [_fit(cell, width) for cell, width in zip(row, widths, strict=True)]
        print("  ".join(cells).rstrip()[:across])
    print(f"({table.num_rows} rows)")


def _fit(cell: str, width: int) -> str:
    return (cell if len(cell) <= width else cell[: width - 1] + "…").ljust(width)


def plain(cell: str) -> str:
    """With what would move a terminal's cursor or colour it written out: captions come from anybody."""
    return "".join(
        c if c.isprintable() else " " if c in "\n\t" else c.encode("unicode_escape").decode() for c in cell
    )


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)
