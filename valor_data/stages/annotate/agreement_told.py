"""The numbers of agreement as sections of tables, for the terminal and for the page."""

from collections.abc import Sequence
from textwrap import wrap

from valor_data.agreement import Agreement, Alike, Outlier, Rule
from valor_data.stages.annotate.agreement_cells import (
    NONE,
    Cell,
    Section,
    Table,
    cells,
    drawn_cell,
    number_cell,
    percent,
    plain,
    share_cell,
)
from valor_data.stages.annotate.agreement_people import (
    Checker,
    Checking,
    Reviewing,
    Writer,
    Writing,
)
from valor_data.stages.annotate.agreement_words import Cost, Hints, Sense

_MOST_PEOPLE = 200
_WIDTH = 120
_TEST = {True: "passed", False: "not passed", None: NONE}
_SENSES = {"av": "heard and seen", "v": "seen only", "a": "heard only"}


def agreeing(wrote: Writing, checked: Checking) -> Section:
    """Between annotators, and between checkers."""
    tables, notes = [], []
    if wrote.clips > 1:
        rows = [
            cells(flag, f"{wrote.flagged[flag]:,}", *_agreement(found, told=bool(wrote.flagged[flag])))
            for flag, found in wrote.flags.items()
        ]
        tables.append(Table(("flag", "ticked", *_COEFFICIENTS), rows))
    else:
        notes.append(
            "fewer than two clips were captioned by two people in the same mode: set "
            "annotate.overlap_share, such as 0.05, then 'annotate push'"
        )
    if wrote.captions and wrote.captions.chrf.same_clip:
        found = wrote.captions
        rows = [
            _alike("letters in common (chrF)", found.chrf),
            _alike("words to change (edit distance, less is better)", found.edit_distance),
        ]
        if found.sounds_f1.same_clip:
            rows += [
                _alike("sounds named (F1)", found.sounds_f1),
                _alike("things named (F1)", found.things_f1),
            ]
        tables.append(Table((f"captions of {wrote.compared:,} clips", "same clip", "other clip"), rows))
    if checked.captions > 1:
        rows = [cells("reject or not", f"{checked.captions:,}", *_agreement(checked.rejected))]
        tables.append(Table(("checks", "captions", *_COEFFICIENTS), rows))
        rows = [
            cells("all checks", number_cell(checked.reasons)),
            cells("where all found something wrong", number_cell(checked.reasons_of_faulty)),
        ]
        tables.append(Table(("reasons of checkers", "alpha (MASI)"), rows))
    else:
        notes.append(
            "fewer than two captions were checked by two people: set review.checkers to 2 or more, then "
            "'annotate review'"
        )
    about = (
        "How far two people say the same of the same clip. 1 is always, 0 is no more than chance (but for "
        "'same', which takes no chance off). Where a flag is rare read Gwet's AC1: kappa and alpha fall."
    )
    return Section("Agreement", about, tables, notes)


def working(wrote: Sequence[Writer], checked: Sequence[Checker], unlike: dict[str, list[Outlier]]) -> Section:
    """Each annotator and checker."""
    tables, notes = [], []
    head: tuple[str, ...]
    tested = any(one.passed is not None for people in (wrote, checked) for one in people)
    last = ("test",) if tested else ()
    if wrote:
        head = ("annotator", "captions", "seconds", "an hour", "accepted", "with a fault", "gold")
        rows = [
            cells(
                one.annotator,
                f"{one.captions:,}",
                number_cell(one.lead_s, 0),
                plain(one.per_hour),
                share_cell(one.accepted),
                share_cell(one.faulty),
                share_cell(one.gold),
                *((_TEST[one.passed],) if tested else ()),
                ", ".join(f"{kind} {count:,}" for kind, count in one.faults.items()) or NONE,
            )
            for one in sorted(wrote, key=lambda one: -one.captions)[:_MOST_PEOPLE]
        ]
        tables.append(Table((*head, *last, "faults"), rows))
    else:
        notes.append("no caption yet: 'annotate push', let people write, then 'annotate pull'")
    if checked:
        head = ("checker", "checks", "seconds", "an hour", "rejects", "bad gold seen", "good gold kept")
        rows = [
            cells(
                one.annotator,
                f"{one.checks:,}",
                number_cell(one.lead_s, 0),
                plain(one.per_hour),
                share_cell(one.rejected),
                share_cell(one.quality.sensitivity),
                share_cell(one.quality.specificity),
                *((_TEST[one.passed],) if tested else ()),
            )
            for one in sorted(checked, key=lambda one: -one.checks)[:_MOST_PEOPLE]
        ]
        tables.append(Table((*head, *last), rows))
    else:
        notes.append("no check yet: 'annotate review', let people check, then 'annotate pull'")
    if max(len(wrote), len(checked)) > _MOST_PEOPLE:
        notes.append(f"only the {_MOST_PEOPLE} busiest are shown; --json has all")
    rows = [
        cells(one.annotator, what, percent(one.rate), percent(one.others), f"{one.p_value:.2g}")
        for what, found in unlike.items()
        for one in found
    ]
    if rows:
        tables.append(Table(("differs beyond chance", "in", "own", "all others", "p"), rows))
    elif len(wrote) > 1 or len(checked) > 1:
        notes.append("nobody differs from the others beyond chance")
    elif wrote or checked:
        notes.append("one person alone: there is nobody to compare with")
    about = (
        "Pseudonyms only. Seconds are medians; a page left open counts as three medians at most. Who did "
        "much and differs moves the rate of all others: look at the first name first, and into the clips, "
        "for not all are equally hard."
    )
    return Section("People", about, tables, notes)


def ruling(found: Reviewing, cost: Cost) -> Section:
    """What the rule of review comes to."""
    notes = []
    known = [
        cells("checks that reject", share_cell(found.rejected)),
        cells("bad gold captions rejected (sensitivity)", share_cell(found.quality.sensitivity)),
        cells(
            "good gold captions accepted (specificity)",
            "taken for 100 %" if found.assumed else share_cell(found.quality.specificity),
        ),
        cells("bad captions among those written", share_cell(found.bad_share)),
        cells(f"bad captions among the {found.accepted:,} accepted, from the audit", share_cell(found.audit)),
        cells("the same, if auditors see as checkers do in gold", share_cell(found.audit_seen_through)),
    ]
    tables = [Table(("known", "share"), known)] if found.rejected or found.gold else []
    if found.quality.sensitivity is None:
        notes.append(
            "no bad gold caption was checked, so nobody knows how well checkers look: set review.gold_share, "
            "such as 0.05, then 'annotate review'"
        )
    elif found.assumed:
        notes.append(
            "no good gold caption was checked, so specificity is not known: set review.good_gold_share, such "
            "as 0.05, then 'annotate review' once captions are accepted by two. Meanwhile rules are compared "
            "as if every rejection were right, which makes for the largest share of bad captions"
        )
    if found.quality.sensitivity and found.rejected and found.bad_share is None:
        notes.append("checkers reject good gold captions as often as bad ones: their checks tell nothing")
    if found.own.tolerated >= found.own.checkers:
        notes.append(
            "this recipe's rule can never send a caption back: see review.checkers, review.max_rejects"
        )
    if found.rules:
        rows = [
            cells(
                _rule(row.rule) + (" (this recipe)" if row.rule == found.own else ""),
                share_cell(left),
                percent(row.bad_passes),
                percent(row.good_sent_back),
                f"{row.written:.2f}",
                f"{row.checks:.2f}",
                *_price(cost, cost.hours_of(row.written, row.checks)),
            )
            for row, left in zip(found.rules, found.left, strict=True)
        ]
        names = ("rule", "bad among accepted", "bad pass", "good sent back", "written each", "checks each")
        tables.append(Table((*names, "hours each", *_money(cost, "each")), rows))
    if found.overlap:
        one = found.overlap
        head = ("independence", "captions", "all say the same", "if independent", "p")
        told = f"{one.captions:,}", percent(one.observed), percent(one.expected), f"{one.p_value:.2g}"
        tables.append(Table(head, [cells("bad gold captions", *told)]))
    elif found.quality.sensitivity:
        notes.append(
            "no gold caption was checked by two people, so it is not known whether checkers overlook the "
            "same: the rules with several checkers are computed as if they did not"
        )
    if found.audit is None:
        notes.append(
            "nothing accepted was audited: set review.audit_share, such as 0.02, then 'annotate review'; it "
            "is the one number here that takes no assumption"
        )
    about = (
        "What checks let through, and what they cost. Gold captions belong to another clip, which is easy to "
        "see: real faults are overlooked more often. 'Each' is for one accepted caption."
    )
    return Section("Review", about, tables, notes)


def sensing(found: Sequence[Sense]) -> Section:
    """What eye and ear give."""
    rows = [
        cells(
            _SENSES[one.senses],
            f"{one.captions:,}",
            number_cell(one.words, 1),
            number_cell(one.sounds),
            number_cell(one.things),
            share_cell(one.density),
        )
        for one in found
    ]
    head = ("captions", "number", "words", "sounds", "things", "audio concepts per word")
    notes = []
    if not {"v", "a"} <= {one.senses for one in found}:
        notes.append(
            "captions by eye alone or by ear alone are missing: set annotate.muted_share and "
            "annotate.screen_off_share, such as 0.02, then 'annotate push'"
        )
    if found and all(one.sounds is None for one in found):
        notes.append("sounds and things are told of two or more English captions only")
    about = "Means of a caption. What names no more sounds with the sound on than with it off was not heard."
    return Section("Senses", about, [Table(head, rows)] if rows else [], notes)


def hinting(found: Hints) -> Section:
    """What shown labels do."""
    rows = [
        cells(
            name,
            f"{one.captions:,}",
            number_cell(one.words, 1),
            number_cell(one.sounds),
            share_cell(one.from_labels, drawn=one is not found.difference),
        )
        for name, one in (
            ("shown", found.shown),
            ("not shown", found.hidden),
            ("difference", found.difference),
        )
    ]
    both = found.shown.captions and found.hidden.captions
    notes = []
    if not both:
        notes.append(
            'captions with and without labels are not both there: set annotate.hints = "random", then '
            "'annotate push'; only clips with labels count"
        )
    about = (
        "People copy what they are shown. A difference whose interval leaves out 0 is what labels did, if "
        'they were shown by chance (annotate.hints = "random").'
    )
    head = ("labels", "captions", "words", "sounds", "words from the labels")
    rows = rows if both else [row for row in rows[:2] if row[1].text != "0"]
    return Section("Labels shown", about, [Table(head, rows)] if rows else [], notes)


def costing(found: Cost) -> Section:
    """Hours, and what they cost."""
    spent = (found.caption_hours or 0) + (found.check_hours or 0) or None
    rows = [
        cells("captions written", *_price(found, found.caption_hours, 1)),
        cells("checks", *_price(found, found.check_hours, 1)),
        cells("both", *_price(found, spent, 1)),
        cells("an accepted caption, all counted", *_price(found, found.hours_per_accepted)),
        cells(f"left, for {found.waiting:,} clips that wait for one", *_price(found, found.hours_left, 1)),
    ]
    pace = [
        cells("captions an hour", plain(found.captions_per_hour)),
        cells("checks an hour", plain(found.checks_per_hour)),
        cells("accepted captions", f"{found.accepted:,}"),
    ]
    notes = []
    if not found.answers:
        notes.append("no answer yet, so nothing is known of the pace")
    elif found.untimed:
        notes.append(f"{found.untimed:,} of {found.answers:,} answers carry no time; each counts as the mean")
    if found.answers and not found.accepted:
        notes.append("no caption is accepted yet, so what one costs is not known: 'annotate review'")
    if found.wage is None:
        notes.append("no costs: give annotate.wage_per_hour in the recipe, and annotate.currency")
    about = "Hours of people, at the pace so far; work that is on its way is not taken off what is left."
    tables = [Table(("work", "hours", *_money(found, "cost")), rows), Table(("pace", "number"), pace)]
    return Section("Hours", about, tables, notes)


def lines(section: Section) -> list[str]:
    """For the terminal; a table that would be too wide goes without intervals."""
    found = ["", section.title.upper()]
    for table in section.tables:
        full = _columns(table, [[str(cell) for cell in row] for row in table.rows])
        wide = max(map(len, full)) > _WIDTH
        found += _columns(table, [[cell.text for cell in row] for row in table.rows]) if wide else full
        found.append("")
    for one in section.notes:
        found += wrap(one, _WIDTH, initial_indent="  ! ", subsequent_indent="    ")
    return found if found[-1] else found[:-1]


def _columns(table: Table, rows: list[list[str]]) -> list[str]:
    texts = [list(table.head), *rows]
    wide = [max(len(row[place]) for row in texts) for place in range(len(table.head))]
    return [
        "  ".join(
            [f"  {row[0]:<{wide[0]}}", *(f"{one:>{at}}" for one, at in zip(row[1:], wide[1:], strict=True))]
        )
        for row in texts
    ]


def _money(cost: Cost, what: str) -> tuple[str, ...]:
    """Head of a column of costs, where there is a wage."""
    return () if cost.wage is None else (f"{cost.currency} {what}".strip(),)


def _price(cost: Cost, hours: float | None, digits: int = 3) -> tuple[str, ...]:
    """Hours, and what they cost where there is a wage."""
    paid = () if cost.wage is None else (plain(cost.paid(hours), 2),)
    return plain(hours, digits), *paid


_COEFFICIENTS = ("same", "Fleiss' kappa", "Gwet's AC1", "Krippendorff's alpha")


def _agreement(found: Agreement, *, told: bool = True) -> tuple[Cell, ...]:
    """What nobody ever said leaves chance nothing to tell."""
    return share_cell(found.same), *(drawn_cell(one if told else None) for one in found[1:])


def _alike(name: str, found: Alike) -> tuple[Cell, ...]:
    return cells(name, drawn_cell(found.same_clip), plain(found.other_clip, 2))


def _rule(rule: Rule) -> str:
    one = f"{rule.checkers} checker{'s' if rule.checkers > 1 else ''}"
    few = f"{rule.tolerated or 'no'} rejection{'s' if rule.tolerated > 1 else ''} borne"
    return f"{one}, {few}{', in turn' if rule.in_turn else ''}"
