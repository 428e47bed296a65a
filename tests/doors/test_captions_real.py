"""The true captions of VALOR-32K and AudioCaps: known faults are found, and little else is."""

import csv
import json
from collections import defaultdict
from pathlib import Path

import pytest

from valor_data import text
from valor_data.recipe.captions import Captions
from valor_data.scorers.language import LanguageFinder

pytest.importorskip("py3langid", reason="the extra `text` is not installed")

Found = dict[str, list[str]]

SHARE_AT_MOST = {
    "cut": 0.003, "artefact": 0.0005, "copied": 0.0005, "too_short": 0.001, "too_long": 0.001,
    "nothing_seen": 0.001, "no_sound": 0.04,
}  # fmt: skip
"""Of the captions; a little above what was counted, and read, when the checks were written."""


@pytest.fixture(scope="module")
def captions(real_data: Path) -> dict[str, str]:
    folder = real_data / "meta" / "valor32k"
    if not folder.is_dir():
        pytest.skip(f"no captions of VALOR-32K: {folder} is missing")
    rows = [row for path in sorted(folder.glob("desc_*.json")) for row in json.loads(path.read_text("utf-8"))]
    return {row["video_id"]: row["desc"] for row in rows}


@pytest.fixture(scope="module")
def audio_captions(real_data: Path) -> list[str]:
    folder = real_data / "meta" / "audiocaps"
    if not folder.is_dir():
        pytest.skip(f"no captions of AudioCaps: {folder} is missing")
    found = []
    for path in sorted(folder.glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            found += [row["caption"] for row in csv.DictReader(file)]
    return found


@pytest.fixture(scope="module")
def finder() -> LanguageFinder:
    return LanguageFinder()


@pytest.fixture(scope="module")
def labels(real_data: Path) -> dict[str, list[str]]:
    """What VALOR's annotators were shown: clip -> names of its AudioSet labels."""
    folder = real_data / "meta" / "audioset"
    with (folder / "class_labels_indices.csv").open(encoding="utf-8", newline="") as file:
        names = {row["mid"]: row["display_name"] for row in csv.DictReader(file)}
    shown = {}
    for path in folder.glob("*_segments.csv"):
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.reader(file, skipinitialspace=True):
                if not row[0].startswith("#"):
                    shown["_".join(row[:3])] = [names[mid] for mid in row[3].split(",") if mid in names]
    return shown


@pytest.fixture(scope="module")
def found(captions: dict[str, str], labels: dict[str, list[str]], finder: LanguageFinder) -> Found:
    by_kind: Found = defaultdict(list)
    for name, caption in captions.items():
        for fault in text.faults(
            caption, rules=Captions(), hints=labels[name], language_of=finder.language_of
        ):
            by_kind[fault.kind].append(caption)
    return by_kind


def test_numbers_are_found(found: Found) -> None:
    assert len(found["digits"]) == 8
    assert all(caption.isdigit() for caption in found["digits"])
    assert found["empty"] == []


def test_repeats_are_found(captions: dict[str, str]) -> None:
    repeats = text.repeated(captions.items())
    assert sum(len(repeat.ids) - 1 for repeat in repeats) == 36
    assert len(repeats[0].ids) == 6
    assert "playing an instrument" in repeats[0].text


def test_words_are_as_many_as_the_paper_says(captions: dict[str, str]) -> None:
    said = [caption.split() for caption in captions.values()]
    assert sum(map(len, said)) / len(said) == pytest.approx(19.75, abs=0.005)
    counted = sum(len(text.words(caption)) for caption in captions.values())
    assert counted / len(captions) == pytest.approx(19.82, abs=0.005)  # a hyphen parts words


def test_captions_that_break_off_are_found(found: Found) -> None:
    cut = found["cut"]
    assert len(cut) >= 55
    assert sum(caption.rstrip().endswith((",", "-")) for caption in cut) >= 35
    longest = max(found["too_long"], key=len)
    assert len(longest.split()) == 156
    assert longest in cut


def test_a_comma_of_another_script_is_found(found: Found) -> None:
    assert any("\uff0c" in caption for caption in found["artefact"])


def test_little_else_is_found(found: Found, captions: dict[str, str]) -> None:
    shares = {kind: len(found[kind]) / len(captions) for kind in SHARE_AT_MOST}
    print({kind: f"{share:.3%}" for kind, share in shares.items()})
    assert {kind: share for kind, share in shares.items() if share > SHARE_AT_MOST[kind]} == {}


def test_english_is_english(found: Found, audio_captions: list[str], finder: LanguageFinder) -> None:
    assert found["wrong_language"] == []
    foreign = [one for one in audio_captions if finder.language_of(one) not in ("", "en")]
    assert len(foreign) <= 0.001 * len(audio_captions), foreign


@pytest.mark.parametrize(
    ("language", "caption"),
    [
        ("de", "Eine Frau singt auf der Bühne und die Leute klatschen."),
        ("fr", "Une femme chante sur scène et les gens applaudissent."),
        ("es", "Una mujer canta en el escenario y la gente aplaude."),
        ("pt", "Uma mulher canta no palco e as pessoas aplaudem."),
        ("ru", "Женщина поёт на сцене, и люди хлопают."),
        ("zh", "一个女人在舞台上唱歌，人们鼓掌。"),  # noqa: RUF001
        ("ja", "女性がステージで歌い、人々が拍手する。"),
        ("ko", "한 여자가 무대에서 노래하고 사람들이 박수를 친다."),
        ("ar", "امرأة تغني على المسرح والناس يصفقون."),
        ("hi", "एक महिला मंच पर गा रही है और लोग ताली बजा रहे हैं।"),
        ("vi", "Một người phụ nữ hát trên sân khấu và mọi người vỗ tay."),
        ("tl", "Kumakanta ang babae sa entablado at pumapalakpak ang mga tao."),
    ],
)
def test_other_languages_are_told(language: str, caption: str, finder: LanguageFinder) -> None:
    assert finder.language_of(caption) == language


def test_captions_of_sounds_alone_are_told(audio_captions: list[str]) -> None:
    """AudioCaps is written by ear: nearly all name a sound, many nothing that is seen."""
    by_kind: Found = defaultdict(list)
    for caption in audio_captions:
        for fault in text.faults(caption, rules=Captions()):
            by_kind[fault.kind].append(caption)
    print({kind: len(faulty) for kind, faulty in by_kind.items()})
    assert len(by_kind["no_sound"]) <= 0.05 * len(audio_captions)
    assert len(by_kind["nothing_seen"]) >= 200
    assert len(by_kind["cut"]) + len(by_kind["artefact"]) <= 0.001 * len(audio_captions)


def test_density_stands_beside_the_papers(captions: dict[str, str]) -> None:
    """The paper counts 9.1 % in VALOR-32K and does not say what finding a concept is."""
    shares = {
        "forms": text.density(captions.values()).share,
        "words": text.density(captions.values(), "words").share,
        "letters": text.density(list(captions.values())[:3000], "letters").share,
    }
    print({matching: f"{share:.2%}" for matching, share in shares.items()})
    assert shares["forms"] == pytest.approx(0.089, abs=0.001)
    assert shares["words"] == pytest.approx(0.067, abs=0.001)
    assert shares["letters"] == pytest.approx(0.121, abs=0.003)
