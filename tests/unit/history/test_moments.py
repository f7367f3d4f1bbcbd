"""Times as people type them: the zone that was written, what a clock never showed, and what has not come yet."""

from __future__ import annotations

import pytest

from affidavit.errors import InvalidInput
from affidavit.history.moments import read_moment
from affidavit.record.moment import parse_moment

NOW = parse_moment("2026-11-25T10:45:00.000000000Z")


@pytest.mark.parametrize(
    ("text", "first", "last", "words"),
    [
        ("2026-11-22", "22T00:00:00.000000000", "22T23:59:59.999999999", "2026-11-22 UTC (no zone was written)"),
        ("2026-11-22T14:17Z", "22T14:17:00.000000000", "22T14:17:59.999999999", "2026-11-22 14:17 UTC"),
        ("2026-11-22 14:17:03.5 UTC", "22T14:17:03.500000000", "22T14:17:03.599999999", "2026-11-22 14:17:03.5 UTC"),
        ("2026-11-22T14:17+01:00", "22T13:17:00.000000000", "22T13:17:59.999999999", "2026-11-22 14:17 in UTC+01:00"),
        (
            "2026-11-22 14:17 Europe/Berlin",
            "22T13:17:00.000000000",
            "22T13:17:59.999999999",
            "2026-11-22 14:17 in Europe/Berlin",
        ),
        ("2026-11-22T03:30-09:30", "22T13:00:00.000000000", "22T13:00:59.999999999", "2026-11-22 03:30 in UTC-09:30"),
        ("10:45", "25T10:45:00.000000000", "25T10:45:59.999999999", "2026-11-25 10:45 UTC (no zone was written)"),
        # 10:45 on the 25th in UTC is 23:45 there, so that today is the 25th, too.
        ("11:00+13:00", "24T22:00:00.000000000", "24T22:00:59.999999999", "2026-11-25 11:00 in UTC+13:00"),
        ("23:30 Europe/Berlin", None, None, "time.future"),
    ],
)
def test_a_text_names_a_span_in_its_zone(text: str, first: str | None, last: str | None, words: str) -> None:
    if first is None:
        with pytest.raises(InvalidInput) as raised:
            read_moment(text, NOW)
        assert raised.value.code == words
        return
    read = read_moment(text, NOW)
    assert (read.first, read.last, read.words) == (f"2026-11-{first}Z", f"2026-11-{last}Z", words)


def test_today_is_the_day_where_the_clock_is() -> None:
    late = parse_moment("2026-11-25T23:30:00.000000000Z")
    assert read_moment("00:10 Europe/Berlin", late).first == "2026-11-25T23:10:00.000000000Z"
    assert read_moment("00:10", late).first == "2026-11-25T00:10:00.000000000Z"


def test_summer_time_moves_the_clock_and_not_the_moment() -> None:
    assert read_moment("2026-07-01T12:00 Europe/Berlin", NOW).first == "2026-07-01T10:00:00.000000000Z"
    assert read_moment("2026-10-25T02:30+02:00", NOW).first == "2026-10-25T00:30:00.000000000Z"
    assert read_moment("2026-10-25T02:30+01:00", NOW).first == "2026-10-25T01:30:00.000000000Z"


@pytest.mark.parametrize(
    ("text", "code", "word"),
    [
        ("2026-10-25T02:30 Europe/Berlin", "time.zone", "twice"),
        ("2026-03-29T02:30 Europe/Berlin", "time.zone", "never"),
        ("2026-11-22T14:17 CET", "time.zone", "several"),
        ("2026-11-22T14:17 Europe/Atlantis", "time.zone", "knows no zone"),
        ("2026-11-22T14:17+15:00", "time.zone", "no offset"),
        ("2026-11-22T14:17+01:60", "time.zone", "no offset"),
        ("2026-11-22T14:17-00:00", "time.zone", "no offset"),
        ("2026-02-30", "time.text", "There is no time"),
        ("2026-11-22T24:00", "time.text", "There is no time"),
        ("2026-11-22T14:60", "time.text", "There is no time"),
        ("2026-11-22T14:17 01:00", "time.text", "no index and no time"),
        ("2026-11-22T14:17 ../etc/passwd", "time.text", "no index and no time"),
        ("yesterday", "time.text", "no index and no time"),
        ("14", "time.text", "no index and no time"),
        ("2026-11-25T10:46", "time.future", "has not come yet"),
        ("9999-12-31T23:59-10:00", "time.text", "There is no time"),
        ("1969-12-31", "time.range", "1970"),
    ],
)
def test_what_names_no_moment_is_refused_with_the_reason(text: str, code: str, word: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        read_moment(text, NOW)
    assert raised.value.code == code
    assert word in raised.value.message
