"""The agent that holds a log's key, as a real process, and a stand-in that answers wrongly.

    python tests/keyagent.py FOLDER SOCKET

answers with the keys in FOLDER, and does to each signature what the file FOLDER/mode says (`WRONG`, `AWAY`).
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from affidavit.config import CONFIG_NAME
from affidavit.durable import OsDisk
from affidavit.server.keyagent import KeyAgent
from affidavit.server.peer import bind_socket
from affidavit.tlog.keys import SignatureLine, SignerKey
from affidavit.tlog.notes import join_note, parse_note, sign_note

PRIVATE_KEY = b"PRIVATE+KEY+"
PATIENCE_S = 60.0  # for a process to start on a busy machine


def move_key(root: Path, keys: Path, path: Path) -> None:
    """Move the private key of the log in `root` to an agent's folder, and name the agent, as docs/howto/keys.md says."""
    secrets = keys / "secrets"
    secrets.mkdir(mode=0o700, parents=True)
    (root / "secrets" / "log.key").rename(secrets / "log.key")
    shutil.copy(root / "secrets" / "log.vkey", secrets / "log.vkey")
    (secrets / "log.vkey").chmod(0o600)
    config = root / CONFIG_NAME
    config.write_text(config.read_text().replace("\n[server]", f'signer = "unix:{path}"\n\n[server]', 1))


class AgentProcess:
    """`affidavit key serve`, or this file in one of its modes."""

    def __init__(self, keys: Path, path: Path, mode: str = "", uids: tuple[int, ...] = ()) -> None:
        self._mode = keys / "mode"
        self.answer_as(mode)
        serve = ["-m", "affidavit.cli.main", "key", "serve", str(keys), "--socket", str(path)]
        serve += [part for uid in uids for part in ("--uid", str(uid))]
        self._process = subprocess.Popen(
            [sys.executable, *([__file__, str(keys), str(path)] if mode else serve)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        self.errors: list[bytes] = []
        self._reader = threading.Thread(target=self._read_errors, daemon=True)
        self._reader.start()
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert b"answers on" in line, (line, self.errors)

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        self.errors.extend(self._process.stderr)

    def answer_as(self, mode: str) -> None:
        """From now on; for the stand-in."""
        self._mode.write_text(mode)

    def kill(self) -> None:
        """As kill -9 does."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """In order; its exit status."""
        return self._end(signal.SIGTERM)

    def _end(self, number: int) -> int:
        self._process.send_signal(number)
        status = self._process.wait(PATIENCE_S)
        self._reader.join()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
        return status


# The stand-in


def _note(change: Callable[[str, tuple[SignatureLine, ...]], bytes]) -> Callable[[bytes], bytes]:
    def alter(answer: bytes) -> bytes:
        text, lines = parse_note(json.loads(answer)["note"].encode())
        return json.dumps({"note": change(text, lines).decode()}).encode() + b"\n"

    return alter


def _flipped(line: SignatureLine) -> SignatureLine:
    return SignatureLine(line.name, line.key_id, line.signature[:-1] + bytes([line.signature[-1] ^ 1]))


def _of_other_bytes(folder: Path) -> Callable[[bytes], bytes]:
    """A true signature by the true key, over another text than the one it is put under."""
    key = SignerKey.parse((folder / "secrets" / "log.key").read_text().strip())
    return _note(lambda text, _: join_note(text, [key.line(text.replace("\n", "\n1", 1))]))


def wrong(folder: Path) -> dict[str, Callable[[bytes], bytes]]:
    """What is done to an answer to a signing request, by mode."""
    return {
        "garbage": lambda _: base64.b64encode(os.urandom(300)) + b"\n",
        "binary": lambda _: b"\xff\xfe\0" * 50 + b"\n",
        "nested": lambda _: b"[" * 50_000 + b"\n",
        "huge": lambda _: b"x" * 200_000,
        "number": lambda _: b"7\n",
        "nothing": lambda _: b"{}\n",
        "no_note": lambda _: b'{"note": "\\ud800"}\n',
        "other_text": _note(
            lambda text, _: sign_note(text.replace("\n", "\n1", 1), SignerKey("a.example/b", bytes(32)))
        ),
        "other_bytes": _of_other_bytes(folder),
        "other_key": _note(lambda text, lines: sign_note(text, SignerKey(lines[0].name, bytes(32)))),
        "flipped": _note(lambda text, lines: join_note(text, [_flipped(line) for line in lines])),
        "twice": _note(lambda text, lines: join_note(text, [*lines, *lines])),
        "one_more": _note(
            lambda text, lines: join_note(text, [*lines, SignerKey("a.example/b", bytes(32)).line(text)])
        ),
        "broken_off": lambda answer: answer[:40],
        "silent": lambda _: b"",
    }


WRONG = ("garbage", "binary", "nested", "huge", "number", "nothing", "no_note", "other_text", "other_bytes", "other_key",
         "flipped", "twice", "one_more")  # fmt: skip
AWAY = ("broken_off", "silent")


def main(folder: Path, path: Path) -> None:
    agent, ways = KeyAgent(OsDisk(), folder, os.urandom), wrong(folder)
    with bind_socket(path) as listening:
        print("answers on", path, flush=True)
        while True:
            connection, _ = listening.accept()
            with connection:
                request = b""
                while not request.endswith(b"\n"):
                    request += connection.recv(65_536)
                answer = agent.answer(request)
                connection.sendall(ways[(folder / "mode").read_text()](answer) if b'"note"' in answer else answer)
                connection.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
