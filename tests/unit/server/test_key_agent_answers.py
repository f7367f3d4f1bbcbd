"""What the agent that holds a log's key signs and refuses, and what it remembers after a crash at any step."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from simdisk import Crash, SimDisk

from affidavit.errors import AffidavitError
from affidavit.ledger.keys import Secrets
from affidavit.ledger.layout import Layout
from affidavit.server.keyagent import SIGNED, KeyAgent
from affidavit.tlog.checkpoint import Checkpoint
from affidavit.tlog.keys import ED25519, SignerKey, VerifierKey
from affidavit.tlog.notes import join_note, open_note, parse_note, sign_note
from affidavit.tlog.rotation import Rotation

ORIGIN = "log.example/a"
ROOT = Path("/agent")


class Stand:
    """An agent on a disk that can stop."""

    def __init__(self) -> None:
        self.disk, self.random = SimDisk(), random.Random(7)
        Secrets.create(self.disk, Layout(ROOT).secrets, ORIGIN, self.random.randbytes)
        self.agent = self.started()

    def started(self) -> KeyAgent:
        return KeyAgent(self.disk, ROOT, self.random.randbytes)

    def ask(self, **request: Any) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.agent.answer(json.dumps(request).encode() + b"\n"))
        return answer

    def sign(self, text: str, purpose: str = "checkpoint", key: str | None = None) -> dict[str, Any]:
        held = self.agent.verifiers[0].key_id.hex()
        return self.ask(do="sign", key=key or held, purpose=purpose, text=text)

    def rotation(self, size: int = 7, types: tuple[int, ...] = (1,)) -> bytes:
        """The note of a rotation after `size` records, signed by the keys that end and begin."""
        keys = tuple(map(VerifierKey.parse, self.ask(do="next", types=list(types))["next"]))
        text = Rotation(Checkpoint(ORIGIN, size, bytes(32)), keys).format()
        notes = [self.sign(text, "rotation", key) for key in (None, keys[0].key_id.hex())]
        return join_note(text, [line for note in notes for line in parse_note(note["note"].encode())[1]])


def checkpoint(size: int, root: int = 0) -> str:
    return Checkpoint(ORIGIN, size, bytes([root]) * 32).format()


def code(answer: dict[str, Any]) -> str:
    return str(answer.get("code", ""))


def test_it_signs_what_goes_on_and_remembers_it() -> None:
    stand = Stand()
    for size, root, expected in [(5, 1, ""), (5, 1, ""), (5, 2, "agent.behind"), (4, 1, "agent.behind"), (9, 3, "")]:
        answer = stand.sign(checkpoint(size, root))
        assert expected == code(answer), (size, root)
        if not expected:
            assert checkpoint(size, root) == open_note(answer["note"].encode(), stand.agent.verifiers).text
    stand.agent = stand.started()
    assert "agent.behind" == code(stand.sign(checkpoint(8, 9)))
    assert "agent.behind" == code(stand.sign(checkpoint(9, 9)))
    assert "" == code(stand.sign(checkpoint(9, 3)))


@pytest.mark.parametrize(
    ("purpose", "text", "expected"),
    [
        ("checkpoint", "log.example/b\n5\n" + "A" * 43 + "=\n", "signer.purpose"),
        ("receipt", checkpoint(5), "signer.purpose"),
        ("checkpoint", "affidavit receipt v1\n", "signer.purpose"),
        ("rotation", f"affidavit key rotation v1\n{ORIGIN}\n", "rotation.malformed"),
        ("anything", checkpoint(5), "agent.request"),
        ("checkpoint", "\ud800", "agent.request"),
        ("receipt", f"affidavit receipt v1\n{ORIGIN}\né\n", "agent.request"),
    ],
)
def test_it_signs_nothing_but_what_a_log_signs(purpose: str, text: str, expected: str) -> None:
    stand = Stand()
    answer = stand.sign(text, purpose)
    assert expected == code(answer)
    assert "note" not in answer


@pytest.mark.parametrize("line", [b"", b"\n", b"7\n", b"[]\n", b"{}\n", b"\xff\n", b"[" * 60_000, b'{"do": "dance"}\n'])
def test_what_is_no_request_is_told_so(line: bytes) -> None:
    assert "agent.request" == code(json.loads(Stand().agent.answer(line)))


def test_the_next_key_signs_nothing_but_its_rotation_before_it_is_adopted() -> None:
    stand = Stand()
    stand.sign(checkpoint(7))
    (coming,) = map(VerifierKey.parse, stand.ask(do="next", types=[1])["next"])
    assert "agent.key" == code(stand.sign(checkpoint(8), key=coming.key_id.hex()))
    old = stand.agent.verifiers
    note = stand.rotation()
    assert "" == code(stand.ask(do="adopt", note=note.decode()))
    assert old != stand.agent.verifiers
    assert "agent.key" == code(stand.sign(checkpoint(8), key=old[0].key_id.hex()))
    assert "" == code(stand.sign(checkpoint(8)))
    assert "" == code(stand.ask(do="adopt", note=note.decode())), "again does no harm"


def test_it_rotates_to_no_key_of_somebody_else_and_from_no_other_checkpoint() -> None:
    stand = Stand()
    stand.sign(checkpoint(7))
    thief = SignerKey(ORIGIN, bytes(range(32)))
    theirs = Rotation(Checkpoint(ORIGIN, 7, bytes(32)), (thief.verifier,)).format()
    assert "agent.rotation" == code(stand.sign(theirs, "rotation"))
    (coming,) = map(VerifierKey.parse, stand.ask(do="next", types=[1])["next"])
    assert "agent.rotation" == code(stand.sign(theirs, "rotation"))
    for size, root in ((8, 0), (6, 0), (7, 1)):
        text = Rotation(Checkpoint(ORIGIN, size, bytes([root]) * 32), (coming,)).format()
        assert "agent.behind" == code(stand.sign(text, "rotation"))
    true = Rotation(Checkpoint(ORIGIN, 7, bytes(32)), (coming,)).format()
    half = stand.sign(true, "rotation")["note"]
    for note in (half, sign_note(theirs, thief).decode()):
        assert "agent.rotation" == code(stand.ask(do="adopt", note=note))
    assert "note.malformed" == code(stand.ask(do="adopt", note="x"))
    assert "agent.request" == code(stand.ask(do="next", types=[6]))
    assert stand.agent.verifiers == stand.started().verifiers


def test_keys_to_come_survive_and_are_dropped() -> None:
    stand = Stand()
    coming = stand.ask(do="next", types=[1, 6])["next"]
    assert 2 == len(coming)
    stand.agent = stand.started()
    assert coming == stand.ask(do="keys")["next"]
    assert [] == stand.ask(do="drop")["next"]
    stand.agent = stand.started()
    assert [] == stand.ask(do="keys")["next"]


def life(stand: Stand) -> tuple[list[str], bytes]:
    """Sign, make keys, rotate: which of it was answered, and the rotation's note."""
    answered, note = [], b""
    try:
        stand.sign(checkpoint(7))
        answered.append("signed")
        note = stand.rotation()
        stand.ask(do="adopt", note=note.decode())
        answered.append("adopted")
        stand.sign(checkpoint(8))
        answered.append("signed again")
    except Crash:
        stand.disk.crash()
    except AffidavitError:
        pass  # it ends; what is durable, the next start tells
    return answered, note


@pytest.mark.parametrize("how", ["crash_at", "fail_at"])
def test_after_a_crash_or_failure_at_any_step_one_key_is_in_force_and_nothing_signed_is_forgotten(how: str) -> None:
    whole = Stand()
    before = whole.disk.steps
    assert ["signed", "adopted", "signed again"] == life(whole)[0]
    steps = whole.disk.steps - before
    assert steps > 20
    for at in range(1, steps + 1):
        stand = Stand()
        first = stand.agent.verifiers
        setattr(stand.disk, how, stand.disk.steps + at)
        answered, note = life(stand)
        setattr(stand.disk, how, 0)
        stand.agent = stand.started()
        if "adopted" in answered:
            assert first != stand.agent.verifiers
        if "signed" in answered:
            assert "agent.behind" == code(stand.sign(checkpoint(6)))
        if "signed again" in answered:
            assert "agent.behind" == code(stand.sign(checkpoint(7)))
        elif note:
            assert "" == code(stand.ask(do="adopt", note=note.decode())), "the ledger asks again"
            assert first != stand.agent.verifiers
        assert (ED25519,) == tuple(key.type for key in stand.agent.verifiers)
        assert "" == code(stand.sign(checkpoint(20)))
        assert checkpoint(20).encode() == stand.disk.copy(ROOT / SIGNED)
