"""Numbers to verdicts, and what a person asks about them.

known      what the tables know of the measured clips, as the rules want it
judge      rights, quarantine, rules and balance over all of them; the verdicts that changed
explain    all that led to the verdict on one clip
tune       how a metric is spread, in the terminal and as a page (`page`)
compare    which clips change side under another recipe's rules
unmade     what the rules ask that nobody has put there yet
"""

from valor_data.stages.decide.compare import Comparison, compare
from valor_data.stages.decide.explain import explain
from valor_data.stages.decide.judge import Decision, decide
from valor_data.stages.decide.tune import Tuning, tune
from valor_data.stages.decide.unmade import unmade

__all__ = ["Comparison", "Decision", "Tuning", "compare", "decide", "explain", "tune", "unmade"]
