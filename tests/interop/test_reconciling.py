"""A real server's own log, in its three forms, against the log of the gateway before it."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from affidavit.cli.demo.clinic import Clinic, load_clinic
from affidavit.cli.demo.postgres import ThrowawayPostgres
from affidavit.cli.demo.site import Site

_LOGGING = """
ALTER SYSTEM SET logging_collector = on;
ALTER SYSTEM SET log_destination = 'stderr,csvlog,jsonlog';
ALTER SYSTEM SET log_directory = '{folder}';
ALTER SYSTEM SET log_filename = 'all.log';
ALTER SYSTEM SET log_file_mode = '0644';
ALTER SYSTEM SET log_connections = on;
ALTER SYSTEM SET log_disconnections = on;
"""
_APPLY = """
system/clinic: {kind: postgresql}
identity/ada: {kind: human, name: Ada Berger}
policy/open:
  text: permit (principal, action, resource in System::"clinic");
"""


@dataclass(frozen=True)
class Scene:
    """What happened through the gateway; then somebody went past it. `logs`: the server's, by form."""

    site: Site
    clinic: Clinic
    logs: dict[str, Path]
    stranger: int  # the pid of who went past

    def reconcile(self, form: str, *more: str, expect: tuple[int, ...] = (0, 1)) -> dict[str, Any]:
        done = self.site.run(
            "reconcile", "--system", "clinic", *more, "--json", str(self.logs[form]), expect=expect
        )  # fmt: skip
        return dict(done.json())


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    parent = Path(tempfile.mkdtemp(prefix="affidavit-reconcile-"))
    with ThrowawayPostgres() as server:
        if server.programs.version < 15:
            pytest.skip("jsonlog came with PostgreSQL 15")
        folder = server.folder / "data" / "logs"
        for line in _LOGGING.format(folder=folder).strip().splitlines():
            server.execute(line)
        clinic = load_clinic(server)
        server.execute("CREATE ROLE backup LOGIN PASSWORD 'b'; CREATE DATABASE other")
        server.crash()
        server.launch()
        with Site(parent / "data") as site:
            site.create(server, clinic)
            declared = parent / "declared.yaml"
            declared.write_text(_APPLY, encoding="utf-8")
            site.run("apply", str(declared), "--reason", "reconciling", "--yes")
            token = site.run("token", "create", "ada", "--json").json()["token"]
            site.start()
            through(f"postgresql://ada:{token}@127.0.0.1:{site.gateway_port}/{clinic.database}")
            pid = past(server, clinic)
            site.stop()
            server.execute("SELECT 'elsewhere'", "other")
            logs = {}
            for form, name in (("stderr", "all.log"), ("csvlog", "all.csv"), ("jsonlog", "all.json")):
                wait_for(folder / name, b"'elsewhere'")
                logs[form] = parent / name
                shutil.copy(folder / name, logs[form])
            yield Scene(site, clinic, logs, pid)
    shutil.rmtree(parent)


def wait_for(log: Path, last: bytes) -> None:
    """The collector writes after the statement has ended, one file after the other."""
    deadline = time.monotonic() + 60
    while last not in log.read_bytes() or not log.read_bytes().endswith(b"\n"):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture(scope="module")
def answers(scene: Scene) -> dict[str, dict[str, Any]]:
    """By form, what is answered before anybody declares anything."""
    return {form: scene.reconcile(form, expect=(1,)) for form in scene.logs}


def through(dsn: str) -> None:
    """Statements of every shape: simple, several in one text, prepared, with line feeds, refused by the server, DDL."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("SELECT name\nFROM patients\n\tWHERE id = 1")
        connection.execute("SELECT 1; SELECT 2; SELECT 'a;b'")
        for patient in (3, 4):
            connection.execute("SELECT born FROM patients WHERE id = %s", (patient,), prepare=True)
        with pytest.raises(psycopg.errors.DivisionByZero):
            connection.execute("SELECT 1/0")
        connection.execute("CREATE TABLE mine (a int)")
        connection.execute("ALTER ROLE clinic_app SET work_mem = '8MB'")
    with psycopg.connect(dsn) as connection:
        connection.execute("UPDATE visits SET notes = 'seen' WHERE id = 7")


def past(server: ThrowawayPostgres, clinic: Clinic) -> int:
    with psycopg.connect(server.dsn(database=clinic.database), application_name="quiet", autocommit=True) as connection:
        connection.execute("SELECT insurance_number FROM patients")
        connection.execute("DELETE FROM visits WHERE id = 9")
        pid = connection.info.backend_pid
    server.execute("SELECT 'by backup'", clinic.database)
    with psycopg.connect(server.dsn("backup", clinic.database, "b"), autocommit=True) as connection:
        connection.execute("SELECT 'a backup'")
    return pid


@pytest.mark.parametrize("form", ["stderr", "csvlog", "jsonlog"])
def test_what_went_past_the_gateway_is_all_that_is_unexplained(
    scene: Scene, answers: dict[str, dict[str, Any]], form: str
) -> None:
    answer = answers[form]
    assert form == answer["files"][0]["form"]
    why = {one["why"] for one in answer["connections"]}
    assert {"past the gateway"} == why, json.dumps(answer["connections"], indent=1)[:3_000]
    found = [one for one in answer["connections"] if one["backend"]["pid"] == scene.stranger]
    texts = [act["text"] for one in found for act in one["acts"] if act["act"] == "statement"]
    assert ["SELECT insurance_number FROM patients", "DELETE FROM visits WHERE id = 9"] == texts
    assert {"postgres", "backup"} == {one["backend"]["role"] for one in answer["connections"]}
    assert {"127.0.0.1"} == {one["backend"]["address"] for one in answer["connections"]}
    reasons = {item["reason"]: item["count"] for item in answer["excluded"]}
    assert reasons["another database"] >= 2
    assert reasons["the gateway's own question"] >= 2
    counted = answer["carried"] + answer["carried_by_order"] + answer["unexplained"] + sum(reasons.values())
    assert answer["events"] == counted
    assert answer["carried"] >= 9 + 2  # the statements of `through`, and its two connections


def test_the_forms_agree(answers: dict[str, dict[str, Any]]) -> None:
    """On everything but the form, the lines, and the application, which stderr never says."""
    told = [
        [answer["carried"], answer["carried_by_order"], answer["unexplained"]]
        + [(one["why"], one["backend"]["pid"], one["backend"]["role"], one["count"]) for one in answer["connections"]]
        + [[(act["act"], act["text"]) for act in one["acts"]] for one in answer["connections"]]
        for answer in answers.values()
    ]
    assert told[0] == told[1] == told[2]


def test_a_declared_connection_is_excluded_with_its_reason(scene: Scene) -> None:
    declared = scene.site.folder.with_name("backup.yaml")
    declared.write_text(
        "system/clinic: {kind: postgresql, past_gateway: ['backup@127.0.0.1', 'postgres@127.0.0.1']}\n",
        encoding="utf-8",
    )
    scene.site.run("apply", str(declared), "--reason", "they may", "--yes")
    answer = scene.reconcile("jsonlog", expect=(0,))
    reasons = {item["reason"]: item["count"] for item in answer["excluded"]}
    assert reasons["may connect past the gateway by declaration"] >= 4
    assert 0 == answer["unexplained"]


def test_a_line_that_cannot_be_read_is_not_passed_over(scene: Scene) -> None:
    torn = scene.logs["jsonlog"].with_name("torn.json")
    torn.write_bytes(scene.logs["jsonlog"].read_bytes()[:-40])
    answer = Scene(scene.site, scene.clinic, {"jsonlog": torn}, 0).reconcile("jsonlog", expect=(1,))
    assert "cannot be read" in {one["why"] for one in answer["connections"]}


def test_people_read_it(scene: Scene) -> None:
    said = scene.site.run("reconcile", "--system", "clinic", str(scene.logs["stderr"]), expect=(0, 1)).output
    assert "carried by sessions of ours" in said
    assert "Both clocks count as equal within 5 s." in said
