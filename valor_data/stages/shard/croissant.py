"""croissant.json of a release: Croissant 1.1 with the RAI vocabulary, for dataset hubs and loaders.

The records of the catalog load from it. The shards are described, file by file, but no record set reads
them: mlcroissant 1.1 unpacks an archive into a cache that it names after the relative path alone, so that
it would give the samples of one release as those of another. Their own readers are better.
"""

import json
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from valor_data.manifest import FileEntry, ShardEntry
from valor_data.records import MEASURES, Caption, Clip, Derived, Media, Record, SplitOf
from valor_data.stages.shard.account import Account
from valor_data.stages.shard.markdown import plain
from valor_data.stages.shard.rai import stated

_CONFORMS = ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"]
_TERMS = (
    "arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "extract", "field", "fileProperty",
    "fileObject", "fileSet", "format", "includes", "isArray", "isLiveDataset", "jsonPath", "key", "md5",
    "parentField", "path", "recordSet", "references", "regex", "repeated", "replace", "samplingRate",
    "separator", "source", "subField", "transform",
)  # fmt: skip
_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    **{term: f"cr:{term}" for term in _TERMS},
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "name": {"@container": "@language"},
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
}
_PARQUET = "application/x-parquet"  # the spelling that mlcroissant reads
_ENCODINGS = {"mp4": "video/mp4", "flac": "audio/flac", "json": "application/json", "txt": "text/plain"}
_SUFFIXES = {"video": ("mp4", "json", "txt"), "train": ("mp4", "flac", "json", "txt"), "ids": ()}
_LICENCES = {
    "apache-2.0": "Apache-2.0", "cc-by-4.0": "CC-BY-4.0", "cc-by-nc-4.0": "CC-BY-NC-4.0",
    "cc-by-sa-4.0": "CC-BY-SA-4.0", "cc0-1.0": "CC0-1.0", "mit": "MIT", "odc-by": "ODC-By-1.0",
}  # fmt: skip
_RECORDS: tuple[type[Record], ...] = (*MEASURES, SplitOf, Derived, Media, Caption, Clip)
_DESCRIPTIONS = {
    name: field.description
    for record in _RECORDS
    for name, field in record.model_fields.items()
    if field.description
} | {
    "caption": "The first caption by caption_id.",
    "subsets": "Names of the lists, given by the recipe, that the clip stands in.",
    "official_id": "The clip's id as VALOR and AudioSet write it.",
    "shard": "The shard that holds the clip.",
    "shard_index": "The clip's place in its shard, from 0 on.",
}


def render(account: Account, columns: pa.Schema, shards: Sequence[ShardEntry], catalog: FileEntry) -> str:
    """The file's JSON. `columns` are those of the facts; nothing in it knows the clock but `release.date`."""
    release = account.recipe.release
    licence = _LICENCES.get(release.licence.lower())
    said: dict[str, Any] = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "name": account.recipe.name,
        "description": plain(release.description) or account.title,
        "conformsTo": _CONFORMS,
        "version": release.version,
        "license": f"https://spdx.org/licenses/{licence}.html" if licence else plain(release.licence),
        "inLanguage": sorted(dict(account.statistics.languages)),
        "keywords": ["video", "audio", "captions"],
        "distribution": [_file("catalog", catalog, _PARQUET), *_shards(account, shards)],
        "recordSet": [_clips(columns)],
        **{f"rai:{name}": value for name, value in stated(account).items()},
    }
    optional = {
        "alternateName": plain(release.title),
        "url": release.url,
        "citeAs": release.citation.strip(),
        "datePublished": release.date,
        "creator": [{"@type": "sc:Person", "name": plain(name)} for name in release.creators],
    }
    said |= {name: value for name, value in optional.items() if value}
    return f"{json.dumps(said, indent=2, ensure_ascii=False)}\n"


def _file(node: str, entry: FileEntry, encoding: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": node,
        "name": entry.path,
        "contentUrl": entry.path,
        "contentSize": f"{entry.bytes} B",
        "encodingFormat": encoding,
        "sha256": entry.sha256,
    }


def _shards(account: Account, shards: Sequence[ShardEntry]) -> list[dict[str, Any]]:
    """Every shard, and what lies in them."""
    inside = [{"@id": shard.path} for shard in shards]
    return [
        *(_file(shard.path, shard, "application/x-tar") for shard in shards),
        *(
            {
                "@type": "cr:FileSet",
                "@id": f"{suffix}-members",
                "name": f"{suffix}-members",
                "containedIn": inside,
                "encodingFormat": _ENCODINGS[suffix],
                "includes": f"*.{suffix}",
            }
            for suffix in _SUFFIXES[account.recipe.shard.payload]
        ),
    ]


def _clips(columns: pa.Schema) -> dict[str, Any]:
    """The catalog's rows. Lists of captions stand in it too, but Croissant loaders read flat columns."""
    fields = [*columns, pa.field("shard", pa.string()), pa.field("shard_index", pa.int64())]
    return {
        "@type": "cr:RecordSet",
        "@id": "clips",
        "name": "clips",
        "description": "One record a clip.",
        "key": {"@id": "clips/clip_id"},
        "field": [field for column in fields if (field := _field(column)) is not None],
    }


def _field(column: "pa.Field[Any]") -> dict[str, Any] | None:
    is_list = pa.types.is_list(column.type)
    kind = _data_type(column.type.value_type if is_list else column.type)
    if kind is None:
        return None
    said: dict[str, Any] = {
        "@type": "cr:Field",
        "@id": f"clips/{column.name}",
        "name": column.name,
        "description": plain(_DESCRIPTIONS.get(column.name, column.name)),
        "dataType": kind,
        "source": {"fileObject": {"@id": "catalog"}, "extract": {"column": column.name}},
    }
    return {**said, "isArray": True, "arrayShape": "-1"} if is_list else said


def _data_type(kind: pa.DataType) -> str | None:
    if pa.types.is_string(kind):
        return "sc:Text"
    if pa.types.is_boolean(kind):
        return "sc:Boolean"
    if pa.types.is_integer(kind):
        return "sc:Integer"
    return "sc:Float" if pa.types.is_floating(kind) else None
