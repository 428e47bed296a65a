"""The language of a search, as a tree."""

import pytest

from valor_data.errors import UserError
from valor_data.search.query import All, Either, Field, Ranked, Start, Words, parse

DOG, CAT, WATER = (Words((word,)) for word in ("dog", "cat", "water"))


@pytest.mark.parametrize(
    ("query", "tree"),
    [
        ("Dog", DOG),
        ("dog, cat!", Ranked((DOG, CAT))),
        ("dog AND cat OR water", Either((All((DOG, CAT)), WATER))),
        ("dog AND (cat OR water)", All((DOG, Either((CAT, WATER))))),
        ("dog NOT cat", Ranked((DOG,), never=(CAT,))),
        ("+dog -cat water", Ranked((WATER,), (DOG,), (CAT,))),
        ("-(dog cat)", Ranked(never=(Ranked((DOG, CAT)),))),
        ('"Dog, cat" bark*', Ranked((Words(("dog", "cat")), Start("bark")))),
        ("well-known", Words(("well", "known"))),
        ("dog - cat", Ranked((DOG, CAT))),
        ("not and or", Ranked((Words(("not",)), Words(("and",)), Words(("or",))))),
        ('label:"Child speech, kid speaking"', Ranked(must=(Field("label", "child speech, kid speaking"),))),
        ("split:TEST label:mus* dog", Ranked((DOG,), (Field("split", "test"), Field("label", "mus", True)))),
        ("狗在叫", Words(("狗", "在", "叫"))),
        ("12:30", Words(("12", "30"))),
    ],
)
def test_what_a_query_means(query: str, tree: object) -> None:
    assert parse(query) == tree


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("", "has no word"),
        ("\x00 ...", "has no word"),
        ('""', "has no word"),
        ("dog AND", "no word at its end"),
        ("OR dog", "no word before OR"),
        ("NOT", "NOT of nothing"),
        ("(dog", "does not close"),
        ("dog)", "did not open"),
        ('"dog', "quote"),
        ("lable:Speech", "did you mean label:?"),
        ("x:y", "known: author, clip"),
        ("label:", "names no value"),
        ("well-kno*", "such as kno*"),
        ("(" * 5000, "letters long"),
        ("(" * 100 + "dog", "deeper"),
    ],
)
def test_what_is_no_query_is_told_in_one_line(query: str, told: str) -> None:
    with pytest.raises(UserError, match=told.replace("?", r"\?")) as error:
        parse(query)
    assert "\n" not in str(error.value)
