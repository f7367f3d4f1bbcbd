"""Alterations of a log whose key was rotated; the auditor knows the first key alone, the thief one or both."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from recovercase import ORIGIN, append, made

from affidavit.cli.client import Client
from affidavit.compose.serving import serving
from affidavit.compose.site import Site
from affidavit.ledger.keys import Secrets
from affidavit.tlog.checkpoint import Checkpoint, sign_checkpoint
from affidavit.tlog.keys import SignerKey
from affidavit.tlog.notes import open_note, sign_note
from affidavit.tlog.rotation import Rotation, rotation_path
from tampering.kinds import Case, Found, Need, Tampering

THIEF = SignerKey(ORIGIN, b"\x66" * 32)
#: Gone when the process ends.
_FOLDER = tempfile.TemporaryDirectory()


@dataclass(frozen=True)
class Rotated:
    """The log, a copy from before the rotation, its keys before and after, the size of the rotation, and the last checkpoints under each."""

    root: Path
    before: Path
    old: Secrets
    new: Secrets
    size: int
    kept: tuple[bytes, ...]

    @property
    def newest(self) -> Checkpoint:
        return Checkpoint.parse(open_note(self.kept[-1], self.new.verifiers).text)


@cache
def rotated() -> Rotated:
    """Made once; nobody changes it in place."""
    folder = Path(_FOLDER.name)
    root = made(folder / "data", 20)
    before = Path(shutil.copytree(root, folder / "before"))
    kept = [(root / "log/checkpoint").read_bytes()]
    old = Site(root).secrets
    with serving(root, writes=True) as path:
        client = Client(path, None, server_runs=False)
        size = client.post("/v1/key/rotation", {"reason": "time to"})["index"]
        client.close()
    ledger = Site(root).open_ledger()
    append(ledger, 20)
    ledger.close("The test is done.")
    kept.append((root / "log/checkpoint").read_bytes())
    return Rotated(root, before, old, Site(root).secrets, size, tuple(kept))


def _row(deed: str, change: Callable[[Path, Rotated], object], *found: Found, why: str = "") -> Tampering:
    def alter(case: Case) -> None:
        world = rotated()
        shutil.rmtree(case.folder)
        shutil.copytree(world.root, case.folder)
        case.kept, case.key = world.kept, world.old.verifier
        case.body_keys = world.old.body_keys_by_id
        change(case.folder / "log", world)

    return Tampering("rotation note", deed, alter, found, why)


def _write(path: str, data: Callable[[Rotated], bytes]) -> Callable[[Path, Rotated], object]:
    return lambda log, world: (log / path).write_bytes(data(world))


def _note(log: Path, world: Rotated, data: bytes) -> None:
    (log / rotation_path(world.size)).write_bytes(data)


def _to_thief(log: Path, world: Rotated) -> None:
    """The rotation goes to the thief's key, signed by the stolen old one."""
    note = (log / rotation_path(world.size)).read_bytes()
    last = Rotation.parse(open_note(note, world.old.verifiers).text).last
    _note(log, world, sign_note(Rotation(last, (THIEF.verifier,)).format(), *world.old.signers, THIEF))
    (log / "checkpoint").write_bytes(sign_checkpoint(world.newest, THIEF))
    shutil.rmtree(log.parent / "checkpoints")


def _hidden(log: Path, world: Rotated) -> None:
    """The log put back to before the rotation; the old key, which was stolen, may go on with it."""
    shutil.rmtree(log.parent)
    shutil.copytree(world.before, log.parent)


def _rows() -> list[Tampering]:
    return [
        _row("removed", lambda log, w: (log / rotation_path(w.size)).unlink(), Found(20, "rotation.absent")),
        _row(
            "changed",
            lambda log, w: _note(log, w, (log / rotation_path(w.size)).read_bytes().replace(b"v1", b"v2", 1)),
            Found(20, "rotation.malformed"),
        ),
        _row("the list of rotations removed", lambda log, w: (log / "key/sizes").unlink(), Found(1, "note.unknown")),
        _row(
            "what follows signed by the old key again, which was stolen",
            _write("checkpoint", lambda w: sign_checkpoint(w.newest, *w.old.signers)), Found(1, "key.not_in_force"),
        ),
        _row(
            "made out to a thief's key by the old one, which was stolen; the log signed by that", _to_thief,
            Found(20, "key.other_note", frozenset({Need.BODY_KEYS})), Found(5, "note.unknown", frozenset({Need.KEPT})),
        ),
        _row(
            "hidden: the log as if it had never been rotated", _hidden, Found(5, "note.unknown", frozenset({Need.KEPT})),
            why="who knows the first key alone sees a log that ends there; who knows the later one sees that it never signed",
        ),
    ]  # fmt: skip


ROTATION_ROWS = _rows()
