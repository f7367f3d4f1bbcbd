"""Whether every break-glass grant was looked at afterwards, by somebody else."""

from __future__ import annotations

from affidavit.evidence.gaps import Check
from affidavit.evidence.sentence import Names
from affidavit.evidence.wording import count_words, list_words
from affidavit.history.asof import Records, changes_before
from affidavit.history.reviews import Reviews
from affidavit.state.reviewing import break_glass, principals

_NAMED_MAX = 5


def break_glass_reviewed(records: Records, reviews: Reviews, names: Names) -> Check:
    """The check that each change that put a break-glass grant has a review by somebody whom it does not concern.

    Members of a group that was given one are refused when they review, by the state of then.
    """
    check = "break-glass"
    due, open_ = 0, []
    for index in changes_before(records, records.size):
        record = records.record(index)
        objects = record.content.get("objects")
        if not break_glass(objects):
            continue
        due += 1
        involved = {record.header.actor, *principals(objects)}
        if not any(author not in involved for _, author in reviews.of(index)):
            whom = list_words(sorted(names(who) for who in principals(objects)))
            open_.append((index, f"record {index} for {whom}, since {record.header.log.at[:19].replace('T', ' ')} UTC"))
    if not due:
        return check, True, "No break-glass grant was ever given.", ""
    if not open_:
        return check, True, f"{count_words(due, 'break-glass grant')} given, each reviewed by somebody else.", ""
    said = list_words([words for _, words in open_], most=_NAMED_MAX)
    detail = f"{count_words(len(open_), 'break-glass grant')} not reviewed: {said}."
    return check, False, detail, f"Look what was done under it, then: affidavit review {open_[0][0]} --note …"
