"""The RAI vocabulary of Croissant (http://mlcommons.org/croissant/RAI/), answered as far as anybody knows."""

from valor_data.stages.shard import datasheet
from valor_data.stages.shard.account import Account
from valor_data.stages.shard.markdown import plain

_MOST_LABELS = 10
_RAI = (
    "dataCollection", "dataCollectionType", "dataCollectionMissingData", "dataCollectionRawData",
    "dataCollectionTimeframe", "dataImputationProtocol", "dataPreprocessingProtocol",
    "dataManipulationProtocol", "dataAnnotationProtocol", "dataAnnotationPlatform", "dataAnnotationAnalysis",
    "annotationsPerItem", "annotatorDemographics", "machineAnnotationTools", "dataBiases", "dataUseCases",
    "dataLimitations", "dataSocialImpact", "personalSensitiveInformation", "dataReleaseMaintenancePlan",
)  # fmt: skip


def unstated(account: Account) -> list[str]:
    """Names of the RAI vocabulary for which neither the data nor the publisher has an answer."""
    known = stated(account)
    return [f"rai:{name}" for name in _RAI if name not in known]


def stated(account: Account) -> dict[str, str | list[str]]:
    """What of the RAI vocabulary the data or the publisher answer."""
    release, found, numbers = account.recipe.release, account.provenance, account.statistics
    captions, clips = numbers.captions, max(1, numbers.clips)
    sources = ", ".join(f"{plain(name)} {count}" for name, count in numbers.sources)
    labels, languages = numbers.labels[:_MOST_LABELS], numbers.languages
    lost = [
        f"{stage}: {', '.join(f'{plain(name)} {count}' for name, count in reasons.items())}"
        for stage, reasons in account.reasons.items()
        if reasons
    ]
    known: dict[str, str | list[str]] = {
        "dataCollection": "Spans that segment lists name, cut from published videos. Lists: "
        f"{', '.join(map(plain, found.lists)) or 'none'}. Clips by source: {sources}.",
        "dataCollectionType": ["Software Collection", "User-generated content data"],
        "dataCollectionMissingData": f"{account.funnel['fetched']} of {account.funnel['listed']} listed "
        f"clips could be had. {'. '.join(lost)}".strip(),
        "dataCollectionRawData": "The videos themselves are no part of the release; url, start_ms and end_ms "
        "of each clip name its source.",
        "dataImputationProtocol": "Nothing is imputed: a value that is not known is null.",
        "dataPreprocessingProtocol": [
            f"encoding profile {account.recipe.profile}",
            f"kept by rules: {plain(datasheet.rules(account)).replace('`', '')}",
        ],
        "dataManipulationProtocol": "Spans are cut and encoded; nothing else is changed in them.",
        "dataAnnotationProtocol": [plain(line).replace("`", "") for line in datasheet.annotation(account)],
        "dataAnnotationAnalysis": [f"Share of bad captions: {datasheet.defects(account)}"],
        "annotationsPerItem": f"{captions / clips:.2f} captions a clip on average",
        "machineAnnotationTools": ["valor-data: numbers of sound and picture; no caption"],
        "dataBiases": [
            f"most frequent labels: {', '.join(f'{plain(name)} {count}' for name, count in labels)}",
            f"languages of the captions: {', '.join(f'{plain(name)} {count}' for name, count in languages)}",
        ],
        "dataLimitations": [
            plain(line).replace("`", "") for line in datasheet.faults(account)
        ] or ["none that is known"],
        "personalSensitiveInformation": [
            "The clips show and name people as those who published them chose; nobody in them was asked.",
            "Annotators stand under pseudonyms.",
        ],
    }  # fmt: skip
    if found.human_captions:
        known["dataAnnotationPlatform"] = ["Label Studio"]
    if release.motivation.strip():
        known["dataUseCases"] = [plain(release.motivation)]
    if release.contact.strip():
        known["dataReleaseMaintenancePlan"] = (
            f"Errors and wishes to be left out: {plain(release.contact)}. A correction is a new version."
        )
    return known
