"""A log whose key is in another process: `affidavit key serve` for real, killed, brought back, and answering wrongly.

The ledger's process never has the private key: no file below the log's folder holds one, and its secrets load none.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
from keyagent import AWAY, PATIENCE_S, PRIVATE_KEY, WRONG, AgentProcess, move_key
from office import ORIGIN, PEOPLE, Office, opened

from affidavit.archive.open import open_archive
from affidavit.cli.main import run
from affidavit.compose.create import create
from affidavit.compose.site import Site
from affidavit.durable import OsDisk
from affidavit.errors import Corruption, InvalidInput, Unavailable
from affidavit.ledger.agent import Agent
from affidavit.ledger.keys import Secrets
from affidavit.tlog.keys import ED25519, ML_DSA_44, VerifierKey
from affidavit.tlog.receipts import Receipt
from affidavit.verify.receipt import check_receipt
from affidavit.verify.verify import verify

SOON_NS = 2**62


class Stand:
    """A log in one folder, its key in another."""

    def __init__(self, folder: Path) -> None:
        self.root, self.keys, self.path = folder / "data", folder / "keys", folder / "agent.sock"
        create(self.root, ORIGIN, "root", "")
        self.first = Secrets.load(OsDisk(), self.root / "secrets").verifiers
        move_key(self.root, self.keys, self.path)

    @contextmanager
    def agent(self, mode: str = "", uids: tuple[int, ...] = (), keys: Path | None = None) -> Iterator[AgentProcess]:
        process = AgentProcess(keys or self.keys, self.path, mode, uids)
        try:
            yield process
        finally:
            process.kill()

    def private_keys(self, folder: Path) -> list[str]:
        files = [path for path in folder.rglob("*") if path.is_file()]
        return [path.name for path in files if PRIVATE_KEY in path.read_bytes()]

    def check(self, pinned: tuple[VerifierKey, ...]) -> None:
        """The log verifies from `pinned` on, and no private key lies in its folder."""
        secrets = Secrets.load_without_signers(OsDisk(), self.root / "secrets")
        verdict = verify(open_archive(str(self.root)), pinned, secrets.body_keys_by_id)
        assert [] == [f"{one.code} {one.message}" for check in verdict.checks for one in check.findings]
        assert [] == self.private_keys(self.root)


@pytest.fixture
def stand(tmp_path: Path) -> Stand:
    return Stand(tmp_path)


def publication(desk: Office) -> tuple[bool, str, str]:
    (found,) = [one for one in desk.admin.get("/v1/ready")["checks"] if one["check"] == "publication"]
    return found["holds"], found["detail"], found["fix"]


def test_a_log_whose_key_is_elsewhere_is_published_rotated_and_gives_receipts(stand: Stand) -> None:
    with stand.agent() as agent:
        with opened(stand.root) as desk:
            assert () == Site(stand.root).secrets.signers
            answers = [desk.admin.post("/v1/changes", {"objects": PEOPLE, "reason": "r", "receipt": True})]
            rotated = desk.admin.post("/v1/key/rotation", {"reason": "born in the agent", "post_quantum": True})
            second = tuple(map(VerifierKey.parse, rotated["keys"]))
            assert [ED25519, ML_DSA_44] == [key.type for key in second]
            answers.append(desk.admin.post("/v1/changes", {"objects": {"group/a": {}}, "reason": "r", "receipt": True}))
            third = desk.admin.post("/v1/key/rotation", {"reason": "again"})["keys"]
            assert second != tuple(map(VerifierKey.parse, third))
            desk.apply({"group/b": {}})
            desk.ledger.publish_now()
            assert publication(desk)[0]
        for pinned in (stand.first, tuple(map(VerifierKey.parse, third))):
            stand.check(pinned)
            for answer, keys in zip(answers, (stand.first, second), strict=True):
                receipt = Receipt.decode(answer["receipt"].encode())
                assert receipt.index == answer["index"]
                receipt.open(keys)
        log = open_archive(str(stand.root)).log
        kept = [check_receipt(answer["receipt"].encode(), stand.first, log, SOON_NS).result for answer in answers]
        assert ["kept", "kept"] == kept
        assert ["log.key"] == stand.private_keys(stand.keys), "only those in force"
        assert 0 == agent.stop()
    assert not stand.path.exists()
    with stand.agent(), opened(stand.root) as desk:
        assert third == [key.to_text() for key in desk.ledger.verifiers]
    stand.check(stand.first)


def test_the_key_holder_is_killed_and_comes_back_while_a_server_runs(
    stand: Stand, capsys: pytest.CaptureFixture[str]
) -> None:
    """`up`, `apply`, `ready` and `key rotate` as people run them."""
    data = ["--data", str(stand.root)]
    with _server(stand.root):
        declared = stand.root.parent / "groups.yaml"
        for number, away in enumerate((True, False, True, False)):
            with nullcontext() if away else stand.agent():
                declared.write_text(f"group/g{number}: {{}}\n")
                assert 0 == run(["apply", str(declared), "--reason", "r", "--yes", *data])
                found = _ready(capsys, data, holds=not away)
                if away:
                    assert (
                        "Nothing is signed since 2" in found["detail"]
                        and " durable and not published" in found["detail"]
                    )
                    assert f"The agent at {stand.path} that holds the log's key" in found["detail"]
                    assert found["fix"].startswith("Start it: affidavit key serve.")
                    assert 3 == run(["key", "rotate", "--reason", "r", *data])
                else:
                    assert 0 == run(["key", "rotate", "--reason", "r", *data])
    with stand.agent(), opened(stand.root):
        pass  # what the last rotation left unpublished
    stand.check(stand.first)


@contextmanager
def _server(root: Path) -> Iterator[None]:
    command = [sys.executable, "-m", "affidavit.cli.main", "up", "--data", str(root)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment)
    try:
        assert server.stdout is not None
        assert b" runs: " in server.stdout.readline()
        yield
    finally:
        server.terminate()
        server.wait(PATIENCE_S)
        if server.stdout is not None:
            server.stdout.close()


def _ready(capsys: pytest.CaptureFixture[str], data: list[str], *, holds: bool) -> dict[str, str]:
    """The finding on publication, once it is as it must become within a second or two."""
    for _ in range(600):
        capsys.readouterr()
        assert 1 == run(["ready", "--json", *data]), "nothing is kept outside here"
        checks = json.loads(capsys.readouterr().out)["checks"]
        (found,) = [one for one in checks if one["check"] == "publication"]
        if holds == found["holds"]:
            return dict(found)
    raise AssertionError(found)


def test_an_answer_that_is_wrong_publishes_nothing_and_ends_the_ledger(stand: Stand) -> None:
    """One log through all of them; each start after one finds all that was durable."""
    checkpoint, size = stand.root / "log" / "checkpoint", 0
    before = checkpoint.read_bytes()
    with stand.agent(WRONG[0]) as agent:
        for mode in WRONG:
            agent.answer_as(mode)
            site = Site(stand.root)
            ledger = site.open_ledger()
            with pytest.raises(Unavailable, match=r"What the (agent|signer)"):
                ledger.publish_now()
            assert ledger.failure is not None and "signer.wrong" == ledger.failure.code, mode
            assert ledger.publication.unsigned is None and ledger.publication.failure is ledger.failure
            assert before == checkpoint.read_bytes(), mode
            with pytest.raises(Unavailable):
                ledger.receipt(ledger.size - 1)
            with pytest.raises(Unavailable):
                site.close_ledger(ledger, "the end")
            assert size < ledger.size
            size = ledger.size
    with stand.agent(), opened(stand.root) as desk:
        assert size < desk.ledger.size
    stand.check(stand.first)


@pytest.mark.parametrize("mode", AWAY)
def test_an_answer_that_does_not_come_is_waited_for(stand: Stand, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("affidavit.ledger.agent.SIGNER_TIMEOUT_S", 0.5)
    before = (stand.root / "log" / "checkpoint").read_bytes()
    with stand.agent(mode), opened(stand.root) as desk:
        desk.apply(PEOPLE)
        with pytest.raises(Unavailable, match="that holds the log's key"):
            desk.ledger.publish_now()
        with pytest.raises(Unavailable, match="that holds the log's key"):
            desk.ledger.receipt(desk.ledger.size - 1)
        assert (None, before) == (desk.ledger.failure, (stand.root / "log" / "checkpoint").read_bytes())
        assert not publication(desk)[0]
        _swap(stand, desk)
    stand.check(stand.first)


def _swap(stand: Stand, desk: Office) -> None:
    """The true agent takes the socket over, as a restarted one does."""
    stand.path.unlink()
    with stand.agent():
        assert desk.ledger.size == desk.ledger.publish_now().size
        assert publication(desk)[0]
        desk.ledger.close("the end")


def test_an_agent_with_another_key_is_not_let_sign(stand: Stand, tmp_path: Path) -> None:
    other = Stand(tmp_path / "other")
    with stand.agent(keys=other.keys):
        site = Site(stand.root)
        ledger = site.open_ledger()
        with pytest.raises(Unavailable, match="It has no key"):
            ledger.publish_now()
        assert ledger.failure is not None and "signer.refused" == ledger.failure.code
        with pytest.raises(Unavailable):
            site.close_ledger(ledger, "the end")


def test_a_log_that_was_put_back_is_not_signed_again(stand: Stand, tmp_path: Path) -> None:
    """The agent remembers, across its own end, what it has signed."""
    with stand.agent(), opened(stand.root):
        pass
    shutil.copytree(stand.root, tmp_path / "copy", ignore=shutil.ignore_patterns("*.sock"))
    with stand.agent(), opened(stand.root) as desk:
        desk.apply(PEOPLE)
    shutil.rmtree(stand.root)
    (tmp_path / "copy").rename(stand.root)
    with stand.agent():
        site = Site(stand.root)
        ledger = site.open_ledger()
        with pytest.raises(Unavailable, match="the log was put back, or somebody wants a second history"):
            ledger.publish_now()
        with pytest.raises(Unavailable):
            site.close_ledger(ledger, "the end")


def test_a_private_key_beside_an_agent_is_refused(stand: Stand) -> None:
    (stand.root / "secrets" / "log.key").write_bytes((stand.keys / "secrets" / "log.key").read_bytes())
    with pytest.raises(InvalidInput) as refused:
        Site(stand.root)
    assert "secrets.not_moved" == refused.value.code


@pytest.mark.skipif(os.geteuid() != 0, reason="being another user takes root")
def test_only_the_users_that_were_named_may_ask(stand: Stand) -> None:
    with stand.agent(uids=(54_321,)), pytest.raises(Corruption, match="The user 0 may not ask here"):
        Agent(stand.path).ask({"do": "keys"})


def test_a_second_agent_on_one_folder_is_refused(stand: Stand) -> None:
    with stand.agent():
        command = [
            sys.executable,
            "-m",
            "affidavit.cli.main",
            "key",
            "serve",
            str(stand.keys),
            "--socket",
            "other.sock",
        ]
        second = subprocess.run(
            command,
            check=False,
            capture_output=True,
            timeout=PATIENCE_S,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert (3, True) == (second.returncode, b"Another writer holds" in second.stderr)
