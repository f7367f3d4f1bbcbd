"""Database URLs as people type them."""

from __future__ import annotations

import pytest

from affidavit.cli.database_url import DatabaseUrl, parse_database_url
from affidavit.config import Address
from affidavit.errors import InvalidInput


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgresql://u@h/d", DatabaseUrl(Address("h", 5432), "d", "u", None)),
        ("postgres://u:p%40ss@h:6000/d", DatabaseUrl(Address("h", 6000), "d", "u", "p@ss")),
        ("postgresql://h/d", DatabaseUrl(Address("h", 5432), "d", "me", None)),
        ("postgresql://", DatabaseUrl(Address("localhost", 5432), "me", "me", None)),
        ("postgresql://u@[::1]:5433/d", DatabaseUrl(Address("::1", 5433), "d", "u", None)),
        ("postgresql://u@h/d?sslmode=prefer&connect_timeout=3", DatabaseUrl(Address("h", 5432), "d", "u", None)),
        ("postgresql://u:@h/d%20x", DatabaseUrl(Address("h", 5432), "d x", "u", None)),
    ],
)
def test_urls(text: str, expected: DatabaseUrl) -> None:
    assert parse_database_url(text, "me") == expected


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("mysql://u@h/d", "url.scheme"),
        ("h/d", "url.scheme"),
        ("postgresql://u:secret@h:port/d", "url.form"),
        ("postgresql://u:secret@h:99999/d", "url.form"),
        ("postgresql://u@h1,h2/d", "url.hosts"),
        ("postgresql://u@%2Fvar%2Frun/d", "url.socket"),
        ("postgresql://u@h/d?sslmode=verify-full", "url.tls"),
        ("postgresql://u@h/d?options=-cx", "url.option"),
        ("postgresql://u@h/d%00", "url.form"),
        ("postgresql://" + "h" * 5_000, "url.size"),
    ],
)
def test_urls_that_are_refused(text: str, code: str) -> None:
    with pytest.raises(InvalidInput) as told:
        parse_database_url(text, "me")
    assert told.value.code == code
    assert "secret" not in str(told.value)


@pytest.mark.parametrize(
    ("database", "system"),
    [("clinic", "clinic"), ("Clinic DB", "clinic-db"), ("log", "database"), ("…", "database"), ("_x", "x")],
)
def test_the_system_is_named_after_the_database(database: str, system: str) -> None:
    assert DatabaseUrl(Address("h", 1), database, "u", None).system == system


def test_a_password_is_never_shown() -> None:
    assert parse_database_url("postgresql://u:secret@h/d", "me").shown() == "postgresql://u@h:5432/d"
