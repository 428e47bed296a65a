"""What a publisher does with a finished release.

verify    is it whole, and does it say the same everywhere?
diff      what has another version that this one has not?
push      the same release in another place
"""

from valor_data.stages.release.diff import Change, Diff, diff
from valor_data.stages.release.push import Pushed, push
from valor_data.stages.release.verify import VerifyResult, verify

__all__ = ["Change", "Diff", "Pushed", "VerifyResult", "diff", "push", "verify"]
