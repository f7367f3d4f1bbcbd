"""What a record has in each field of the query language."""

from __future__ import annotations

from typing import Any

import pytest
from recordcase import ANA, made

from affidavit.record.body import Erased
from affidavit.record.read import Record
from affidavit.search.fields import FIELDS, Values

BODY: dict[str, Any] = {
    "actor": {"id": ANA, "authenticated": {"how": "scram", "credential": "token-4F"}},
    "action": {
        "verb": "SELECT",
        "statement": "SELECT ssn FROM Patients",
        "tables": [{"schema": "public", "name": "Patients", "action": "read"}],
        "columns": ["public.patients.SSN"],
        "transaction": 3,
    },
    "authorization": {
        "determining": [
            {"request": 0, "policy": "policy/analysts-read", "digest": "00"},
            {"request": 1, "policy": f"grant/{ANA}/g-1", "digest": "00"},
            {"request": 2, "policy": "policy/analysts-read", "digest": "00"},
        ],
        "errors": [],
    },
    "client": {"address": "[2001:db8::7]:45326", "application": "DBeaver"},
    "result": {"outcome": "none", "sqlstate": "42501", "rows": 12, "bytes": 340, "duration_ns": 1_500_000},
    "purpose": {"ticket": "INC-7", "reason": "Ward round"},
}


def record(body: Any = BODY, **fields: Any) -> Record:
    return made(body, **fields)


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("actor", (ANA,)),
        ("kind", ("access",)),
        ("system", ("clinic",)),
        ("guarantee", ()),
        ("id", ("01933d6b-0000-7000-8000-000000000000",)),
        ("session", (30,)),
        ("ref", ()),
        ("index", (41,)),
        ("at", (1_795_357_023_214_000_000,)),
        ("table", ("public.patients", "patients")),
        ("column", ("public.patients.ssn", "patients.ssn", "ssn")),
        ("verb", ("select",)),
        ("sqlstate", ("42501",)),
        ("application", ("dbeaver",)),
        ("client", ("[2001:db8::7]:45326", "2001:db8::7")),
        ("credential", ("token-4f",)),
        ("ticket", ("inc-7",)),
        ("policy", ("policy/analysts-read", "analysts-read", f"grant/{ANA}/g-1")),
        ("object", ()),
        ("has", ("body", "columns", "error", "reason", "statement", "tables", "ticket", "transaction")),
        ("rows", (12,)),
        ("bytes", (340,)),
        ("duration", (1_500_000,)),
        ("reason", ("ward round",)),
        ("text", ("select ssn from patients", "ward round")),
    ],
)
def test_what_an_access_has(field: str, values: Values) -> None:
    assert FIELDS[field].values(record()) == values


def test_what_a_change_has() -> None:
    objects = [{"op": "put", "name": "policy/p"}, {"op": "delete", "name": f"grant/{ANA}/g-1"}]
    change = record({"objects": objects, "reason": "Recall", "ticket": "T-1", "via": {"credential": "uid-desk-1000"}})
    names = ("object", "reason", "ticket", "credential", "text", "has")
    assert [FIELDS[name].values(change) for name in names] == [
        ("policy/p", f"grant/{ANA}/g-1"),
        ("recall",),
        ("t-1",),
        ("uid-desk-1000",),
        ("recall",),
        ("body", "reason", "ticket"),
    ]


def test_what_no_rule_allowed_was_determined_by_none() -> None:
    assert FIELDS["policy"].values(record({"authorization": {"determining": [], "errors": []}})) == ("none",)


def test_a_state_is_the_one_decided_under_else_the_one_sealed_under() -> None:
    assert FIELDS["state"].values(record()) == (9,)
    assert FIELDS["state"].values(record(decided=7)) == (7,)


def test_a_body_that_cannot_be_read_says_nothing_and_its_header_all_it_says() -> None:
    for gone in (None, Erased(50)):
        for name, field in FIELDS.items():
            got = field.values(record(gone))
            assert got == (field.values(record()) if field.in_header else ()), name


@pytest.mark.parametrize("body", [{"action": [], "result": "x", "objects": {}, "actor": 1, "authorization": []}, {}])
def test_a_body_of_another_shape_says_nothing(body: dict[str, Any]) -> None:
    for name, field in FIELDS.items():
        if not field.in_header:
            assert field.values(record(body)) == (("body",) if name == "has" else ()), name


@pytest.mark.parametrize("rows", [True, -1, "12", 2**60, 1.5])
def test_what_is_no_count_is_not_compared(rows: Any) -> None:
    assert FIELDS["rows"].values(record({"result": {"rows": rows}})) == ()


def test_values_are_normal_already() -> None:
    for name, field in FIELDS.items():
        values = [value for value in field.values(record()) if isinstance(value, str)]
        assert [field.normal(value) for value in values] == values, name
