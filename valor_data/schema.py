"""From a record's one declaration: the Arrow schema of its table and the JSON Schema of its row."""

import json
import types
from enum import StrEnum
from typing import Any, Literal, Union, get_args, get_origin

import pyarrow as pa

from valor_data import layout
from valor_data.records import TABLES, Record, Report
from valor_data.records.row import Float32

_SCALARS: dict[Any, pa.DataType] = {
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    Float32: pa.float32(),
    bool: pa.bool_(),
    bytes: pa.binary(),
}


def arrow_schema(record: type[Record]) -> pa.Schema:
    """Columns, types and nullability of a record's table; descriptions ride along as metadata.

    The record's own fields come first, `made_by` and `made_at_us` last.
    """
    fields = sorted(record.model_fields.items(), key=lambda field: field[0] in Record.model_fields)
    return pa.schema([_field(name, info.annotation, info.description) for name, info in fields])


def _field(name: str, annotation: Any, description: str | None) -> "pa.Field[Any]":
    kind, nullable = annotation, False
    if get_origin(annotation) in (Union, types.UnionType):
        arms = [arm for arm in get_args(annotation) if arm is not type(None)]
        if len(arms) != 1:
            raise TypeError(f"{name}: a column has one type, not {annotation}")
        kind, nullable = arms[0], True
    metadata = {"description": " ".join(description.split())} if description else None
    return pa.field(name, _arrow_type(name, kind), nullable=nullable, metadata=metadata)


def _arrow_type(name: str, kind: Any) -> pa.DataType:
    if get_origin(kind) is tuple:
        return pa.list_(_arrow_type(name, get_args(kind)[0]))
    if get_origin(kind) is Literal or (isinstance(kind, type) and issubclass(kind, StrEnum)):
        return pa.string()
    if kind in _SCALARS:
        return _SCALARS[kind]
    if hasattr(kind, "__metadata__"):  # Annotated inside Optional
        return _arrow_type(name, get_args(kind)[0])
    raise TypeError(f"{name}: no Arrow type for {kind}")


def json_schemas() -> dict[str, str]:
    """File name -> text of every JSON Schema in `schemas/`."""
    models: dict[str, type[Record] | type[Report]] = {**TABLES, "report": Report}
    return {f"{table}.schema.json": _json_schema(table, model) for table, model in models.items()}


def _json_schema(table: str, model: type[Record] | type[Report]) -> str:
    schema = model.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["$id"] = f"{table}.schema.json"
    if issubclass(model, Record):
        schema["x-key"] = list(model.key)
    return json.dumps(schema, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def schema_digest() -> str:
    """sha256 over every JSON Schema: two releases with the same digest read alike."""
    return layout.digest(json_schemas())
