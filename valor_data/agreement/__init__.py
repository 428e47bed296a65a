"""How far annotators and checkers agree, and what it is worth: rows in, numbers with intervals out. Pure.

rates       shares, means and medians with intervals
exact       exact intervals and tests of counts
choices     agreement on one class a clip: Cohen, Fleiss, Gwet, Krippendorff
labels      agreement on sets of labels: Krippendorff with the MASI distance
captions    how alike captions of one clip are
review      how well checkers see, and what a rule of review comes to
audit       the share of bad captions that is left, from a random sample
drafts      what a draft does to a caption
annotators  how fast and well each works, and who differs

Every interval is one of 95 %. What cannot be told is None, never NaN.
"""

from valor_data.agreement.annotators import Outlier, Standing, Work, outliers, standings
from valor_data.agreement.audit import Stratum, residual, stratified
from valor_data.agreement.captions import (
    Alike,
    CaptionAgreement,
    Text,
    caption_agreement,
    chrf,
    edit_distance,
    set_f1,
    words,
)
from valor_data.agreement.choices import (
    Agreement,
    Choice,
    Ratings,
    agreement,
    cohen_kappa,
    fleiss_kappa,
    gwet_ac1,
    krippendorff_alpha,
    same,
)
from valor_data.agreement.drafts import Drafted, DraftEffect, effect_of_drafts
from valor_data.agreement.exact import clopper_pearson, fisher, in_population
from valor_data.agreement.labels import Labelled, masi, masi_alpha
from valor_data.agreement.rates import (
    Estimate,
    clustered_share,
    combined,
    difference_of_medians,
    difference_of_shares,
    mean,
    median,
    newcombe,
    share,
    wilson,
)
from valor_data.agreement.review import (
    RULES,
    VALOR,
    Check,
    Expected,
    Overlap,
    Quality,
    Rule,
    bad_share,
    compare,
    expected,
    left_bad,
    overlap,
    passing,
    pooled_quality,
    quality,
)

__all__ = [
    "RULES", "VALOR", "Agreement", "Alike", "CaptionAgreement", "Check", "Choice", "DraftEffect", "Drafted",
    "Estimate", "Expected", "Labelled", "Outlier", "Overlap", "Quality", "Ratings", "Rule", "Standing",
    "Stratum", "Text", "Work", "agreement", "bad_share", "caption_agreement", "chrf", "clopper_pearson",
    "clustered_share", "cohen_kappa", "combined", "compare", "difference_of_medians",
    "difference_of_shares", "edit_distance", "effect_of_drafts", "expected", "fisher", "fleiss_kappa",
    "gwet_ac1", "in_population", "krippendorff_alpha", "left_bad", "masi", "masi_alpha", "mean", "median",
    "newcombe", "outliers", "overlap", "passing", "pooled_quality", "quality", "residual", "same", "set_f1",
    "share", "standings", "stratified", "wilson", "words",
]  # fmt: skip
