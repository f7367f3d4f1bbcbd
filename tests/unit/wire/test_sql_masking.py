"""Literal credentials never pass the mask."""

from __future__ import annotations

import pytest

from affidavit.limits import STATEMENT_PARSE_BYTES_MAX
from affidavit.wire.sql.masking import mask_credentials
from affidavit.wire.sql.understand import understand

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("CREATE ROLE bob LOGIN PASSWORD 'hunter2'", "CREATE ROLE bob LOGIN PASSWORD '***'"),
        ("create user bob encrypted password 'hunter2' valid until '2030-01-01'", "create user bob encrypted password '***' valid until '***'"),
        ("ALTER ROLE bob WITH PASSWORD 'hun' \n 'ter2'", "ALTER ROLE bob WITH PASSWORD '***'"),
        ("ALTER USER bob PASSWORD $$hunter2$$", "ALTER USER bob PASSWORD '***'"),
        ("ALTER USER bob PASSWORD E'hunter\\x32'", "ALTER USER bob PASSWORD '***'"),
        ("ALTER USER bob PASSWORD U&'hunter\\0032'", "ALTER USER bob PASSWORD '***'"),
        ("ALTER/**/USER bob /* x */ PASSWORD/* hunter2 */'hunter2'", "ALTER USER bob   PASSWORD '***'"),
        ("ALTER USER bob PASSWORD hunter2", "ALTER USER bob PASSWORD '***'"),
        ('ALTER USER bob PASSWORD "hunter2"', "ALTER USER bob PASSWORD '***'"),
        ("ALTER USER bob PASSWORD 'hunter2", "ALTER USER bob PASSWORD '***'"),
        ("ALTER USER bob PASSWORD NULL", "ALTER USER bob PASSWORD NULL"),
        ("CREATE USER MAPPING FOR bob SERVER s OPTIONS (user 'bob', password 'hunter2')", "CREATE USER MAPPING FOR bob SERVER s OPTIONS (user '***', password '***')"),
        ("ALTER USER MAPPING FOR bob SERVER s OPTIONS (SET password 'hunter2')", "ALTER USER MAPPING FOR bob SERVER s OPTIONS (SET password '***')"),
        ("CREATE SERVER s FOREIGN DATA WRAPPER w OPTIONS (host 'h', password 'hunter2')", "CREATE SERVER s FOREIGN DATA WRAPPER w OPTIONS (host '***', password '***')"),
        ("CREATE SUBSCRIPTION s CONNECTION 'host=h password=hunter2' PUBLICATION p", "CREATE SUBSCRIPTION s CONNECTION '***' PUBLICATION p"),
        ("ALTER SYSTEM SET primary_conninfo = 'password=hunter2'", "ALTER SYSTEM SET primary_conninfo = '***'"),
        ("SET app.password = 'hunter2'", "SET app.password = '***'"),
        ("SET app.password TO hunter2", "SET app.password TO '***'"),
        ("SET app.token = hunter2", "SET app.token = '***'"),
        ("SELECT dblink_connect('c', 'host=h password=hunter2')", "SELECT dblink_connect('***', '***')"),
        ("SELECT * FROM dblink('password=hunter2', 'SELECT 1') AS t(a int)", "SELECT * FROM dblink('***', '***') AS t(a int)"),
        ("SELECT * FROM t WHERE dsn = 'postgres://bob:hunter2@h/db'", "SELECT * FROM t WHERE dsn = '***'"),
        ("INSERT INTO t VALUES (1, 'host=h password = hunter2')", "INSERT INTO t VALUES ('***', '***')"),
        ("SELECT pgp_sym_encrypt(note, 'hunter2') FROM t", "SELECT pgp_sym_encrypt(note, '***') FROM t"),
        ("SELECT set_config('app.token', 'hunter2', false)", "SELECT set_config('***', '***', false)"),
        ("DO $$ BEGIN EXECUTE 'ALTER ROLE bob PASSWORD ''hunter2'''; END $$", "DO '***'"),
        ("DO $x$ BEGIN PERFORM set_secret('hunter2'); END $x$", "DO '***'"),
        ("CREATE FUNCTION f() RETURNS void LANGUAGE sql AS $$ ALTER ROLE bob PASSWORD 'hunter2' $$", "CREATE FUNCTION f() RETURNS void LANGUAGE sql AS '***'"),
        ("CALL set_password('hunter2')", "CALL set_password('***')"),
        ("COPY t TO PROGRAM 'curl -H token:hunter2'", "COPY t TO PROGRAM '***'"),
        ("ALTRE ROLE bob PASSWORD 'hunter2'", "ALTRE ROLE bob PASSWORD '***'"),
        ("SELECT broken( FROM WHERE secret 'hunter2'", "SELECT broken( FROM WHERE secret '***'"),
        ("SELECT 1; ALTER ROLE bob PASSWORD 'hunter2'; SELECT 'kept'", "SELECT 1; ALTER ROLE bob PASSWORD '***'; SELECT 'kept'"),
    ],
)  # fmt: skip
def test_credentials_are_masked(text: str, expected: str) -> None:
    assert (expected, True) == mask_credentials(text)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1",
        "SELECT * FROM users WHERE password = $1",
        "UPDATE users SET password = 'stored by the application' WHERE id = 7",
        "SELECT token FROM t WHERE name = 'bob'",
        "CREATE ROLE bob LOGIN CONNECTION LIMIT 5",
        "ALTER ROLE bob VALID UNTIL '2030-01-01'",
        "DO $$ BEGIN NULL; END $$",
        "CREATE TABLE users (id int, password text DEFAULT 'x')",
        "SELECT 'https://example.org/a'",
        "",
    ],
)
def test_other_statements_are_left_alone(text: str) -> None:
    assert (text, False) == mask_credentials(text)


@pytest.mark.parametrize(
    "text",
    [
        f"ALTER ROLE bob PASSWORD '{SECRET}'",
        f'ALTER ROLE bob PASSWORD "{SECRET}"',
        f"ALTER ROLE bob PASSWORD {SECRET}",
        f"ALTER ROLE bob PASSWORD '{SECRET}",
        f"SELECT * FROM t WHERE dsn = 'postgres://bob:{SECRET}@h/db' AND id = '{SECRET}'",
        f"garbage password '{SECRET}' $$ {SECRET}",
    ],
)
def test_no_field_but_the_text_holds_the_credential(text: str) -> None:
    for statement in understand(text):
        assert statement.credential
        assert SECRET not in statement.normalized + statement.why + repr(statement.keys)


def test_a_text_beyond_the_limit_keeps_its_head_only() -> None:
    text = "INSERT INTO t (token) VALUES ('" + SECRET * STATEMENT_PARSE_BYTES_MAX
    assert ("INSERT INTO t (token) VALUES ('***' '***'", True) == mask_credentials(text)
