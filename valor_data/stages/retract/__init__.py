"""Taking clips down, in steps each of which a later run repeats without harm.

request  the file of a request, read against what there is
revoke   tombstones, the revocation list, and the notes in releases that hold what was taken down
purge    media, exports, pages and rows; then the ledger's word
"""

from valor_data.stages.retract.purge import Purged, purge
from valor_data.stages.retract.request import Request, moment_us, read_request
from valor_data.stages.retract.revoke import (
    Gone,
    clear_away,
    close,
    entomb,
    half_deleted,
    open_requests,
    reject_in_ledger,
    supersede,
)

__all__ = [
    "Gone", "Purged", "Request", "clear_away", "close", "entomb", "half_deleted", "moment_us",
    "open_requests", "purge", "read_request", "reject_in_ledger", "supersede",
]  # fmt: skip
