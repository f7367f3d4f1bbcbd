"""Alterations of a witness's own folder, by root on the machine where it runs. What must not happen is that it cosigns a
second history; what it does instead is what it says when it is started, or what the log hears when it asks."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from witnesscase import KEY, NAME, ORIGIN, make_folder, note, open_witness, request

from affidavit.errors import AffidavitError
from affidavit.server.witness_folder import KEY as KEY_FILE
from affidavit.server.witness_folder import LOGS, SEEN, WitnessFolder
from affidavit.tlog.keys import COSIGNATURE_ED25519, SignerKey
from affidavit.tlog.witness import Refusal, log_id

#: Sizes that were cosigned, the newest last; and the one that is asked for after the deed.
SIZES, NEXT = (5, 20), 30
_OTHER = SignerKey("log.example/other", b"\3" * 32)
_SEEN = f"{SEEN}/{log_id(ORIGIN)}"
COSIGNED = "cosigned"


@dataclass(frozen=True)
class FolderTampering:
    """A row. `found` is the code with which the witness refuses to start, or the status that the log gets; empty where
    it cosigns as before, and `why` then says what follows."""

    part: str
    deed: str
    alter: Callable[[Path, Path], object]
    found: str
    why: str = ""


def made(root: Path) -> tuple[Path, Path]:
    """The folder of a witness that has cosigned, and a copy of it from before its newest cosignature."""
    folder = make_folder(root / "witness")
    folder.add(_OTHER.verifier.to_text())
    witness = open_witness(folder)
    for old, size in zip((0, *SIZES), SIZES, strict=False):
        shutil.rmtree(root / "older", ignore_errors=True)
        shutil.copytree(folder.root, root / "older")
        answer = witness.add_checkpoint(request(old, size))
        assert isinstance(answer, str), answer
    return folder.root, root / "older"


def outcome(folder: WitnessFolder, body: bytes) -> str:
    """What comes of starting it and asking it: a code, a status, or `COSIGNED`."""
    try:
        answer = open_witness(folder).add_checkpoint(body)
    except AffidavitError as error:
        return error.code
    return str(answer.status) if isinstance(answer, Refusal) else COSIGNED


def _edit(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path, Path], object]:
    return lambda root, _: (root / name).write_bytes(change((root / name).read_bytes()))


def _rows() -> list[FolderTampering]:
    forgot = (
        "it cosigns what follows on the older one, a second history too. The log that holds newer cosignatures of it says so "
        "(`ready`: `witness.forgot`); for the auditor there are the other witnesses of the policy"
    )
    key = SignerKey(NAME, b"\4" * 32, COSIGNATURE_ED25519)
    other = note(7, key=_OTHER)

    def seen(deed: str, change: Callable[[bytes], bytes], code: str, why: str = "") -> FolderTampering:
        return FolderTampering("`seen/…`", deed, _edit(_SEEN, change), code, why)

    return [
        seen("changed", lambda data: data.replace(b"\n20\n", b"\n19\n"), "witness.seen"),
        seen("cut", lambda data: data[:-30], "witness.seen"),
        seen("extended", lambda data: data + b"more\n", "witness.seen"),
        seen("swapped with another log's", lambda _: other, "witness.seen"),
        seen("written by somebody with the log's key, not the witness's", lambda _: note(SIZES[0]), "witness.seen"),
        FolderTampering("`seen/…`", "removed", lambda root, _: (root / _SEEN).unlink(), "witness.lost"),
        seen("emptied, as before the first cosignature", lambda _: b"", "", forgot),
        FolderTampering(
            "`seen/…`", "put back to an older one", lambda root, older: shutil.copy(older / _SEEN, root / _SEEN), "",
            forgot,
        ),
        FolderTampering("`logs`", "removed", lambda root, _: (root / LOGS).unlink(), "witness.logs"),
        FolderTampering("`logs`", "changed to what is no key", _edit(LOGS, lambda data: data + b"log.example+x\n"), "witness.log"),
        FolderTampering("`logs`", "the log's line cut out", _edit(LOGS, lambda data: data.replace(KEY.verifier.to_text().encode(), b"")), "404"),
        FolderTampering(
            "`logs`", "a key of the thief's added for the log",
            _edit(LOGS, lambda data: data + SignerKey(ORIGIN, b"\5" * 32).verifier.to_text().encode() + b"\n"), "",
            "the thief can have continuations cosigned under that key, which no auditor trusts, and no second history",
        ),
        FolderTampering("`witness.key`", "replaced by another key", _edit(KEY_FILE, lambda _: f"{key.to_text()}\n".encode()), "witness.seen"),
        FolderTampering("`witness.key`", "cut", _edit(KEY_FILE, lambda data: data[:-20]), "key.base64"),
        FolderTampering("`witness.key`", "removed", lambda root, _: (root / KEY_FILE).unlink(), "witness.none"),
        FolderTampering("`witness.key`", "open to others", lambda root, _: (root / KEY_FILE).chmod(0o644), "disk.permissions"),
    ]  # fmt: skip


FOLDER_ROWS = _rows()
