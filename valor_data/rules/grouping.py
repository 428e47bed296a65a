"""Groups of clips that are alike, of which one shall stand for all."""

import numpy as np

from valor_data.rules.columns import YES_NO, Bools, Column, Numbers, Places


def beside_another(group: Numbers, rank: Places, kept: Bools) -> Column:
    """Whether a clip's group has another one to stand for it: the first, by `rank`, of those that are kept.

    `group` names each clip's group by a number, nan for one that has none. Of a group of which nothing is
    kept the first stands.
    """
    grouped = np.flatnonzero(~np.isnan(group))
    # The first of each group comes first: kept ones, and of those the lowest rank.
    order = grouped[np.lexsort((rank[grouped], ~kept[grouped], group[grouped]))]
    _, first = np.unique(group[order], return_index=True)
    values = np.zeros(len(group))
    values[grouped] = 1.0
    values[order[first]] = 0.0
    return Column(values, YES_NO)
