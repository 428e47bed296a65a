"""Which legacy encoding a text is in.

Each candidate claims a probability for the text's bytes: most of it for the characters that people
write often in its languages (the standard's own first level of Hangul, kanji or hanzi; the letters of
an alphabet), spread evenly, and almost nothing for the rest. The best claim wins, if most characters
are of the expected kind. The answer depends on the bytes alone, and short texts suffice: general
detectors mistake two lines of Japanese for Korean and French for Polish.
"""

import codecs
import math
import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

BAD_BYTE = "\udfff"
"""Stands for bytes that the encoding does not know; no text holds it, for it is half a pair."""
MARK_BAD_BYTES = "valor-data-mark-bad-bytes"
"""Name of the codec error handler that puts `BAD_BYTE` in place of such bytes."""


def _mark(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return BAD_BYTE, error.end


codecs.register_error(MARK_BAD_BYTES, _mark)

_CJK_MARKS = "、。，．・：；？！“”‘’「」『』（）《》…—～ー·"  # noqa: RUF001
_WEST_MARKS = "‘’“”„–—…«»¿¡°·€£§²½®™\xa0"  # noqa: RUF001
_ENOUGH = 0.75  # share of expected characters below which no answer is better than a wrong one
_RARE = math.log(0.01 / 20_000)  # any character that nobody expects: 1 % over a large repertoire
_BAD = 2 * _RARE


class _Candidate(NamedTuple):
    codec: str
    expected: tuple[tuple[float, str], ...]
    """(share of the text, characters that make it up)"""
    stands: str = "anywhere"
    """`among ASCII`: its letters are single in words of ASCII letters; `apart`: never beside them."""


@cache
def _candidates() -> tuple[_Candidate, ...]:
    kana = (0.5, "".join(map(chr, [*range(0x3041, 0x3094), *range(0x30A1, 0x30F7)])))
    marks = (0.1, _CJK_MARKS)
    russian = (0.88, "абвгдежзийклмнопрстуфхцчшщъыьэюяё"), (0.07, "АБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЭЮЯ")
    return (
        _Candidate("cp949", ((0.89, _level_one("euc_kr", 0xB0, 0xC8)), marks)),
        _Candidate("cp932", ((0.39, _level_one("euc_jp", 0xB0, 0xCF)), kana, marks)),
        _Candidate("euc_jp", ((0.39, _level_one("euc_jp", 0xB0, 0xCF)), kana, marks)),
        _Candidate("gb18030", ((0.89, _level_one("gb2312", 0xB0, 0xD7)), marks)),
        _Candidate("big5", ((0.89, _level_one("big5", 0xA4, 0xC6)), marks)),
        _Candidate("cp1251", (*russian, (0.04, _WEST_MARKS + "№")), "apart"),
        _Candidate("koi8_r", (*russian, (0.04, "\xa0·°²")), "apart"),
        _Candidate(
            "cp1252",
            (
                (0.79, "áàâäãåæçéèêëíìîïñóòôöõøœßúùûü"),
                (0.10, "ÁÀÂÄÃÅÆÇÉÈÊËÍÎÏÑÓÔÖÕØŒÚÙÛÜýÿðþšž"),
                (0.10, _WEST_MARKS),
            ),
            "among ASCII",
        ),
    )


def _level_one(codec: str, first: int, last: int) -> str:
    """The two-byte characters whose first byte lies in the range: those in common use."""
    pairs = (bytes((lead, trail)) for lead in range(first, last + 1) for trail in range(0x40, 0xFF))
    return "".join(char for pair in pairs if len(char := pair.decode(codec, "ignore")) == 1 and char > "\x7f")


KNOWN = (
    "utf-8",
    "utf-16",
    "utf-32",
    "cp949",
    "cp932",
    "euc_jp",
    "gb18030",
    "big5",
    "cp1251",
    "koi8_r",
    "cp1252",
)
"""The encodings that are recognised without being named."""

_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")
_HIGH_BYTES = re.compile(rb"[\x80-\xff]+")


def guess(sample: bytes) -> str | None:
    """The legacy encoding of a sample that holds non-ASCII text; None where no candidate fits."""
    best = max(_claims(sample), key=lambda claim: claim[0])
    return best[1] if best[2] >= _ENOUGH else None


def utf8_share(data: bytes) -> tuple[int, int]:
    """(runs of non-ASCII bytes that are valid UTF-8, all runs): legacy text is hardly ever valid."""
    runs = _HIGH_BYTES.findall(data)
    return sum(1 for run in runs if _is_utf8(run)), len(runs)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _claims(sample: bytes) -> Iterator[tuple[float, str, float]]:
    """(log likelihood, codec, share of expected characters) of each candidate."""
    for candidate in _candidates():
        odds = {char: math.log(share / len(chars)) for share, chars in candidate.expected for char in chars}
        text = sample.decode(candidate.codec, MARK_BAD_BYTES)
        total, met, seen = 0.0, 0, 0
        for run in _NOT_ASCII.finditer(text):
            misplaced = _misplaced(candidate.stands, text, run)
            for char in run[0]:
                known = odds.get(char)
                total += _BAD if char == BAD_BYTE else _RARE if known is None or misplaced else known
                met += known is not None and not misplaced
                seen += 1
        yield total, candidate.codec, met / max(seen, 1)


def _misplaced(stands: str, text: str, run: re.Match[str]) -> bool:
    if stands == "anywhere" or not any(char.isalpha() for char in run[0]):
        return False
    around = text[max(run.start() - 1, 0) : run.start()] + text[run.end() : run.end() + 1]
    beside = any(char.isalpha() for char in around)
    if stands == "apart":
        return beside
    return sum(char.isalpha() for char in run[0]) > 2
