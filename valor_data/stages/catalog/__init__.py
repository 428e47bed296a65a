"""What people ask of a catalog, be it a workspace's or a release's.

source    the catalog of a place, as a file
stats     what it holds in numbers, as text and as a page
find      captions that say something
similar   clips that look, sound or are embedded alike
forms     the forms that it is exported to
export    writing one of them
"""

from valor_data.stages.catalog.export import Exported, Form, export
from valor_data.stages.catalog.find import find
from valor_data.stages.catalog.similar import Alike, similar
from valor_data.stages.catalog.stats import lines, stats

__all__ = ["Alike", "Exported", "Form", "export", "find", "lines", "similar", "stats"]
