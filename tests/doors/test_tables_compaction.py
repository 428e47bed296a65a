"""Compaction loses nothing and doubles nothing: killed between any two writes, read while it runs."""

import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from fsspec.implementations.local import LocalFileSystem
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes import rows
from valor_data import layout
from valor_data.errors import FatalError
from valor_data.records import Caption, Clip
from valor_data.store import Store
from valor_data.tables import Tables, compaction
from valor_data.tables.parts import Parts

HISTORY = "SELECT caption_id, revision, text FROM captions_rows ORDER BY ALL"


@pytest.fixture
def root(tmp_path: Path) -> str:
    return str(tmp_path / "w")


def fill(root: str) -> Tables:
    """Ten parts of clips with changes, and ten revisions of a caption."""
    tables = Tables.open(root)
    first = rows.caption(1, "revision 1")
    for number in range(10):
        tables.append([rows.clip(number), rows.clip(number % 3, labels=(f"at {number}",))])
        text = f"revision {number + 1}"
        tables.append([first.model_copy(update={"text": text, "revision": number + 1})])
    return tables


def seen(tables: Tables) -> tuple[list[Clip], list[Caption], object]:
    return list(tables.rows(Clip)), list(tables.rows(Caption)), tables.sql(HISTORY).to_pylist()


def files(root: str, table: str) -> list[str]:
    return sorted(path.name for path in Path(root, layout.table_prefix(table)).iterdir())


@pytest.mark.parametrize("share", [compaction._SHARE, 2_000])
def test_one_part_by_key_remains_and_rows_stay_the_same(
    root: str, share: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "_SHARE", share)  # the parts are larger than the smaller one
    tables = fill(root)
    before = seen(tables)
    tables.compact()
    assert seen(tables) == seen(Tables.open(root)) == before
    assert [caption.text for caption in before[1]] == ["revision 10"]
    for table in ("clips", "captions"):
        part, manifest = files(root, table)
        assert part.endswith(".compact.parquet")
        assert manifest == layout.MANIFEST
        keys = pq.read_table(Path(root, layout.table_prefix(table), part))[f"{table[:-1]}_id"].to_pylist()
        assert keys == sorted(keys)
    names = files(root, "clips")
    tables.compact()
    assert files(root, "clips") == names  # not worth it again


def test_few_parts_are_left_alone(root: str) -> None:
    tables = Tables.open(root)
    for number in range(8):
        tables.append([rows.clip(number)])
    tables.compact()
    assert len(files(root, "clips")) == 8


def test_tables_with_history_keep_every_revision(root: str) -> None:
    tables = fill(root)
    tables.compact()
    assert tables.count("captions") == 1
    assert len(tables.sql(HISTORY)) == 10
    assert tables.sql("SELECT count(*) AS n FROM clips_rows").to_pylist() == [{"n": 10}]


def test_later_appends_win_over_a_compacted_part(root: str) -> None:
    tables = fill(root)
    tables.compact()
    tables.append([rows.clip(1, labels=("later",))])
    assert [c.labels for c in Tables.open(root).rows(Clip, clip_id=rows.clip_id(1))] == [("later",)]


class Killed(BaseException):
    """Stands for SIGKILL: after it, nothing of the process writes any more."""


def killing(monkeypatch: pytest.MonkeyPatch, survive: int) -> Callable[[], bool]:
    """Let that many writes happen, then refuse this and every later one; whether it came to that."""
    writes = 0

    def guarded(write: Callable[..., object]) -> Callable[..., object]:
        def attempt(*words: object, **named: object) -> object:
            nonlocal writes
            writes += 1
            if writes > survive:
                raise Killed
            return write(*words, **named)

        return attempt

    monkeypatch.setattr(Path, "replace", guarded(Path.replace))
    monkeypatch.setattr(LocalFileSystem, "rm_file", guarded(LocalFileSystem.rm_file))
    unlink = Path.unlink
    monkeypatch.setattr(
        Path, "unlink", lambda path, **named: None if writes > survive else unlink(path, **named)
    )
    return lambda: writes > survive


# Two tables, each: the part, the manifest, ten deletions.
@pytest.mark.parametrize("survive", range(2 * 12))
def test_a_kill_between_any_two_writes_loses_and_doubles_nothing(
    root: str, monkeypatch: pytest.MonkeyPatch, survive: int
) -> None:
    before = seen(fill(root))
    with monkeypatch.context() as patch:
        was_killed = killing(patch, survive)
        with pytest.raises(Killed):
            Tables.open(root).compact()
        assert was_killed()
    tables = Tables.open(root)
    assert seen(tables) == before
    tables.append([rows.clip(0, labels=("after",))])
    tables.compact()
    Store.open(root).sweep_temporary()
    after = seen(tables)
    assert after[0][0].labels == ("after",)
    assert (after[0][1:], *after[1:]) == (before[0][1:], *before[1:])
    for table in ("clips", "captions"):
        names = [name for name in files(root, table) if name.endswith(".parquet")]
        assert len(names) <= 8 + 2
        assert set(Parts(root).live(table)) == set(names)  # no leftovers


def test_the_kill_points_are_all_of_them(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(root)
    was_killed = killing(monkeypatch, 2 * 12)
    Tables.open(root).compact()
    assert not was_killed()


def test_a_reader_whose_parts_vanish_lists_again(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = fill(root)
    before = seen(writer)
    live, reader = Parts.live, Tables.open(root)
    for ask in (
        lambda: list(reader.rows(Clip)),
        lambda: reader.count("clips"),
        lambda: reader.sql(HISTORY).to_pylist(),
        lambda: reader.unfetched(rows.FETCH, frozenset())[0],
    ):
        with monkeypatch.context() as patch:
            pending = [True]

            def then_compacted(parts: Parts, table: str, pending: list[bool] = pending) -> list[str]:
                names = live(parts, table)
                if pending.pop() if pending else False:
                    writer.compact()
                return names

            for number in range(10):
                writer.append([rows.clip(number % 3, labels=(f"at {number}",))])
            patch.setattr(Parts, "live", then_compacted)
            assert ask()
    assert len(seen(reader)[0]) == len(before[0])


def test_a_reader_that_lists_before_and_reads_the_manifest_after_sees_each_row_once(
    root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = fill(root)
    before = seen(writer)
    manifest = Parts._manifest
    pending = [True]

    def compacted_first(parts: Parts, table: str, names: list[str]) -> object:
        if pending:
            pending.clear()
            writer.compact()
        return manifest(parts, table, names)

    monkeypatch.setattr(Parts, "_manifest", compacted_first)
    assert seen(Tables.open(root)) == before


def test_a_table_that_never_rests_is_told(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(root)
    live, calls = Parts.live, [0]

    def moving(parts: Parts, table: str) -> list[str]:
        calls[0] += 1
        return [*live(parts, table), f"{calls[0]:020d}-gone.parquet"]

    monkeypatch.setattr(Parts, "live", moving)
    with pytest.raises(FatalError, match="change while they are read"):
        Tables.open(root).count("clips")


def test_readers_beside_a_writer_that_compacts_all_the_time(root: str) -> None:
    writer = fill(root)
    clips, captions, history = seen(writer)
    stop = threading.Event()
    faults: list[BaseException] = []

    def read() -> None:
        reader = Tables.open(root)
        try:
            while not stop.is_set():
                assert reader.count("clips") == len(clips)
                assert [c.caption_id for c in reader.rows(Caption)] == [c.caption_id for c in captions]
                assert reader.sql(HISTORY).to_pylist() == history
        except BaseException as fault:
            faults.append(fault)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for thread in readers:
        thread.start()
    for turn in range(12):
        for number in range(9):
            writer.append([rows.clip(number, labels=(f"turn {turn}",))])
        writer.compact()
    stop.set()
    for thread in readers:
        thread.join()
    if faults:
        raise faults[0]


KEYS = st.integers(0, 5)
APPEND = st.tuples(st.just("append"), st.lists(st.tuples(KEYS, st.integers(0, 99)), min_size=1, max_size=6))
STEPS = st.lists(st.one_of(APPEND, st.just(("compact", [])), st.just(("reopen", []))), max_size=12)


@settings(max_examples=30, deadline=None)
@given(STEPS)
def test_the_latest_row_wins_as_in_a_dict(steps: list[tuple[str, list[tuple[int, int]]]]) -> None:
    worth_it = compaction._WORTH_IT
    compaction._WORTH_IT = 1
    try:
        with tempfile.TemporaryDirectory() as root:
            tables = Tables.open(root)
            latest: dict[str, str] = {}
            revisions = 0
            for step, given_rows in steps:
                if step == "compact":
                    tables.compact()
                elif step == "reopen":
                    tables = Tables.open(root)
                else:
                    made = [
                        rows.caption(key, "").model_copy(update={"text": str(value)})
                        for key, value in given_rows
                    ]
                    tables.append(made)
                    batch = {row.caption_id: row.text for row in made}
                    latest |= batch
                    revisions += len(batch)
            assert {row.caption_id: row.text for row in tables.rows(Caption)} == latest
            assert tables.count("captions") == len(latest)
            assert tables.sql("SELECT count(*) AS n FROM captions_rows").to_pylist() == [{"n": revisions}]
    finally:
        compaction._WORTH_IT = worth_it
