"""`affidavit try` before a real database: one psql line that works, nothing changed about the database."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg
import pytest

from affidavit.cli.demo.clinic import Clinic
from affidavit.cli.demo.postgres import ThrowawayPostgres
from affidavit.cli.demo.site import COMMAND

_LINE = re.compile(r"psql '(postgresql://[^']+)'")


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short enough for a Unix socket's path, which pytest's own folders may not be."""
    path = Path(tempfile.mkdtemp(prefix="affidavit-try-"))
    yield path
    shutil.rmtree(path)


def _environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AFFIDAVIT_", "PG"))}
    return {**kept, **more}


@contextmanager
def _trying(folder: Path, url: str, **environment: str) -> Iterator[str]:
    """The command running in `folder`; gives the URL of its psql line once the gateway takes connections."""
    output = folder / "output.txt"
    with output.open("w") as file:
        process = subprocess.Popen(
            [*COMMAND, "try", url],
            cwd=folder,
            env=_environment(**environment),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
        )
    try:
        yield _wait_for_line(process, output)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0, output.read_text()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _wait_for_line(process: subprocess.Popen[bytes], output: Path) -> str:
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline and process.poll() is None:
        found = _LINE.search(output.read_text())
        if found:
            try:
                psycopg.connect(found[1], connect_timeout=3).close()
            except psycopg.OperationalError as error:
                if "refused" not in str(error):
                    raise
            else:
                return found[1]
        time.sleep(0.1)
    raise AssertionError(output.read_text())


def _said(folder: Path) -> str:
    return (folder / "output.txt").read_text()


def _run(arguments: list[str | Path], folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        arguments,
        check=False,
        cwd=folder,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


def _everything(server: ThrowawayPostgres, clinic: Clinic) -> str:
    """All of the database and of the roles, as SQL."""
    database = _run([server.programs.folder / "pg_dump", server.dsn(database=clinic.database)])
    roles = _run([server.programs.folder / "pg_dumpall", "-g", "-d", server.dsn()])
    assert (database.returncode, roles.returncode) == (0, 0)
    # Newer versions put a random key into each dump.
    return re.sub(r"^\\(un)?restrict .*$", "", database.stdout + roles.stdout, flags=re.MULTILINE)


def test_try_and_try_again(postgres: ThrowawayPostgres, clinic_db: Clinic, folder: Path) -> None:
    before = _everything(postgres, clinic_db)
    url = postgres.dsn(clinic_db.user, clinic_db.database)
    with _trying(folder, url, PGPASSWORD=clinic_db.password) as line, psycopg.connect(line) as connection:
        assert connection.execute("SELECT count(*) FROM patients").fetchone() == (120,)
        link = re.search(r"http://127\.0\.0\.1:\d+/login\?link=[0-9a-f]{64}$", _said(folder), re.MULTILINE)
        assert link is not None, _said(folder)
        assert 200 == httpx.get(link[0]).status_code
    data = folder / "affidavit-data"
    secret = data / "secrets" / "upstream" / re.sub("[^a-z0-9._-]+", "-", clinic_db.database)
    assert (secret.stat().st_mode & 0o777, secret.read_text()) == (0o600, clinic_db.password)

    with _trying(folder, url) as line, psycopg.connect(line) as connection:
        assert connection.execute("SELECT count(*) FROM visits").fetchone() == (400,)
    assert "Continuing with the log" in (folder / "output.txt").read_text()
    assert _everything(postgres, clinic_db) == before

    verified = _run([*COMMAND, "verify", data, "--key", data / "secrets" / "log.vkey"])
    assert verified.returncode == 0, verified.stdout


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({"password": "wrong"}, 3, "refuses the login"),
        ({"database": "nowhere"}, 3, "does not exist"),
        ({"port": 1}, 3, "cannot be reached"),
    ],
)
def test_what_cannot_work_makes_nothing(
    postgres: ThrowawayPostgres, clinic_db: Clinic, folder: Path, change: dict[str, object], status: int, said: str
) -> None:
    parts = {"password": clinic_db.password, "database": clinic_db.database, "port": postgres.port, **change}
    url = f"postgresql://{clinic_db.user}:{parts['password']}@127.0.0.1:{parts['port']}/{parts['database']}"
    done = _run([*COMMAND, "try", url], folder)
    assert (done.returncode, list(folder.iterdir())) == (status, [])
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert "secrets/upstream" not in done.stderr, "there is no folder that could hold it"


def test_a_second_try_leaves_the_running_one_alone(
    postgres: ThrowawayPostgres, clinic_db: Clinic, folder: Path
) -> None:
    url = postgres.dsn(clinic_db.user, clinic_db.database, clinic_db.password)
    with _trying(folder, url) as line:
        done = _run([*COMMAND, "try", url], folder)
        assert (done.returncode, done.stdout) == (3, "")
        assert "runs already" in done.stderr
        psycopg.connect(line).close()


def test_a_folder_with_something_else_is_left_alone(
    postgres: ThrowawayPostgres, clinic_db: Clinic, folder: Path
) -> None:
    (folder / "affidavit-data").mkdir()
    (folder / "affidavit-data" / "mine.txt").write_text("mine")
    url = postgres.dsn(clinic_db.user, clinic_db.database, clinic_db.password)
    done = _run([*COMMAND, "try", url], folder)
    assert done.returncode == 2
    assert "holds something that is no log" in done.stderr
    assert [path.name for path in folder.rglob("*")] == ["affidavit-data", "mine.txt"]
