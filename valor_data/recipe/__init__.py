"""A recipe: one closed TOML file that says all that a dataset's making depends on.

Unknown keys are refused with the nearest known one. A bare segment list in place of a recipe gets
the default recipe. What has no place here (workers, engine, limits of one run) is an option.
"""

from valor_data.recipe.annotating import Annotate
from valor_data.recipe.captions import Captions, FaultKind
from valor_data.recipe.deriving import Derive
from valor_data.recipe.fetching import (
    FORMS,
    POLITE,
    Access,
    Fetch,
    Host,
    ListSpec,
    Mirror,
    Retry,
    Rights,
    Section,
    Segments,
    check_reasons,
    from_environment,
)
from valor_data.recipe.measuring import Benchmark, Measure, Safety, Subset
from valor_data.recipe.metrics import GROUPS, LEAK, METRICS, TAG, metric
from valor_data.recipe.reading import load, parse
from valor_data.recipe.rules import Balance, Condition, Filter, Rule
from valor_data.recipe.whole import Recipe, ReleaseInfo, ReviewRule, Shard, Split

__all__ = [
    "FORMS", "GROUPS", "LEAK", "METRICS", "POLITE", "TAG", "Access", "Annotate", "Balance", "Benchmark",
    "Captions", "Condition", "Derive", "FaultKind",
    "Fetch", "Filter", "Host", "ListSpec", "Measure", "Mirror", "Recipe", "ReleaseInfo", "Retry",
    "ReviewRule", "Rights", "Rule", "Safety", "Section", "Segments", "Shard", "Split", "Subset",
    "check_reasons",
    "from_environment", "load", "metric", "parse",
]  # fmt: skip
