"""The questions of a datasheet (Gebru et al., Communications of the ACM 64, 2021), answered from the data.

What only a person knows comes from the recipe's [release]; what nobody stated is called just that.
"""

from collections.abc import Sequence

from valor_data.rules import describe
from valor_data.stages.shard.account import Account
from valor_data.stages.shard.markdown import listed, plain, shown, table

NOT_STATED = "Not stated."
_STEPS = {
    "listed": "listed clips",
    "fetched": "fetched with this profile",
    "measured": "measured",
    "kept": "kept by the rules",
    "captioned": "with a caption that may be released",
}
_STAGES = {"fetch": "that could not be had", "measure": "that could not be measured", "filter": "kept out"}


def sections(account: Account, unstated: Sequence[str]) -> list[str]:
    """Lines of Markdown, a heading a group of questions; `unstated` names what else nobody answered."""
    return [
        *_motivation(account),
        *_composition(account),
        *_collection(account),
        *_preprocessing(account),
        *_annotation(account),
        *_uses(account),
        *_distribution(account),
        *_maintenance(account, unstated),
    ]


def _motivation(account: Account) -> list[str]:
    release = account.recipe.release
    creators = ", ".join(map(shown, release.creators))
    return [
        "## Motivation",
        "",
        f"Why it was made, and for what: {release.motivation.strip() or NOT_STATED}",
        "",
        f"Who made it: {creators or NOT_STATED}",
        "",
    ]


def _composition(account: Account) -> list[str]:
    numbers = account.statistics
    return [
        "## Composition",
        "",
        f"- Each clip is a span of a video with its sound: {numbers.seconds / 3600:,.2f} hours in all.",
        f"- Captions: {numbers.captions:,} with {numbers.words:,} words, {numbers.distinct_words:,} of them "
        f"different; by origin: {listed(numbers.origins)}; by language: {listed(numbers.languages)}.",
        "  No caption of this release was written by a model.",
        f"- Labels: {len(numbers.labels):,}; the most frequent: {listed(numbers.labels, 10)}.",
        f"- Sounds that captions name: {listed(numbers.sounds_named, 10)}.",
        "",
        *(f"![{alt}](plots/{name}.svg)" for name, alt in PLOTTED.items()),
        "",
        "### Known faults",
        "",
        *_faults(account),
        "",
    ]


PLOTTED = {
    "durations": "How long the clips are",
    "lengths": "How many words the captions have",
    "labels": "The most frequent labels",
    "sounds": "The sounds that captions name most",
}
"""Plots of a release: name of the file -> what it shows."""


def faults(account: Account) -> list[str]:
    """What is known to be wrong, a line of Markdown each; none that does not occur."""
    found = account.provenance
    told = [
        ("Clips without a caption", account.plan.counts["without_caption"]),
        ("Clips shorter than their span, because the video ends earlier (`short_ms`)", account.short),
        ("Clips without an audio track", account.no_audio),
        *((f"Captions with the fault `{plain(kind)}`", number) for kind, number in found.faults.items()),
        *((f"Clips that {shown(name)} holds too", number) for name, number in found.leaks.items()),
    ]
    return [f"{fault}: {number:,}." for fault, number in told if number]


def _faults(account: Account) -> list[str]:
    known = [f"- {fault}" for fault in faults(account)]
    return [*known, f"- Share of bad captions: {defects(account)}"]


def defects(account: Account) -> str:
    """What an audit found, or that there was none."""
    audit, found = account.audit, account.provenance
    if audit is None:
        return "not measured: no caption of this release was audited."
    return (
        f"{audit.value:.1%} among the {found.human_captions:,} of our annotators (95 % interval "
        f"{audit.low:.1%} to {audit.high:.1%}), from {found.audited:,} that were drawn at random and checked "
        "once more."
    )


def _collection(account: Account) -> list[str]:
    found, funnel = account.provenance, account.funnel
    claimed = {name or "none stated": number for name, number in found.licences.items()}
    lost = [
        f"- Clips {told}: {listed({name or 'unknown': number for name, number in reasons.items()})}."
        for stage, told in _STAGES.items()
        if (reasons := account.reasons.get(stage))
    ]
    return [
        "## Collection",
        "",
        f"Segment lists: {', '.join(map(shown, found.lists)) or 'none'}. Clips by source: "
        f"{listed(account.statistics.sources)}; the `url` of each names its address.",
        "",
        *table(
            ("step", "clips"),
            [
                *((told, f"{funnel[name]:,}") for name, told in _STEPS.items()),
                ("in this release", f"{account.plan.counts['clips']:,}"),
            ],
        ),
        *lost,
        "- Videos of this release by licence, as their platform claims it and nobody checked: "
        f"{listed(claimed)}.",
        "",
        "### Availability",
        "",
        *table(("list", "split", "clips", "in the store"), _availability(account)),
    ]


def _availability(account: Account) -> list[tuple[str, ...]]:
    all_of: dict[tuple[str, str], list[int]] = {}
    for group in account.availability:
        both = all_of.setdefault((group.list, group.split or ""), [0, 0])
        both[0] += group.clips
        both[1] += group.clips if group.state == "available" else 0
    return [
        (shown(name), shown(split) or "none", f"{clips:,}", f"{there:,}")
        for (name, split), (clips, there) in all_of.items()
    ]


def _preprocessing(account: Account) -> list[str]:
    return [
        "## Preprocessing",
        "",
        f"- Encoding profile: `{account.recipe.profile}`.",
        *_derived(account),
        f"- Kept are the clips that pass: {rules(account)}.",
        "- Numbers of sound and picture are measured on the encoded clip; what is not defined is null.",
        "",
    ]


def _derived(account: Account) -> list[str]:
    """How the payload was made of the clips, where it was."""
    if account.recipe.shard.payload != "train":
        return []
    made = account.recipe.derive
    return [
        f"- Derived of that, `{account.recipe.derived_profile}`: frames of at most {made.short_side} pixels",
        f"  on the short side, {made.fps} a second, a keyframe every {made.gop}, CRF {made.crf}; sound as",
        f"  mono at {made.sample_rate} Hz. Both begin with the clip's first frame and end together.",
        "- Measures are of the clip as encoded, whose sha256 is `media_sha256`.",
    ]


def rules(account: Account) -> str:
    """The rules of the recipe, in words."""
    recipe = account.recipe
    told = [describe(rule) for rule in recipe.effective_rules]
    if recipe.balance.per_label is not None:
        told.append(f"balance: at most {recipe.balance.per_label} of each label, seed {recipe.balance.seed}")
    return "; ".join(f"`{plain(one).replace('`', chr(39))}`" for one in told) or "all, for there is no rule"


def _annotation(account: Account) -> list[str]:
    return ["## Annotation", "", *(f"- {line}" for line in annotation(account)), ""]


def annotation(account: Account) -> list[str]:
    """How the captions came to be, a sentence or more each."""
    found, review = account.provenance, account.recipe.review
    imported = dict(account.statistics.origins).get("imported", 0)
    lines = []
    if imported:
        lines.append(f"{imported:,} captions came with the lists; how they were written, their authors tell.")
    if not found.human_captions:
        return [*lines, "No annotator of ours wrote a caption."]
    lines.append(
        f"{found.human_captions:,} captions were written by {found.annotators:,} annotators, who stand in it "
        "under pseudonyms. They worked in Label Studio; `modalities_seen` tells whether they were shown "
        "picture and sound (`av`) or one of them."
    )
    lines.append(
        f"A caption was accepted after {review.checkers} checks by others with at most {review.max_rejects} "
        f"rejections; {found.reviewers:,} checkers made {found.reviews:,} checks of what "
        "stands here."
    )
    lines.append(
        f"Before the work {found.tested:,} people took a test, which {found.passed:,} passed."
        if found.tested
        else "There was no test before the work."
    )
    return lines


def _uses(account: Account) -> list[str]:
    benchmarks = [benchmark.name for benchmark in account.recipe.benchmarks]
    compared = (
        f"It was compared with {', '.join(map(shown, benchmarks))}; clips in common: "
        f"{listed(account.provenance.leaks)}. Train on none of these where you test on the benchmark."
        if benchmarks
        else "It was compared with no benchmark: before you test on one, see whether they share videos."
    )
    return ["## Uses", "", compared, ""]


def _distribution(account: Account) -> list[str]:
    release = account.recipe.release
    cite = release.citation.strip()
    return [
        "## Distribution",
        "",
        f"Captions and tables: {shown(release.licence)}. The media keep their owners' terms: nobody has",
        "cleared their rights for you, and an address may have died since.",
        "",
        f"Published at: {shown(release.url) or NOT_STATED} On: {release.date or NOT_STATED}",
        "",
        *(
            ["Cite it as:", "", "```", *cite.replace("```", "'''").splitlines(), "```"]
            if cite
            else [f"How to cite it: {NOT_STATED}"]
        ),
        "",
    ]


def _maintenance(account: Account, unstated: Sequence[str]) -> list[str]:
    release, before = account.recipe.release, account.before
    follows = (
        f"It follows {before.parent.version}; CHANGELOG.md tells what changed."
        if before
        else "It is the first version."
    )
    return [
        "## Maintenance",
        "",
        f"- Errors, and wishes to be left out, go to: {shown(release.contact) or NOT_STATED}",
        f"- {follows} A version that stands is never changed, but for a takedown.",
        f"- Fields of the Croissant RAI vocabulary that nobody stated: {', '.join(unstated) or 'none'}.",
    ]
