"""How measures are spread over the clips, counted where they lie: no column leaves the tables."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from valor_data.recipe import metric
from valor_data.rules import QUANTILES, YES_NO, Bar, Drop, Spread, round_steps
from valor_data.tables.engine import Connection, Engine
from valor_data.tables.measured import select

_FAR = 4.0
"""Where a few values make the axis so many times longer than all but 2 in 100 need, they stay beyond it."""
_WORDS = 12
"""Words of a metric that are told, the most frequent ones."""


def spreads(
    engine: Engine,
    profile: str,
    thresholds: Mapping[str, Sequence[float]],
    *,
    benchmarks: Sequence[str] = (),
    tagger: str = "",
) -> dict[str, Spread]:
    """The spread of each metric that `thresholds` names, over the clips that `measured` tells of.

    As `rules.spread`, but: bars may leave out a few values far from all others, drops are told of the given
    thresholds alone, words only the most frequent. Of a group that a
    metric tells of, the first clip stands for the others. Memory grows with the columns of one table.
    """
    by_table: dict[str, list[str]] = {}
    for name in thresholds:
        by_table.setdefault(metric(name).table, []).append(name)
    found: dict[str, Spread] = {}
    for names in by_table.values():
        tables, sql = select(names, benchmarks=benchmarks, tagger=tagger)

        def work(con: Connection, sql: str = sql, names: Sequence[str] = names) -> dict[str, Spread]:
            con.execute(f"CREATE TEMP TABLE now AS {sql}", {"profile": profile})
            return {name: _spread(con, name, thresholds[name]) for name in names}

        found |= engine.run(tables, work)
    return {name: found[name] for name in thresholds}


def _spread(con: Connection, name: str, thresholds: Sequence[float]) -> Spread:
    kind, table = metric(name)
    column = '"' + name.replace('"', '""') + '"'
    if table == "neighbours":  # its values are names of groups: those of their first clips
        column = f"coalesce({column} <> clip_id, false)"
    ((clips,),) = con.execute("SELECT count(*) FROM now").fetchall()
    if kind == "number":
        return _of_numbers(con, column, clips, thresholds)
    counted = con.execute(
        f"SELECT {column}::VARCHAR AS word, count(*) AS clips FROM now WHERE {column} IS NOT NULL "
        "GROUP BY word ORDER BY clips DESC, word"
    ).fetchall()
    words = dict.fromkeys(reversed(YES_NO), 0) if kind == "yes_no" else {}
    words |= dict(counted[:_WORDS])
    return Spread(clips, clips - sum(number for _, number in counted), {}, [], [], words)


def _of_numbers(con: Connection, column: str, clips: int, thresholds: Sequence[float]) -> Spread:
    con.execute(
        f"CREATE OR REPLACE TEMP VIEW defined AS SELECT {column}::DOUBLE AS x FROM now WHERE isfinite(x)"
    )
    ((defined, at),) = con.execute(
        "SELECT count(*), quantile_disc(x, ?) FROM defined", [list(QUANTILES)]
    ).fetchall()
    if not defined:
        return Spread(clips, clips, {}, [], [], {})
    quantiles = dict(zip(QUANTILES, at, strict=True))
    low, high = at[0], at[-1]
    near_low, near_high = quantiles[0.01], quantiles[0.99]
    if high - low > _FAR * (near_high - near_low) > 0:
        low, high = near_low, near_high
    edges = round_steps(low, high)
    told = sorted({*thresholds})
    below = list(_below(con, [*edges, *told]))
    # The last bar holds its end too.
    ((last,),) = con.execute("SELECT count(*) FROM defined WHERE x <= ?", [edges[-1]]).fetchall()
    bars = [
        Bar(left, right, more - less)
        for (left, right), (less, more) in zip(
            pairwise(edges), pairwise([*below[: len(edges) - 1], last]), strict=True
        )
    ]
    drops = [Drop(one, less, _above(con, one)) for one, less in zip(told, below[len(edges) :], strict=True)]
    return Spread(clips, clips - defined, quantiles, bars, drops, {})


def _below(con: Connection, edges: Sequence[float]) -> Iterator[int]:
    """How many values lie below each edge, all in one pass."""
    counts = ", ".join(f"count(*) FILTER (x < {edge!r}::DOUBLE)" for edge in edges)
    (found,) = con.execute(f"SELECT {counts} FROM defined").fetchall()
    yield from found


def _above(con: Connection, edge: float) -> int:
    ((count,),) = con.execute("SELECT count(*) FROM defined WHERE x > ?", [edge]).fetchall()
    return int(count)
