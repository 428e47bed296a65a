"""CHANGELOG.md of a release: what changed with each version, in counts alone."""

from valor_data.stages.shard.account import Account, Before
from valor_data.stages.shard.markdown import plain

_HEAD = "# Changelog\n"
_WORDS = {
    "added": "clips added",
    "removed": "clips removed",
    "captions": "clips with other captions",
    "media": "clips with other media",
    "split": "clips in another split",
    "labels": "clips with other labels",
    "same": "clips as before",
}
# Counts, never ids: a list of what was removed would point at it.


def changelog(account: Account) -> str:
    """The changelog's Markdown: this version, then what the version before told of itself and others."""
    release, before = account.recipe.release, account.before
    counts = account.plan.counts
    dated = f" ({release.date})" if release.date else ""
    lines = [f"## {release.version}{dated}", ""]
    if before is None:
        lines += ["First version."]
    elif before.manifest is None:
        lines += [f"Follows {before.parent.version}, whose files are gone: no comparison."]
    else:
        lines += [f"Since {before.parent.version} (content `{before.parent.content_sha256[:12]}`):", ""]
        lines += [
            f"- {words}: {before.changes[name]:,}" for name, words in _WORDS.items() if before.changes[name]
        ]
        lines += [f"- {told}" for told in _otherwise(account, before)]
    lines += ["", f"{counts['clips']:,} clips, {counts['captions']:,} captions.", ""]
    older = before.changelog.removeprefix(_HEAD) if before else ""
    return f"{_HEAD}\n" + "\n".join(lines) + older


def _otherwise(account: Account, before: Before) -> list[str]:
    """What the recipe says otherwise than before."""
    recipe, old = account.recipe, before.manifest
    if old is None:
        return []
    pairs = (
        ("licence", old.licence, recipe.release.licence),
        ("payload", old.payload, recipe.shard.payload),
        ("encoding profile", old.profile, recipe.profile),
        ("rules", old.rules_digest, recipe.rules_digest),
    )
    return [f"{name}: `{plain(was)}` → `{plain(now)}`" for name, was, now in pairs if was != now]
