"""The timeline's query: what each term finds, and what is refused."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from affidavit.errors import InvalidInput
from affidavit.history.query import parse_query
from affidavit.record.header import Header, Log, Source, Time, encode_header
from affidavit.record.read import Record

ANA = "u-00000000000000a1"
ACCESS: dict[str, Any] = {
    "action": {
        "verb": "SELECT",
        "statement": "SELECT name FROM patients WHERE ward = 'B2'",
        "tables": [{"schema": "public", "name": "patients", "action": "read"}],
    },
    "result": {"outcome": "error", "sqlstate": "42501"},
    "client": {"address": "10.0.0.7", "application": "DBeaver"},
    "purpose": {"ticket": "INC-7"},
}


def record(index: int = 41, body: dict[str, Any] | None = ACCESS, **fields: Any) -> Record:
    header = msgspec.structs.replace(
        Header(
            v=1,
            id="01933d6b-0000-7000-8000-000000000000",
            kind="access",
            source=Source("0" * 32, 0),
            time=Time("2026-11-22T14:17:03.214000000Z"),
            log=Log("2026-11-22T14:17:03.215000000Z", 9),
            basis="observed",
            actor=ANA,
            system="clinic",
            session=30,
            action="read",
            decision="deny",
            outcome="none",
        ),
        **fields,
    )
    return Record(index, encode_header(header), header, body)


def resolve(name: str) -> str:
    if name in ("ana", ANA):
        return ANA
    raise InvalidInput("who.unknown", f"Nobody has the handle {name!r}.")


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
    ],
)
def test_found(query: str) -> None:
    assert parse_query(query, resolve).matches(record()) is True


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
    ],
)
def test_not_found(query: str) -> None:
    assert parse_query(query, resolve).matches(record()) is False


def test_objects_of_a_change_are_found_by_handle() -> None:
    change = record(body=CHANGE, kind="change")
    for query in ("object:grant/ana", "object:grant/ana/g-1", "recall", "ticket:T-1", "-object:policy/"):
        assert parse_query(query, resolve).matches(change) is True
    assert parse_query("-object:grant/ana", resolve).matches(change) is False


def test_a_body_that_cannot_be_read_matches_no_question_about_it() -> None:
    absent = record(body=None)
    for query in ("table:patients", "-table:visits", "text", "-text"):
        assert parse_query(query, resolve).matches(absent) is False


@pytest.mark.parametrize("address", ["10.0.0.7:45326", "[2001:db8::7]:45326", "2001:db8::7:45326", "10.0.0.7"])
def test_a_client_is_found_with_and_without_its_port(address: str) -> None:
    access = record(body={"client": {"address": address}})
    plain = "2001:db8::7" if "db8" in address else "10.0.0.7"
    for query in (f"client:{address}", f"client:{plain}", "-client:10.0.0.8"):
        assert parse_query(query, resolve).matches(access) is True


def test_an_index_range_bounds_what_has_to_be_read() -> None:
    query = parse_query("index:10..20 index:15..", resolve)
    assert (query.first, query.stop) == (15, 21)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("actor:nobody", "who.unknown"),
        ("actr:ana", "query.field"),
        ("kind:", "query.value"),
        ('kind:""', "query.value"),
        ('"open', "query.term"),
        ("at:yesterday", "query.time"),
        ("at:2026-13-01", "query.time"),
        ("at:2026-11-22T24", "query.time"),
        ("kind:acess", "query.word"),
        ("decision:allow,denied", "query.word"),
        ("-outcome:failed", "query.word"),
        ("index:x", "query.index"),
        ("index:10..5", "query.index"),
        ("-index:1..2", "query.index"),
        ("session:abc", "query.index"),
        ("x" * 3_000, "query.size"),
        ("a " * 100, "query.size"),
    ],
)
def test_refused(query: str, code: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_query(query, resolve)
    assert refused.value.code == code
