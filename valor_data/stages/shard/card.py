"""The dataset card: README.md of a release, from its numbers alone."""

import json
from collections import Counter
from collections.abc import Mapping

import pyarrow as pa

from valor_data.manifest import SplitName
from valor_data.recipe import Recipe
from valor_data.rules import describe
from valor_data.stages.shard.plan import values

# Names of licences that dataset hubs know; any other is shown as it is stated.
_KNOWN_LICENCES = ("apache-2.0", "cc-by-4.0", "cc-by-nc-4.0", "cc-by-sa-4.0", "cc0-1.0", "mit", "odc-by")
_HUB_SPLITS = {"train": "train", "val": "validation", "test": "test"}
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def render(
    recipe: Recipe, facts: pa.Table, counts: Mapping[str, int], splits: Mapping[SplitName, Mapping[str, int]]
) -> str:
    """The card's Markdown with its YAML front matter; the same facts give the same text."""
    release = recipe.release
    title = release.title or recipe.name
    folder = f"{recipe.name}-{release.version}"
    languages, origins = Counter[str](), Counter[str]()
    for (captions,) in values(facts, "captions"):
        languages.update(one["language"] for one in captions)
        origins.update(one["origin"] for one in captions)
    sources = Counter(source for (source,) in values(facts, "source"))
    filled = [name for name, numbers in splits.items() if numbers["clips"]]
    first, shards = filled[0], splits[filled[0]]["shards"]
    lines = [
        "---",
        *_front_matter(recipe, title, sorted(languages), counts["clips"], filled),
        "---",
        "",
        f"# {title} {release.version}",
        "",
        *([release.description, ""] if release.description else []),
        f"{counts['clips']} clips of {counts['videos']} videos with {counts['captions']} captions, "
        f"in {counts['shards']} WebDataset shards ({_size(counts['bytes'])}).",
        "",
        "| split | clips | videos | captions | without caption | shards | size |",
        "|---|---|---|---|---|---|---|",
        *(_split_row(name, numbers) for name, numbers in splits.items()),
        "",
        "No video stands in two splits.",
        "",
        "## What a sample holds",
        "",
        "- `<clip_id>.mp4`: picture and sound of the span, as encoded for this release",
        "- `<clip_id>.json`: identity, span, source address, labels, split, every caption, facts of the",
        "  media, measures of the sound",
        f"- `<clip_id>.txt`: the first caption by `caption_id`{_absent(counts['without_caption'])}",
        "",
        "`clip_id` is `<video_id>_<start_ms>_<end_ms>`. `catalog.parquet` has one row a clip: the same",
        "facts, the first caption, and the place in the shards.",
        "",
        "## How to read it",
        "",
        "```python",
        "import webdataset",
        "",
        f'shards = "{folder}/{first}/{_braces(first, shards)}"',
        "for sample in webdataset.WebDataset(shards, shardshuffle=False).decode():",
        '    print(sample["__key__"], sample.get("txt"), len(sample["mp4"]))',
        "```",
        "",
        "```sql",
        "-- DuckDB",
        "select split, count(*) as clips, avg(loudness_lufs) as lufs",
        f"from '{folder}/catalog.parquet' group by split;",
        "```",
        "",
        f"Check a copy: `sha256sum -c SHA256SUMS`, or `valor-data release verify {folder}`.",
        "",
        "## Provenance",
        "",
        f"- Clips by source: {_listed(sources)}. The JSON of each names its address.",
        f"- Captions by origin: {_listed(origins)}; by language: {_listed(languages)}.",
        "  No caption of this release was written by a model.",
        f"- Encoding profile: `{recipe.profile}`.",
        f"- Kept are the clips that pass: {_rules(recipe)}.",
        *_faults(facts, counts["without_caption"]),
        "",
        "## Terms",
        "",
        f"Captions and tables: {release.licence}. The media keep their owners' terms: nobody has cleared",
        "their rights for you, and an address may have died since.",
    ]
    return "\n".join(lines) + "\n"


def _front_matter(
    recipe: Recipe, title: str, languages: list[str], clips: int, filled: list[SplitName]
) -> list[str]:
    licence = recipe.release.licence
    known = licence.lower() in _KNOWN_LICENCES
    lines = [
        f"license: {licence.lower()}" if known else "license: other",
        *([] if known else [f"license_name: {json.dumps(licence, ensure_ascii=False)}"]),
        f"pretty_name: {json.dumps(title, ensure_ascii=False)}",
        f"language: {json.dumps(languages, ensure_ascii=False)}",
        "tags: [video, audio, webdataset, valor]",
        f"size_categories: [{next((name for limit, name in _SIZES if clips < limit), 'n>1M')}]",
        "configs:",
        "- config_name: default",
        "  data_files:",
    ]
    for name in filled:
        lines += [f"  - split: {_HUB_SPLITS[name]}", f"    path: {name}/*.tar"]
    return lines


def _faults(facts: pa.Table, without_caption: int) -> list[str]:
    short = sum(1 for (missing,) in values(facts, "short_ms") if missing)
    silent = facts["audio_codec"].null_count
    told = [
        ("without a caption", without_caption),
        ("shorter than their span, because the video ends earlier (`short_ms`)", short),
        ("without an audio track", silent),
    ]
    return [f"- Clips {fault}: {number}." for fault, number in told if number]


def _split_row(name: str, numbers: Mapping[str, int]) -> str:
    shown = [numbers[column] for column in ("clips", "videos", "captions", "without_caption", "shards")]
    return f"| {name} | {' | '.join(map(str, shown))} | {_size(numbers['bytes'])} |"


def _rules(recipe: Recipe) -> str:
    told = [f"`{describe(rule)}`" for rule in recipe.effective_rules]
    if recipe.balance.per_label is not None:
        told.append(
            f"`balance: at most {recipe.balance.per_label} of each label, seed {recipe.balance.seed}`"
        )
    return "; ".join(told) or "all, for there is no rule"


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {number}" for name, number in sorted(counts.items())) or "none"


def _absent(without_caption: int) -> str:
    return f"; absent in {without_caption} samples that have none" if without_caption else ""


def _braces(split: str, shards: int) -> str:
    return f"{split}-{{000000..{shards - 1:06d}}}.tar" if shards > 1 else f"{split}-000000.tar"


def _size(size: int) -> str:
    units = ("B", "kB", "MB", "GB", "TB")
    power = min((len(str(size)) - 1) // 3, len(units) - 1)
    return f"{size / 1000**power:.4g} {units[power]}"
