"""Real clients through the gateway, unchanged: psql, psycopg 3, asyncpg, pgbench. Each ends in records that say so."""

from __future__ import annotations

import asyncio
import io
import ssl
import subprocess
from pathlib import Path

import asyncpg
import psycopg
import pytest
from psycopg import errors

from affidavit.cli.demo.postgres import ThrowawayPostgres

pytestmark = pytest.mark.usefixtures("front")


def _psql(postgres: ThrowawayPostgres, front, *arguments: str, script: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [postgres.psql, "-X", "-A", "-t", "-w", "-v", "ON_ERROR_STOP=0", "-d", front.dsn(), *arguments],
        input=script,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


# psql


def test_psql_asks_and_is_answered(postgres, front) -> None:
    done = _psql(postgres, front, "-c", "SELECT count(*) FROM patients")
    assert (done.returncode, done.stdout) == (0, "120\n")


def test_psql_is_told_what_is_recorded(postgres, front) -> None:
    done = _psql(postgres, front, "-c", "SELECT 1")
    assert "recorded" in done.stderr.lower()


def test_psql_describes_a_table(postgres, front) -> None:
    done = _psql(postgres, front, "-c", r"\d patients")
    assert done.returncode == 0, done.stderr
    assert "insurance_number|text" in done.stdout


def test_psql_goes_on_after_an_error(postgres, front) -> None:
    done = _psql(postgres, front, script="SELECT 1/0;\nSELECT 'still here';\n")
    assert done.stdout == "still here\n"
    assert "division by zero" in done.stderr


def test_psql_sends_several_statements_at_once(postgres, front) -> None:
    done = _psql(postgres, front, "-c", "SELECT 1; SELECT 2; SELECT 3")
    assert (done.returncode, done.stdout) == (0, "1\n2\n3\n")


def test_psql_copies_both_ways(postgres, front, tmp_path: Path) -> None:
    out = tmp_path / "staff.csv"
    script = (
        f"\\copy staff TO '{out}' WITH (FORMAT csv)\n"
        "CREATE TABLE psql_copied (LIKE staff);\n"
        f"\\copy psql_copied FROM '{out}' WITH (FORMAT csv)\n"
        "SELECT count(*) FROM psql_copied;\nDROP TABLE psql_copied;\n"
    )
    done = _psql(postgres, front, script=script)
    assert "6\n" in done.stdout, done.stderr
    assert len(out.read_text().splitlines()) == 6


def test_a_wrong_token_is_refused_and_recorded(postgres, front) -> None:
    before = len(front.records("kind:session.open decision:deny"))
    done = subprocess.run(
        # Without TLS: with sslmode=prefer libpq would try a second time in clear, which is a second denied login.
        [
            postgres.psql,
            "-X",
            "-w",
            "-d",
            front.dsn("?sslmode=disable").replace(front.token, "guess"),
            "-c",
            "SELECT 1",
        ],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert 'FATAL:  The token for "ada" is wrong' in done.stderr
    assert len(front.records("kind:session.open decision:deny")) == before + 1


# psycopg 3


def test_psycopg_simple_and_prepared(front) -> None:
    with psycopg.connect(front.dsn(), autocommit=True) as connection:
        assert connection.execute("SELECT name FROM staff WHERE id = 1").fetchone() == ("Dr. Amara Osei",)
        for patient in (3, 4, 5):
            row = connection.execute("SELECT id FROM patients WHERE id = %s", (patient,), prepare=True).fetchone()
            assert row == (patient,)
        rows = connection.execute("SELECT id FROM patients WHERE id = ANY(%b)", ([6, 7],), binary=True).fetchall()
        assert sorted(rows) == [(6,), (7,)]


def test_psycopg_parameters_are_recorded(front) -> None:
    statement = "SELECT born FROM patients WHERE id = %s AND name <> %s"
    with psycopg.connect(front.dsn(), autocommit=True) as connection:
        connection.execute(statement, (17, "nobody in particular")).fetchall()
    found = front.records('"nobody in particular"') or front.records('"SELECT born FROM patients"')
    parameters = found[-1]["body"]["action"]["parameters"]
    assert [p["value"] for p in parameters] == ["17", "nobody in particular"]


def test_psycopg_pipelines(front) -> None:
    with psycopg.connect(front.dsn(), autocommit=True) as connection, connection.pipeline():
        cursors = [connection.execute("SELECT %s::int + 1", (n,)) for n in range(50)]
        assert [c.fetchone() for c in cursors] == [(n + 1,) for n in range(50)]


def test_psycopg_pipeline_aborts_and_recovers(front) -> None:
    with psycopg.connect(front.dsn(), autocommit=True) as connection:
        with pytest.raises(errors.DivisionByZero), connection.pipeline() as pipeline:
            connection.execute("SELECT 1 / %s::int", (0,))
            connection.execute("SELECT 2")
            pipeline.sync()
        assert connection.execute("SELECT 3").fetchone() == (3,)


def test_psycopg_copies_both_ways(front) -> None:
    with psycopg.connect(front.dsn()) as connection:
        connection.execute("CREATE TEMP TABLE copied (a int, b text)")
        with connection.cursor().copy("COPY copied FROM STDIN") as copy:
            for n in range(1_000):
                copy.write_row((n, f"row {n}"))
        with connection.cursor().copy("COPY copied TO STDOUT") as copy:
            assert sum(1 for _ in copy.rows()) == 1_000
        connection.rollback()


def test_psycopg_copy_that_the_client_breaks_off(front) -> None:
    with psycopg.connect(front.dsn(), autocommit=True) as connection:
        connection.execute("CREATE TEMP TABLE broken (a int)")
        with pytest.raises(ZeroDivisionError), connection.cursor().copy("COPY broken FROM STDIN") as copy:
            copy.write_row((1,))
            raise ZeroDivisionError
        assert connection.execute("SELECT count(*) FROM broken").fetchone() == (0,)


def test_psycopg_server_cursor(front) -> None:
    with psycopg.connect(front.dsn()) as connection, connection.cursor(name="walk") as cursor:
        cursor.execute("SELECT id FROM patients ORDER BY id")
        assert cursor.fetchmany(7) == [(n,) for n in range(1, 8)]
        assert len(cursor.fetchall()) == 113


def test_psycopg_transactions(front) -> None:
    with psycopg.connect(front.dsn()) as connection:
        connection.execute("UPDATE visits SET notes = 'seen' WHERE id = 9")
        with pytest.raises(errors.UndefinedTable):
            connection.execute("SELECT * FROM nothing_here")
        with pytest.raises(errors.InFailedSqlTransaction):
            connection.execute("SELECT 1")
        connection.rollback()
        assert connection.execute("SELECT notes FROM visits WHERE id = 9").fetchone() == ("",)
        with connection.transaction(), pytest.raises(errors.DivisionByZero), connection.transaction():
            connection.execute("SELECT 1/0")
        connection.commit()


def test_a_rolled_back_transaction_is_recorded_as_such(front) -> None:
    with psycopg.connect(front.dsn()) as connection:
        connection.execute("UPDATE visits SET notes = 'rolled back on purpose' WHERE id = 10")
        connection.rollback()
    session = front.records('"rolled back on purpose"')[-1]["header"]["session"]
    ends = [r["body"]["end"] for r in front.records(f"kind:transaction session:{session}")]
    assert "rolled_back" in ends


def test_psycopg_cancels(front) -> None:
    with psycopg.connect(front.dsn(), autocommit=True) as connection:
        connection.execute("SET statement_timeout = '200ms'")
        with pytest.raises(errors.QueryCanceled):
            connection.execute("SELECT pg_sleep(20)")
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_psycopg_big_answer(front) -> None:
    with psycopg.connect(front.dsn(), autocommit=True) as connection:
        rows = connection.execute("SELECT repeat('x', 1000) FROM generate_series(1, 8000)").fetchall()
        assert (len(rows), len(rows[0][0])) == (8_000, 1_000)


def test_the_person_stands_in_the_upstreams_application_name(postgres, front) -> None:
    with psycopg.connect(front.dsn(), autocommit=True) as connection:
        connection.execute("SELECT 1")
        names = postgres.execute(
            f"SELECT application_name FROM pg_stat_activity WHERE datname = '{front.clinic.database}'"
        )
    assert "ada" in names


# asyncpg


def _async(body) -> None:
    asyncio.run(asyncio.wait_for(body, 60))


def test_asyncpg_prepared_and_transactions(front) -> None:
    async def body() -> None:
        connection = await asyncpg.connect(front.dsn())
        statement = await connection.prepare("SELECT id, name FROM patients WHERE id = $1")
        assert [(await statement.fetchrow(n))["id"] for n in (1, 2, 3)] == [1, 2, 3]
        with pytest.raises(asyncpg.DivisionByZeroError):
            async with connection.transaction():
                await connection.execute("UPDATE visits SET notes = 'x' WHERE id = 1")
                await connection.fetch("SELECT 1/0")
        assert await connection.fetchval("SELECT notes FROM visits WHERE id = 1") == ""
        async with connection.transaction():
            walked = [row["id"] async for row in connection.cursor("SELECT id FROM patients ORDER BY id", prefetch=11)]
        assert walked == list(range(1, 121))
        await connection.executemany("UPDATE visits SET notes = $2 WHERE id = $1", [(n, "many") for n in range(1, 30)])
        await connection.close()

    _async(body())


def test_asyncpg_copies_both_ways(front) -> None:
    async def body() -> None:
        connection = await asyncpg.connect(front.dsn())
        await connection.execute("CREATE TEMP TABLE copied (a int, b text)")
        await connection.copy_records_to_table("copied", records=[(n, "b") for n in range(500)])
        out = io.BytesIO()
        await connection.copy_from_query("SELECT * FROM copied", output=out)
        assert len(out.getvalue().splitlines()) == 500
        await connection.close()

    _async(body())


def test_asyncpg_cancels_on_timeout(front) -> None:
    async def body() -> None:
        connection = await asyncpg.connect(front.dsn())
        with pytest.raises(asyncio.TimeoutError):
            await connection.fetch("SELECT pg_sleep(20)", timeout=0.5)
        assert await connection.fetchval("SELECT 1") == 1
        await connection.close()

    _async(body())


def test_asyncpg_ten_at_once(front) -> None:
    async def one(number: int) -> int:
        connection = await asyncpg.connect(front.dsn())
        try:
            return sum([await connection.fetchval("SELECT $1::int", number) for _ in range(10)])
        finally:
            await connection.close()

    async def body() -> None:
        assert await asyncio.gather(*(one(n) for n in range(10))) == [10 * n for n in range(10)]

    _async(body())


# TLS to the client


def test_psycopg_over_tls(front) -> None:
    dsn = front.dsn(f"?sslmode=verify-full&sslrootcert={front.certificate}").replace("127.0.0.1", "localhost")
    with psycopg.connect(dsn, autocommit=True) as connection:
        assert connection.pgconn.ssl_in_use
        assert connection.execute("SELECT 'over tls'").fetchone() == ("over tls",)
    found = front.records('"over tls"')[-1]
    assert found["body"]["client"]["tls"]["version"] in ("TLSv1.2", "TLSv1.3")


def test_asyncpg_over_tls(front) -> None:
    async def body() -> None:
        context = ssl.create_default_context(cafile=str(front.certificate))
        connection = await asyncpg.connect(front.dsn().replace("127.0.0.1", "localhost"), ssl=context)
        assert await connection.fetchval("SELECT 2") == 2
        await connection.close()

    _async(body())


def test_psql_over_tls(postgres, front) -> None:
    if not postgres.programs.tls:
        pytest.skip("this psql was built without TLS; install Debian's postgresql-client")
    dsn = front.dsn(f"?sslmode=verify-full&sslrootcert={front.certificate}").replace("127.0.0.1", "localhost")
    done = subprocess.run(
        [postgres.psql, "-X", "-A", "-t", "-w", "-d", dsn, "-c", "SELECT 3"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "3\n"), done.stderr


# pgbench


@pytest.fixture(scope="module")
def pgbench_tables(postgres, front) -> None:
    direct = postgres.dsn(front.clinic.user, front.clinic.database, front.clinic.password)
    subprocess.run([postgres.pgbench, "-i", "-q", "-s", "1", direct], check=True, capture_output=True, timeout=120)


@pytest.mark.parametrize("mode", ["simple", "extended", "prepared"])
@pytest.mark.parametrize("script", ["select-only", "tpcb-like"])
def test_pgbench(postgres, front, pgbench_tables, mode: str, script: str) -> None:
    done = subprocess.run(
        [postgres.pgbench, "-n", "-b", script, "-M", mode, "-c", "2", "-t", "40", front.dsn()],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "number of transactions actually processed: 80/80" in done.stdout
    assert "ERROR" not in done.stderr


# and what all of it left behind


def test_the_log_of_all_this_verifies(front) -> None:
    said = front.site.run("verify", str(front.site.folder), "--key", str(front.site.verifier_key), expect=(0, 1, 2, 3))
    assert said.status == 0, said.output[-3_000:]
