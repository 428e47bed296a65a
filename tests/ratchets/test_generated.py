"""Generated files are fresh, and the schemas say what the tables hold."""

import json
from pathlib import Path

import pyarrow as pa
import pytest

from tests.ratchets import generate
from valor_data.records import TABLES, Record
from valor_data.schema import arrow_schema


def test_schemas_are_fresh() -> None:
    assert generate.stale(generate.schema_files()) == [], "run 'make schemas'"


def test_docs_are_fresh() -> None:
    assert generate.stale(generate.doc_files()) == [], "run 'make docs'"


def test_no_stray_contract_lies_in_schemas() -> None:
    made = {Path(path).name for path in generate.schema_files()}
    assert {path.name for path in (generate.ROOT / "schemas").iterdir()} == made | {"README.md"}


@pytest.mark.parametrize("record", TABLES.values(), ids=lambda record: record.table)
def test_arrow_and_json_schema_name_the_same_columns(record: type[Record]) -> None:
    schema = arrow_schema(record)
    text = (generate.ROOT / "schemas" / f"{record.table}.schema.json").read_text()
    properties = json.loads(text)["properties"]
    assert set(schema.names) == set(properties)
    for field in schema:
        optional = any(arm == {"type": "null"} for arm in properties[field.name].get("anyOf", []))
        assert field.nullable == optional, field.name
    assert set(record.key) <= set(schema.names)
    assert schema.field("made_at_us").type == pa.int64()


@pytest.mark.parametrize("record", TABLES.values(), ids=lambda record: record.table)
def test_every_number_says_what_it_counts(record: type[Record]) -> None:
    plain = {"bytes", "width", "height", "channels", "sample_rate", "revision", "captions", "shards", "clips"}
    numbers = [field.name for field in arrow_schema(record) if field.type in (pa.int64(), pa.float64())]
    silent = {name for name in numbers if not record.model_fields[name].description}
    assert {name for name in silent if not name.endswith("_ms")} <= plain
