"""The verdict: measured columns in, kept or rejected with a reason out. Pure and vectorised.

columns    what is known of the clips, as arrays
judging    every clip by every rule
grouping   one for all of a group of clips that are alike
balancing  the cap on each label, over what the rules keep
spread     how one metric is spread, and what a threshold would drop
"""

from valor_data.rules.balancing import Cap, over_the_cap
from valor_data.rules.columns import NO_LABELS, YES_NO, Bools, Column, Labels, Places
from valor_data.rules.grouping import beside_another
from valor_data.rules.judging import Verdicts, decide, describe
from valor_data.rules.spread import QUANTILES, Bar, Drop, Spread, Threshold, round_steps, spread, thresholds

__all__ = [
    "NO_LABELS", "QUANTILES", "YES_NO", "Bar", "Bools", "Cap", "Column", "Drop", "Labels", "Places", "Spread",
    "Threshold", "Verdicts", "beside_another", "decide", "describe", "over_the_cap", "round_steps", "spread",
    "thresholds",
]  # fmt: skip
