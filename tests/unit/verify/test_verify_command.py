"""`affidavit verify` as a command: what it prints, how it exits, and that it imports nothing that writes logs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from logmaker import BODY_KEY, SIGNER, afternoon, write_log

from affidavit.cli.verify import verify
from affidavit.verify.duties import Duty

VKEY = SIGNER.verifier.to_text()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_log(tmp_path / "data", afternoon(5).paper.records, (3,))
    return tmp_path / "data"


def test_a_log_that_holds(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == verify(str(folder), key=VKEY)
    out = capsys.readouterr().out
    assert "HOLDS: everything that was asked was checked." in out
    assert "Compared with no checkpoint kept elsewhere." in out
    assert "This cannot show: Someone with the log's key who rewrites everything consistently" in out


def test_one_byte_names_the_record(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = next((folder / "log/tile/entries").glob("000.p/2*"))
    data = bundle.read_bytes()
    bundle.write_bytes(data.replace(b'"decision":"deny"', b'"decision":"dent"', 1))
    assert 1 == verify(str(folder), key=VKEY)
    out = capsys.readouterr().out
    assert "DOES NOT HOLD" in out
    assert f"log/tile/entries/000.p/{bundle.name}: Entry 14 was altered" in out


def test_with_the_public_key_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "secrets/body.keys").unlink()
    assert 3 == verify(str(folder), key=VKEY)
    assert "Not checked: 17." in capsys.readouterr().out
    assert 0 == verify(str(folder), key=VKEY, only="structure")


def test_keys_from_files(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "secrets/body.keys").unlink()
    (tmp_path / "vkey").write_text(VKEY + "\n")
    (tmp_path / "keys").write_text("00" * 32 + "\n" + BODY_KEY.key.hex() + "\n")
    assert 0 == verify(str(folder), key=str(tmp_path / "vkey"), body_keys=tmp_path / "keys")
    assert "beside the log itself" not in capsys.readouterr().out
    (folder / "secrets/log.vkey").write_text(VKEY + "\n")
    assert 3 == verify(str(folder), key=str(folder / "secrets/log.vkey"))
    assert "beside the log itself" in capsys.readouterr().out


def test_a_kept_checkpoint_that_is_newer(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "kept").write_bytes(write_log(tmp_path / "whole", afternoon(9).paper.records)[-1])
    assert 1 == verify(str(folder), key=VKEY, kept=[tmp_path / "kept"])
    assert "kept checkpoint 1: It was signed at size" in capsys.readouterr().out


def test_json_is_one_document(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == verify(str(folder), key=VKEY, json=True)
    verdict = json.loads(capsys.readouterr().out)
    assert (True, 0, len(Duty)) == (verdict["holds"], verdict["exit_status"], len(verdict["checks"]))


@pytest.mark.parametrize(
    ("key", "status", "message"),
    [
        ("a+b+c", 2, "base64"),
        ("/nowhere/key", 2, "cannot be read"),
        (VKEY.replace("clinic", "other"), 2, "does not belong to it"),
    ],
)
def test_wrong_keys(folder: Path, capsys: pytest.CaptureFixture[str], key: str, status: int, message: str) -> None:
    assert status == verify(str(folder), key=key)
    assert message in capsys.readouterr().err


def test_a_private_key_is_named_as_one(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "log.key").write_text("PRIVATE+KEY+clinic.example/log+00000000+AAAA\n")
    assert 2 == verify(str(folder), key=str(tmp_path / "log.key"))
    assert "holds a private key. Give the public one" in capsys.readouterr().err


def test_wrong_places(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert 2 == verify(str(tmp_path), key=VKEY)
    assert "neither a data folder" in capsys.readouterr().err


def test_wrong_body_keys(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "keys").write_text("zz\n")
    assert 2 == verify(str(folder), key=VKEY, body_keys=tmp_path / "keys")
    assert "64 hex digits" in capsys.readouterr().err


def test_it_imports_nothing_that_writes_logs() -> None:
    code = (
        "import sys, affidavit.cli.verify; "
        "print([name for name in sys.modules if name.startswith(('affidavit.ledger', 'affidavit.capture', "
        "'affidavit.compose', 'affidavit.history', 'affidavit.server'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert "[]\n" == done.stdout


def test_it_is_a_command_with_help(folder: Path) -> None:
    code = (
        "import cyclopts; from affidavit.cli.verify import verify; app = cyclopts.App('affidavit'); app.command(verify);"
        "app()"
    )

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", code, "verify", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert "--only" in run("--help").stdout
    done = run(str(folder), "--key", VKEY, "--only", "structure")
    assert (0, "") == (done.returncode, done.stderr)
    assert 1 == run(str(folder), "--key", SIGNER.generate("other").verifier.to_text()).returncode
