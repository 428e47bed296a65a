"""Captions, checked and counted as text: what is wrong with one, what it names, which are the same. Pure.

words      the words of a caption in any script
naming     sounds and things that an English caption names
checking   what is wrong with one caption
artefacts  traces of what is no caption
repeats    captions that are there more than once
density    audio concept density, after VALOR's Eq. 1
"""

from valor_data.text.checking import Fault, faults
from valor_data.text.density import Density, Matching, concepts, density
from valor_data.text.naming import audioset_names, sounds_named, things_named
from valor_data.text.repeats import Repeat, repeated
from valor_data.text.words import bases, words

__all__ = [
    "Density", "Fault", "Matching", "Repeat", "audioset_names", "bases", "concepts", "density", "faults",
    "repeated", "sounds_named", "things_named", "words",
]  # fmt: skip
