"""Lines of a database's log against a log of ours on paper: what counts as ours, and what does not."""

from __future__ import annotations

import pytest

from affidavit.capture.gateway.catalogue import catalogue_query
from affidavit.capture.watch.direct import activity_query
from affidavit.capture.watch.enforced import enforced_query
from affidavit.capture.watch.questions import own_question
from affidavit.evidence.reconciling import OUTSIDE, PAST, Reconciler
from affidavit.record.moment import NS, parse_moment
from affidavit.wire.postgres.serverlog import STATEMENT, LogEvent

_READ_AT = "2026-11-22T15:00:00.000000000Z"
_ASKED = catalogue_query("'public.patients.id', 'public.visits.patient_id'")


@pytest.mark.parametrize(
    ("text", "ours"),
    [
        (_ASKED, True),
        (catalogue_query(""), True),
        (_ASKED.split(";\n")[1], True),
        (enforced_query(), True),
        (activity_query(), True),
        (_ASKED + "; DELETE FROM patients", False),
        (catalogue_query("'x']) FROM patients) --'"), False),
        (catalogue_query("'x', (SELECT name FROM patients)"), False),
        (_ASKED[: _ASKED.index("ARRAY")] + "ARRAY['x']::text[]))); DELETE FROM patients; SELECT ((('", False),
        (enforced_query() + "; DROP TABLE patients", False),
        ("SELECT name FROM patients", False),
        ("BEGIN READ ONLY", False),
    ],
)
def test_only_the_whole_of_a_question_of_ours_is_ours(text: str, ours: bool) -> None:
    assert ours == own_question(text)


@pytest.mark.parametrize(
    ("at", "why"),
    [
        ("2026-11-22T13:59:59.000000000Z", OUTSIDE),
        ("2026-11-22T14:00:00.000000000Z", PAST),
        ("2026-11-22T14:59:00.000000000Z", PAST),
        ("2026-11-22T15:00:06.000000000Z", OUTSIDE),
    ],
)
def test_what_happened_after_our_last_record_went_past_us_too(at: str, why: str) -> None:
    """The log's last record is of 14:00; it was read at 15:00, and nothing of ours was running then."""
    found = Reconciler("clinic", "clinic", "app", (), ("2026-11-22T14:00:00.000000000Z", parse_moment(_READ_AT)), 5)
    found.event(LogEvent(1, at, 7, "eve", "clinic", "10.0.0.9", "", STATEMENT, "SELECT 1"), "all.log")
    answer = found.answer()
    assert {OUTSIDE: 0, PAST: 1}[why] == answer["unexplained"]
    assert [one["reason"] for one in answer["excluded"]] == ([OUTSIDE] if why == OUTSIDE else [])
    assert parse_moment(_READ_AT) % NS == 0
