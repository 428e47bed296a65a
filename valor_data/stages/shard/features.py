"""What Hugging Face's `datasets` is told of the samples: the type of every member and every fact.

Untold, it takes them from the first five samples of one split, and then refuses a clip that has a member or a
fact which those lack.
"""

import json
from typing import Any

import pyarrow as pa

from valor_data.manifest import EXTRA_COLUMNS

_MEDIA = {"video": {"mp4": "video"}, "train": {"mp4": "video", "flac": "audio"}}
_TYPES = {pa.string(): "string", pa.bool_(): "bool", pa.int64(): "int64", pa.float32(): "float32",
          pa.float64(): "float64"}  # fmt: skip


def features(facts: pa.Schema, payload: str) -> list[str]:
    """`dataset_info` of a card's front matter, for a payload with media; `facts` are the columns of the
    catalog, which the samples' json has but for the last few."""
    members = {"__key__": "string", "__url__": "string", **_MEDIA[payload], "txt": "string"}
    return [
        "dataset_info:",
        "  features:",
        *(f"  - {json.dumps({'name': name, 'dtype': kind})}" for name, kind in members.items()),
        "  - name: json",
        "    struct:",
        *(
            f"    - {json.dumps({'name': field.name} | _type(field.type))}"
            for field in facts
            if field.name not in EXTRA_COLUMNS
        ),
    ]


def _type(kind: pa.DataType) -> dict[str, Any]:
    """As `datasets` writes it in YAML, of which JSON is a part."""
    if isinstance(kind, pa.StructType):
        return {"struct": [{"name": field.name} | _type(field.type) for field in kind.fields]}
    if isinstance(kind, pa.ListType):
        inside = _type(kind.value_type)
        return {"list": inside.get("dtype") or inside.get("struct") or inside}
    return {"dtype": _TYPES[kind]}
