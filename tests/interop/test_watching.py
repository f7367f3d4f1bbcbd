"""A real PostgreSQL watched by a real gateway: drift and what explains it, who connects past us, what people are told."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import psycopg
import pytest
from conftest import Front

from affidavit.capture.gateway.target import Target
from affidavit.capture.gateway.upstream import ask, connect
from affidavit.capture.watch.difference import difference
from affidavit.capture.watch.enforced import Enforced, enforced_query, read_enforced
from affidavit.capture.watch.watcher import APPLICATION, PARAMETERS
from affidavit.cli.client import Client
from affidavit.cli.demo.clinic import Clinic
from affidavit.cli.demo.postgres import ThrowawayPostgres
from affidavit.cli.demo.site import Site

_APPLY = """
system/clinic: {kind: postgresql, past_gateway: ["backup@127.0.0.0/8"]}
identity/ada: {kind: human, name: Ada Berger}
policy/open:
  text: permit (principal, action, resource in System::"clinic");
"""
_DIRECT = "past the gateway of clinic"


@pytest.fixture(scope="module")
def watched(postgres: ThrowawayPostgres, clinic_template: Clinic) -> Iterator[Front]:
    """A gateway that looks every second, before a database and a role of its own."""
    clinic = replace(clinic_template, database="clinic_watched", user="watched_app", password="watched")
    postgres.execute(
        f"CREATE DATABASE {clinic.database} TEMPLATE {clinic_template.database};"
        "CREATE ROLE watched_app LOGIN CREATEROLE PASSWORD 'watched'; CREATE ROLE nurse; CREATE ROLE backup LOGIN PASSWORD 'b';"
    )
    postgres.execute(
        "ALTER TABLE visits OWNER TO watched_app; GRANT ALL ON SCHEMA public TO watched_app", clinic.database
    )
    parent = Path(tempfile.mkdtemp(prefix="affidavit-watched-"))
    with Site(parent / "data") as site:
        site.create(postgres, clinic)
        config = site.folder / "affidavit.toml"
        config.write_text(config.read_text() + "watch_interval_s = 1\n")
        front = Front(site, clinic, "", parent)
        apply(front, _APPLY)
        token = site.run("token", "create", "ada", "--json").json()["token"]
        site.start()
        yield replace(front, token=token)
    shutil.rmtree(parent)


def apply(front: Front, text: str) -> None:
    declared = front.certificate / "declared.yaml"
    declared.write_text(text, encoding="utf-8")
    front.site.run("apply", str(declared), "--reason", "watching", "--yes")


def until(found: Callable[[], Any]) -> Any:
    """What `found` gives as soon as it gives something."""
    deadline = time.monotonic() + 60
    while not (one := found()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return one


def records(front: Front, query: str) -> list[dict[str, Any]]:
    """The records that a query finds, oldest first, without a process for each question."""
    client = Client(front.site.folder / "affidavit.sock", None, server_runs=True)
    try:
        return [json.loads(line) for line in client.lines("/v1/export", query=query)]
    finally:
        client.close()


def drift_of(front: Front, field: str) -> dict[str, Any] | None:
    for record in records(front, "kind:drift"):
        for line in record["body"]["difference"]:
            if line["field"] == field:
                return {**line, "index": record["index"]}
    return None


def check(front: Front, name: str) -> dict[str, Any]:
    client = Client(front.site.folder / "affidavit.sock", None, server_runs=True)
    try:
        (one,) = [item for item in client.get("/v1/ready")["checks"] if item["check"] == name]
    finally:
        client.close()
    return dict(one)


def direct(front: Front, role: str) -> list[dict[str, Any]]:
    return [
        one
        for one in records(front, "kind:log.gap")
        if one["body"]["cause"] == "past_gateway" and one["body"]["backend"]["role"] == role
    ]


def test_a_grant_from_outside_is_a_drift_that_nothing_explains(postgres, watched) -> None:
    until(lambda: records(watched, "kind:drift"))
    postgres.execute("GRANT SELECT (name) ON patients TO nurse", watched.clinic.database)
    line = until(lambda: drift_of(watched, "column_grants public.patients.name to nurse"))
    assert ("", "SELECT") == (line["before"], line["after"])
    assert "record" not in line
    shown = watched.site.run("show", str(line["index"])).output
    assert "no record of ours explains column_grants public.patients.name to nurse" in shown
    finding = check(watched, "drift")
    assert (False, True) == (finding["holds"], f"record {line['index']}" in finding["detail"])


def test_a_grant_through_the_gateway_is_named_as_its_explanation(watched) -> None:
    with psycopg.connect(watched.dsn(), autocommit=True) as connection:
        connection.execute("GRANT INSERT ON visits TO nurse")
    line = until(lambda: drift_of(watched, "grants public.visits to nurse"))
    (intent,) = [
        one for one in records(watched, "kind:access.intent") if "TO nurse" in one["body"]["action"]["statement"]
    ]
    assert ("INSERT", intent["index"]) == (line["after"], line["record"])


def test_row_security_policies_roles_and_settings_are_seen(postgres, watched) -> None:
    postgres.execute(
        "ALTER TABLE staff ENABLE ROW LEVEL SECURITY; ALTER TABLE staff FORCE ROW LEVEL SECURITY;"
        "CREATE POLICY own ON staff FOR SELECT TO nurse USING (role = 'nurse');"
        "ALTER ROLE nurse CREATEDB; GRANT nurse TO backup; ALTER ROLE nurse SET work_mem = '8MB';"
        "CREATE EXTENSION IF NOT EXISTS plpgsql",
        watched.clinic.database,
    )
    assert "forced" == until(lambda: drift_of(watched, "row_security public.staff"))["after"]
    assert "to nurse" in until(lambda: drift_of(watched, "policies public.staff own"))["after"]
    assert "create_database" in until(lambda: drift_of(watched, "roles nurse"))["after"]
    assert until(lambda: drift_of(watched, "members backup in nurse"))
    assert "8MB" == until(lambda: drift_of(watched, "role_settings nurse in all work_mem"))["after"]


def test_who_connects_directly_is_recorded_and_found_until_gone(postgres, watched) -> None:
    postgres.execute("GRANT pg_read_all_stats TO watched_app")
    until(lambda: check(watched, "watching clinic")["holds"])
    dsn = postgres.dsn(database=watched.clinic.database)
    with psycopg.connect(dsn, application_name="quiet") as connection:
        pid = connection.info.backend_pid
        (record,) = until(lambda: [one for one in direct(watched, "postgres") if one["body"]["backend"]["pid"] == pid])
        body = record["body"]
        assert (None, "127.0.0.1", "quiet", "clinic") == (
            body["end"], body["backend"]["address"], body["backend"]["application"], record["header"]["system"]
        )  # fmt: skip
        finding = check(watched, _DIRECT)
        assert (False, True) == (
            finding["holds"],
            f"postgres@127.0.0.1 since {body['start'][:10]}" in finding["detail"],
        )
    ended = until(lambda: [one for one in direct(watched, "postgres") if one["body"].get("gap") == record["index"]])
    assert ended[0]["body"]["end"] > body["start"]
    assert check(watched, _DIRECT)["holds"]
    verdict = watched.site.run(
        "verify", str(watched.site.folder), "--key", str(watched.site.verifier_key), expect=(0, 1, 3)
    )
    assert 1 != verdict.status, verdict.output


def test_who_may_connect_by_declaration_is_recorded_and_no_finding(postgres, watched) -> None:
    postgres.execute("GRANT pg_read_all_stats TO watched_app")
    with psycopg.connect(postgres.dsn("backup", watched.clinic.database, "b")):
        (record,) = until(lambda: direct(watched, "backup"))
        assert "backup@127.0.0.0/8" == record["body"]["declared"]
        assert check(watched, _DIRECT)["holds"]
        assert "1 connection as declared" in check(watched, _DIRECT)["detail"]


def test_our_own_sessions_are_no_strangers(postgres, watched) -> None:
    """Also while many begin and end, and while one of them runs a statement that its client did not wait for."""
    postgres.execute("GRANT pg_read_all_stats TO watched_app")
    until(lambda: check(watched, "watching clinic")["holds"])
    left = psycopg.connect(watched.dsn(), autocommit=True)
    left.pgconn.send_query(b"SELECT pg_sleep(2)")
    left.pgconn.finish()
    for _ in range(8):
        with psycopg.connect(watched.dsn(), autocommit=True) as one:
            assert (1,) == one.execute("SELECT 1").fetchone()
    with psycopg.connect(postgres.dsn(database=watched.clinic.database)) as stranger:
        pid = stranger.info.backend_pid
        until(lambda: [one for one in direct(watched, "postgres") if one["body"]["backend"]["pid"] == pid])
    assert [] == direct(watched, "watched_app")


def test_a_role_that_may_not_see_others_is_a_finding_with_the_grant_to_run(postgres, watched) -> None:
    postgres.execute("REVOKE pg_read_all_stats FROM watched_app")
    with psycopg.connect(postgres.dsn(database=watched.clinic.database)):
        finding = until(lambda: (one := check(watched, "watching clinic")) and not one["holds"] and one)
        assert "GRANT pg_read_all_stats TO watched_app;" in finding["fix"]
        finding = until(lambda: "nothing is known" in (one := check(watched, _DIRECT))["detail"] and one)
        assert finding["holds"] is False


def test_people_in_open_sessions_are_told_what_changes(postgres, watched) -> None:
    psql = subprocess.Popen(
        [postgres.psql, "-X", "-A", "-t", "-w", "-d", watched.dsn()],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert psql.stdin is not None
    said: list[str] = []
    with psycopg.connect(watched.dsn(), autocommit=True) as connection:
        connection.add_notice_handler(lambda notice: said.append(str(notice.message_primary)))
        asyncio.run(_told_by_asyncpg(watched))
        connection.execute("SELECT 1")
        until(lambda: 3 <= len(_presented_changes(watched)))
        until(lambda: connection.execute("SELECT 1") and any("capture.parameters" in text for text in said))
    shown, _ = psql.communicate("SELECT 'still here';\n", timeout=60)
    assert "capture.parameters: full (unconfigured) until now, digest (user) from now on." in shown
    assert "still here" in shown
    record = _presented_changes(watched)[0]
    assert "You have settings of your own now." in record["body"]["text"]


async def _told_by_asyncpg(watched: Front) -> None:
    """A session that waits for nothing is told at once."""
    told: asyncio.Queue[str] = asyncio.Queue()
    connection = await asyncpg.connect(watched.dsn(), ssl=False)
    connection.add_log_listener(lambda _, message: told.put_nowait(message.message))
    await asyncio.to_thread(until, lambda: 3 <= len(_open_sessions(watched)))
    await asyncio.to_thread(apply, watched, "settings/user/ada: {capture.parameters: digest}\n")
    async with asyncio.timeout(60):
        while "capture.parameters" not in await told.get():
            pass
    assert 1 == await connection.fetchval("SELECT 1")
    await connection.close()


def _open_sessions(watched: Front) -> set[int]:
    opened = {one["index"] for one in records(watched, "kind:session.open decision:allow")}
    return opened - {one["header"]["session"] for one in records(watched, "kind:session.close")}


def _presented_changes(watched: Front) -> list[dict[str, Any]]:
    return [
        one for one in records(watched, "kind:presented") if "capture.parameters: full (un" in str(one["body"]["text"])
    ]


def test_a_slow_catalogue_lets_people_in_and_says_of_when_the_last_look_is(postgres, watched) -> None:
    """Somebody holds a part of the catalogue that the watcher reads: its look lasts until they let go."""
    until(lambda: records(watched, "kind:drift"))
    with psycopg.connect(postgres.dsn(database=watched.clinic.database)) as holder:
        holder.execute("LOCK pg_catalog.pg_extension")
        holder.execute("CREATE ROLE held_back")
        with psycopg.connect(watched.dsn(), autocommit=True) as connection:
            assert (1,) == connection.execute("SELECT 1").fetchone()
        holder.commit()
    opened = records(watched, "kind:session.open decision:allow")[-1]
    line = until(lambda: drift_of(watched, "roles held_back"))
    assert opened["body"]["upstream"]["looked"] < opened["header"]["time"]["at"]
    assert line["index"] > opened["index"]
    with psycopg.connect(watched.dsn()):
        pass
    assert "looked" not in records(watched, "kind:session.open decision:allow")[-1]["body"]["upstream"]


def test_what_anybody_writes_into_the_catalogue_does_not_end_the_watching(postgres, watched) -> None:
    """A policy of a megabyte comes cut, so that many stay within a message; a bound of the role's does not hold."""
    clinic = watched.clinic
    qual = f"notes <> '{'x' * 1_000_000}"
    postgres.execute(f"ALTER ROLE {clinic.user} SET statement_timeout = '1ms'")
    postgres.execute(f"CREATE POLICY long ON visits USING ({qual}1')", clinic.database)
    target = Target(
        "clinic", "", 0, postgres.host, postgres.port, clinic.database, clinic.user, clinic.password, None, False
    )

    async def look() -> tuple[int, Enforced]:
        upstream = await connect(target, APPLICATION, PARAMETERS)
        try:
            ((row,),) = await ask(upstream, enforced_query())
            return len(row or ""), await read_enforced(upstream)
        finally:
            upstream.channel.close()

    chars, before = asyncio.run(look())
    postgres.execute(f"ALTER POLICY long ON visits USING ({qual}2')", clinic.database)
    _, after = asyncio.run(look())
    postgres.execute(f"ALTER ROLE {clinic.user} RESET statement_timeout; DROP POLICY long ON visits", clinic.database)
    assert chars < 100_000
    (line,) = difference(before.observed, before.sections, after.observed, after.sections)
    assert "policies public.visits long" == line["field"], "only its end differs, and its digest says so"


def test_an_upstream_that_is_down_is_a_finding_and_then_a_gap(watched) -> None:
    """The one that is down is a second gateway's, so that nobody else notices."""
    with ThrowawayPostgres() as server:
        server.execute("CREATE DATABASE gone; CREATE ROLE app LOGIN PASSWORD 'app'; GRANT pg_read_all_stats TO app")
        parent = Path(tempfile.mkdtemp(prefix="affidavit-gone-"))
        with Site(parent / "data") as site:
            clinic = Clinic("gone", "app", "app")
            site.create(server, clinic)
            config = site.folder / "affidavit.toml"
            config.write_text(config.read_text() + "watch_interval_s = 1\n")
            front = Front(site, clinic, "", parent)
            apply(front, "system/clinic: {kind: postgresql}\n")
            site.start()
            until(lambda: check(front, "watching clinic")["holds"])
            server.crash()
            finding = until(lambda: (one := check(front, "watching clinic")) and not one["holds"] and one)
            assert "clinic is not watched since" in finding["detail"]
            server.launch()
            until(lambda: check(front, "watching clinic")["holds"])
            (gap,) = [one for one in records(front, "kind:log.gap") if one["body"]["cause"] == "unwatched"]
            assert gap["body"]["looks"] >= 1
            assert gap["body"]["start"] < gap["body"]["end"]
        shutil.rmtree(parent)
