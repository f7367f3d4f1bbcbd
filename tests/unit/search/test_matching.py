"""The query language: what each term finds in a record, and how surely."""

from __future__ import annotations

from typing import Any

import pytest
from recordcase import ANA, made

from affidavit.errors import InvalidInput
from affidavit.record.moment import parse_moment
from affidavit.record.read import Record
from affidavit.search.matching import match, matches_header
from affidavit.search.parsing import parse_query

ACCESS: dict[str, Any] = {
    "action": {
        "verb": "SELECT",
        "statement": "SELECT name, count(*) FROM patients WHERE ward = 'B2'",
        "tables": [{"schema": "public", "name": "patients", "action": "read"}],
        "columns": ["public.patients.ssn"],
    },
    "authorization": {
        "determining": [
            {"request": 0, "policy": "policy/analysts-read", "digest": "00"},
            {"request": 0, "policy": f"grant/{ANA}/g-1", "digest": "00"},
        ],
        "errors": [],
    },
    "actor": {"authenticated": {"credential": "token-4f"}},
    "result": {"outcome": "error", "sqlstate": "42501", "rows": 12, "bytes": 1500, "duration_ns": 1_500_000},
    "client": {"address": "10.0.0.7", "application": "DBeaver"},
    "purpose": {"ticket": "INC-7", "reason": "Ward round"},
}


def record(index: int = 41, body: dict[str, Any] | None = ACCESS, **fields: Any) -> Record:
    return made(body, index, **fields)


def resolve(name: str) -> str:
    if name in ("ana", ANA):
        return ANA
    raise InvalidInput("who.unknown", f"Nobody has the handle {name!r}.")


NOW_NS = parse_moment("2026-11-25T10:45:00.000000000Z")
S = 1_000_000_000


def found(query: str, rec: Record, bound_ns: int | None = 0) -> str | None:
    parsed = parse_query(query, resolve, NOW_NS)
    how = match(parsed, rec, lambda header: bound_ns)
    if how is not None:
        assert parsed.first <= rec.index and (parsed.stop is None or rec.index < parsed.stop)
        assert matches_header(parsed, rec.index, rec.header, lambda header: bound_ns)
    return how


CHANGE = {
    "objects": [{"op": "delete", "name": f"grant/{ANA}/g-1", "based": 3}],
    "reason": "Recall finished",
    "ticket": "T-1",
}


@pytest.mark.parametrize(
    "query",
    [
        "",
        "actor:ana",
        f"actor:{ANA}",
        "kind:access",
        "kind:access,change",
        "-kind:change",
        "system:clinic decision:deny outcome:none action:read basis:observed",
        "session:30",
        "session:30,31",
        "table:patients",
        "table:public.patients",
        "verb:select",
        "sqlstate:42501",
        "client:10.0.0.7",
        "application:dbeaver",
        "ticket:inc-7",
        '"WHERE ward"',
        "patients ward",
        '-"other text"',
        "at:2026-11-22T14:17",
        'at:"2026-11-22 14:17"',
        "at:2026-11-22..2026-11-22",
        "at:2026-11-22T14:17:03..",
        "at:..2026-11-22T14:17",
        "index:41",
        "index:40..41",
        "index:41..",
        "index:..41",
        "-index:1..2",
        # What the language learned later.
        "kind:acc*",
        "table:public.* sqlstate:42*",
        "ref:9 OR session:30",
        "kind:change OR decision:deny kind:access",
        "(kind:change OR decision:deny) AND NOT outcome:ok",
        "NOT (kind:change OR table:visits)",
        "-(kind:change table:visits)",
        "rows:12 rows>11 rows>=12 rows<13 rows<=12 rows:10..12 rows:..12 rows:1,12 rows:*",
        "bytes>1kB bytes:1.5kB bytes<1MiB",
        "duration>1ms duration:..2s duration:1.5ms",
        "column:ssn column:patients.ssn column:public.patients.ssn",
        "policy:analysts-read",
        "policy:grant/ana/g-1",
        "policy:grant/ana/*",
        "state:9 state:5..10",
        "credential:token-*",
        "has:statement,error NOT has:parameters",
        "id:01933d6b-0000-7000-8000-000000000000",
        "id:01933D6B*",
        'reason:round "ward round"',
        "session:* ticket:*",
        "at>2026-11-22T14:16 at<=2026-11-22T14:17 at<2026-11-22T14:18 at>=2026-11-22T14:17",
        "at:2026-11-22T15:17+01:00",
        'at:"2026-11-22 15:17 Europe/Berlin"',
        "at:2026-11-22T14:12~5m",
        "at:2026-11-22T14:22~5m",
        "at:2026 at:2026-11 at:2026-11-22T14 at:2026-11-22T14:1",
        "at:2026-11-20,2026-11-22",
        "count(*)",
        "(count(*))",
        "\"ward = 'B2'\"",
    ],
)
def test_found(query: str) -> None:
    assert found(query, record()) == "certainly"


@pytest.mark.parametrize(
    "query",
    [
        "-actor:ana",
        "kind:change",
        "system:lab",
        "decision:allow",
        "session:31",
        "table:visits",
        "-table:patients",
        "verb:UPDATE",
        '"ward = 1"',
        "-patients",
        "object:grant/",
        "at:2026-11-22T14:18",
        "at:2026-11-22T14:18..",
        "at:..2026-11-22T14:16",
        "index:42..",
        "index:..40",
        "index:30..35 index:41",
        "kind:access decision:allow",
        "NOT (kind:access OR kind:change)",
        "kind:access (decision:allow OR table:visits)",
        "rows>12",
        "rows:1,2",
        "duration>1s",
        "bytes:..1kB",
        "policy:grant/*/g-1",
        "policy:other",
        "has:parameters",
        "id:01933d6b",
        "reason:ssn",
        "ref:*",
        "at:2026-11-22T14:11~5m",
        "at:2026-11-22T14:17+01:00",
        "at>2026-11-22T14:17",
        "at<2026-11-22T14:17",
    ],
)
def test_not_found(query: str) -> None:
    assert found(query, record()) is None


def test_objects_of_a_change_are_found_by_handle() -> None:
    change = record(body=CHANGE, kind="change")
    for query in ("object:grant/ana", "object:grant/ana/g-1", "recall", "ticket:T-1", "-object:policy/"):
        assert found(query, change) == "certainly"
    assert found("-object:grant/ana", change) is None


def test_a_kind_of_object_is_nobodys_handle() -> None:
    """Somebody whose handle is `grant` does not hide everybody's grants."""
    query = parse_query("object:grant/ana", lambda name: {"grant": "u-1", "ana": ANA}[name], NOW_NS)
    assert match(query, record(body=CHANGE, kind="change"), lambda header: 0) == "certainly"


def test_a_body_that_cannot_be_read_matches_no_question_about_it() -> None:
    absent = record(body=None)
    for query in ("table:patients", "-table:visits", "text", "-text", "has:error", "NOT has:error", "NOT rows>5"):
        assert found(query, absent) is None
    for query in ("table:patients OR kind:access", "NOT (table:patients kind:change)"):
        assert found(query, absent) == "certainly"


def test_what_a_body_does_not_speak_of_is_not_asked_by_a_negation_either() -> None:
    plain = record(body={"reason": "Recall"})
    assert [found(query, plain) for query in ("rows:1", "NOT rows:1", "NOT ticket:x")] == [None] * 3
    assert found("NOT has:ticket", plain) == "certainly"


@pytest.mark.parametrize("address", ["10.0.0.7:45326", "[2001:db8::7]:45326", "2001:db8::7:45326", "10.0.0.7"])
def test_a_client_is_found_with_and_without_its_port(address: str) -> None:
    access = record(body={"client": {"address": address}})
    plain = "2001:db8::7" if "db8" in address else "10.0.0.7"
    for query in (f"client:{address}", f"client:{plain}", "-client:10.0.0.8"):
        assert found(query, access) == "certainly"


AT = "2026-11-22T14:17:03.214000000Z"


@pytest.mark.parametrize(
    ("query", "bound_ns", "expected"),
    [
        ("at:2026-11-22T14:17", 3 * S, "certainly"),
        ("at:2026-11-22T14:17", 4 * S, "possibly"),  # it may have been before the minute
        ("-at:2026-11-22T14:17", 3 * S, None),
        ("-at:2026-11-22T14:17", 4 * S, "possibly"),
        ("at:2026-11-22T14:16", 3 * S, None),
        ("at:2026-11-22T14:16", 4 * S, "possibly"),
        ("-at:2026-11-22T14:16", 3 * S, "certainly"),
        ("-at:2026-11-22T14:16", 4 * S, "possibly"),
        (f"at:..{AT}", 0, "certainly"),
        (f"at:{AT}..", 0, "certainly"),
        (f"at:{AT}..{AT}", 0, "certainly"),
        (f"at:{AT}..{AT}", 1, "possibly"),
        (f"at:{AT}~1ns", 1, "certainly"),
        (f"at>{AT}", 0, None),
        (f"at>{AT}", 1, "possibly"),
        # Nothing bounds the clock: its own claim decides, and nothing is certain.
        ("at:2026-11-22T14:17", None, "possibly"),
        ("-at:2026-11-22T14:17", None, None),
        ("at:2026-11-22T14:16", None, None),
        ("-at:2026-11-22T14:16", None, "possibly"),
        ("at:..", None, "certainly"),
        # What is possible stays so together with what is certain, and hides behind it.
        ("at:2026-11-22T14:17 kind:access", 4 * S, "possibly"),
        ("at:2026-11-22T14:17 kind:change", 4 * S, None),
        ("at:2026-11-22T14:17 OR kind:access", 4 * S, "certainly"),
        ("at:2026-11-22T14:17 OR kind:change", 4 * S, "possibly"),
        ("kind:access", None, "certainly"),
    ],
)
def test_a_time_is_as_sure_as_the_clock_was(query: str, bound_ns: int | None, expected: str | None) -> None:
    assert found(query, record(), bound_ns) == expected


def test_a_header_rules_out_what_it_contradicts_and_nothing_else() -> None:
    header = record().header
    for query, possible in {
        "kind:change": False,
        "kind:access table:visits": True,
        "kind:change table:visits": False,
        "kind:change OR table:visits": True,
        "NOT table:patients": True,
        "NOT (kind:access OR table:patients)": False,
        "index:40 table:patients": False,
        "index:40 OR (index:41 has:error)": True,
        "at:2026-11-22T14:17 text": True,
        "at:2026-11-22T14:19 text": False,
    }.items():
        parsed = parse_query(query, resolve, NOW_NS)
        assert matches_header(parsed, 41, header, lambda header: S) is possible, query
