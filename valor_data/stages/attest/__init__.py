"""Are somebody's own copies the clips of a release, though the bytes differ?

copies     what lies in another release, a workspace or a folder, and what is seen of it
judging    a clip of the lock against a copy of it: pure
statement  the outcome, in a file that others can quote
attest     all of it, a row group of the lock at a time
"""

from valor_data.stages.attest.attest import Attested, attest, write
from valor_data.stages.attest.judging import State

__all__ = ["Attested", "State", "attest", "write"]
