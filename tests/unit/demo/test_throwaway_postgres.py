"""The demo's PostgreSQL: starts, demands a password, survives a crash, leaves nothing behind."""

from __future__ import annotations

import os
import subprocess

import pytest

from affidavit.cli.demo.clinic import Clinic
from affidavit.cli.demo.postgres import ThrowawayPostgres
from affidavit.cli.demo.programs import find_programs
from affidavit.errors import Unavailable


def _ask(server: ThrowawayPostgres, dsn: str, sql: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [server.psql, "-X", "-A", "-t", "-w", "-d", dsn, "-c", sql], check=False, capture_output=True, text=True
    )


def test_the_shared_login_works_with_its_password_only(postgres: ThrowawayPostgres, clinic_db: Clinic) -> None:
    right = _ask(postgres, postgres.dsn(clinic_db.user, clinic_db.database, clinic_db.password), "SELECT 1")
    wrong = _ask(postgres, postgres.dsn(clinic_db.user, clinic_db.database, "guess"), "SELECT 1")
    assert (right.returncode, right.stdout) == (0, "1\n")
    assert wrong.returncode == 2
    assert "password authentication failed" in wrong.stderr


def test_the_clinic_has_its_rows(postgres: ThrowawayPostgres, clinic_db: Clinic) -> None:
    counts = "SELECT (SELECT count(*) FROM patients), (SELECT count(*) FROM visits), (SELECT count(*) FROM lab_results)"
    assert postgres.execute(counts, clinic_db.database) == "120|400|400\n"


def test_each_test_has_a_database_of_its_own(postgres: ThrowawayPostgres, clinic_db: Clinic) -> None:
    postgres.execute("DELETE FROM lab_results", clinic_db.database)
    assert postgres.execute("SELECT count(*) FROM lab_results", "clinic_template") == "400\n"


def test_an_error_in_the_setup_is_told() -> None:
    with ThrowawayPostgres() as server:
        with pytest.raises(Unavailable) as told:
            server.execute("SELECT nonsense")
        assert told.value.code == "demo.sql"
        assert 'column "nonsense" does not exist' in told.value.message


@pytest.mark.parametrize("source", ["system", "pypi"])
def test_life_of_a_server(source: str) -> None:
    try:
        find_programs(source)
    except Unavailable:
        pytest.skip(f"no PostgreSQL from {source} on this machine")
    with ThrowawayPostgres(source) as server:
        folder, port = server.folder, server.port
        assert server.execute("SHOW fsync") == "on\n"
        server.crash()
        server.launch()
        assert server.execute("SELECT 7") == "7\n"
        assert "statement: SELECT 7" in server.log_path.read_text()
        assert (folder.stat().st_mode & 0o777) == 0o700
    assert not folder.exists()
    assert not os.path.exists(f"{folder}/.s.PGSQL.{port}")


def test_tls_where_the_server_was_built_with_it() -> None:
    if not find_programs().tls:
        pytest.skip("this PostgreSQL was built without TLS; install Debian's postgresql")
    with ThrowawayPostgres(tls="on") as server:
        dsn = f"{server.dsn()}?sslmode=verify-full&sslrootcert={server.certificate_path}"
        answer = _ask(
            server, dsn.replace("127.0.0.1", "localhost"), "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        )
        assert (answer.stderr, answer.stdout) == ("", "t\n")
