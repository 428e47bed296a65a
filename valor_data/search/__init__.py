"""Ranked full text over captions: tantivy, in a cache on this machine that anybody may delete.

query   the language of a search
index   the index, and its place in the cache
"""

from valor_data.search.index import Entry, Hit, Index, forget

__all__ = ["Entry", "Hit", "Index", "forget"]
