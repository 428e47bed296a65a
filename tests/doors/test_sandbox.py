"""The user's SQL can read the views, and nothing else; it can write nothing."""

from pathlib import Path

import pytest

from tests.fakes import rows
from valor_data.errors import UserError
from valor_data.records import MEASURES, TABLES
from valor_data.tables import Tables

HAND_WRITTEN = (
    "opted_out_videos", "opted_out_clips", "retracted_clips", "subsets_of_clips", "newest_media",
    "newest_fetches", "newest_verdicts", "quarantined_clips", "releasable_captions", "funnel", "reasons",
    "catalog",
)  # fmt: skip
CURRENT = tuple(f"current_{record.table.removesuffix('_measures')}" for record in MEASURES)
VIEWS = (*TABLES, *(f"{table}_rows" for table in TABLES), *HAND_WRITTEN, *CURRENT)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    tables = Tables.open(str(tmp_path_factory.mktemp("w")))
    tables.append([rows.clip(number, labels=("Dog",)) for number in range(3)])
    tables.append([rows.media(0)])
    tables.append([rows.outcome(0)])
    return tables


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1",
        "select clip_id from clips order by 1 limit 2;",
        "WITH a AS (SELECT video_id, count(*) AS n FROM clips GROUP BY 1) FROM a JOIN a AS b USING (n)",
        "FROM clips WHERE list_contains(labels, 'Dog')",
        "SELECT label, count(*) FROM clips, unnest(labels) AS t(label) GROUP BY ALL",
        "SELECT unnest(labels) FROM clips",
        "SELECT * FROM main.clips",
        "SELECT * FROM range(3)",
        "VALUES (1)",
        "DESCRIBE clips",
        "SUMMARIZE clips",
        "SHOW TABLES",
        "FROM captions_accepted(2, 0)",
        "FROM funnel_of('exact-1', 'd', 1, 0)",
        "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 5) SELECT sum(n) FROM t",
        "SELECT regexp_matches(url, 'youtube'), list_transform(labels, lambda x: upper(x)) FROM clips",
        "SELECT 'DROP TABLE clips; read_csv(''/etc/passwd'')'",
    ],
)
def test_selects_work(tables: Tables, query: str) -> None:
    assert tables.sql(query).num_columns > 0


SECRET = "/etc/passwd"
REFUSED = [
    # more or less than one SELECT
    "",
    "   -- nothing",
    "SELECT 1; SELECT 2",
    "SELECT 1; DROP VIEW clips",
    "INSERT INTO clips VALUES (1)",
    "UPDATE clips SET url = ''",
    "DELETE FROM clips",
    "TRUNCATE clips",
    "MERGE INTO clips USING clips AS c ON true WHEN MATCHED THEN DELETE",
    "WITH x AS (INSERT INTO clips VALUES (1) RETURNING *) FROM x",
    "CREATE TABLE x AS FROM clips",
    "CREATE OR REPLACE VIEW clips AS SELECT 1",
    "CREATE MACRO f() AS 1",
    "CREATE SECRET s (TYPE s3)",
    "DROP VIEW clips",
    "ALTER VIEW clips RENAME TO c",
    "COMMENT ON VIEW clips IS 'x'",
    "COPY clips TO '/dev/shm/stolen.csv'",
    "COPY (SELECT 1) TO '/dev/stdout'",
    "EXPORT DATABASE '/dev/shm/stolen'",
    "IMPORT DATABASE '/dev/shm/stolen'",
    "ATTACH '/dev/shm/x.db'",
    "DETACH memory",
    "USE memory",
    "INSTALL httpfs",
    "LOAD httpfs",
    "PRAGMA database_list",
    "PRAGMA enable_profiling",
    "SET enable_external_access = true",
    "SET threads = 1",
    "SET VARIABLE x = 1",
    "RESET threads",
    "CALL pragma_version()",
    "CHECKPOINT",
    "VACUUM",
    "BEGIN",
    "PREPARE x AS SELECT 1",
    "EXECUTE x",
    "EXPLAIN ANALYZE SELECT 1",
    "PIVOT clips ON source USING count(*)",
    "SELECT ?",
    "SELECT $name",
    # files
    f"FROM '{SECRET}'",
    "SELECT * FROM 'parts.parquet'",
    'SELECT * FROM "parts.parquet"',
    f"FROM read_csv('{SECRET}')",
    f"FROM read_csv_auto('{SECRET}')",
    f"FROM sniff_csv('{SECRET}')",
    f"FROM read_text('{SECRET}')",
    f"FROM read_blob('{SECRET}')",
    f"FROM read_json('{SECRET}')",
    "FROM read_parquet('x.parquet')",
    "FROM parquet_scan('x.parquet')",
    "FROM parquet_metadata('x.parquet')",
    "FROM parquet_schema('x.parquet')",
    "FROM parquet_kv_metadata('x.parquet')",
    "FROM glob('/*')",
    f"SELECT (SELECT content FROM read_text('{SECRET}'))",
    f"SELECT * FROM clips WHERE url IN (SELECT content FROM read_text('{SECRET}'))",
    f"WITH a AS (FROM read_text('{SECRET}')) FROM a",
    f"SELECT * FROM clips, LATERAL (FROM read_text('{SECRET}'))",
    f"FROM query('FROM read_text(''{SECRET}'')')",
    "FROM query_table('duckdb_settings')",
    f"DESCRIBE FROM read_csv('{SECRET}')",
    f"SUMMARIZE FROM read_csv('{SECRET}')",
    f"SELECT 1 UNION ALL SELECT content FROM read_text('{SECRET}')",
    f"SELECT 1 ORDER BY (SELECT content FROM read_text('{SECRET}'))",
    "FROM 'https://example.org/x.csv'",
    "FROM read_csv('https://example.org/x.csv')",
    "FROM 's3://bucket/x.parquet'",
    # the machine and the engine's own tables
    "SELECT getenv('HOME')",
    "SELECT current_setting('temp_directory')",
    "SELECT getvariable('x')",
    "FROM duckdb_settings()",
    "FROM duckdb_secrets()",
    "FROM which_secret('s3://x', 's3')",
    "FROM duckdb_extensions()",
    "FROM duckdb_databases()",
    "FROM duckdb_temporary_files()",
    "FROM duckdb_logs",
    "FROM pragma_database_list",
    "FROM pragma_table_info('clips')",
    "FROM sqlite_master",
    "FROM pg_catalog.pg_settings",
    "FROM pg_settings",
    "FROM information_schema.tables",
    "FROM system.information_schema.tables",
    "FROM memory.other.clips",
    "SHOW DATABASES",
    "FROM arrow_scan(1, 2, 3)",
    "FROM pandas_scan(1)",
    # Python
    "FROM tables",
    "FROM rows",
    "SELECT * FROM TABLES",
    "FROM json_execute_serialized_sql('x')",
    "SELECT write_log('x')",
]


@pytest.mark.parametrize("query", REFUSED)
def test_all_else_is_refused_in_one_line(tables: Tables, query: str) -> None:
    with pytest.raises(UserError) as told:
        tables.sql(query)
    message = str(told.value)
    assert message
    assert "\n" not in message
    assert "root:" not in message


def test_nothing_was_written_by_all_the_tries(tables: Tables) -> None:
    assert tables.count("clips") == 3
    assert not Path("/dev/shm/stolen.csv").exists()
    assert not Path("/dev/shm/stolen").exists()


@pytest.mark.parametrize(
    ("query", "hint"),
    [
        ("SELEC 1", 'syntax error at or near "SELEC"'),
        ("SELECT clip_idd FROM clips", '"clip_id"'),
        ("FROM clipss", "did you mean 'clips'?"),
        ("FROM nothing_like_it", "no view 'nothing_like_it'; SHOW TABLES lists them"),
        ("FROM read_parquet('x')", "table function 'read_parquet'; known: "),
        ("SELECT lowr(url) FROM clips", '"lower"'),
        ("SELECT CAST(url AS INTEGER) FROM clips", "Could not convert string"),
        ("SELECT sum(url) FROM clips", "No function matches"),
        ("SELECT 1; SELECT 2", "exactly one SELECT"),
    ],
)
def test_mistakes_are_told_with_the_nearest_name(tables: Tables, query: str, hint: str) -> None:
    with pytest.raises(UserError) as told:
        tables.sql(query)
    assert hint in str(told.value)
    assert "\n" not in str(told.value)
    assert len(str(told.value)) <= 400


@pytest.mark.parametrize("view", VIEWS)
def test_every_column_of_every_view_can_be_selected_and_filtered(tables: Tables, view: str) -> None:
    names = tables.sql(f"FROM {view}").column_names
    filters = " AND ".join(f"({name} IS NULL OR {name} = {name})" for name in names)
    assert tables.sql(f"SELECT {', '.join(names)} FROM {view} WHERE {filters}").column_names == names


def test_every_view_is_shown(tables: Tables) -> None:
    shown = set(tables.sql("SHOW TABLES")["name"].to_pylist())
    assert shown == {*VIEWS, *(f"{table}_parts" for table in TABLES)}


def test_an_answer_that_would_not_fit_is_refused(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("valor_data.tables.sandbox._MOST_BYTES", 1_000_000)
    assert tables.sql("SELECT repeat('x', 900) FROM range(1_000)").num_rows == 1_000
    with pytest.raises(UserError, match="LIMIT"):
        tables.sql("SELECT repeat('x', 900) FROM range(1_000_000_000)")


def test_the_catalog_file_answers_while_it_is_current(tables: Tables) -> None:
    asked = "FROM catalog ORDER BY clip_id"
    before = tables.sql(asked)
    assert tables.write_catalog("catalog.parquet") == 3
    assert tables.sql(asked).to_pylist() == before.to_pylist()
    assert tables.sql("FROM main.catalog ORDER BY clip_id").to_pylist() == before.to_pylist()
    tables.append([rows.caption(0, "New.")])
    assert tables.sql("SELECT caption FROM catalog WHERE captions <> []").to_pylist() == [{"caption": "New."}]


def test_a_large_sort_spills_where_no_file_may_be_read(tables: Tables) -> None:
    query = "SELECT i, repeat('x', 400) AS text FROM range(400_000) AS t(i) ORDER BY hash(i)"
    assert tables.sql(f"SELECT count(*) AS n FROM ({query} LIMIT 399_999)").to_pylist() == [{"n": 399_999}]
