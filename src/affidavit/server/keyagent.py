"""The agent that holds a log's private keys: what it answers (docs/spec/signer.md), and to whom.

It signs for one log, in a process and under a user of its own, and refuses what no honest ledger asks for:

 1. a text that is not what a log signs for the purpose that is named;
 2. a checkpoint that is smaller than the last one that it signed, or has another root at the same size. It sees sizes
    and roots, no records, so it cannot tell whether a larger one continues the last: witnesses do;
 3. a rotation to keys that it did not make itself, or from another checkpoint than the last one that it signed.

What it has signed is durable before the signature leaves. Two agents on copies of one folder would not know of each
other: a lock holds the folder.
"""

from __future__ import annotations

import json
import logging
import socket
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

from affidavit.durable import PRIVATE, Disk, clear_temporary, write_whole
from affidavit.errors import AffidavitError, Denied, InvalidInput, Unavailable
from affidavit.ledger.keys import load_signers
from affidavit.ledger.layout import Layout
from affidavit.ledger.rotate import FileKeys, FileSuccessor
from affidavit.ledger.signer import Purpose, Signer
from affidavit.limits import NOTE_BYTES_MAX, SIGNER_LINE_BYTES_MAX, SIGNER_TIMEOUT_S
from affidavit.server.peer import peer_uid
from affidavit.tlog.checkpoint import Checkpoint
from affidavit.tlog.keys import ED25519, ML_DSA_44, VerifierKey
from affidavit.tlog.notes import join_note, open_note, parse_note
from affidavit.tlog.rotation import Rotation

SIGNED = "signed"
_TYPES = ([ED25519], [ED25519, ML_DSA_44])
_log = logging.getLogger(__name__)


class KeyAgent:
    """The keys in one folder, which it alone uses: `secrets/log.key`, `log.vkey`, `next.key`, and `signed`."""

    def __init__(self, disk: Disk, root: Path, randomness: Callable[[int], bytes]) -> None:
        """Finishes what a crash interrupted. Raises `InvalidInput` where the folder holds no keys, or not safely."""
        self._disk = disk
        self._layout = Layout(root)
        self._randomness = randomness
        self._next = FileSuccessor.waiting(disk, self._layout)
        self._load()
        if self._next is not None and self._next.signer.verifiers == self.verifiers:
            self._next.adopt(b"")  # it was signed and asked for before the crash
            self._next = None
        self._last = self._read_last()

    @property
    def verifiers(self) -> tuple[VerifierKey, ...]:
        """The public keys in force."""
        return self._keys.signer.verifiers

    def answer(self, line: bytes) -> bytes:
        """The answer to one request, a line each. What is wrong with the request is its answer, too.

        Raises `Unavailable` where the disk failed: what is durable then, only the next start tells.
        """
        try:
            asked = json.loads(line)
        except (ValueError, RecursionError):
            asked = None
        try:
            if not isinstance(asked, dict):
                raise InvalidInput("agent.request", "The request is no JSON object on one line.")
            said = self._do(asked)
        except Unavailable:
            raise
        except AffidavitError as error:
            _log.warning("refused: %s", error)
            said = {"refused": str(error), "code": error.code}
        return json.dumps(said).encode() + b"\n"

    def _do(self, asked: dict[str, Any]) -> dict[str, Any]:
        match asked.get("do"):
            case "keys":
                return self._said()
            case "sign":
                return self._sign(*(str(asked.get(name)) for name in ("key", "purpose", "text")))
            case "next":
                return self._make(asked.get("types"))
            case "adopt":
                return self._adopt(str(asked.get("note")).encode("utf-8", "replace"))
            case "drop":
                return self._drop()
        raise InvalidInput("agent.request", f"It does not know what {str(asked.get('do'))[:40]!r} is.")

    def _said(self) -> dict[str, Any]:
        coming = () if self._next is None else self._next.signer.verifiers
        return {"keys": [key.to_text() for key in self.verifiers], "next": [key.to_text() for key in coming]}

    def _sign(self, key: str, purpose_text: str, text: str) -> dict[str, Any]:
        try:
            purpose = Purpose(purpose_text)
        except ValueError:
            raise InvalidInput("agent.request", f"There is no purpose {purpose_text[:40]!r}.") from None
        if not text.isascii():
            raise InvalidInput("agent.request", "No log signs a text that is not ASCII.")
        signer = self._signer(key, purpose)
        lines = signer.sign(purpose, text)  # refuses a text of another purpose; nobody has it before what follows held
        if purpose is Purpose.CHECKPOINT:
            self._note_signed(Checkpoint.parse(text))
        elif purpose is Purpose.ROTATION:
            self._check_rotation(Rotation.parse(text))
        return {"note": join_note(text, lines).decode()}

    def _signer(self, key: str, purpose: Purpose) -> Signer:
        if key == self.verifiers[0].key_id.hex():
            return self._keys.signer
        coming = None if self._next is None else self._next.signer
        if coming is not None and key == coming.verifiers[0].key_id.hex() and purpose is Purpose.ROTATION:
            return coming
        held = self.verifiers[0].key_id.hex()
        raise Denied("agent.key", f"It has no key {key[:16]!r} that signs that; the key in force here is {held}.")

    def _note_signed(self, asked: Checkpoint) -> None:
        last = self._last
        if last is not None and (asked.size < last.size or (asked.size == last.size and asked.root != last.root)):
            raise Denied(
                "agent.behind",
                f"It has signed {last.size} records of this log, and is asked to sign {asked.size} otherwise: the log "
                "was put back, or somebody wants a second history.",
            )
        if asked == last:
            return
        drafts = self._layout.root / "unfinished" / SIGNED
        clear_temporary(self._disk, drafts)
        write_whole(self._disk, drafts, [(self._layout.root / SIGNED, asked.format().encode())], PRIVATE)
        self._last = asked

    def _check_rotation(self, rotation: Rotation) -> None:
        if self._next is None or rotation.keys != self._next.signer.verifiers:
            raise Denied("agent.rotation", "It rotates only to keys that it made and holds.")
        if self._last is not None and rotation.last != self._last:
            raise Denied(
                "agent.behind",
                f"It has signed {self._last.size} records of this log, and is asked to end its key at "
                f"{rotation.last.size}.",
            )

    def _make(self, types: Any) -> dict[str, Any]:
        if types not in _TYPES:
            raise InvalidInput("agent.request", "Keys are of type 1, or of types 1 and 6.")
        coming = self._keys.successor(types)
        coming.keep()
        self._next = coming
        return self._said()

    def _adopt(self, note: bytes) -> dict[str, Any]:
        """Only with a rotation that both signed: else whoever may ask could end a key that the log still needs."""
        rotation = Rotation.parse(parse_note(note)[0])
        if rotation.keys == self.verifiers:
            return self._said()
        if self._next is None or rotation.keys != self._next.signer.verifiers:
            raise Denied("agent.rotation", "It adopts only keys that it made and holds.")
        every = (*self.verifiers, *rotation.keys)
        if len(open_note(note, every).verified) != len(every):
            raise Denied("agent.rotation", "Not every key that ends and begins has signed that rotation.")
        self._next.adopt(note)
        self._next = None
        self._load()
        return self._said()

    def _drop(self) -> dict[str, Any]:
        if self._next is not None:
            self._next.drop()
            self._next = None
        return self._said()

    def _load(self) -> None:
        signers = load_signers(self._disk, self._layout.secrets)
        self._keys = FileKeys(self._disk, self._layout, signers, self._randomness)

    def _read_last(self) -> Checkpoint | None:
        data = self._disk.read_private(self._layout.root / SIGNED, NOTE_BYTES_MAX)
        return None if data is None else Checkpoint.parse(data.decode("utf-8", "replace"))


def serve_agent(agent: KeyAgent, listening: socket.socket, uids: Collection[int], stopping: Callable[[], bool]) -> None:
    """Answer on `listening`, one connection after another, a request each, until `stopping`. `uids` may ask.

    An error of the disk ends it: what is durable is known to the next start alone. Raises it.
    """
    listening.settimeout(0.2)
    while not stopping():
        try:
            connection, _ = listening.accept()
        except TimeoutError:
            continue
        with connection:
            uid = peer_uid(connection)
            if uid not in uids:
                _log.warning("the user %s asked, and may not: --uid names who may", uid)
                said = {"refused": f"The user {uid} may not ask here; --uid names who may.", "code": "agent.peer"}
                with suppress(OSError):  # what lies unread would cut the answer off; who may not ask is not waited for
                    connection.recv(SIGNER_LINE_BYTES_MAX, socket.MSG_DONTWAIT)
                _send(connection, json.dumps(said).encode() + b"\n")
                continue
            line = _line(connection)
            if line is not None:
                _send(connection, agent.answer(line))


def _line(connection: socket.socket) -> bytes | None:
    """One request, bounded in bytes and time; None where it does not come whole."""
    end, data = time.monotonic() + SIGNER_TIMEOUT_S, b""
    try:
        while not data.endswith(b"\n") and len(data) <= SIGNER_LINE_BYTES_MAX:
            connection.settimeout(max(end - time.monotonic(), 0.001))
            part = connection.recv(SIGNER_LINE_BYTES_MAX)
            if not part:
                return None
            data += part
    except OSError:
        return None
    return data if len(data) <= SIGNER_LINE_BYTES_MAX else b""


def _send(connection: socket.socket, data: bytes) -> None:
    with suppress(OSError):  # who asked is gone
        connection.settimeout(SIGNER_TIMEOUT_S)
        connection.sendall(data)
