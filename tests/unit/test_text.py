"""Captions as text: words in any script, every fault with its near misses, what is named, what repeats."""

import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from valor_data import text
from valor_data.recipe.captions import Captions
from valor_data.text.naming import _entries, named

RULES = Captions()
relaxed = settings(deadline=None)  # the first example pays for reading the word lists
GOOD = "A brown dog barks beside a red car."
ANYTHING = st.text() | st.text(
    alphabet="ab <>{}[]()\"'*_-.,\\&;#@/:%\u200b\u0301\u4e00\u0e01\U0001f600\ufffd\xc3\xa9"
)


def kinds(caption: str, rules: Captions = RULES, **known: object) -> set[str]:
    return {fault.kind for fault in text.faults(caption, rules=rules, **known)}  # type: ignore[arg-type]


class TestWords:
    @pytest.mark.parametrize(
        ("caption", "expected"),
        [
            ("A man's DOG barks, twice!", ["a", "man's", "dog", "barks", "twice"]),
            ("tick-tock_tick", ["tick", "tock", "tick"]),
            ("it\u2019s 10:30", ["it's", "10", "30"]),
            ("Caf\u00e9 cafe\u0301", ["caf\u00e9", "caf\u00e9"]),
            ("\uff21 dog\uff0cbarks", ["a", "dog", "barks"]),
            ("\u4e00\u53ea\u72d7", ["\u4e00", "\u53ea", "\u72d7"]),
            ("\u72ac\u304c\u30d0", ["\u72ac", "\u304c", "\u30d0"]),
            ("\u0915\u0941\u0924\u094d\u0924\u093e \u092d\u094c\u0902\u0915", 2),
            ("\u05db\u05dc\u05d1 \u05e0\u05d5\u05d1\u05d7", 2),
            ("\ube68\uac04 \uc790\ub3d9\ucc28", 2),
            ("dog \U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467 barks", ["dog", "barks"]),
            ("", []),
            ("'' ... --", []),
        ],
    )
    def test_of_any_script(self, caption: str, expected: list[str] | int) -> None:
        found = text.words(caption)
        assert found == expected if isinstance(expected, list) else len(found) == expected

    @relaxed
    @given(ANYTHING)
    def test_hold_no_space_and_are_their_own_words(self, caption: str) -> None:
        found = text.words(caption)
        assert all(found)
        assert not any(char.isspace() for word in found for char in word)
        assert text.words(" ".join(found)) == found

    @relaxed
    @given(st.text(alphabet=st.characters(max_codepoint=127)))
    def test_the_short_way_for_ascii_is_the_long_way(self, caption: str) -> None:
        assert text.words(caption) == text.words(caption + " \u00e9")[:-1]

    @pytest.mark.parametrize(
        ("word", "base"),
        [
            ("barks", "bark"),
            ("barked", "bark"),
            ("barking", "bark"),
            ("humming", "hum"),
            ("making", "make"),
            ("hissing", "hiss"),
            ("cries", "cry"),
            ("cried", "cry"),
            ("knives", "knife"),
            ("wolves", "wolf"),
            ("buzzes", "buzz"),
            ("dog's", "dog"),
            ("dogs'", "dog"),
            ("whispered", "whisper"),
            ("yelling", "yell"),
        ],
    )
    def test_have_bases(self, word: str, base: str) -> None:
        assert base in text.bases(word)

    @pytest.mark.parametrize(
        ("word", "other"), [("cared", "car"), ("sing", "s"), ("glass", "glas"), ("bus", "bu")]
    )
    def test_are_not_forms_of_everything(self, word: str, other: str) -> None:
        assert other not in text.bases(word)


class TestNaming:
    def test_a_sound_is_the_same_in_every_form(self) -> None:
        for caption in ("A dog barks.", "The dog barked", "barking dogs", "A BARK"):
            assert "bark" in text.sounds_named(caption)

    def test_words_for_one_sound_are_one(self) -> None:
        assert text.sounds_named("A man spoke") == text.sounds_named("Men are talking") == {"speak"}

    def test_that_there_is_a_sound_is_no_sound(self) -> None:
        assert text.sounds_named("The sound of the loud machine is heard") == set()

    def test_things(self) -> None:
        assert text.things_named("Two puppies and a woman in the kitchen") == {"dog", "woman", "kitchen"}

    def test_the_longest_phrase_counts(self) -> None:
        assert text.things_named("an ice cream van") == {"ice cream truck"}
        assert text.things_named("sewing machines") == {"sewing machine"}

    def test_an_instrument_sounds_where_it_is_played(self) -> None:
        assert text.sounds_named("A guitar lies on a chair") == set()
        assert text.sounds_named("He is playing the guitar") == {"music", "guitar"}

    @relaxed
    @given(ANYTHING)
    def test_never_fails(self, caption: str) -> None:
        text.sounds_named(caption)
        text.things_named(caption)

    @pytest.mark.parametrize("name", ["sounds", "things", "instruments", "hearing", "seeing"])
    def test_no_word_stands_twice_in_a_list(self, name: str) -> None:
        told = [entry[0] for entry in _entries(name)]
        assert all(told)
        assert sorted(told) == sorted(set(told))

    def test_audioset_is_whole(self) -> None:
        assert len(text.audioset_names()) == len(set(text.audioset_names())) == 632

    def test_the_lists_know_what_audioset_names(self) -> None:
        unknown = [name for name in text.audioset_names() if not any(named(text.words(name)))]
        assert len(unknown) < 30, unknown


class TestFaults:
    def test_a_good_caption_has_none(self) -> None:
        assert text.faults(GOOD, rules=RULES, hints=("Dog", "Bark"), language_of=lambda _: "en") == ()

    @pytest.mark.parametrize("caption", ["", "  \n\t", "\u200b\ufeff", "\x00"])
    def test_empty(self, caption: str) -> None:
        assert kinds(caption) == {"empty"}

    @pytest.mark.parametrize(
        "caption", ["700", "12:30.", "...", "\U0001f600", "\u0663\u0664", "?!", "\u02bc"]
    )
    def test_digits(self, caption: str) -> None:
        assert kinds(caption) == {"digits"}

    def test_length(self) -> None:
        assert "too_short" in kinds("A dog barks.")
        assert "too_short" not in kinds("A dog barks indoors.")
        assert "too_long" in kinds("dog and cat " * 30)
        assert "too_long" not in kinds(GOOD, Captions(max_words=8))
        assert "too_long" in kinds(GOOD, Captions(max_words=7))

    @pytest.mark.parametrize(
        "caption",
        [
            "A man is holding the wheel,",
            "The clock made a ding-",
            "A man rang the bell and made a ding-d",
            "With the sound of a",
            "A dog barks and.",
            "A man (in a red hat sings.",
            'He says "hello and leaves.',
            "A dog barks with",
            "A man says:",
            "\u4e00\u53ea\u72d7\u5728\u53eb\uff0c",
            "\u201cA dog barks.",
            "Then she said (",
        ],
    )
    def test_cut(self, caption: str) -> None:
        assert "cut" in kinds(caption)

    @pytest.mark.parametrize(
        "caption",
        [
            GOOD,
            "A dog barks beside a red car",
            "She turned it on.",
            "A child looks up and spins around",
            "A man talks to her",
            'He says "hello" to a dog.',
            'A 32" television plays loud music.',
            "A man's dog barks, it's the neighbours' dog.",
            "What a nice dog :)",
            "A dog barks...",
            "A dog barks (twice).",
            "A dog barks \U0001f600",
            "\u4e00\u53ea\u72d7\u5728\u53eb\u3002",
        ],
    )
    def test_not_cut(self, caption: str) -> None:
        assert "cut" not in kinds(caption)

    @pytest.mark.parametrize(
        "caption",
        [
            "A <b>dog</b> barks loudly.",
            "A dog barks<br/> loudly.",
            "A dog &amp; a cat meow.",
            "A **dog** barks loudly.",
            "## A dog barks loudly.",
            "* A dog barks loudly.",
            "\u00b7 A dog barks loudly.",
            "A dog barks\uff0cthen a cat meows.",
            "See [dog](x) barking.",
            "See https://x.org barking dog.",
            "Dog www.example.com barks.",
            "Write to me@example.com for the barking dog.",
            "A {animal} barks at a man.",
            "A [ANIMAL] barks at a man.",
            "A dog barks %s times.",
            "A dog\\n barks at a man.",
            "A \\u00e9 dog barks.",
            "As an AI, I hear a dog bark.",
            "I'm sorry, but I hear a dog bark.",
            "Here is a caption: a dog barks.",
            "Caption: A dog barks loudly.",
            "Sure! Here a dog barks.",
            "TODO dog barks",
            "lorem ipsum dog barks",
            "N/A",
            "none",
            "asdf asdf asdf",
            "A dog dkfjghsl barks",
            "dog dog dog dog dog barks",
            "A dog barks at a man. A dog barks at a man.",
            "A d\ufffdg barks loudly.",
            "A dog\x07 barks loudly.",
            "A caf\u00c3\u00a9 with a barking dog.",
            "It\u00e2\u20ac\u2122s a barking dog.",
            "A \ue000 dog barks.",
            "A dog \u200bbarks loudly.",
        ],
    )
    def test_artefacts(self, caption: str) -> None:
        assert "artefact" in kinds(caption)

    @pytest.mark.parametrize(
        "caption",
        [
            GOOD,
            "Beep beep beep, a truck reverses.",
            "tick tock tick tock tick tock goes the clock",
            "The bell goes ding, ding, ding, ding.",
            "A man types on a QWERTY keyboard.",
            "Pssssssst, brrrrrrrr, hmmmmm.",
            "A caf\u00e9 in S\u00e3o Paulo, Mot\u00f6rhead plays.",
            "2 < 3 is written on a board.",
            "R&B music plays & a man sings.",
            "A robot talks as an old man listens.",
            "A model train whistles.",
            "50% of the screen is black, music plays.",
            "A man says hi (twice) to a dog - then leaves.",
            "\U0001f468\u200d\U0001f469\u200d\U0001f467 sing a song.",
            "A man\u2019s dog barks \u2013 loudly.",
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0646\u062f \u0645\u0631\u062f \u06cc\u06a9",
            "Todo el mundo canta una canci\u00f3n.",
            "A test card is shown with a loud tone.",
            "The rhythm of strengths",
            "A man answers: yes.",
        ],
    )
    def test_no_artefacts(self, caption: str) -> None:
        assert "artefact" not in kinds(caption)

    def test_copied(self) -> None:
        hints = ("Male speech, man speaking", "Dog", "Bark", "Vehicle")
        assert "copied" in kinds("Male speech, man speaking", hints=hints)
        assert "copied" in kinds("dog, bark, vehicle", hints=hints)
        assert "copied" in kinds("The sound of dogs barking", hints=hints)
        assert "copied" not in kinds("A man speaks while his dog barks in the garden", hints=hints)
        assert "copied" not in kinds("dog, bark, vehicle")

    def test_no_sound_and_nothing_seen(self) -> None:
        assert kinds("A man in red stands on the stage.") == {"no_sound"}
        assert kinds("Loud snoring and then some wheezing.") == {"nothing_seen"}
        assert kinds("It happens again and again.") == {"no_sound", "nothing_seen"}
        assert kinds("Algo pasa otra vez.", Captions(language="es")) == set()

    def test_wrong_language(self) -> None:
        spanish = "Un perro ladra junto a un coche."
        assert kinds(spanish, language_of=lambda _: "es") == {"wrong_language"}
        assert "wrong_language" not in kinds(spanish, language_of=lambda _: "")
        assert kinds(spanish, Captions(language="es-MX"), language_of=lambda _: "es") == set()
        assert "wrong_language" not in kinds(spanish)

    def test_a_caption_may_have_several(self) -> None:
        found = text.faults("<b>TODO,", rules=RULES)
        assert [fault.kind for fault in found] == ["too_short", "cut", "artefact", "no_sound", "nothing_seen"]

    @relaxed
    @given(ANYTHING, st.lists(st.text(), max_size=3))
    def test_never_fails_and_tells_each_once(self, caption: str, hints: list[str]) -> None:
        found = text.faults(caption, rules=RULES, hints=hints)
        assert len({fault.kind for fault in found}) == len(found)
        assert all(fault.detail for fault in found)

    @pytest.mark.parametrize(
        "part",
        [
            "a",
            "dog ",
            "<a ",
            "{",
            "[A",
            "&a",
            "\\",
            "*",
            "_",
            '"',
            "(",
            "'",
            "a'",
            "a@",
            "@a.",
            "\u00c3\u00a9",
            "\u00c3\u20ac",
            "\u0301",
            "\u4e00",
            "\U0001f600",
            "\ufdfa",
            "a b ",
            "1",
            " ",
            "i'm sorry ",
            "ai ",
            "www",
            "http",
            "s" + "\u200d",
            "\n# ",
        ],
    )
    def test_100_kilobytes_take_no_time(self, part: str) -> None:
        caption = part * (100_000 // len(part.encode()))
        started = time.process_time()
        text.faults(caption, rules=RULES, hints=(caption[:1000],))
        assert time.process_time() - started < 1.0

    def test_limits_leave_room(self) -> None:
        with pytest.raises(ValidationError, match=r"min_words 9 is above captions\.max_words 8"):
            Captions(min_words=9, max_words=8)


class TestRepeats:
    def test_are_told_with_their_ids(self) -> None:
        captions = [
            ("a", "A dog barks."),
            ("b", "a  DOG barks"),
            ("c", "A cat"),
            ("d", "a cat!"),
            ("e", "a-dog, barks"),
        ]
        assert text.repeated(captions) == [
            text.Repeat("A dog barks.", ("a", "b", "e")),
            text.Repeat("A cat", ("c", "d")),
        ]

    def test_wordless_captions_are_none(self) -> None:
        assert text.repeated([("a", ""), ("b", "..."), ("c", "\U0001f600")]) == []

    @relaxed
    @given(st.lists(ANYTHING, max_size=8))
    def test_count_each_caption_once(self, captions: list[str]) -> None:
        found = text.repeated((str(place), caption) for place, caption in enumerate(captions))
        ids = [name for repeat in found for name in repeat.ids]
        assert len(ids) == len(set(ids))
        assert all(len(repeat.ids) > 1 for repeat in found)


class TestDensity:
    def test_concepts(self) -> None:
        assert len(text.concepts()) == 724
        assert {"bark", "bow wow", "male speech", "man speaking"} <= text.concepts()

    @pytest.mark.parametrize(("matching", "found"), [("forms", 3), ("words", 2), ("letters", 5)])
    def test_by_hand(self, matching: text.Matching, found: int) -> None:
        """By forms car, honk, train horn; by words train, train horn; by letters all these and rain."""
        assert text.density(["Cars honked", "A train horn"], matching) == text.Density(found, 5)

    def test_of_nothing(self) -> None:
        assert text.density([]).share == 0.0

    @relaxed
    @given(st.lists(ANYTHING, max_size=5), st.sampled_from(["forms", "words", "letters"]))
    def test_counts_words(self, captions: list[str], matching: text.Matching) -> None:
        assert text.density(captions, matching).words == sum(len(text.words(one)) for one in captions)


def test_the_word_lists_are_in_normal_form() -> None:
    for name in ("sounds", "things", "instruments", "hearing", "seeing"):
        for told, _ in _entries(name):
            assert " ".join(text.words(told)) == told == unicodedata.normalize("NFC", told)
