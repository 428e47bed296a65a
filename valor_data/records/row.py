"""What every record has in common."""

from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field

# A strict model refuses the string or list that Parquet hands back for an enum or a tuple.
Words = Annotated[tuple[str, ...], Field(strict=False)]
Ms = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Float32 = Annotated[float, Field(json_schema_extra={"format": "float"})]
"""Kept in 32 bits."""
Vector = Annotated[tuple[Float32, ...], Field(strict=False, min_length=1)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
ClipId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+_\d+_\d+$")]


class Record(BaseModel):
    """A frozen, closed row. `key` names the columns whose latest row counts."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)

    table: ClassVar[str]
    key: ClassVar[tuple[str, ...]]
    history: ClassVar[bool] = False
    """True: compaction keeps every revision, not only the latest row of a key."""

    made_by: str
    """Who says so: a tool and its version (`audio@1`), a list, a person's pseudonym."""
    made_at_us: int = 0
    """When the row was saved, microseconds since 1970 UTC; 0 until it is."""
