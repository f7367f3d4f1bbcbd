"""PostgreSQL's own log: each form gives the same events, and what cannot be read is an event too."""

from __future__ import annotations

import pytest

from affidavit.errors import InvalidInput
from affidavit.wire.postgres.serverlog import CSV, JSON, STDERR, LogEvent, form_of, read_events

AT = "2026-11-22 14:17:03.214 UTC"
MOMENT = "2026-11-22T14:17:03.214000000Z"


def csv_line(severity: str, message: str, host: str = "10.0.0.7:5000") -> str:
    quoted = message.replace('"', '""')
    return (
        f'{AT},"app","clinic",42,"{host}",6561.2a,1,"SELECT",{AT},3/4,0,{severity},00000,"{quoted}",,,,,,,,,'
        '"psql","client backend",,0\n'
    )


def stderr_line(severity: str, message: str) -> str:
    return f"{AT} [42] app@clinic {severity}:  {message}\n"


def only(lines: list[str], form: str) -> LogEvent:
    (event,) = read_events(lines, form)
    return event


@pytest.mark.parametrize(
    ("message", "act", "text"),
    [
        ("statement: SELECT 1", "statement", "SELECT 1"),
        ("execute <unnamed>: SELECT $1", "statement", "SELECT $1"),
        ("execute fetch from a/b: SELECT 2", "statement", "SELECT 2"),
        ("duration: 0.123 ms  statement: SELECT 3", "statement", "SELECT 3"),
        ("duration: 0.123 ms", "other", "duration: 0.123 ms"),
        ("received replication command: BASE_BACKUP", "statement", "BASE_BACKUP"),
        ("disconnection: session time: 0:00:00.1", "other", "disconnection: session time: 0:00:00.1"),
    ],
)
def test_what_a_message_says_was_done(message: str, act: str, text: str) -> None:
    for event in (only([stderr_line("LOG", message)], STDERR), only([csv_line("LOG", message)], CSV)):
        assert (act, text, 42, "app", "clinic", MOMENT) == (
            event.act, event.text, event.pid, event.role, event.database, event.at,
        )  # fmt: skip


def test_a_statement_that_failed_is_no_second_act() -> None:
    assert "other" == only([stderr_line("STATEMENT", "SELECT 1/0")], STDERR).act
    assert "other" == only([csv_line("ERROR", "statement: SELECT 1")], CSV).act


def test_lines_of_one_statement_belong_together() -> None:
    lines = [
        stderr_line("LOG", "statement: SELECT 1,"),
        "\t'two'\n",
        "\t\tFROM t;\n",
        stderr_line("LOG", "duration: 1 ms"),
    ]
    first, _ = read_events(lines, STDERR)
    assert "SELECT 1,\n'two'\n\tFROM t;" == first.text
    whole = csv_line("LOG", "statement: SELECT 1,\n'two'\n\"T\"").splitlines(keepends=True)
    assert "SELECT 1,\n'two'\n\"T\"" == only(whole, CSV).text


def test_pgaudit_gives_its_fields() -> None:
    message = 'AUDIT: SESSION,3,1,READ,SELECT,TABLE,public.patients,"SELECT name, born\nFROM patients",<not logged>'
    event = only([csv_line("LOG", message)], CSV)
    assert ("audit", "SELECT name, born\nFROM patients") == (event.act, event.text)
    assert ("SESSION", "3", "1", "READ", "SELECT", "TABLE", "public.patients") == event.audit
    assert "unreadable" == only([csv_line("LOG", "AUDIT: SESSION,3")], CSV).act


def test_connections_name_who_and_from_where() -> None:
    authorized = (
        "connection authorized: user=backup database=clinic application_name=pg_dump SSL enabled (protocol=TLSv1.3)"
    )
    event = only([f"{AT} [7] [unknown]@[unknown] LOG:  {authorized}\n"], STDERR)
    assert ("connection", "backup", "clinic", "pg_dump") == (event.act, event.role, event.database, event.application)
    received = only([f"{AT} [7] [unknown]@[unknown] LOG:  connection received: host=10.0.0.9 port=4711\n"], STDERR)
    assert ("received", "10.0.0.9", "") == (received.act, received.address, received.role)


def test_json_is_read_strictly_enough() -> None:
    line = (
        '{"timestamp":"2026-11-22 14:17:03.214 UTC","user":"app","dbname":"clinic","pid":42,"remote_host":"[local]",'
        '"error_severity":"LOG","message":"statement: SELECT 1","application_name":"psql","backend_type":"client backend"}'
    )
    event = only([line], JSON)
    assert ("statement", "SELECT 1", "", "psql") == (event.act, event.text, event.address, event.application)
    assert ["unreadable"] * 3 == [one.act for one in read_events([line[:-9], "{}", "[" * 99_999], JSON)]


def test_a_line_out_of_place_is_unreadable() -> None:
    events = list(read_events(["no log at all\n", stderr_line("LOG", "statement: SELECT 1")], STDERR))
    assert ["unreadable", "statement"] == [one.act for one in events]


def test_times_of_an_unknown_zone_are_refused() -> None:
    with pytest.raises(InvalidInput, match="not in UTC") as refused:
        list(read_events(["2026-11-22 14:17:03.214 CET [42] app@clinic LOG:  statement: SELECT 1\n"], STDERR))
    assert "reconcile.zone" == refused.value.code


def test_the_form_is_told_from_the_first_line() -> None:
    assert [STDERR, CSV, JSON] == [form_of(x) for x in (stderr_line("LOG", "x"), csv_line("LOG", "x"), '{"timestamp"')]
    with pytest.raises(InvalidInput, match="none of PostgreSQL's log"):
        form_of("Dear diary,\n")
