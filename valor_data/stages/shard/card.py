"""The dataset card: README.md of a release. Its front matter, how to read it, and the datasheet."""

import json

import pyarrow as pa

from valor_data.manifest import SPLITS
from valor_data.stages.shard import datasheet
from valor_data.stages.shard.account import Account
from valor_data.stages.shard.features import features
from valor_data.stages.shard.markdown import plain, shown, size, table
from valor_data.stages.shard.rai import unstated

# Names of licences that dataset hubs know; any other is shown as it is stated.
_KNOWN_LICENCES = ("apache-2.0", "cc-by-4.0", "cc-by-nc-4.0", "cc-by-sa-4.0", "cc0-1.0", "mit", "odc-by")
_HUB_SPLITS = {"train": "train", "val": "validation", "test": "test"}
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_COLUMNS = ("clips", "videos", "captions", "without_caption", "shards")
_MEMBERS = {
    "video": ["- `<clip_id>.mp4`: picture and sound of the span, as encoded for this release"],
    "train": [
        "- `<clip_id>.mp4`: the picture of the span, small and without sound, made for training",
        "- `<clip_id>.flac`: its sound; absent where the clip has none",
    ],
}


def render(account: Account, facts: pa.Schema) -> str:
    """The card's Markdown with its YAML front matter; the same account gives the same text. `facts` are the
    columns of the catalog."""
    release, counts = account.recipe.release, account.plan.counts
    with_media = account.recipe.shard.payload != "ids"
    where = (
        f"in {counts['shards']} WebDataset shards ({size(counts['bytes'])})"
        if with_media
        else "without media: `valor-data fetch` gets the clips from where they are published"
    )
    lines = [
        "---",
        *_front_matter(account, facts),
        "---",
        "",
        f"# {shown(account.title)} {release.version}",
        "",
        *([release.description.strip(), ""] if release.description.strip() else []),
        f"{counts['clips']} clips of {counts['videos']} videos with {counts['captions']} captions, {where}.",
        "",
        *table(
            ("split", *(name.replace("_", " ") for name in _COLUMNS), "size"),
            (
                (name, *(numbers[column] for column in _COLUMNS), size(numbers["bytes"]))
                for name, numbers in account.plan.splits.items()
            ),
        ),
        "No video stands in two splits.",
        "",
        *_subsets(account),
        *(_samples(account) if with_media else _ids(account)),
        *datasheet.sections(account, unstated(account)),
    ]
    return "\n".join(lines) + "\n"


def _subsets(account: Account) -> list[str]:
    """How many clips of each split stand in the lists that the recipe names as subsets."""
    counted = account.plan.subsets
    if not counted:
        return []
    rows = ((shown(name), *counts.values()) for name, counts in sorted(counted.items()))
    told = "Clips by the lists that they stand in, which `subsets` in the facts names:"
    return [told, "", *table(("subset", *SPLITS), rows)]


def _front_matter(account: Account, facts: pa.Schema) -> list[str]:
    licence = account.recipe.release.licence
    known = licence.lower() in _KNOWN_LICENCES
    lines = [
        f"license: {licence.lower()}" if known else "license: other",
        *([] if known else [f"license_name: {_quoted(licence)}"]),
        f"pretty_name: {_quoted(account.title)}",
        f"language: [{', '.join(_quoted(name) for name in sorted(dict(account.statistics.languages)))}]",
        "tags: [video, audio, webdataset, valor]",
        f"size_categories: [{_size_category(account.plan.counts['clips'])}]",
        "configs:",
        "- config_name: default",
        "  data_files:",
    ]
    if account.recipe.shard.payload == "ids":
        return [*lines, "  - split: all", "    path: catalog.parquet"]
    for name, numbers in account.plan.splits.items():
        if numbers["clips"]:
            lines += [f"  - split: {_HUB_SPLITS[name]}", f"    path: {name}/*.tar"]
    return [*lines, *features(facts, account.recipe.shard.payload)]


def _quoted(text: str) -> str:
    """A YAML string, which JSON's are once they hold nothing unprintable."""
    return json.dumps(plain(text), ensure_ascii=False)


def _size_category(clips: int) -> str:
    return next((name for limit, name in _SIZES if clips < limit), "n>1M")


def _samples(account: Account) -> list[str]:
    """What is in the shards, and how to read them."""
    folder, counts = account.folder, account.plan.counts
    splits = account.plan.splits
    first = next(name for name, numbers in splits.items() if numbers["clips"])
    media = account.recipe.shard.payload
    without = counts["without_caption"]
    return [
        "## What a sample holds",
        "",
        *_MEMBERS[media],
        "- `<clip_id>.json`: identity, span, source address, labels, split, every caption, facts of the",
        "  media, measures of the sound and the picture",
        "- `<clip_id>.txt`: the first caption by `caption_id`"
        + (f"; absent in {without} samples that have none" if without else ""),
        "",
        "`clip_id` is `<video_id>_<start_ms>_<end_ms>`. `catalog.parquet` has one row a clip: the same",
        "facts, the first caption, and the place in the shards.",
        "",
        "## How to read it",
        "",
        "```python",
        "import webdataset",
        "",
        f'shards = "{folder}/{first}/{_braces(first, splits[first]["shards"])}"',
        "for sample in webdataset.WebDataset(shards, shardshuffle=False).decode():",
        '    print(sample["__key__"], sample.get("txt"), len(sample["mp4"]))',
        "```",
        "",
        *_query(folder),
    ]


def _ids(account: Account) -> list[str]:
    """How to come by the clips of a release that holds none."""
    folder = account.folder
    return [
        "## How to get the clips",
        "",
        "`catalog.parquet` has one row a clip: address, span, labels, split, every caption, and facts and",
        "measures of the clip as its publisher had it. `clip_id` is `<video_id>_<start_ms>_<end_ms>`.",
        "",
        "```sh",
        f"valor-data fetch {folder}/catalog.parquet",
        "```",
        "",
        "gets every clip that is still published, tells why the others are not there, and keeps captions",
        "and splits.",
        "",
        *_query(folder),
    ]


def _query(folder: str) -> list[str]:
    return [
        "```sql",
        "-- DuckDB",
        "select split, count(*) as clips, avg(loudness_lufs) as lufs",
        f"from '{folder}/catalog.parquet' group by split;",
        "```",
        "",
        f"Check a copy: `sha256sum -c SHA256SUMS`, or `valor-data release verify {folder}`.",
        "",
    ]


def _braces(split: str, shards: int) -> str:
    return f"{split}-{{000000..{shards - 1:06d}}}.tar" if shards > 1 else f"{split}-000000.tar"
