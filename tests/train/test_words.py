"""Captions to word pieces and back."""

import subprocess
import sys
from pathlib import Path

import pytest

from valor_data.errors import UserError
from valor_data.train.words import Words, clean

CAPTIONS = ["A dog barks, beside a red car!", "Rain falls; a dog sleeps.", "Un café à l'été — 犬が吠える"]


def test_captions_are_read_as_valor_reads_them() -> None:
    assert clean("  A dog's bark,\tLOUD!  ") == "a dogs bark loud"


def test_frequent_words_are_pieces_and_others_are_spelled() -> None:
    words = Words.of(CAPTIONS * 3, 90)
    assert words.join(words.cut("A red dog barks.", 40).ids) == "a red dog barks"
    spelled = words.cut("godcar", 40)
    assert words.join(spelled.ids) == "godcar"
    assert 1 not in spelled.ids  # nothing unknown
    assert words.cut("a dog", 40).ids[0] == words.vocabulary.first
    assert words.cut("a dog", 40).ids[-1] == words.vocabulary.last
    assert Words.of(CAPTIONS, 55).vocabulary.size == 55
    assert Words.of(CAPTIONS, 1).cut("dog", 9).ids[1:-1]  # the letters always have their places


def test_what_is_longer_loses_its_end_and_says_so() -> None:
    words = Words.of(CAPTIONS, 90)
    assert words.cut("a dog a dog", 3).truncated
    assert len(words.cut("a dog a dog", 3).ids) == 5
    assert not words.cut("a dog a", 3).truncated


def test_the_same_captions_give_the_same_pieces_in_every_process(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from valor_data.train.words import Words;"
        f"Words.of({CAPTIONS!r}, 80).save(Path(sys.argv[1]))"
    )
    for number in range(3):
        subprocess.run([sys.executable, "-c", code, str(tmp_path / f"{number}.json")], check=True)
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1


def test_a_saved_vocabulary_and_berts_own_list_are_read(tmp_path: Path) -> None:
    words = Words.of(CAPTIONS, 90)
    words.save(tmp_path / "tokenizer.json")
    assert Words.open(str(tmp_path)).cut("a dog", 9) == words.cut("a dog", 9)
    listed = tmp_path / "vocab.txt"
    listed.write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\ndog\n##s\na\n", encoding="utf-8")
    assert Words.open(str(listed)).cut("A dogs fish", 9).ids == [2, 7, 5, 6, 1, 3]


def test_what_is_no_vocabulary_is_told(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("dog\ncat\n")
    with pytest.raises(UserError, match=r"lacks \[PAD\]"):
        Words.open(str(tmp_path / "vocab.txt"))
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(UserError, match=r"broken\.json: not readable as a vocabulary"):
        Words.open(str(tmp_path / "broken.json"))
