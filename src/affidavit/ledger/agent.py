"""A log's key in another process: the ledger's side of the line protocol in docs/spec/signer.md.

The agent answers on a Unix socket, holds the private keys and makes the next ones itself, so that this process, and
whoever takes it over, never has one. Nothing that it says is believed: a signature is verified before it is used
(`signed_note`, `sign_rotation`), and which keys are in force follows from the log and from `secrets/log.vkey`.

Three things can happen. No answer, or half of one: `Unavailable`, it is asked again later. An answer that is none, or a
refusal: `Corruption`, and a ledger that meets it stops: the agent does not hold this log's key, or has signed more of
this log than is here. An answer that is well formed and wrong: found by whoever verifies it, and the same.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from affidavit.durable import Disk
from affidavit.errors import Corruption, InvalidInput, Unavailable, VerificationError
from affidavit.ledger.keys import LOG_VKEY
from affidavit.ledger.layout import Layout
from affidavit.ledger.rotate import write_secret
from affidavit.ledger.signer import SIGNER_AWAY, Purpose, Signer
from affidavit.limits import SIGNER_LINE_BYTES_MAX, SIGNER_TIMEOUT_S
from affidavit.tlog.keys import SignatureLine, VerifierKey
from affidavit.tlog.notes import parse_note
from affidavit.tlog.rotation import check_log_keys

_START_HINT = "Start it: affidavit key serve. What waits is published once it answers."


class Agent:
    """Asks the agent at `path`; one connection a question, from any thread."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to one question.

        Raises `Unavailable` where none comes, `Corruption` where it is none or a refusal.
        """
        line = json.dumps(request).encode() + b"\n"
        try:
            data = self._exchange(line, time.monotonic() + SIGNER_TIMEOUT_S)
        except OSError as error:
            raise self._away(error.strerror or "it took too long") from None
        if len(data) > SIGNER_LINE_BYTES_MAX:
            raise self._wrong(f"Its answer is longer than {SIGNER_LINE_BYTES_MAX} bytes.")
        if not data.endswith(b"\n"):
            raise self._away("it broke off" if data else "it hung up")
        try:
            answer = json.loads(data)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            raise self._wrong("Its answer is no JSON object on one line.")
        refused = answer.get("refused")
        if refused is not None:
            raise Corruption(
                "signer.refused",
                f"The agent at {self.path} refuses: {str(refused)[:500]}",
                "Nothing was signed. See docs/howto/keys.md.",
            )
        return answer

    def keys(self, answer: Mapping[str, Any], name: str) -> tuple[VerifierKey, ...]:
        """The verifier keys of one log in a member of an answer; none for an empty list. Raises `Corruption`."""
        try:
            keys = tuple(VerifierKey.parse(str(text)) for text in list(answer[name])[:2])
            if keys:
                check_log_keys(keys[0].name, keys)
        except (InvalidInput, KeyError, TypeError) as error:
            raise self._wrong(f"It does not say which keys it has: {error}.") from None
        return keys

    def lines(self, answer: Mapping[str, Any], text: str) -> tuple[SignatureLine, ...]:
        """The lines of a note in an answer, none verified. Raises `Corruption` for what is no note of `text`."""
        try:
            said, lines = parse_note(str(answer.get("note")).encode())
        except (VerificationError, UnicodeEncodeError):
            raise self._wrong("It answers with what is no signed note.") from None
        if said != text:
            raise self._wrong("It signed another text.")
        return lines

    def _exchange(self, line: bytes, end: float) -> bytes:
        """Send `line`; what comes back until LF, the end, or more than a line may have. Raises `OSError`."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(SIGNER_TIMEOUT_S)
            connection.connect(str(self.path))
            with suppress(ConnectionError):  # it may have answered already, and hung up
                connection.sendall(line)
            data = b""
            while not data.endswith(b"\n") and len(data) <= SIGNER_LINE_BYTES_MAX:
                connection.settimeout(max(end - time.monotonic(), 0.001))
                part = connection.recv(SIGNER_LINE_BYTES_MAX)
                if not part:
                    break
                data += part
            return data

    def _away(self, why: str) -> Unavailable:
        return Unavailable(SIGNER_AWAY, f"The agent at {self.path} that holds the log's key: {why}.", _START_HINT)

    def _wrong(self, why: str) -> Corruption:
        message = f"What the agent at {self.path} answered is not used: {why}"
        return Corruption("signer.wrong", message, "Does this agent hold this log's key?")


class AgentSigner:
    """Signs with keys that an agent holds, as `Signer` promises."""

    def __init__(self, agent: Agent, verifiers: Sequence[VerifierKey]) -> None:
        self._agent = agent
        self.verifiers = tuple(verifiers)

    def sign(self, purpose: Purpose, text: str) -> tuple[SignatureLine, ...]:
        """The agent's lines, none verified. Raises as `Agent.ask`."""
        key = self.verifiers[0].key_id.hex()
        answer = self._agent.ask({"do": "sign", "key": key, "purpose": purpose.value, "text": text})
        return self._agent.lines(answer, text)


class AgentSuccessor:
    """The keys to come, which the agent made and keeps."""

    def __init__(self, agent: Agent, disk: Disk, layout: Layout, verifiers: Sequence[VerifierKey]) -> None:
        self._agent = agent
        self._disk = disk
        self._layout = layout
        self.signer: Signer = AgentSigner(agent, verifiers)

    def keep(self) -> None:
        """The agent made them durable before it named them."""

    def adopt(self, note: bytes) -> None:
        """As `Successor.adopt` promises: first what is trusted here, then the agent, which has both until then."""
        data = "".join(f"{key.to_text()}\n" for key in self.signer.verifiers).encode()
        write_secret(self._disk, self._layout, self._layout.secrets / LOG_VKEY, data)
        self._agent.ask({"do": "adopt", "note": note.decode()})

    def drop(self) -> None:
        """As `Successor.drop` promises."""
        self._agent.ask({"do": "drop"})


class AgentKeys:
    """A `Keyring` whose keys an agent holds; `verifiers` are those in force, by `secrets/log.vkey`."""

    def __init__(self, path: Path, disk: Disk, layout: Layout, verifiers: Sequence[VerifierKey]) -> None:
        self._agent = Agent(path)
        self._disk = disk
        self._layout = layout
        self.signer: Signer = AgentSigner(self._agent, verifiers)

    def successor(self, types: Sequence[int]) -> AgentSuccessor:
        """As `Keyring.successor` promises."""
        answer = self._agent.ask({"do": "next", "types": list(types)})
        keys = self._agent.keys(answer, "next")
        if tuple(key.type for key in keys) != tuple(types):
            raise Corruption("signer.wrong", "The agent made other keys than those asked for.", "Nothing was rotated.")
        return self._of(keys)

    def waiting(self) -> AgentSuccessor | None:
        """As `Keyring.waiting` promises."""
        keys = self._agent.keys(self._agent.ask({"do": "keys"}), "next")
        return self._of(keys) if keys else None

    def _of(self, keys: Sequence[VerifierKey]) -> AgentSuccessor:
        return AgentSuccessor(self._agent, self._disk, self._layout, keys)
