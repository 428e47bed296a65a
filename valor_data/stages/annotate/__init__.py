"""The Label Studio loop: questions out, answers in, until enough people have said yes.

asking     what is to be asked next, from what was asked and answered; pure
standing   what the tables know of it
qualifying the test before the work: its file, and who has passed
trial      the same in a workspace
drafting   a model's captions as drafts; pure
people     who is who: the one file that links a pseudonym to an account
places     the projects on the server, and which task stands where
push       questions to the server
sending    how they get there: made ready here while the server takes others
withdrawing  questions taken back
cursors    how far pulls have read
pull       answers from it
checking   the text of captions
agree      how far people agree, and what it is worth: from its rows, numbers, cells and page
"""

from valor_data.stages.annotate.agree import Agreed, agree
from valor_data.stages.annotate.checking import Checked, check
from valor_data.stages.annotate.people import forget
from valor_data.stages.annotate.pull import Pulled, pull
from valor_data.stages.annotate.push import Pushed, push
from valor_data.stages.annotate.trial import readmit
from valor_data.stages.annotate.withdrawing import take_back, take_down, tasks_taken_down

__all__ = [
    "Agreed", "Checked", "Pulled", "Pushed", "agree", "check", "forget", "pull", "push",
    "readmit", "take_back", "take_down", "tasks_taken_down",
]  # fmt: skip
