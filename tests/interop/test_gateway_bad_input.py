"""What goes wrong between a client and a database: each gives a clear error or a recorded outcome, and never a hang."""

from __future__ import annotations

import os
import resource
import socket
import struct
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import pytest

from affidavit.cli.demo.postgres import free_port
from affidavit.cli.demo.site import Site

APPLY = """
system/clinic: {kind: postgresql, description: things go wrong here}
identity/ada: {kind: human, name: Ada}
policy/open:
  text: permit (principal, action, resource in System::"clinic");
"""


@dataclass
class Place:
    site: Site
    token: str
    database: str

    def connect(self, **options) -> psycopg.Connection:
        return psycopg.connect(
            host="127.0.0.1", port=self.site.gateway_port, user="ada", password=self.token, dbname=self.database,
            autocommit=True, connect_timeout=20, **options,
        )  # fmt: skip

    def socket(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.site.gateway_port), timeout=20)

    def alive(self) -> bool:
        with self.connect() as connection:
            return connection.execute("SELECT 41 + 1").fetchone() == (42,)

    def close_of(self, session: int) -> dict:
        """The end of a session, which is recorded soon after the client has gone."""
        for _ in range(40):
            found = self.site.records(f"kind:session.close session:{session}")
            if found:
                return found[0]
            time.sleep(0.25)
        raise AssertionError("the end of the session was never recorded")

    def last(self, query: str) -> dict:
        return self.site.records(query)[-1]


def _place(postgres, clinic, folder: Path) -> Place:
    site = Site(folder / "data")
    site.create(postgres, clinic)
    (folder / "declared.yaml").write_text(APPLY)
    site.run("apply", str(folder / "declared.yaml"), "--reason", "bad input", "--yes")
    token = site.run("token", "create", "ada", "--json").json()["token"]
    return Place(site, token, clinic.database)


@pytest.fixture(scope="module")
def place(postgres, clinic_template) -> Iterator[Place]:
    clinic = replace(clinic_template, database="clinic_bad_input")
    postgres.execute(f"CREATE DATABASE {clinic.database} TEMPLATE {clinic_template.database}")
    found = _place(postgres, clinic, Path(tempfile.mkdtemp(prefix="affidavit-bad-")))
    with found.site as site:
        site.start()
        yield found


def read_all(connection: socket.socket) -> bytes:
    data = b""
    while part := connection.recv(65536):
        data += part
    return data


@pytest.mark.parametrize(
    "rubbish",
    [
        b"GET / HTTP/1.1\r\nHost: here\r\n\r\n",
        b"\x00" * 64,
        b"\xff" * 64,
        struct.pack(">II", 2**31 - 1, 196608),
        struct.pack(">II", 8, 12345),
        struct.pack(">II", 40, 196608) + b"user\x00\xff\xfe\x00" + b"\x00" * 23,
    ],
    ids=["http", "zeros", "ones", "two gigabytes", "unknown code", "not utf-8"],
)
def test_rubbish_instead_of_a_startup(place, rubbish) -> None:
    with place.socket() as connection:
        connection.sendall(rubbish)
        connection.shutdown(socket.SHUT_WR)
        answer = read_all(connection)
    assert answer == b"" or answer.startswith(b"E")
    assert place.alive()


def test_a_client_that_stops_in_the_middle_of_a_message(place) -> None:
    with place.connect() as connection:
        raw = socket.socket(fileno=os.dup(connection.fileno()))
        raw.sendall(b"Q\x00\x00\x00\x40SELECT 1")
        raw.shutdown(socket.SHUT_RDWR)
        raw.close()
    session = place.last("kind:session.open decision:allow")["index"]
    assert place.alive()
    assert "client" == place.close_of(session)["body"]["reason"]


def test_a_message_that_claims_two_gigabytes(place) -> None:
    with place.connect() as connection:
        raw = socket.socket(fileno=os.dup(connection.fileno()))
        raw.settimeout(20)
        raw.sendall(b"Q\x7f\xff\xff\xff")
        answer = raw.recv(65536)
        raw.close()
    assert b"C08P01" in answer
    assert place.alive()


def test_a_statement_of_ten_megabytes(place) -> None:
    with place.connect() as connection:
        assert connection.execute("SELECT length('" + "x" * 10_000_000 + "')").fetchone() == (10_000_000,)
    record = place.last("kind:access.intent action:admin")
    action = record["body"]["action"]
    assert (False, True, 10_000_017) == (action["parsed"], action["truncated"], action["bytes"])
    assert 64 == len(action["digest"])


def test_a_statement_in_another_encoding(place) -> None:
    with place.connect(client_encoding="latin1") as connection:
        assert connection.execute("SELECT 'Z\u00fcrich'").fetchone() == ("Z\u00fcrich",)
    action = place.last("kind:access.intent action:admin")["body"]["action"]
    assert (False, "SELECT 'Z\\xfcrich'") == (action["parsed"], action["statement"])


def test_a_statement_that_cannot_be_parsed(place) -> None:
    with place.connect() as connection, pytest.raises(psycopg.errors.SyntaxError):
        connection.execute("SELEC 1")
    place.alive()
    assert "42601" == place.last("kind:access.outcome outcome:error")["body"]["result"]["sqlstate"]


def test_the_database_ends_the_session_in_the_middle(place) -> None:
    with place.connect() as connection, pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    session = place.last("kind:session.open decision:allow")["index"]
    assert place.alive()
    assert "upstream" == place.close_of(session)["body"]["reason"]
    assert place.last(f"kind:access.outcome session:{session}")["header"]["outcome"] in ("error", "unknown")


def test_the_database_is_down(postgres, clinic_db) -> None:
    place = _place(postgres, clinic_db, Path(tempfile.mkdtemp(prefix="affidavit-down-")))
    config = place.site.folder / "affidavit.toml"
    config.write_text(config.read_text().replace(f":{postgres.port}", f":{free_port()}"))
    with place.site as site:
        site.start()
        with pytest.raises(psycopg.OperationalError, match="cannot be reached"):
            place.connect()
        record = place.last("kind:session.open")
    assert ("none", "error") == (record["header"]["decision"], record["header"]["outcome"])
    assert "upstream" == record["body"]["failure"]["stage"]


def test_when_the_log_cannot_write_nothing_passes(place, postgres) -> None:
    """The journal's next write fails, as on a full disk: no effect, no answer, a clear error, and a start afterwards."""
    postgres.execute("CREATE TABLE untouched (a int); GRANT ALL ON untouched TO PUBLIC", place.database)
    with place.connect() as connection, place.connect() as reader:
        connection.execute("INSERT INTO untouched VALUES (1)")
        resource.prlimit(place.site.pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
        with pytest.raises(psycopg.OperationalError, match="cannot record"):
            connection.execute("INSERT INTO untouched VALUES (2)")
        with pytest.raises(psycopg.OperationalError, match="cannot record"):
            reader.execute("SELECT a FROM untouched")
    assert "1" == postgres.execute("SELECT string_agg(a::text, ',') FROM untouched", place.database).strip()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            place.connect().close()
        except psycopg.OperationalError:
            break
    place.site.stop()
    place.site.start()
    assert place.alive()
    verdict = place.site.run("verify", str(place.site.folder), "--key", str(place.site.verifier_key), expect=(0, 1, 3))
    assert 0 == verdict.status, verdict.output


def test_a_revoked_token_ends_open_sessions_at_their_next_statement(place) -> None:
    site = place.site
    declared = site.folder.parent / "guest.yaml"
    declared.write_text("identity/guest: {kind: human, name: Guest}\n")
    site.run("apply", str(declared), "--reason", "a guest", "--yes")
    token = site.run("token", "create", "guest", "--json").json()["token"]
    with psycopg.connect(
        host="127.0.0.1", port=site.gateway_port, user="guest", password=token, dbname=place.database, autocommit=True
    ) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
        session = place.last("kind:session.open decision:allow")["index"]
        [name] = [item["thumbprint"] for item in site.run("token", "list", "guest", "--json").json()["tokens"]]
        site.run("token", "revoke", name, "--reason", "the guest has left")
        with pytest.raises(psycopg.OperationalError, match="revoked"):
            connection.execute("SELECT 2")
    assert "revoked" == place.close_of(session)["body"]["reason"]


def test_a_token_that_ends_ends_open_sessions_and_lets_nobody_in(place) -> None:
    site = place.site
    declared = site.folder.parent / "temp.yaml"
    declared.write_text("identity/temp: {kind: human, name: Temp}\n")
    site.run("apply", str(declared), "--reason", "for an hour", "--yes")
    token = site.run("token", "create", "temp", "--for", "4s", "--json").json()["token"]
    way = {
        "host": "127.0.0.1", "port": site.gateway_port, "user": "temp", "password": token, "dbname": place.database,
    }  # fmt: skip
    with psycopg.connect(**way, autocommit=True) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
        session = place.last("kind:session.open decision:allow")["index"]
        deadline = time.monotonic() + 30
        while not (lapses := site.records("kind:lapse")) and time.monotonic() < deadline:
            time.sleep(0.25)
        [lapsed] = lapses[-1]["body"]["objects"]
        assert lapsed["name"].startswith("credential/token-")
        with pytest.raises(psycopg.OperationalError, match="has ended"):
            connection.execute("SELECT 2")
    assert "revoked" == place.close_of(session)["body"]["reason"]
    with pytest.raises(psycopg.OperationalError, match="is wrong"):
        psycopg.connect(**way, sslmode="disable")
    verdict = site.run("verify", str(site.folder), "--key", str(site.verifier_key), expect=(0, 1, 3))
    assert 0 == verdict.status, verdict.output


def test_who_is_suspended_is_denied_at_once_in_an_open_session(place) -> None:
    site = place.site
    declared = site.folder.parent / "eve.yaml"

    def declare(status: str) -> None:
        declared.write_text(f"identity/eve: {{kind: human, name: Eve, status: {status}}}\n")
        site.run("apply", str(declared), "--reason", status, "--yes")

    declare("active")
    token = site.run("token", "create", "eve", "--json").json()["token"]
    with psycopg.connect(
        host="127.0.0.1", port=site.gateway_port, user="eve", password=token, dbname=place.database, autocommit=True
    ) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
        declare("suspended")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT 2")
        denied = place.last("kind:access decision:deny")
        assert {"state.inactive"} == {item["policy"] for item in denied["body"]["authorization"]["determining"]}
        declare("active")
        assert connection.execute("SELECT 3").fetchone() == (3,)
