"""A log that any web server serves as it lies on disk is verified from its address."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from logmaker import SIGNER, afternoon, write_log

from affidavit.cli.verify import verify

VKEY = SIGNER.verifier.to_text()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        return


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    write_log(tmp_path / "data", afternoon(20).paper.records, (3,))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "data" / "log")))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", tmp_path / "data" / "log"
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_structure_holds_and_the_rest_is_said_to_be_unchecked(served, capsys) -> None:
    url, _ = served
    assert 3 == verify(url, key=VKEY)
    assert "Not checked:" in capsys.readouterr().out
    assert 0 == verify(url, key=VKEY, only="structure")


def test_an_altered_entry_is_found(served, capsys) -> None:
    url, log = served
    bundle = max((log / "tile/entries").glob("000.p/*"), key=lambda path: int(path.name))
    bundle.write_bytes(bundle.read_bytes().replace(b'"decision":"deny"', b'"decision":"dent"', 1))
    assert 1 == verify(url, key=VKEY, only="structure")
    assert "was altered" in capsys.readouterr().out


def test_an_address_without_a_log_is_no_verdict(served, capsys) -> None:
    url, _ = served
    assert 3 == verify(f"{url}/elsewhere", key=VKEY)
    assert "There is no log at" in capsys.readouterr().err
