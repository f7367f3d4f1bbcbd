"""Programs that we did not write accept our logs, on disk and over HTTP, at the sizes where their shape changes.

One log grows through the ledger and is copied at each size. No real log has fewer than four records, so those of sizes
0 and 1 are made from its key and its first entry by the `tlog` room. Go's packages and aics-tlog share no code with us.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from aics_build import run_aics
from gochecker_build import run_checker
from ledgercase import ACTOR, BOOT, Batch, Case

from affidavit.archive.folder import Folder
from affidavit.archive.open import open_archive
from affidavit.durable import OsDisk
from affidavit.ledger.ledger import Ledger
from affidavit.limits import BATCH_RECORDS_MAX
from affidavit.server.publiclog import PublicLog
from affidavit.server.publicserver import bind_public, make_public_server
from affidavit.tlog.checkpoint import Checkpoint, sign_checkpoint
from affidavit.tlog.hashing import Tree, leaf_hash
from affidavit.tlog.notes import SignerKey
from affidavit.tlog.tiles import bundles_of, decode_entries, encode_entries
from affidavit.verify.verify import verify

GROWN = (255, 256, 257, 65_536, 70_000)
SIZES = (0, 1, *GROWN)


@dataclass(frozen=True)
class Made:
    """Logs by size, in `folder/<size>`, all of one key, each served below `url/<size>/`."""

    folder: Path
    key: SignerKey
    url: str

    @property
    def vkey(self) -> str:
        return self.key.verifier.to_text()

    def older(self, size: int) -> list[Path]:
        return [self.folder / str(other) / "checkpoint" for other in SIZES if other < size]


def grow(ledger: Ledger, case: Case, stream: str, size: int) -> None:
    """Append records until the log has `size`, and publish."""
    first = getattr(case, "appended", 0)
    while ledger.size < size:
        count = min(BATCH_RECORDS_MAX, size - ledger.size)
        drafts = tuple(case.draft("log.read", actor=ACTOR) for _ in range(count))
        answers: list[object] = []
        ledger.submit(Batch(stream, BOOT, first, drafts), answers.append)
        ledger.step()
        first += count
    case.appended = first  # type: ignore[attr-defined]
    assert size == ledger.publish_now().size


def small(folder: Path, key: SignerKey, entries: list[bytes]) -> None:
    """A log of few entries, as it is published."""
    tree = Tree()
    tree.append_leaf_hashes(map(leaf_hash, entries))
    files = {address.path: encode_entries(entries) for address in bundles_of(len(entries))}
    files |= {tile.path: tile.data for tile in tree.tiles(0)}
    files["checkpoint"] = sign_checkpoint(Checkpoint(key.name, len(entries), tree.root()), key)
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)


def write_logs(folder: Path, root: Path) -> SignerKey:
    case = Case(OsDisk(), root)
    secrets = case.create()
    ledger = case.recover()
    stream = case.stream()
    for size in GROWN:
        grow(ledger, case, stream, size)
        # The writer replaces files and never writes into them: a copy may share them.
        shutil.copytree(root / "log", folder / str(size), copy_function=os.link)
    ledger._journal.close()
    entries = decode_entries((folder / "255/tile/entries/000.p/255").read_bytes(), 255)
    for size in (0, 1):
        small(folder / str(size), secrets.signers[0], entries[:size])
    return secrets.signers[0]


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    folder = tmp_path_factory.mktemp("sizes")
    key = write_logs(folder, tmp_path_factory.mktemp("growing") / "data")
    listening = bind_public("127.0.0.1", 0)
    apps = {f"/{size}/": PublicLog(Folder(folder / str(size)), f"/{size}/") for size in SIZES}

    async def route(scope, receive, send) -> None:
        await apps["/" + scope["path"].split("/")[1] + "/"](scope, receive, send)

    server = make_public_server(route)  # type: ignore[arg-type]
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listening])), daemon=True)
    thread.start()
    yield Made(folder, key, f"http://127.0.0.1:{listening.getsockname()[1]}")
    server.should_exit = True
    thread.join()
    for app in apps.values():
        app.close()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("how", ["folder", "http"])
@pytest.mark.parametrize("run", [run_checker, run_aics], ids=["go", "aics"])
def test_others_accept_it(made: Made, run, how: str, size: int) -> None:
    location = made.folder / str(size) if how == "folder" else f"{made.url}/{size}/"
    got = run(location, made.vkey, *made.older(size))
    assert (0, "") == (got.returncode, got.stderr)
    assert got.stdout.startswith(f"ok size={size} ")


@pytest.mark.parametrize("run", [run_checker, run_aics], ids=["go", "aics"])
def test_others_refuse_another_key_and_an_older_log(made: Made, run) -> None:
    other = SignerKey(made.key.name, b"\2" * 32).verifier.to_text()
    assert 0 != run(f"{made.url}/257/", other).returncode
    assert 0 != run(f"{made.url}/256/", made.vkey, made.folder / "257/checkpoint").returncode


def test_verify_accepts_it_over_http_too(made: Made) -> None:
    verdict = verify(open_archive(f"{made.url}/70000/"), [made.key.verifier], {}, only="structure")
    assert verdict.holds, [finding for check in verdict.checks for finding in check.findings]
