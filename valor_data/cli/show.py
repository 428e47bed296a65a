"""A Report on stdout: for people, or as one JSON object."""

import sys
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from valor_data.records import Report

_MOST_REASONS = 12


def report(report: "Report", *, as_json: bool) -> None:
    """Print it, and end the command with exit code 1 where it is not ok."""
    if as_json:
        print(report.model_dump_json())
    else:
        _for_people(report)
    for warning in report.warnings:
        print(f"{'warning' if report.ok else 'problem'}: {warning}", file=sys.stderr)
    if not report.ok:
        raise typer.Exit(1)


def _for_people(report: "Report") -> None:
    state = "done" if report.ok else "NOT ok"
    print(f"{report.command}: {state} in {report.seconds:.1f} s  ({report.workspace})")
    width = max([14, *map(len, report.counts)])
    for name, count in report.counts.items():
        print(f"  {name:<{width}}{count:>12,}")
    if report.reasons:
        print("  reasons")
        ranked = sorted(report.reasons.items(), key=lambda item: (-item[1], item[0]))
        for name, count in ranked[:_MOST_REASONS]:
            print(f"    {name:<20}{count:>4,}")
        if len(ranked) > _MOST_REASONS:
            print(f"    and {len(ranked) - _MOST_REASONS} more: --json lists all")
    for line in report.plan:
        print(f"  {line}")
    for output in report.outputs:
        print(f"  wrote {output}")
