"""Checking captions: how many a second on one core, all checks on, and what each step of it takes.

    python benchmarks/text.py [--captions desc_train.json]

Without a file of captions (VALOR's form) sentences are made from the project's own word lists, about 20
words each, some of them faulty. Times are CPU times of this process. Bound (exit code 1 where it is
broken): 5,000 captions a second, language included where the extra `text` is installed.
"""

import argparse
import json
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

from valor_data import text
from valor_data.errors import UserError
from valor_data.recipe.captions import Captions
from valor_data.scorers.language import LanguageFinder

LEAST_A_SECOND = 5000
MADE = 20_000
HINTS = ("Male speech, man speaking", "Dog", "Vehicle horn, car horn, honking")


def made(number: int) -> list[str]:
    """Captions of words that the lists know and words that they do not."""
    dice = random.Random(0)
    known = sorted({word for name in text.audioset_names() for word in text.words(name)})
    others = [
        "in",
        "the",
        "a",
        "with",
        "of",
        "room",
        "man",
        "slowly",
        "red",
        "was",
        "and",
        "then",
        "standing",
    ]
    captions = []
    for _ in range(number):
        drawn = dice.choices(others, k=dice.randint(8, 20)) + dice.choices(known, k=dice.randint(2, 6))
        dice.shuffle(drawn)
        captions.append(" ".join(drawn).capitalize() + dice.choice([".", ".", ".", ",", ' "']))
    return captions


def language() -> Callable[[str], str] | None:
    """The finder of the extra `text`; None where it is not installed."""
    try:
        return LanguageFinder().language_of
    except UserError as error:
        print(f"without language: {error}")
        return None


def timed(name: str, captions: list[str], step: Callable[[str], object]) -> float:
    """Captions a second of CPU time."""
    started = time.process_time()
    for caption in captions:
        step(caption)
    rate = len(captions) / (time.process_time() - started)
    print(f"{name:<28}{rate:>12,.0f} a second")
    return rate


def main() -> int:
    """Time each step, then all of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--captions", type=Path, help="a JSON list of objects with the key desc")
    path = parser.parse_args().captions
    captions = [row["desc"] for row in json.loads(path.read_text("utf-8"))] if path else made(MADE)
    rules, language_of = Captions(), language()
    print(f"{len(captions):,} captions, {sum(map(len, captions)) / len(captions):.0f} characters each")
    timed("words", captions, text.words)
    timed("sounds and things", captions, lambda one: (text.sounds_named(one), text.things_named(one)))
    if language_of:
        timed("language", captions, language_of)
    timed("faults without language", captions, lambda one: text.faults(one, rules=rules, hints=HINTS))
    rate = timed(
        "faults, all of them",
        captions,
        lambda one: text.faults(one, rules=rules, hints=HINTS, language_of=language_of),
    )
    started = time.process_time()
    text.repeated((str(place), caption) for place, caption in enumerate(captions))
    print(f"{'repeated':<28}{len(captions) / (time.process_time() - started):>12,.0f} a second")
    print(f"ratio to the bound of {LEAST_A_SECOND:,}: {rate / LEAST_A_SECOND:.2f}")
    return int(rate < LEAST_A_SECOND)


if __name__ == "__main__":
    sys.exit(main())
